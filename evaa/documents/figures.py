"""The figures in a text, however they are written: 5,000 and 5000, €500, 3pm, forty, fünfundzwanzig, 5k.

A figure is compared as text in one form (`5000`, `2.5`, `10:30`). 0 and 1 are no facts: a language says them in too
many ways (no, an, each).
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from evaa.documents.words import in_one_form

_NUMBER = r"(?<![^\W_])\d+(?:[.,:'\u2019]\d+|(?<!\d{4}) \d{3}(?!\d))*"
_PIECE = re.compile(rf"(?P<number>{_NUMBER})|(?P<word>[^\W\d_]+)")
_THOUSANDS = re.compile(r"(\d{1,3}(?:[.,'\u2019 ]\d{3})+)(?:[.,](\d{1,2}))?")
_RECKONABLE = re.compile(r"\d*\.?\d+", re.ASCII)
_AFTERNOON = re.compile(r"(\d{1,2})(?::00)? ?p\.?m\b", re.IGNORECASE)
_LONGEST = 15
"""Digits of the longest figure that is reckoned with; longer ones are compared as they are written."""

_TOO_LARGE = 10**_LONGEST
"""What no further word makes larger: a million millions of millions is no figure, and could not be reckoned with."""

_UP_TO_19 = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_BIS_19 = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn"
    " achtzehn neunzehn"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ZEHNER = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"


def _counted(words: str, step: int = 1, start: int = 0) -> dict[str, int]:
    return {word.casefold(): start + step * number for number, word in enumerate(words.split())}


_ENGLISH_MORE = {
    "a": 1,
    "an": 1,
    "both": 2,
    "twice": 2,
    "dozen": 12,
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
}
_GERMAN_MORE = {"ein": 1, "eine": 1, "beide": 2, "zweimal": 2}
_ARTICLES = frozenset({"a", "an", "ein", "eine"})
_ENGLISH = {**_counted(_UP_TO_19), **_counted(_TENS, 10, 20), **_ENGLISH_MORE}
_GERMAN = {**_counted(_BIS_19), **_counted(_ZEHNER, 10, 20), **_GERMAN_MORE}
_SCALES = {
    "hundred": 100, "thousand": 1_000, "k": 1_000, "million": 1_000_000, "mio": 1_000_000,
    "tausend": 1_000, "hundert": 100, "millionen": 1_000_000,
}  # fmt: skip
_LONGEST_WORD = 40
_NO_FACTS = frozenset({"0", "1"})

_Piece = tuple[str, str, float | None]
"""A number in digits or a word, the other empty, and what it says if it says a figure."""


class Figures:
    """The figures of some texts, to be asked for those of a few of them, each alone and read one after the other.

    A figure in words may go on in the next text ("twenty", "five"). So what begins and ends a text is kept in pieces,
    too, and put together for those that are asked about.
    """

    def __init__(self, *texts: str) -> None:
        self._where: dict[str, int] = {}
        self._edges: list[list[_Piece]] = []
        for index, text in enumerate(texts):
            pieces = list(_pieces(text))
            starts = [at for at, piece in enumerate(pieces) if not _may_go_on(piece)] or [len(pieces)]
            self._edges.append([*pieces[: starts[0]], *pieces[starts[-1] :]])
            for figure in _forms(pieces) | _afternoons(text):
                self._where[figure] = self._where.get(figure, 0) | 1 << index

    def among(self, indices: Sequence[int]) -> "HeardFigures":
        """Those that may be said to be in the texts that have these indices, read in this order."""
        edges = itertools.chain.from_iterable(self._edges[index] for index in indices)
        return HeardFigures(self._where, sum(1 << index for index in indices), _forms(edges))


class HeardFigures:
    """The figures that some texts may be said to contain: each alone, and where one meets the next."""

    def __init__(self, where: Mapping[str, int], among: int, at_edges: Set[str]) -> None:
        self._where = where
        self._among = among
        self._at_edges = at_edges

    def __contains__(self, figure: str) -> bool:
        return bool(self._where.get(figure, 0) & self._among) or figure in self._at_edges


def claimed(text: str) -> frozenset[str]:
    """The figures that a text states, each as a whole."""
    return frozenset(_written(whole) for whole, _ in _figures(_pieces(text))) - _NO_FACTS


def heard(text: str) -> frozenset[str]:
    """The figures that a text may be said to contain: also the parts of a compound, and the hours of an afternoon."""
    return frozenset(_forms(_pieces(text)) | _afternoons(text))


def canonical(number: str) -> str:
    """A figure in digits in the form that is compared."""
    if whole := _THOUSANDS.fullmatch(number):
        number = re.sub(r"\D", "", whole[1]) + (f".{whole[2]}" if whole[2] else "")
    if ":" in number:
        parts = [_bare(part) for part in number.split(":")]
        return ":".join(parts).removesuffix(":0")
    parts = re.split(r"[.,'\u2019 ]", number)
    if len(parts) == 2:
        return f"{_bare(parts[0])}.{parts[1].rstrip('0')}".rstrip(".")
    return ".".join(map(_bare, parts))


def replaced(text: str, old: str, new: str) -> str:
    """The text with each figure in digits that equals `old` replaced by `new`, as that is written."""
    wanted = canonical(old)
    return re.sub(_NUMBER, lambda found: new if canonical(found[0]) == wanted else found[0], text)


def _forms(pieces: Iterable[_Piece]) -> set[str]:
    return {_written(value) for whole, parts in _figures(pieces) for value in (whole, *parts)}


def _afternoons(text: str) -> set[str]:
    return {str(int(hour) + 12) for hour in _AFTERNOON.findall(text)}


def _pieces(text: str) -> Iterator[_Piece]:
    for piece in _PIECE.finditer(in_one_form(text)):
        number, word = piece["number"] or "", (piece["word"] or "").casefold()
        yield number, word, float(canonical(number)) if number and _is_reckonable(number) else _spoken(word)


def _may_go_on(piece: _Piece) -> bool:
    """Whether it may belong to a figure that has begun before; all else begins anew."""
    _, word, said = piece
    return word in _SCALES or word == "and" or (bool(word) and said is not None and word not in _ARTICLES)


def _figures(pieces: Iterable[_Piece]) -> Iterator[tuple[str | float, Sequence[str | float]]]:
    """Each figure as a whole with the parts that it was put together from."""
    whole: float | None = None
    parts: list[str | float] = []
    for number, word, said in pieces:
        if whole is not None and word in _SCALES and whole < _TOO_LARGE:
            whole = _scaled(whole, _SCALES[word])
            parts.append(float(_SCALES[word]))
        elif whole is not None and said is not None and word not in _ARTICLES and word and _continues(whole, said):
            whole += said
            parts.append(said)
        elif whole is None or not (word == "and" and whole >= 100):
            if whole is not None:
                yield whole, parts
            if number and said is None:
                yield canonical(number), (number, *re.findall(r"\d+", number))
            whole, parts = said, [said if said is not None else ""]
    if whole is not None:
        yield whole, parts


def _is_reckonable(number: str) -> bool:
    plain = canonical(number)
    return len(plain) <= _LONGEST and bool(_RECKONABLE.fullmatch(plain))


def _scaled(value: float, scale: int) -> float:
    """Two hundred, three thousand five hundred."""
    last = value % 1_000 if scale < 1_000 and value >= 1_000 else value
    return value - last + (last or 1) * scale


def _continues(value: float, said: float) -> bool:
    """Whether a number word goes on with the one before: twenty-five, two hundred fifty."""
    if said < 10 and value % 10 == 0 and value % 100 >= 20:
        return said > 0
    return value >= 100 and value % 100 == 0 and 0 < said < 100


def _spoken(word: str) -> int | None:
    return _ENGLISH[word] if word in _ENGLISH else _german(word) if len(word) <= _LONGEST_WORD else None


def _german(word: str) -> int | None:
    if word in _GERMAN:
        return _GERMAN[word]
    for scale in ("tausend", "hundert"):
        head, found, tail = word.partition(scale)
        if found:
            times = _german(head) if head else 1
            rest = _german(tail.removeprefix("und")) if tail else 0
            return None if times is None or rest is None else times * _SCALES[scale] + rest
    units, found, tens = word.partition("und")
    if found and units in _GERMAN and tens in _GERMAN and _GERMAN[units] < 10 <= _GERMAN[tens]:
        return _GERMAN[units] + _GERMAN[tens]
    return None


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")


def _bare(digits: str) -> str:
    return digits.lstrip("0") or "0"
