"""Words as they are compared: without case, hyphens and endings, so that a retelling is recognised.

English and German are known a little (words that only carry grammar, nouns with capitals); every other language gets
what holds for all. Writing without spaces is compared character by character.
"""

import re
import unicodedata
from collections.abc import Iterator

import msgspec

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"  # Thai, kana, Han
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+(?:['\u2019.@/+&\u2010-\u2013-][^\\W_{_UNSPACED}]+)*")
_UNSPACED_WORD = re.compile(f"[{_UNSPACED}]")
_PART = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile("['\u2019]s$")
_ENDING = re.compile(r"(?<=.{3})(ings?|ied|ies|ed|es|s|en|e|y)$")
"""An ending goes only where at least three characters are left."""
_BEGINS_SENTENCE = re.compile(r"(^|[.!?:;\n\u2026\u201c\u201e\"(\[\u2022|])[\s\u2022*\u2013-]*$")
_LONGEST_STEM = 24
_SHORTEST_PREFIX = 4
_SHORTEST_CONTENT = 3

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


class Word(msgspec.Struct, frozen=True):
    """One word: its `stem`, the stems of its `parts` where it is hyphenated, and whether it looks like a name."""

    stem: str
    parts: tuple[str, ...]
    is_name: bool


class Vocabulary:
    """The words of a text, to be asked whether they hold another word in some form."""

    def __init__(self, text: str) -> None:
        self._stems: set[str] = set()
        for word in words(text):
            self._stems.update((word.stem, *word.parts))
        self._prefixes = {stem[:end] for stem in self._stems for end in range(_SHORTEST_PREFIX, len(stem))}

    def holds(self, word: Word) -> bool:
        """Whether the word, or each of its parts, is there: in another form, or as the beginning of a longer one."""
        return self._has(word.stem) or all(map(self._has, word.parts))

    def _has(self, stem: str) -> bool:
        return (
            stem in self._stems
            or stem in self._prefixes
            or any(stem[:end] in self._stems for end in range(_SHORTEST_PREFIX, len(stem)))
        )


def words(text: str) -> Iterator[Word]:
    """The words of a text in their order, figures left out."""
    plain = unicodedata.normalize("NFKC", text)
    capitals_count = _capitals_count(plain)
    for found in _TOKEN.finditer(plain):
        token = _POSSESSIVE.sub("", found[0])
        parts = [part for part in _PART.findall(token) if not part[0].isdecimal()]
        if parts:
            stands_out = capitals_count and token[0].isupper() and not _begins_sentence(plain, found.start())
            yield Word(
                stem("".join(parts)),
                tuple(map(stem, parts)),
                "@" in token or any(map(_looks_like_a_name, parts)) or (stands_out and len(token) > 1),
            )


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
