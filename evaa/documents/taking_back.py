"""How somebody takes back what they said: the words that show it, and what is left without them."""

import re
from collections.abc import Sequence
from typing import Literal

from evaa.documents.small_talk import TALK

Mark = Literal["", "faint", "likely", "plain"]
"""How sure it is that something is taken back: "actually" may be mere emphasis, "sorry" may be mere politeness."""

_PLAIN = re.compile(
    r"\b(?:correction|correct(?:ing)? (?:myself|that|this|what)|(?:i|we) (?:was|were) (?:wrong|mistaken)|i misspoke|"
    r"(?:that|this|it|what i said)(?: before| earlier)? (?:was|is|were) (?:wrong|not right|not true|incorrect)|"
    r"i made a mistake|(?:that|this|it)(?: has|'s)(?: meanwhile| since)? changed|not what i said|i said (?:it )?wrong|"
    r"(?:forget|scratch|strike) (?:that|what i said)|looked (?:it|that) up|i meant|please (?:note|change|correct) that|"
    r"korrektur|korrigier\w*|(?:habe|hab) mich (?:geirrt|vertan|versprochen)|das hat sich geändert|meinte|nachgesehen|"
    r"(?:das|es) (?:war|ist|stimmt)(?: so)? (?:falsch|nicht|nicht richtig|verkehrt))\b",
    re.IGNORECASE,
)
_LIKELY = re.compile(
    r"^\W*(?:(?:no|oh|ah|oops|nein|ach|well)\W+)*(?:sorry|wait|hold on|excuse me|pardon|entschuldigung|verzeihung|"
    r"moment|halt|(?:tut|es tut) mir leid)\b(?! about| for| to| until| till| auf)",
    re.IGNORECASE,
)
_FAINT = re.compile(
    r"\b(?:actually|rather(?! than)|instead(?! of)|i mean|no longer(?! than)|not any ?more|in fact|eigentlich|"
    r"vielmehr|nicht mehr|doch nicht|sondern)\b",
    re.IGNORECASE,
)
_NOT_THAT = re.compile(r", (?:and )?(?:not|nicht)\b", re.IGNORECASE)
_AROUND = """
    no not what wrong mistaken mistake correct correction correcting myself misspoke changed has meant before earlier
    instead note change forget scratch strike looked look up wait hold on oops incorrect true made fact meanwhile since
    nein nicht falsch korrektur korrigieren korrigiere geirrt vertan versprochen hat sich geändert meinte nachgesehen
    verzeihung halt sondern eben stimmt war ach vorhin
"""
WORDS = TALK | frozenset(_AROUND.split())
_CLAUSE_END = re.compile(r"(?<=[,;:.!?\u2013\u2014])\s+")
_LEADING = re.compile(r"(?:(?:actually|sorry|eigentlich)[,:]?\s+)+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def mark_of(sentence: str) -> Mark:
    """Whether a sentence shows that something is taken back."""
    plain = sentence.replace("\u2019", "'")
    if _PLAIN.search(plain):
        return "plain"
    if _LIKELY.search(plain):
        return "plain" if _NOT_THAT.search(plain) else "likely"
    return "faint" if _FAINT.search(plain) else ""


def joined(sentences: Sequence[str]) -> list[str]:
    """The sentences; one that only takes something back goes with the next, which says what is right."""
    found: list[str] = []
    held = ""
    for sentence in sentences:
        whole = f"{held} {sentence}".strip()
        held = whole if mark_of(sentence) and _is_talk(sentence) else ""
        if not held:
            found.append(whole)
    return [*found, held] if held else found


def core(sentence: str) -> str:
    """What is left without the clauses that only take something back; the sentence if nothing would be."""
    clauses = _CLAUSE_END.split(sentence)
    while len(clauses) > 1 and _is_talk(clauses[0]):
        clauses = clauses[1:]
    while len(clauses) > 1 and _is_talk(clauses[-1]):
        clauses = clauses[:-1]
    bare = _LEADING.sub("", " ".join(clauses), count=1) if _LEADING.match(clauses[0]) else " ".join(clauses)
    bare = bare.rstrip(" ,;:\u2013\u2014")
    bare += sentence[-1] if sentence[-1] in ".!" and bare[-1:].isalnum() else ""
    return bare[:1].upper() + bare[1:] if any(map(str.isalnum, bare)) else sentence


def _is_talk(clause: str) -> bool:
    plain = clause.casefold().replace("\u2019", "'")
    return not any(map(str.isdigit, plain)) and all(word in WORDS for word in _WORD.findall(plain))
