"""What the user said between two replies, with the question that it answers."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from evaa.documents import small_talk
from evaa.documents.questions import collapsed, question_of, questions
from evaa.documents.topics import label_of
from protocols.records import Interview, Stage, TurnRecord

_FILLER = r"(?:(?:well|um+|uh+|hm+|sorry|maybe|perhaps|honestly|oh|okay|ok|naja|äh+)[,.! ]+)?"
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
    `is_whole`: its sentences belong together, the later ones correct the first.
    """

    stage: Stage
    text: str
    turns: tuple[int, ...]
    question: str = ""
    was_asked_in_a_reply: bool = True
    is_whole: bool = False

    @property
    def statements(self) -> list[str]:
        """The sentences, each with what says how sure the user is of it."""
        return [self.text] if self.is_whole else small_talk.statements(self.text)

    @property
    def is_at_a_loss(self) -> bool:
        """Whether the user had no answer."""
        is_odd_no = self.is_no and not is_polar(self.question)
        return is_odd_no or small_talk.is_at_a_loss(self.text)

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
        if not (is_short and self.was_asked_in_a_reply):
            return self.text
        label = label_of(self.question)
        return f"{label}: {self.text}" if label else f"{self.question} {self.text}".strip()


def is_polar(question: str) -> bool:
    """Whether a yes or a no answers the question."""
    return bool(_POLAR.match(question))


def exchanges(interview: Interview) -> Iterator[Answer]:
    """All that the user said in the interview, in order, without what was said after it."""
    stages = {stage.stage_id: stage for stage in interview.stages}
    opening = interview.stages[0].opening if interview.stages else ""
    asked = questions(interview.turns, opening)
    in_replies = questions(interview.turns)
    for group in _between_replies(interview.turns):
        stage = stages.get(group[0].stage_id)
        text = collapsed(" ".join(turn.text for turn in group))
        if stage is not None and text:
            first = group[0].turn
            question = asked[first]
            words = small_talk.substance(text, assent_counts=is_polar(question))
            yield Answer(stage, words, tuple(turn.turn for turn in group), question, bool(in_replies[first]))


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
