"""An interview as a model reads it: one JSON object a line, one line a turn, within a bound.

JSON keeps the users' words what they are, data: a line break in them is written as `\\n`, so nothing that somebody said
can begin a line, end the transcript or pass for another turn.
"""

import json
from collections.abc import Iterator, Sequence

import msgspec

from protocols.records import Interview, TurnRecord

QUESTION_CHARS = 160
"""What is left of a question where there is little room."""

LEAST_ANSWER_CHARS = 200
"""An answer is never cut to less: turns in the middle are left out instead."""


class Transcript(msgspec.Struct, frozen=True):
    """The lines. `shortened`: not all that the user said is in them, and marks tell where."""

    lines: tuple[str, ...]
    shortened: bool = False


class _Exchange(msgspec.Struct, frozen=True):
    turn: TurnRecord
    stage: str
    asked: str


def transcript(interview: Interview, max_chars: int) -> Transcript:
    """Return the interview in about `max_chars` characters.

    Where that is too little, the interviewer's questions are shortened first, then left out; then the longest answers
    lose their middle, and then the middle turns are left out.
    """
    exchanges = tuple(_exchanges(interview))
    for question_chars in (max_chars, QUESTION_CHARS, 0):
        lines = _lines(exchanges, question_chars, max_chars)
        if _size(lines) <= max_chars:
            return Transcript(lines)
    answer_chars = max_chars
    while _size(lines) > max_chars and answer_chars > LEAST_ANSWER_CHARS:
        answer_chars = max(answer_chars * 3 // 4, LEAST_ANSWER_CHARS)
        lines = _lines(exchanges, 0, answer_chars)
    return Transcript(lines if _size(lines) <= max_chars else _without_middle(lines, max_chars), shortened=True)


def last_reply(turns: Sequence[TurnRecord]) -> str:
    """Return what the user heard last; empty if nothing."""
    return next((turn.reply for turn in reversed(turns) if turn.reply), "")


def json_line(content: object) -> str:
    """Return the content as JSON on one line, every letter as it is."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _exchanges(interview: Interview) -> Iterator[_Exchange]:
    names = {stage.stage_id: stage.name for stage in interview.stages}
    asked = interview.stages[0].opening if interview.stages else ""
    for turn in interview.turns:
        yield _Exchange(turn, names.get(turn.stage_id, ""), asked)
        asked = turn.reply


def _lines(exchanges: Sequence[_Exchange], question_chars: int, answer_chars: int) -> tuple[str, ...]:
    return tuple(_line(each, question_chars, answer_chars) for each in exchanges)


def _line(exchange: _Exchange, question_chars: int, answer_chars: int) -> str:
    asked = exchange.asked if len(exchange.asked) <= question_chars else _end_of(exchange.asked, question_chars)
    said = {"said": _without_its_middle(exchange.turn.text, answer_chars)}
    question = {"asked": asked} if asked else {}
    return json_line({"turn": exchange.turn.turn, "stage": exchange.stage} | question | said)


def _end_of(text: str, chars: int) -> str:
    """The question stands at the end of what is said before an answer."""
    return f"…{text[-chars:]}" if chars else ""


def _without_its_middle(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    half = chars // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters left out ...] {text[-half:]}"


def _without_middle(lines: Sequence[str], max_chars: int) -> tuple[str, ...]:
    head = _fitting(lines, max_chars // 2)
    tail = tuple(reversed(_fitting(lines[: len(head) : -1], max_chars // 2)))
    mark = json_line({"left_out": f"{len(lines) - len(head) - len(tail)} turns"})
    return (*head, mark, *tail)


def _fitting(lines: Sequence[str], max_chars: int) -> tuple[str, ...]:
    room = max_chars
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return tuple(lines[:number])
    return tuple(lines)


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)
