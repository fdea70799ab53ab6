"""Sentences, and which question each turn answers: short answers mean nothing without theirs."""

import re
from collections.abc import Sequence

from protocols.records import TurnRecord

_END = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[.!?\u2026][\"'\u201c\u201d)])\s+|(?<=[\u3002\uff01\uff1f])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|[^\W\d_]+(?:\.[^\W\d_]+)+|mrs?|dr|nr|approx|ca|vs|bzw|ggf|inkl|inc|ltd)\.$", re.IGNORECASE
)
_LIST_NUMBER = re.compile(r"\d{1,2}\.")
_BULLET = re.compile(r"^[-*\u2022\u2013]\s+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, a line at the most each, with single spaces; nothing but white space is lost."""
    found: list[str] = []
    for line in text.splitlines():
        open_sentence = ""
        for piece in _END.split(line):
            joined = f"{open_sentence} {piece}".strip() if open_sentence else piece
            if _ABBREVIATION.search(joined[-24:]) or _LIST_NUMBER.fullmatch(joined.strip()):
                open_sentence = joined
            else:
                found.append(joined)
                open_sentence = ""
        found.append(open_sentence)
    tidy = (_BULLET.sub("", collapsed(sentence), count=1) for sentence in found)
    return [sentence for sentence in tidy if sentence]


def collapsed(text: str) -> str:
    """The text with single spaces between its words."""
    return " ".join(text.split())


def shortened(text: str, most_chars: int) -> str:
    """The first sentence if it fits, or else what fits of it, cut after a word if there is a place to."""
    first = next(iter(sentences(text)), "")
    if len(first) <= most_chars:
        return first
    cut = first[: most_chars - 1]
    return f"{(cut.rpartition(' ')[0] or cut).rstrip(' ,;:')}…"


def question_of(line: str) -> str:
    """The last question in what the agent said, without what leads up to it before a colon; empty if there is none."""
    asked = next((sentence for sentence in reversed(sentences(line)) if sentence.endswith(("?", "\uff1f"))), "")
    question = asked.rpartition(": ")[2]
    return question[:1].upper() + question[1:]


def questions(turns: Sequence[TurnRecord], opening: str = "") -> dict[int, str]:
    """The question that each turn answers, by the turn's number; empty where none was asked.

    `opening` is what the agent said before the first turn. A reply that was cut short before it came to its question
    leaves the one before it open.
    """
    answered: dict[int, str] = {}
    question = question_of(opening)
    for turn in turns:
        answered[turn.turn] = question
        if turn.reply:
            asked = question_of(turn.reply)
            question = asked if asked or turn.outcome != "interrupted" else question
    return answered
