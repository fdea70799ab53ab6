"""Whether a text says something that is looked for: figures in any form, words at their beginning. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from evaa.documents.figures import canonical, heard

_FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u00ad", "-"))


class Said(msgspec.Struct, frozen=True):
    """A text, prepared for being searched."""

    text: str
    figures: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Said":
        """Prepare what one entry says, in several columns."""
        whole = "\n".join(texts)
        return cls(_plain(whole), heard(whole))

    def holds(self, check: Sequence[str]) -> bool:
        """Whether every item is there; an item is alternatives between `|`."""
        return all(any(map(self._has, item.split("|"))) for item in check)

    def _has(self, wanted: str) -> bool:
        plain = _plain(wanted)
        if _FIGURE.fullmatch(plain):
            return canonical(plain) in self.figures
        return bool(re.search(rf"(?<!\w){re.escape(plain)}", self.text))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(_DASHES).casefold().split())
