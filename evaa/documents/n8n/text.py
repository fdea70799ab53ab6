"""What people said, made harmless for n8n: it must stay text, wherever it is put.

n8n takes a parameter that begins with `=` for an expression, with code between `{{` and `}}`, and shows sticky notes as
Markdown, in which whatever looks like an address becomes a link. So names and parameters get rid of both signs, and in
notes every character that Markdown reads within a line is escaped, and addresses have a space in them that nobody sees.
"""

import re

from evaa.documents.formats.text import GUARD

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_LINK = re.compile(r"(?<=\S\.)(?=[^\W\d])|(?<=/)(?=/)|(?<=@)(?=\w)|(?<=mailto:)(?=\S)", re.IGNORECASE)
_CURLY = re.compile(r"([{}])(?=[{}])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DEEP = 10_000
"""More of a text is never looked at."""


def plain(text: str, limit: int) -> str:
    """The text on one line, for a name or a parameter: never an expression, and no longer than `limit` characters."""
    return shortened(_CURLY.sub(r"\1 ", one_line(text)).lstrip("= "), limit)


def markdown(text: str, limit: int) -> str:
    """The text for the middle of a line of a sticky note: no Markdown, HTML or link; `limit` counts what is seen."""
    return _MARKDOWN.sub(r"\\\1", _LINK.sub(GUARD, shortened(one_line(text), limit)))


def one_line(text: str) -> str:
    """Without line breaks, control characters, signs that turn the direction of writing, and halves of characters."""
    whole = text[:_DEEP].encode("utf-8", "replace").decode()
    return " ".join(_CONTROL.sub(" ", _DIRECTION.sub("", whole)).split())


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; what is cut off ends in an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
