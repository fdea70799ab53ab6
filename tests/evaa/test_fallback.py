"""The chain of interviewers, on the virtual clock: who is asked, when, and what the user is told of it."""

from collections import deque
from collections.abc import Sequence

import pytest
import structlog
import trio
from trio.testing import MockClock

from evaa.llm.fallback import FIRST_BACK_OFF_S, REST_S, FallbackInterviewer
from protocols.ports import Answer, AnswerSink, InterviewerFailed, TurnBrief
from tests.evaa.groq_helpers import RecordingSink, brief

ANOTHER = "The language model does not answer; another one takes its place"
SCRIPTED = "The language model cannot be reached; prepared questions take its place for now"
ANEW = "The answer broke off; it begins anew"
TOKEN_S = 4.0
PATIENCE_S = 6.0

Step = float | str | InterviewerFailed
"""Wait so long, say it, or fail."""


def passing(retry_after_s: float | None = None) -> InterviewerFailed:
    return InterviewerFailed("busy", passing=True, retry_after_s=retry_after_s)


def lasting(retry_after_s: float | None = None) -> InterviewerFailed:
    return InterviewerFailed("refused", passing=False, retry_after_s=retry_after_s)


class Fake:
    """An interviewer that follows a script; each request takes the next list of steps, the last one for ever."""

    def __init__(self, name: str, *requests: Sequence[Step]) -> None:
        self.name = name
        self.asked_at: list[float] = []
        self.cancelled_at: list[float] = []
        self._requests = deque(requests)

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        self.asked_at.append(trio.current_time())
        sink.requested()
        steps = self._requests.popleft() if len(self._requests) > 1 else self._requests[0]
        said = ""
        try:
            for step in steps:
                if isinstance(step, InterviewerFailed):
                    raise InterviewerFailed(str(step), passing=step.passing, retry_after_s=step.retry_after_s)
                if isinstance(step, str):
                    said += step
                    sink.text(step)
                else:
                    await trio.sleep(step)
        except trio.Cancelled:
            self.cancelled_at.append(trio.current_time())
            raise
        sink.received()
        return Answer(text=said, wants_next=False, facts={}, history=(), model=self.name)


def chain(*fakes: Fake) -> FallbackInterviewer:
    return FallbackInterviewer(fakes, first_token_timeout_s=TOKEN_S, patience_s=PATIENCE_S)


class Turn:
    """One turn: the answer, the sink, how long it took, and when whom was asked, in seconds since it began."""

    def __init__(self, *fakes: Fake) -> None:
        self.fakes = fakes
        self.sink = RecordingSink()
        self.begun = trio.current_time()
        self.took_s = 0.0
        self.model = ""
        self._asked_before = [len(fake.asked_at) for fake in fakes]

    async def run(self, interviewer: FallbackInterviewer) -> "Turn":
        answer = await interviewer.answer(brief(), self.sink)
        self.took_s = trio.current_time() - self.begun
        self.model = answer.model
        assert self.sink.shown == answer.text
        return self

    @property
    def asked(self) -> list[list[float]]:
        times = zip(self.fakes, self._asked_before, strict=True)
        return [[at - self.begun for at in fake.asked_at[before:]] for fake, before in times]

    @property
    def restarts(self) -> list[tuple[float, str]]:
        return [(at, reason) for at, kind, reason in self.sink.events if kind == "restarted"]


async def one_turn(*fakes: Fake) -> Turn:
    return await Turn(*fakes).run(chain(*fakes))


def backup() -> Fake:
    return Fake("backup", ["Two."])


def last() -> Fake:
    return Fake("scripted", ["Three."])


# --- order ------------------------------------------------------------------------------------------------------


async def test_the_first_is_asked_first_and_the_others_not_at_all(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [1.0, "One", 3.0, "."]), backup(), last())
    assert (turn.model, turn.took_s, turn.asked) == ("first", 4.0, [[0.0], [], []])
    assert turn.sink.events == [
        (0.0, "requested", ""),
        (1.0, "text", "One"),
        (4.0, "text", "."),
        (4.0, "received", ""),
    ]


async def test_an_error_that_will_not_go_away_moves_on_at_once(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [0.5, lasting()]), Fake("backup", [0.25, lasting()]), last())
    assert (turn.model, turn.asked) == ("scripted", [[0.0], [0.5], [0.75]])
    assert turn.restarts == [(0.5, ANOTHER), (0.75, SCRIPTED)]


