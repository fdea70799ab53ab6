"""An interview as a model reads it: one JSON object a line, one line a turn, within a bound.

JSON keeps the users' words what they are, data: a line break in them is written as `\\n`, so nothing that somebody said
can begin a line, end the transcript or pass for another turn.
"""

import json
from collections.abc import Collection, Iterator, Sequence

import msgspec

from protocols.records import Interview, TurnRecord

QUESTION_CHARS = 160
"""What is left of a question where there is little room."""

LEAST_ANSWER_CHARS = 200
"""An answer is never cut to less: turns in the middle are left out instead."""


class Transcript(msgspec.Struct, frozen=True):
    """The lines. `cut` are the turns of which not all that the user said is in them; marks tell where."""

    lines: tuple[str, ...]
    cut: tuple[int, ...] = ()

    @property
    def shortened(self) -> bool:
        """Whether not all that the user said is there."""
        return bool(self.cut)


class _Exchange(msgspec.Struct, frozen=True):
    turn: TurnRecord
    stage: str
    asked: str


def transcript(interview: Interview, max_chars: int, *, whole: Collection[int] = ()) -> Transcript:
    """Return the interview in about `max_chars` characters.

    Where that is too little, the interviewer's questions are shortened first, then left out; then the longest answers
    lose their middle, those of the turns in `whole` last; and then the middle turns are left out.
    """
    exchanges = tuple(_exchanges(interview))
    for question_chars in (max_chars, QUESTION_CHARS, 0):
        lines = tuple(_line(each, question_chars, max_chars) for each in exchanges)
        if _size(lines) <= max_chars:
            return Transcript(lines)
    for rest_chars, whole_chars in _ever_less(max_chars):
        rooms = [whole_chars if each.turn.turn in whole else rest_chars for each in exchanges]
        lines = tuple(_line(each, 0, room) for each, room in zip(exchanges, rooms, strict=True))
        if _size(lines) <= max_chars:
            break
    cut = [each.turn.turn for each, room in zip(exchanges, rooms, strict=True) if len(each.turn.text) > room]
    if _size(lines) <= max_chars:
        return Transcript(lines, tuple(cut))
    lines, left_out = _without_middle(lines, max_chars)
    return Transcript(lines, tuple(sorted({*cut, *(each.turn.turn for each in exchanges[left_out])})))


def _ever_less(max_chars: int) -> Iterator[tuple[int, int]]:
    """How long the answers may be: those that may be cut first, and the others."""
    yield from ((chars, max_chars) for chars in _steps_down(max_chars))
    yield from ((LEAST_ANSWER_CHARS, chars) for chars in _steps_down(max_chars))


def _steps_down(chars: int) -> Iterator[int]:
    while chars > LEAST_ANSWER_CHARS:
        chars = max(chars * 3 // 4, LEAST_ANSWER_CHARS)
        yield chars


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


def _without_middle(lines: Sequence[str], max_chars: int) -> tuple[tuple[str, ...], slice]:
    """The first and the last lines, and which are left out between them."""
    head = _fitting(lines, max_chars // 2)
    tail = tuple(reversed(_fitting(lines[: len(head) : -1], max_chars // 2)))
    left_out = slice(len(head), len(lines) - len(tail))
    mark = json_line({"left_out": f"{left_out.stop - left_out.start} turns"})
    return (*head, mark, *tail), left_out


def _fitting(lines: Sequence[str], max_chars: int) -> tuple[str, ...]:
    room = max_chars
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return tuple(lines[:number])
    return tuple(lines)


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)
