"""Words as they are compared: without case, hyphens and endings, so that a retelling is recognised.

English and German are known a little (words that only carry grammar, nouns with capitals); every other language gets
what holds for all. Writing without spaces is compared character by character.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import msgspec

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"  # Thai, kana, Han
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+(?:['\u2019.@/+&\u2010-\u2013-][^\\W_{_UNSPACED}]+)*")
_UNSPACED_WORD = re.compile(f"[{_UNSPACED}]")
_PART = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile("['\u2019]s$")
_SYMBOLS = re.compile(r"[^\w\s\x00-\x7f]{31,}")
_MOST_MARKS = 30
_ENDING = re.compile(r"(?<=.{3})(ings?|ied|ies|ed|es|s|en|e|y)$")
"""An ending goes only where at least three characters are left."""
_BEGINS_SENTENCE = re.compile(r"(^|[.!?:;\n\u2026\u201c\u201e\"(\[\u2022|])[\s\u2022*\u2013-]*$")
_LONGEST_STEM = 24
_SHORTEST_PREFIX = 4
_SHORTEST_CONTENT = 3
EVERYWHERE = -1
"""All the texts of a vocabulary."""

_GRAMMAR = """
    the and for are was were has have had not you your our his her its their they them this that these those there here
    with from into onto over about after before when where which what who whom whose while than then thus will would
    shall should must may might can could does did done been being but all any each every some such also only very too
    per via out off how why because until once both either more most less least much many other others another same
    given automation automatic automatically automated system user users process one
    der die das den dem des ein eine einer einem einen und oder aber ist sind war waren wird werden wurde wurden hat
    haben hatte nicht kein keine wir sie ihr ihre unser unsere mit von vom zum zur aus bei nach vor auf für über unter
    durch dass wenn dann als auch nur noch schon sehr mehr muss soll sollen kann können man sich wie was wer welche
    welcher welches jede jeder jedes automatisch automatisierung
"""
"""Words that say nothing by themselves, and those that any requirement has."""

_GERMAN = "der das den dem und ist sind nicht ein eine wird werden wir mit von zum zur auf für"
GERMAN_MARKS = frozenset(_GERMAN.split())
"""Words that show that a text is in German, where capitals mark every noun."""

_ENGLISH = "the and is are not a an we with from to of for it they when"
_ENGLISH_MARKS = frozenset(_ENGLISH.split())
_FEWEST_MARKS = 3


class Word(msgspec.Struct, frozen=True):
    """One word: its `stem`, the stems of its `parts` where it is hyphenated, and whether it looks like a name."""

    stem: str
    parts: tuple[str, ...]
    is_name: bool


class Vocabulary:
    """The words of some texts, to be asked in which of them another word is, in some form.

    Some of the texts are an integer with a bit for each: `1 << index`.
    """

    def __init__(self, *texts: str) -> None:
        self._where: dict[str, int] = {}
        for index, text in enumerate(texts):
            for stem in _stems(text):
                self._where[stem] = self._where.get(stem, 0) | 1 << index
        self._longer: dict[str, int] = {}

    def holds(self, word: Word, among: int = EVERYWHERE) -> bool:
        """Whether the word, or each of its parts, is there: in another form, or as the beginning of a longer one."""
        is_compound = len(word.parts) > 1
        return self._has(word.stem, among) or (is_compound and all(self._has(part, among) for part in word.parts))

    def _has(self, stem: str, among: int) -> bool:
        for end in range(len(stem), min(len(stem), _SHORTEST_PREFIX) - 1, -1):
            if self._where.get(stem[:end], 0) & among:
                return True
        return len(stem) >= _SHORTEST_PREFIX and bool(self._beginning_with(stem) & among)

    def _beginning_with(self, prefix: str) -> int:
        """Where words are that go on after it; found once for each prefix that is asked for and there."""
        found = self._longer.get(prefix, 0)
        if not found:
            at = bisect_right(self._sorted, prefix)
            while at < len(self._sorted) and self._sorted[at].startswith(prefix):
                found |= self._where[self._sorted[at]]
                at += 1
            if found:
                self._longer[prefix] = found
        return found

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._where)


def words(text: str) -> Iterator[Word]:
    """The words of a text in their order, figures left out."""
    plain = in_one_form(text)
    capitals_count: bool | None = None
    for at, token, parts in _tokens(plain):
        is_name = "@" in token or any(map(_looks_like_a_name, parts))
        if not is_name and len(token) > 1 and token[0].isupper() and not _begins_sentence(plain, at):
            capitals_count = _capitals_count(plain) if capitals_count is None else capitals_count
            is_name = capitals_count
        stems = tuple(map(stem, parts))
        yield Word(stems[0] if len(stems) == 1 else stem("".join(parts)), stems, is_name)


def in_one_form(text: str) -> str:
    """The text without what only looks different (NFKC)."""
    return unicodedata.normalize("NFKC", _SYMBOLS.sub(_with_few_marks, text))


def _with_few_marks(symbols: re.Match[str]) -> str:
    """Thirty marks upon a letter are as many as any language has; to sort more takes the square of their number."""
    kept, others = symbols[0][:_MOST_MARKS], symbols[0][_MOST_MARKS:]
    return kept + "".join(symbol for symbol in others if not unicodedata.combining(symbol))


def _tokens(plain: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each word with the place where it begins, and its parts."""
    for found in _TOKEN.finditer(plain):
        token = _POSSESSIVE.sub("", found[0])
        if parts := _parts(token):
            yield found.start(), token, parts


