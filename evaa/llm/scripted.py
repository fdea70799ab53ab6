"""The scripted interviewer: the questions that the stages carry, no model, no network.

It cannot understand an answer, so it asks a stage's follow-ups in their order, each of which makes sense whatever was
said, and goes on when they are used up or when the user plainly wants to; a "no" or "I don't know" answers only one
question. Its notes are the user's words under the question that they answer.
"""

import re

from evaa.documents.small_talk import is_at_a_loss
from evaa.interview.views import GOODBYE
from protocols.ports import Answer, AnswerSink, TurnBrief

NAME = "scripted"

_ACKNOWLEDGEMENTS = ("Thank you.", "Got it.", "Understood.", "All right.", "Thanks, noted.")
_NO_MATTER = ("That is fine.", "No problem.", "That does not matter.")
"""What is said to somebody who has no answer."""

_NOTHING_TO_ADD = re.compile(
    r"(nothing( else| more)?|skip( it| this)?|next|go on|that('| i)s (all|it|everything))[.! ]*",
    re.IGNORECASE,
)


class ScriptedInterviewer:
    """`Interviewer` without a model. Answers at once and never fails."""

    name = NAME

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        """See `Interviewer.answer`."""
        goes_on, question = _decide(brief)
        text = f"{_acknowledgement(brief)} {question}" if question else GOODBYE
        sink.text(text)
        return Answer(
            text=text,
            wants_next=goes_on,
            facts={_question_answered(brief): brief.words},
            model=NAME,
        )


def _decide(brief: TurnBrief) -> tuple[bool, str]:
    """Whether to go on, and the next question; none when the interview is over."""
    remaining = brief.stage.follow_ups[brief.follow_ups_used :]
    if remaining and brief.follow_ups_left and not _NOTHING_TO_ADD.fullmatch(brief.words.strip()):
        return False, remaining[0]
    return True, brief.next_stage.opening if brief.next_stage else ""


def _acknowledgement(brief: TurnBrief) -> str:
    fitting = _NO_MATTER if is_at_a_loss(brief.words) else _ACKNOWLEDGEMENTS
    return fitting[brief.turn % len(fitting)]


def _question_answered(brief: TurnBrief) -> str:
    asked = (brief.stage.opening, *brief.stage.follow_ups)
    return asked[min(brief.follow_ups_used, len(asked) - 1)]