async def test_the_last_failure_is_the_turns(autojump_clock: MockClock) -> None:
    with pytest.raises(InterviewerFailed, match="refused"):
        await one_turn(Fake("first", [passing(60.0)]), Fake("scripted", [lasting()]))


async def test_the_last_one_has_all_the_time_it_needs(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [lasting()]), Fake("scripted", [60.0, "Three", 60.0, "."]))
    assert (turn.model, turn.took_s) == ("scripted", 120.0)


async def test_a_bug_in_an_interviewer_is_no_failure_to_fall_back_from(autojump_clock: MockClock) -> None:
    class Buggy(Fake):
        async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
            raise KeyError("bug")

    with pytest.raises(KeyError):
        await one_turn(Buggy("first", []), last())


# --- retries ----------------------------------------------------------------------------------------------------


async def test_back_off_doubles_until_patience_is_spent(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [passing()]), backup(), last())
    waits = [0.2, 0.4, 0.8, 1.6]  # the next, 3.2, would end behind the patience
    assert waits[0] == FIRST_BACK_OFF_S
    assert turn.asked[0] == pytest.approx([0.0, 0.2, 0.6, 1.4, 3.0], abs=1e-9)
    assert turn.asked[1] == turn.asked[0][-1:]
    assert turn.model == "backup"


async def test_retry_after_is_waited_for_exactly(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [passing(2.5)], [passing(3.0)], ["One."]), backup(), last())
    assert (turn.model, turn.asked) == ("first", [[0.0, 2.5, 5.5], [], []])
    assert turn.restarts == []


@pytest.mark.parametrize("retry_after_s", [0.0, 0.1])
async def test_a_short_retry_after_does_not_hurry_the_back_off(autojump_clock: MockClock, retry_after_s: float) -> None:
    turn = await one_turn(Fake("first", [passing(retry_after_s)], [passing(retry_after_s)], ["One."]), last())
    assert turn.asked[0] == pytest.approx([0.0, 0.2, 0.6], abs=1e-9)


@pytest.mark.parametrize("retry_after_s", [PATIENCE_S, PATIENCE_S + 1, 3600.0])
async def test_a_retry_after_beyond_the_patience_is_not_waited_for(
    autojump_clock: MockClock, retry_after_s: float
) -> None:
    turn = await one_turn(Fake("first", [passing(retry_after_s)]), backup(), last())
    assert (turn.model, turn.took_s, turn.asked[0]) == ("backup", 0.0, [0.0])
    assert turn.restarts == [(0.0, ANOTHER)]


async def test_patience_is_one_for_the_whole_turn(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [3.0, passing(2.0)]), Fake("backup", [passing(2.0)]), last())
    # At 5 the first is asked again and fails at 8, past the patience; so the second is not waited for at all.
    assert turn.asked == [[0.0, 5.0], [8.0], [8.0]]


async def test_a_retry_is_told_only_if_something_was_shown(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", ["One", 0.5, passing(1.0)], [passing(1.0)], ["One."]), last())
    assert turn.restarts == [(0.5, ANEW)]
    assert turn.sink.told == [
        ("requested", ""), ("text", "One"), ("restarted", ANEW),
        ("requested", ""),
        ("requested", ""), ("text", "One."), ("received", ""),
    ]  # fmt: skip


# --- time-outs --------------------------------------------------------------------------------------------------


async def test_no_first_token_in_time_moves_on(autojump_clock: MockClock) -> None:
    slow = Fake("first", [TOKEN_S + 0.5, "One."])
    turn = await one_turn(slow, backup(), last())
    assert (turn.model, turn.asked) == ("backup", [[0.0], [TOKEN_S], []])
    assert [at - turn.begun for at in slow.cancelled_at] == [TOKEN_S]
    assert turn.restarts == [(TOKEN_S, ANOTHER)]


async def test_a_first_token_just_in_time_is_in_time(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [TOKEN_S - 0.001, "One."]), last())
    assert turn.model == "first"


async def test_a_stall_in_mid_answer_moves_on_and_voids_what_was_shown(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [1.0, "One", 2.0, " more", 60.0, "."]), backup(), last())
    assert turn.sink.told == [
        ("requested", ""), ("text", "One"), ("text", " more"),
        ("restarted", ANOTHER), ("requested", ""), ("text", "Two."), ("received", ""),
    ]  # fmt: skip
    assert (turn.took_s, turn.restarts[0][0]) == (3.0 + TOKEN_S, 3.0 + TOKEN_S)


