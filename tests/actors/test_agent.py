"""The agent by itself: speculation, what comes too late, and what still counts when it ends."""

from collections.abc import Callable

import pytest
import structlog
import trio
import trio.testing
from trio.testing import MockClock

from actors.agent import Agent, DrainAsked
from actors.outbox import Outbox
from actors.persistence import SaveSlot
from actors.writing import Writing, WritingLimits
from evaa.interview.engine import TurnEngine
from protocols.frontend import Delta, Reply, Transcript
from protocols.messages import (
    Effect,
    InterruptAsked,
    Message,
    ProbablySaid,
    ReplyTaken,
    ReplyWritten,
    Said,
    SpokeOn,
)
from protocols.ports import Answer, AnswerSink, InterviewerFailed, TurnBrief
from tests.actors.interviewers import FakeInterviewer, Plan, echoes, says
from tests.actors.writers import FakeWriter
from tests.computing import at_once
from tests.evaa.interviews import record, said, spoken


def greet(engine: TurnEngine) -> list[Effect]:
    return engine.greet(resumed=False, replay=False, now=trio.current_time())


class Room:
    """An agent with nobody around it."""

    def __init__(self, *plans: Plan, greeting: Callable[[TurnEngine], list[Effect]] = greet) -> None:
        self.interviewer = FakeInterviewer(*plans)
        self.slot = SaveSlot(record(3, 3))
        self.outbox = Outbox(tells_deltas=True)
        self.send, self.mailbox = trio.open_memory_channel[Message](64)
        self.scope = trio.CancelScope()
        self.end: BaseException | None = None
        self.drained_at: float | None = None
        self.agent = Agent(
            self.slot,
            self.outbox,
            self.mailbox,
            self.interviewer,
            Writing(FakeWriter(), WritingLimits(), "any", at_once),
            reply_acknowledges=False,
            greeting=greeting,
            on_drained=self._note_drained,
        )

    async def open(self, nursery: trio.Nursery) -> "Room":
        nursery.start_soon(self._run)
        await trio.testing.wait_all_tasks_blocked()
        await self.shown()
        return self

    async def _run(self) -> None:
        try:
            with self.scope:
                await self.agent.run()
        except* RuntimeError as group:
            (self.end,) = group.exceptions

    def _note_drained(self) -> None:
        self.drained_at = trio.current_time()

    async def tell(self, *messages: Message) -> None:
        for message in messages:
            self.send.send_nowait(message)
        await trio.testing.wait_all_tasks_blocked()

    async def shown(self) -> list[str]:
        """What the client would have got since the last time, in short."""
        told = []
        while len(self.outbox):
            frame = await self.outbox.take()
            self.outbox.written()
            match frame:
                case Delta():
                    told.append(frame.text)
                case Reply():
                    told.append(f"= {frame.response}")
                case Transcript():
                    told.append(f"heard {frame.text}")
                case _:
                    told.append(type(frame).__name__)
        return told

    @property
    def noted(self) -> list[str]:
        """What the user has said, as it will be stored."""
        return [turn.text for turn in self.slot.latest.record.interview.turns]


# --- speculation ------------------------------------------------------------------------------------------------


