"""The answers of an interview, each with the question that it answers, and what was asked in vain or never."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

import msgspec

from evaa.documents.questions import collapsed, question_of, questions
from evaa.interview.stages import default_stages
from protocols.records import Interview, Stage, TurnRecord

_FILLER = r"(?:(?:well|um+|uh+|hm+|sorry|maybe|perhaps|honestly|oh|okay|ok|naja|äh+)[,.! ]+)?"
_AT_A_LOSS = re.compile(
    rf"\W*{_FILLER}(?:skip(?: it| this)?|pass|next|go on|nothing(?: else| more)|"
    r"that(?:['\u2019]| i)s (?:all|it|everything)|"
    r"i (?:really |honestly )?(?:do(?:n['\u2019]?t| not)|have no) (?:really )?(?:know|idea)(?: (?:that|this|it))?|"
    r"(?:that|this|it),? i (?:really )?(?:do(?:n['\u2019]?t| not) know|can(?:['\u2019]?t|not) (?:tell|say)(?: you)?)|"
    r"i (?:can(?:['\u2019]?t|not)|could(?:n['\u2019]?t| not)) (?:tell|say)(?: you)?(?: that| this)?|"
    r"i have nothing (?:more |else )?to (?:add|say)(?: (?:there|to that|here))?|"
    r"i(?:['\u2019]d| would) have to (?:ask|look it up|check)(?: somebody| someone)?(?: about (?:that|this|it))?|"
    r"(?:i['\u2019]?m |i am )?(?:really )?not (?:really )?sure(?: about (?:that|this|it))?|"
    r"no (?:idea|clue)|don['\u2019]?t know|(?:das )?wei(?:ß|ss) ich nicht|keine ahnung|weiter|nichts weiter)"
    r"(?:[, ]+(?:yet|sorry|really|at the moment|right now|to be honest|leider))?[\s.!,]*",
    re.IGNORECASE,
)
_NO = re.compile(rf"\W*{_FILLER}(?:no|nope|nein)[\s.!,]*", re.IGNORECASE)
_BARE = re.compile(
    rf"\W*{_FILLER}(?:yes|yeah|yep|ja|no|nope|nein|none|nothing|nobody|no one|never|not really|"
    r"keine?r?|nichts|niemand|nie)[\s.!,]*",
    re.IGNORECASE,
)
_POLAR = re.compile(
    r"(?:and |but |so |und )?(?:is|are|was|were|do|does|did|have|has|had|will|should|must|may|gibt|ist|"
    r"sind|hat|haben|muss|müssen|soll|darf|wird|werden)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 6
_LONGEST_FEW_CHARS = 100


class Answer(msgspec.Struct, frozen=True):
    """What the user said between two replies. `question` is what it answers; empty if nobody knows.

    `turns` are the numbers of the turns that it comes from. `was_asked_in_a_reply` is false of the very first answer.
    """

    stage: Stage
    text: str
    turns: tuple[int, ...]
    question: str = ""
    was_asked_in_a_reply: bool = True

    @property
    def is_at_a_loss(self) -> bool:
        """Whether the user had no answer."""
        is_odd_no = self.is_no and not _POLAR.match(self.question)
        return is_odd_no or bool(_AT_A_LOSS.fullmatch(self.text))

    @property
    def is_no(self) -> bool:
        """Whether it is a plain no."""
        return bool(_NO.fullmatch(self.text))

    @property
    def is_bare(self) -> bool:
        """Whether it is a yes, a no, or nothing: an answer, but no statement."""
        return bool(_BARE.fullmatch(self.text))

    @property
    def in_context(self) -> str:
        """The answer, behind its question where it is so short that it needs it."""
        is_short = len(self.text) <= _LONGEST_FEW_CHARS and len(self.text.split()) <= _FEW_WORDS
        return f"{self.question} {self.text}" if is_short and self.was_asked_in_a_reply else self.text


class OpenQuestion(msgspec.Struct, frozen=True):
    """A question without an answer. `turns`: those in which the user had none; nothing if it was never asked."""

    stage: Stage
    question: str
    turns: tuple[int, ...] = ()


def said(interview: Interview) -> list[Answer]:
    """All that the user answered, in order, without what was said after the interview."""
    return [answer for answer in _exchanges(interview) if not answer.is_at_a_loss]


def open_questions(interview: Interview) -> list[OpenQuestion]:
    """What was asked in vain or never, stage by stage; of a stage that was never reached, what it opens with."""
    return [question for stage in interview.stages for question in open_in(interview, stage)]


def open_in(interview: Interview, stage: Stage) -> list[OpenQuestion]:
    """What a stage asked in vain, and what it never asked.

    A stage that was closed although the user was not at a loss had been asked enough.
    """
    exchanges = [exchange for exchange in _exchanges(interview) if exchange.stage.stage_id == stage.stage_id]
    in_vain = [OpenQuestion(stage, it.question, it.turns) for it in exchanges if it.is_at_a_loss and it.question]
    if exchanges and _is_closed(interview, stage) and not (exchanges[-1].is_at_a_loss or exchanges[-1].is_bare):
        return in_vain
    asked = {exchange.question for exchange in exchanges}
    own = (stage.opening, *stage.follow_ups[: stage.max_follow_ups]) if exchanges else (stage.opening,)
    never = [OpenQuestion(stage, question) for question in map(_as_asked, own) if question not in asked]
    return in_vain + never


@cache
def default_questions() -> dict[str, tuple[int, int]]:
    """The questions of the default stages: position of the stage (from 1), number of the question (0: the opening)."""
    return {
        question_of(question): (stage.order, number)
        for stage in default_stages()
        for number, question in enumerate((stage.opening, *stage.follow_ups))
    }


def _as_asked(question: str) -> str:
    return question_of(question) or collapsed(question)


def _is_closed(interview: Interview, stage: Stage) -> bool:
    position = next(index for index, it in enumerate(interview.stages) if it.stage_id == stage.stage_id)
    return interview.stage_index > position


def _exchanges(interview: Interview) -> Iterator[Answer]:
    stages = {stage.stage_id: stage for stage in interview.stages}
    opening = interview.stages[0].opening if interview.stages else ""
    asked = questions(interview.turns, opening)
    in_replies = questions(interview.turns)
    for group in _between_replies(interview.turns):
        stage = stages.get(group[0].stage_id)
        text = collapsed(" ".join(turn.text for turn in group))
        if stage is not None and text:
            first = group[0].turn
            yield Answer(stage, text, tuple(turn.turn for turn in group), asked[first], bool(in_replies[first]))


def _is_answered(turn: TurnRecord) -> bool:
    return bool(turn.reply) and (turn.outcome != "interrupted" or bool(question_of(turn.reply)))


def _between_replies(turns: Sequence[TurnRecord]) -> Iterator[list[TurnRecord]]:
    """The turns that answer the same: the user went on before the reply, or before it had come to its question."""
    group: list[TurnRecord] = []
    for turn in turns:
        if group and (_is_answered(group[-1]) or group[-1].stage_id != turn.stage_id):
            yield group
            group = []
        group.append(turn)
    if group:
        yield group