async def test_each_retry_has_its_own_time_for_a_first_token(autojump_clock: MockClock) -> None:
    turn = await one_turn(Fake("first", [3.5, passing(1.0)], [3.5, "One."]), last())
    assert (turn.model, turn.took_s) == ("first", 8.0)


@pytest.mark.parametrize(("steps", "missing"), [([60.0], "first"), (["One", 60.0], "next")])
async def test_a_time_out_is_logged_as_a_failure_without_a_retry(
    autojump_clock: MockClock, steps: list[Step], missing: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        await one_turn(Fake("first", steps), last())
    (log,) = logs
    assert (log["event"], log["log_level"], log["turn"], log["model"]) == ("llm.failed", "warning", 1, "first")
    assert log["reason"] == f"first: no {missing} token in 4 s"
    assert log["retry_in_s"] is None


# --- rest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "rest_s"), [(lasting(), REST_S), (lasting(20.0), 20.0), (passing(60.0), 60.0), (lasting(1.0), REST_S)]
)
async def test_one_that_failed_rests_and_is_then_asked_again(
    autojump_clock: MockClock, failure: InterviewerFailed, rest_s: float
) -> None:
    fakes = Fake("first", [failure], ["One."]), backup(), last()
    interviewer = chain(*fakes)
    assert (await Turn(*fakes).run(interviewer)).model == "backup"
    await trio.sleep(rest_s - 0.001)
    resting = await Turn(*fakes).run(interviewer)
    assert (resting.model, resting.asked) == ("backup", [[], [0.0], []])
    assert resting.restarts == []
    await trio.sleep(0.001)
    assert (await Turn(*fakes).run(interviewer)).model == "first"


async def test_when_all_models_rest_the_last_one_answers_at_once(autojump_clock: MockClock) -> None:
    fakes = Fake("first", [lasting()]), Fake("backup", [lasting()]), last()
    interviewer = chain(*fakes)
    await Turn(*fakes).run(interviewer)
    resting = await Turn(*fakes).run(interviewer)
    assert (resting.model, resting.asked, resting.restarts) == ("scripted", [[], [], [0.0]], [])


async def test_a_time_out_is_followed_by_a_rest_too(autojump_clock: MockClock) -> None:
    fakes = Fake("first", [60.0]), last()
    interviewer = chain(*fakes)
    await Turn(*fakes).run(interviewer)
    assert (await Turn(*fakes).run(interviewer)).asked == [[], [0.0]]


# --- cancellation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", [[[60.0]], [["One", 60.0]], [[passing(5.0)]]], ids=["first", "next", "waiting"])
async def test_a_cancellation_ends_the_turn_at_once_and_nobody_else_is_asked(
    autojump_clock: MockClock, requests: list[list[Step]]
) -> None:
    fakes = Fake("first", *requests), last()
    interviewer, turn = chain(*fakes), Turn(*fakes)
    with trio.move_on_after(1.0) as scope:
        await turn.run(interviewer)
    assert scope.cancelled_caught
    assert trio.current_time() - turn.begun == 1.0
    assert turn.restarts == []
    await trio.sleep(30.0)
    assert turn.asked == [[0.0], []]


async def test_a_cancelled_turn_is_no_reason_to_rest(autojump_clock: MockClock) -> None:
    fakes = Fake("first", [60.0], ["One."]), last()
    interviewer = chain(*fakes)
    with trio.move_on_after(1.0):
        await Turn(*fakes).run(interviewer)
    assert (await Turn(*fakes).run(interviewer)).model == "first"


async def test_turns_at_once_have_their_own_time_outs(autojump_clock: MockClock) -> None:
    fakes = Fake("first", [60.0], [3.0, "One", 3.0, "."]), last()
    interviewer, turns = chain(*fakes), [Turn(*fakes), Turn(*fakes)]
    async with trio.open_nursery() as nursery:
        for turn in turns:
            nursery.start_soon(turn.run, interviewer)
    assert sorted((turn.model, turn.took_s) for turn in turns) == [("first", 6.0), ("scripted", TOKEN_S)]


async def test_a_sign_of_life_without_anything_to_show_keeps_the_wait_open(autojump_clock: MockClock) -> None:
    notes = [step for _ in range(10) for step in (TOKEN_S * 0.9, "")]
    turn = await one_turn(Fake("first", ["Shown.", *notes]), last())
    assert (turn.model, turn.sink.shown) == ("first", "Shown.")
