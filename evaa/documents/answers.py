"""The answers of an interview with its corrections made, what contradicts itself, and what was left unanswered."""

from functools import lru_cache

import msgspec

from evaa.documents.corrections import Contradiction, Settled, settled
from evaa.documents.exchanges import Answer, exchanges
from evaa.documents.questions import collapsed, question_of
from protocols.records import Interview, Stage, TurnRecord

__all__ = ["Answer", "Contradiction", "OpenQuestion", "contradictions", "open_in", "open_questions", "said"]


class OpenQuestion(msgspec.Struct, frozen=True):
    """A question without an answer. `turns`: those in which the user had none; nothing if it was never asked."""

    stage: Stage
    question: str
    turns: tuple[int, ...] = ()


def said(interview: Interview) -> list[Answer]:
    """All that the user answered, in order, without what was said after the interview."""
    return list(_settled(interview).answers)


def contradictions(interview: Interview) -> tuple[Contradiction, ...]:
    """What the user corrected so that one cannot tell what holds."""
    return _settled(interview).contradictions


def open_questions(interview: Interview) -> list[OpenQuestion]:
    """What was asked in vain or never, stage by stage; of a stage that was never reached, what it opens with."""
    return [question for stage in interview.stages for question in open_in(interview, stage)]


def open_in(interview: Interview, stage: Stage) -> list[OpenQuestion]:
    """What a stage asked in vain, and what it never asked.

    A stage that was closed although the user was not at a loss had been asked enough. A question that was passed over,
    since the user corrected something instead, was asked in vain.
    """
    told = _told(interview.stages, interview.turns)
    own_exchanges = [exchange for exchange in told if exchange.stage.stage_id == stage.stage_id]
    passed_over = _settled(interview).passed_over
    in_vain = [
        OpenQuestion(stage, it.question, it.turns)
        for it in own_exchanges
        if it.question and (it.is_at_a_loss or it.turns in passed_over)
    ]
    last = own_exchanges[-1] if own_exchanges else None
    if last is not None and _is_closed(interview, stage) and not (last.is_at_a_loss or last.is_bare):
        return in_vain
    asked = {exchange.question for exchange in own_exchanges}
    own = (stage.opening, *stage.follow_ups[: stage.max_follow_ups]) if own_exchanges else (stage.opening,)
    never = [OpenQuestion(stage, question) for question in map(_as_asked, own) if question not in asked]
    return in_vain + never


def _settled(interview: Interview) -> Settled:
    return _settled_once(interview.stages, interview.turns)


# Every piece of a document asks for the same interview.


@lru_cache(maxsize=4)
def _settled_once(stages: tuple[Stage, ...], turns: tuple[TurnRecord, ...]) -> Settled:
    return settled([answer for answer in _told(stages, turns) if not answer.is_at_a_loss])


@lru_cache(maxsize=4)
def _told(stages: tuple[Stage, ...], turns: tuple[TurnRecord, ...]) -> tuple[Answer, ...]:
    return tuple(exchanges(Interview(stages, turns=turns)))


def _as_asked(question: str) -> str:
    return question_of(question) or collapsed(question)


def _is_closed(interview: Interview, stage: Stage) -> bool:
    position = next(index for index, it in enumerate(interview.stages) if it.stage_id == stage.stage_id)
    return interview.stage_index > position
