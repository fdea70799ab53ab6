"""What of a text of the user's (or of a model's) reaches a reader: words and line breaks, and nothing that acts.

The formats escape their own markup. What acts in any of them is taken out here: control characters, half surrogates
and what else XML does not have; what reverses the reading direction of the text around it; formulas.
"""

import re
from collections.abc import Iterable

GUARD = "\u200b"
"""A zero-width space: nobody sees it, and what follows it is no formula, no list item and no e-mail address."""

ABSENT = "\u2013"
"""What stands where nothing was said."""

_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u206f\ufeff]")
_INVALID = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SPACES = re.compile("[ \t]+")
_FORMULA = re.compile(r"^(?=[=+\-@＝＋－＠])(?![+\-][\d\s().,/%-]*$)", re.MULTILINE)  # noqa: RUF001


def shown(text: str) -> str:
    """Return a text as it may be shown: tidy lines without empty ones, in which nothing acts.

    A spreadsheet takes what is pasted into it for a formula if it begins with `=`, `+`, `-` or `@`, from an HTML page
    or a Word table just as from a CSV file. So such a line gets a `GUARD` in front of it; figures (`-5 %`, `+49 30
    1234`) stay as they are. Joiners and marks that writing itself needs (emoji, Arabic, Hebrew) stay, too.
    """
    return _FORMULA.sub(GUARD, "\n".join(_lines(text)))


def line(text: str) -> str:
    """Return a text as it may be shown where there is room for one line."""
    return _FORMULA.sub(GUARD, " ".join(_lines(text)))


def _lines(text: str) -> Iterable[str]:
    plain = _INVALID.sub("\ufffd", _DIRECTION.sub("", _BREAK.sub("\n", text)))
    return filter(None, (_SPACES.sub(" ", it).strip() for it in plain.split("\n")))