def _parts(token: str) -> list[str]:
    """What a word is put together from; figures are left out."""
    return [part for part in _PART.findall(token) if not part[0].isdecimal()]


def _stems(text: str) -> set[str]:
    """The stems of a text's words and of their parts."""
    found: set[str] = set()
    for token in set(_TOKEN.findall(in_one_form(text))):
        if parts := _parts(_POSSESSIVE.sub("", token)):
            found.update(parts, ("".join(parts),))
    return set(map(stem, found))


def language_of(text: str) -> str:
    """The BCP 47 tag of a text's language where its commonest words leave no doubt: `en`, `de`, or nothing."""
    found = Counter(map(str.casefold, _PART.findall(text)))
    marks = {"en": sum(found[it] for it in _ENGLISH_MARKS), "de": sum(found[it] for it in GERMAN_MARKS)}
    likely, other = sorted(marks, key=marks.__getitem__, reverse=True)
    return likely if marks[likely] >= _FEWEST_MARKS and marks[likely] > 2 * marks[other] else ""


def is_content(word: Word) -> bool:
    """Whether the word says something, rather than holding a sentence together."""
    is_long_enough = len(word.stem) >= _SHORTEST_CONTENT or bool(_UNSPACED_WORD.match(word.stem))
    return word.is_name or (is_long_enough and word.stem not in _GRAMMAR_STEMS)


def stem(word: str) -> str:
    """What is left of a word without case and the endings that a retelling changes."""
    plain = word.casefold()
    return _ENDING.sub("", plain)[:_LONGEST_STEM]


def _looks_like_a_name(part: str) -> bool:
    """Capitals beyond the first letter, or a figure among letters: SAP, SharePoint, n8n."""
    return len(part) > 1 and (part[1:] != part[1:].lower() or any(map(str.isdigit, part)))


def _begins_sentence(text: str, at: int) -> bool:
    return bool(_BEGINS_SENTENCE.search(text[max(0, at - 8) : at])) if at else True


def _capitals_count(text: str) -> bool:
    """Whether a capital within a sentence marks a name: not in German, nor In A Heading."""
    found = [word for word in _PART.findall(text) if word[0].isalpha()]
    capitals = sum(word[0].isupper() for word in found)
    return 2 * capitals <= len(found) and not any(word.casefold() in GERMAN_MARKS for word in found)


_GRAMMAR_STEMS = frozenset(map(stem, _GRAMMAR.split()))
