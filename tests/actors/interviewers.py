"""Interviewers that do as the test says, on the virtual clock."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from protocols.ports import Answer, AnswerSink, InterviewerFailed, TurnBrief

Plan = Callable[[TurnBrief, AnswerSink], Awaitable[Answer]]


def says(*steps: str | float, closes: bool = False, facts: dict[str, str] | None = None) -> Plan:
    """A plan: each text is shown as a piece, each number is waited for in seconds."""

    async def answer(brief: TurnBrief, sink: AnswerSink) -> Answer:
        sink.requested()
        for step in steps:
            if isinstance(step, str):
                sink.text(step)
            else:
                await trio.sleep(step)
        sink.received()
        text = "".join(step for step in steps if isinstance(step, str))
        return Answer(text=text, wants_next=closes, facts=facts or {}, model="fake")

    return answer


def fails(
    *steps: str | float, passing: bool = False, retry_after_s: float | None = None, error: Exception | None = None
) -> Plan:
    """A plan that does its steps like `says`, then raises `InterviewerFailed`, or `error`."""
    failure = error or InterviewerFailed("as asked for", passing=passing, retry_after_s=retry_after_s)

    async def answer(brief: TurnBrief, sink: AnswerSink) -> Answer:
        await says(*steps)(brief, sink)
        raise failure

    return answer


async def echoes(brief: TurnBrief, sink: AnswerSink) -> Answer:
    """What is done without a plan: an answer at once, in two pieces, that names the turn and the words."""
    return await says(f"{brief.turn}: ", brief.words)(brief, sink)


class FakeInterviewer:
    """An `Interviewer` that takes its plans in their order, and without one echoes. `briefs` is what it was asked."""

    def __init__(self, *plans: Plan, name: str = "fake") -> None:
        self.name = name
        self.plans = deque(plans)
        self.briefs: list[TurnBrief] = []
        self.asked_at: list[float] = []
        self.cancelled = 0

    def will(self, *plans: Plan) -> None:
        """Add plans for the next turns."""
        self.plans.extend(plans)

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        self.briefs.append(brief)
        self.asked_at.append(trio.current_time())
        plan = self.plans.popleft() if self.plans else echoes
        try:
            return await plan(brief, sink)
        except trio.Cancelled:
            self.cancelled += 1
            raise