async def test_a_reply_prepared_ahead_is_there_as_soon_as_its_words_are(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    room = await Room(says(0.4, "Which?")).open(nursery)
    with structlog.testing.capture_logs() as logs:
        await room.tell(ProbablySaid("Invoices", trio.current_time()))
        await trio.sleep(1.0)
        assert (await room.shown(), room.noted, room.slot.is_unsaved) == ([], [], False)
        await room.tell(spoken("Invoices", trio.current_time()))
    assert await room.shown() == ["heard Invoices", "Which?", "= Which?"]
    assert room.noted == ["Invoices"]
    assert len(room.interviewer.briefs) == 1
    (line,) = [line for line in logs if line["event"] == "turn.speculated"]
    assert (line["used"], line["ahead_ms"]) == (True, 1_000.0)


async def test_who_speaks_on_cancels_the_question(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    room = await Room(says(9.0, "Too early")).open(nursery)
    with structlog.testing.capture_logs() as logs:
        await room.tell(ProbablySaid("Invoices", trio.current_time()))
        await room.tell(SpokeOn())
    assert room.interviewer.cancelled == 1
    assert [(line["used"], line["ahead_ms"]) for line in logs if line["event"] == "turn.speculated"] == [(False, 0.0)]
    await room.tell(spoken("Invoices every day"))
    assert (await room.shown())[-1] == "= 1: Invoices every day"
    assert room.noted == ["Invoices every day"]


async def test_a_drain_does_not_wait_for_a_reply_that_is_only_prepared(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    room = await Room(says(9.0, "Never")).open(nursery)
    began = trio.current_time()
    await room.tell(ProbablySaid("Invoices", began))
    await room.tell(DrainAsked())
    assert room.drained_at == began
    room.agent.stop()
    await trio.testing.wait_all_tasks_blocked()
    assert (trio.current_time(), room.interviewer.cancelled, room.noted) == (began, 1, [])


# --- what comes too late ----------------------------------------------------------------------------------------


class Gate:
    """A plan that waits to be let through, and then does what it was about to do, without another chance to stop."""

    def __init__(self, then: Callable[[AnswerSink], Answer]) -> None:
        self._opened = trio.Event()
        self._then = then

    def open(self) -> None:
        self._opened.set()

    async def __call__(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        await self._opened.wait()
        return self._then(sink)


def reports_all(sink: AnswerSink) -> Answer:
    sink.requested()
    sink.text("Late ")
    sink.restarted("late")
    sink.text("Late")
    sink.received()
    return Answer(text="Late", wants_next=True, facts={"late": "yes"}, model="late")


def says_nothing(sink: AnswerSink) -> Answer:
    return Answer(text="", wants_next=False, facts={}, model="late")


def gives_up(sink: AnswerSink) -> Answer:
    raise InterviewerFailed("late", passing=True)


@pytest.mark.parametrize("late", [reports_all, says_nothing, gives_up])
@pytest.mark.parametrize("instead", [ProbablySaid("other words", 0.0), spoken("other words")], ids=["ahead", "said"])
async def test_a_question_that_was_stopped_answers_nothing_under_the_number_of_the_next(
    nursery: trio.Nursery, late: Callable[[AnswerSink], Answer], instead: Message
) -> None:
    gate = Gate(late)
    room = await Room(gate, echoes).open(nursery)
    await room.tell(ProbablySaid("Invoices", 0.0))
    gate.open()
    room.agent.handle(instead)  # in the same instant: the first question is let through, and stopped
    await trio.testing.wait_all_tasks_blocked()
    if isinstance(instead, ProbablySaid):
        assert await room.shown() == []
        await room.tell(spoken("other words"))
    assert await room.shown() == ["heard other words", "1: other words", "= 1: other words"]
    assert [brief.turn for brief in room.interviewer.briefs] == [1, 1]
    assert room.interviewer.cancelled == 0


@pytest.mark.parametrize("late", [reports_all, says_nothing, gives_up])
async def test_a_turn_that_was_interrupted_hears_nothing_more(
    nursery: trio.Nursery, late: Callable[[AnswerSink], Answer]
) -> None:
    gate = Gate(late)
    room = await Room(gate).open(nursery)
    await room.tell(said("Invoices"))
    gate.open()
    room.agent.handle(InterruptAsked())
    await trio.testing.wait_all_tasks_blocked()
    assert await room.shown() == ["TurnCancelled"]


# --- the end ----------------------------------------------------------------------------------------------------


def stop(room: Room) -> None:
    room.agent.stop()


def cancel(room: Room) -> None:
    room.scope.cancel()


@pytest.mark.parametrize("end", [stop, cancel])
async def test_what_waits_in_the_mailbox_at_the_end_is_noted_in_order_and_nobody_is_asked(
    nursery: trio.Nursery, end: Callable[[Room], None]
) -> None:
    room = await Room().open(nursery)
    for text in ("one", "two", "three"):
        room.send.send_nowait(spoken(text))
    end(room)
    await trio.testing.wait_all_tasks_blocked()
    turns = room.slot.latest.record.interview.turns
    assert [(turn.text, turn.outcome) for turn in turns] == [
        ("one", "superseded"),
        ("two", "superseded"),
        ("three", "pending"),
    ]
    assert room.interviewer.briefs == []
    assert room.slot.is_unsaved


async def test_what_waits_behind_a_drain_is_noted(nursery: trio.Nursery) -> None:
    room = await Room().open(nursery)
    await room.tell(DrainAsked(), spoken("last words"))
    assert room.drained_at is not None
    assert room.noted == ["last words"]
    assert room.interviewer.briefs == []


async def test_what_is_said_after_a_drain_is_noted_until_the_agent_is_stopped(nursery: trio.Nursery) -> None:
    room = await Room().open(nursery)
    await room.tell(DrainAsked())
    await room.tell(spoken("last words"))
    assert room.noted == ["last words"]
    assert room.interviewer.briefs == []


@pytest.mark.parametrize("end", [stop, cancel])
async def test_last_words_whose_reply_was_prepared_are_noted_and_their_reply_stays_owed(
    nursery: trio.Nursery, end: Callable[[Room], None]
) -> None:
    room = await Room().open(nursery)
    await room.tell(ProbablySaid("last words", 0.0))
    room.send.send_nowait(spoken("last words"))
    end(room)
    await trio.testing.wait_all_tasks_blocked()
    (turn,) = room.slot.latest.record.interview.turns
    assert (turn.text, turn.outcome) == ("last words", "pending")


async def test_a_reply_that_was_written_before_the_end_is_noted(nursery: trio.Nursery) -> None:
    room = await Room().open(nursery)
    await room.tell(said("one"))
    await room.shown()
    room.send.send_nowait(ReplyWritten(1, trio.current_time()))
    room.agent.stop()
    await trio.testing.wait_all_tasks_blocked()
    (turn,) = room.slot.latest.record.interview.turns
    assert (turn.reply, turn.outcome) == ("1: one", "answered")


@pytest.mark.parametrize("end", [stop, cancel])
async def test_what_is_said_while_a_reply_is_leaving_outlives_the_connection(
    end: Callable[[Room], None], nursery: trio.Nursery
) -> None:
    room = await Room().open(nursery)
    await room.tell(said("one"))
    await room.tell(ReplyTaken(1), spoken("last words"))
    assert room.noted == ["one"]
    end(room)
    await trio.testing.wait_all_tasks_blocked()
    assert room.noted == ["one", "last words"]
    assert room.slot.latest.record.interview.turns[1].outcome == "pending"


async def test_what_a_failed_agent_had_not_taken_is_its_successors(nursery: trio.Nursery) -> None:
    async def breaks(brief: TurnBrief, sink: AnswerSink) -> Answer:
        room.send.send_nowait(spoken("two"))  # the agent waits for it, and has it in hand
        room.send.send_nowait(spoken("last words"))
        raise RuntimeError("a bug")

    room = await Room(breaks).open(nursery)
    await room.tell(said("one"))
    assert isinstance(room.end, RuntimeError)
    assert room.noted == ["one", "two"]
    assert room.mailbox.receive_nowait() == Said("last words", "voice", 0.0)
