"""An actor that fails is restarted and the session goes on; beyond the budget it ends, and no other one notices."""

from itertools import accumulate
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.agent import Agent
from actors.connection import Connection, Heartbeat, Reader
from actors.outbox import Outbox
from actors.persistence import Persistence
from protocols.dialects import PLAIN, TYPED_JSON
from protocols.frontend import Reply
from protocols.messages import InterruptAsked
from protocols.messages import Said as UserSaid
from protocols.ports import RecordTooLarge, VersionConflict
from tests.actors.harness import OTHER_SESSION, Client, Evaa, raises_at, raises_once
from tests.actors.interviewers import fails, says
from tests.actors.stores import Said

BUG = RuntimeError("a bug")
FIRST_BACK_OFF_S = 0.1


class Faults:
    """Bugs on request: the n-th calls of methods raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def once(self, owner: type, method: str, at_call: int = 1) -> None:
        """Let one call of a method raise, counted from now."""
        self._monkeypatch.setattr(owner, method, raises_once(BUG, getattr(owner, method), at_call=at_call))

    def at(self, owner: type, method: str, *calls: int) -> None:
        """Let several calls of a method raise."""
        self._monkeypatch.setattr(owner, method, raises_at(BUG, getattr(owner, method), set(calls)))

    def when(self, owner: type, method: str, matches: type) -> None:
        """Let the first call of a method whose argument is of a type raise, before anything is done."""
        original = getattr(owner, method)
        raised = False

        def stand_in(this: Any, argument: Any) -> Any:
            nonlocal raised
            if not raised and isinstance(argument, matches):
                raised = True
                raise BUG
            return original(this, argument)

        self._monkeypatch.setattr(owner, method, stand_in)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


async def works(evaa: Evaa, client: Client, words: str = "afterwards") -> None:
    """The session goes on: what is said is acknowledged, answered, and stored."""
    await client.say(words, "works")
    while words not in (await client.reply())["response"]:
        pass
    assert (await evaa.memory())[-1].outcome == "answered"
    assert (await evaa.memory())[-1].text == words


async def test_the_heartbeat_fails(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    client = await evaa.join()
    faults.once(Connection, "check_alive")
    await trio.sleep(11)
    await works(evaa, client)
    client.wire.cut()
    await evaa.gone()
    assert client.wire.closed_at == list(accumulate([10.0, 0.1, 10.0]))[-1] + 10.0


async def test_the_reader_fails(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    client = await evaa.join()
    faults.once(Reader, "_take")
    await client.say("lost", "x")
    await client.nothing_for(1.0)
    assert (await client.ask("lost", "x"))["response"] == "1: lost"
    assert await evaa.memory() == [Said("lost", "1: lost", "answered")]


async def test_the_reader_fails_on_what_came_with_the_binding(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults
) -> None:
    faults.once(Reader, "run")
    client = await evaa.connect(session_id=None, dialect=PLAIN)
    await client.say("hello")
    opening, reply = await client.expect("reply", "reply")
    assert (reply["response"], opening.at, reply.at) == ("1: hello", 0.0, FIRST_BACK_OFF_S)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
@pytest.mark.parametrize("at_call", [1, 2, 3])
async def test_the_writer_fails_before_it_writes(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults, dialect: str, at_call: int
) -> None:
    evaa.interviewer.will(says("Half", 1.0, " of it"))
    client = await evaa.join(dialect=dialect)
    faults.once(Connection, "send", at_call=at_call)
    await client.say("one", "x")
    await trio.sleep(60)
    await works(evaa, client)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_reply_that_the_writer_failed_to_write_is_given_all_the_same(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults, dialect: str
) -> None:
    client = await evaa.join(dialect=dialect)
    faults.when(Connection, "send", Reply)
    await client.say("one", "x")
    reply = await client.reply()
    assert (reply["response"], reply.at) == ("1: one", FIRST_BACK_OFF_S)
    await trio.sleep(60)
    assert not [frame for frame in client.waiting if frame.kind == "reply"]
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
    await works(evaa, client)


async def test_the_writer_fails_as_it_takes(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    client = await evaa.join()
    faults.once(Outbox, "take")
    await client.say("one")
    await trio.sleep(1)
    await works(evaa, client)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
@pytest.mark.parametrize("at_call", range(1, 9))
async def test_the_agent_fails(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults, dialect: str, at_call: int
) -> None:
    """At each of the messages that a turn is made of."""
    evaa.interviewer.will(says("Half", 1.0, " of it"))
    client = await evaa.join(dialect=dialect)
    faults.once(Agent, "handle", at_call=at_call)
    await client.say("one", "x")
    await trio.sleep(60)
    acknowledged = [frame for frame in client.waiting if frame.kind == ("turnStarted" if dialect != PLAIN else "reply")]
    memory = await evaa.memory()
    if acknowledged:
        assert [said.text for said in memory] == ["one"]
    await client.say("one", "x")
    await trio.sleep(60)
    if dialect == TYPED_JSON:
        assert [(said.text, said.outcome) for said in await evaa.memory()] == [("one", "answered")]
    await works(evaa, client)


async def test_an_agent_that_was_restarted_says_so_and_gives_the_owed_reply(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(fails("Half", 2.0, error=BUG))
    client = await evaa.join()
    await client.say("one", "x")
    await client.until("turnStarted")
    frames = await client.until("reply")
    assert [(frame["turn"], frame["reason"]) for frame in frames if frame.kind == "turnCancelled"] == [
        (1, "superseded")
    ]
    assert [frame["code"] for frame in frames if frame.kind == "error"] == ["internal"]
    assert (frames[-1]["response"], frames[-1].at) == ("1: one", 2.0 + FIRST_BACK_OFF_S)


async def test_a_reply_that_still_waited_when_the_agent_failed_is_not_given_twice(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults
) -> None:
    client = await evaa.join()
    client.wire.stall()
    await client.say("one", "x")
    await trio.testing.wait_all_tasks_blocked()  # by now a delta is being written, and the reply waits behind it
    faults.when(Agent, "handle", InterruptAsked)
    await client.send(type="interrupt")
    await trio.sleep(1)
    client.wire.flow()
    await trio.sleep(1)
    frames = client.waiting
    assert [frame["response"] for frame in frames if frame.kind == "reply"] == ["1: one"]
    kinds = [frame.kind for frame in frames]
    assert kinds.index("turnCancelled") < kinds.index("reply")
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
    await works(evaa, client)


async def test_what_the_agent_was_told_while_it_was_down_is_not_lost(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults
) -> None:
    client = await evaa.join()
    faults.when(Agent, "handle", UserSaid)
    await client.say("lost", "a")
    await trio.testing.wait_all_tasks_blocked()
    await client.say("kept", "b")
    assert (await client.reply())["response"] == "1: kept"
    assert [said.text for said in await evaa.memory()] == ["kept"]


async def test_a_mailbox_that_is_full_refuses_what_is_too_much(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults
) -> None:
    client = await evaa.join()
    faults.when(Agent, "handle", UserSaid)
    await client.say("lost")
    await trio.testing.wait_all_tasks_blocked()
    for number in range(70):
        await client.say(str(number))
        await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == 0.0
    reply = await client.reply()
    refused = [frame for frame in client.passed if frame.kind == "error" and frame["code"] == "rate_limited"]
    assert len(refused) == 70 - 64
    assert all(frame["retryable"] for frame in refused)
    assert [said.text for said in await evaa.memory()] == [str(number) for number in range(64)]
    assert reply["turn"] == 64


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
@pytest.mark.parametrize("method", ["_save_latest", "_save_once", "_tell", "run"])
async def test_persistence_fails(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults, dialect: str, method: str
) -> None:
    if method == "run":
        faults.once(Persistence, method)
    client = await evaa.join(dialect=dialect)
    if method != "run":
        faults.once(Persistence, method)
    await client.say("one", "x")
    await trio.sleep(60)
    assert (await evaa.memory())[0].outcome == "answered"
    assert evaa.spill.kept == []
    await works(evaa, client)


async def test_a_store_that_raises_what_it_never_should_loses_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.errors = [ValueError("a bug")]
    await client.say("one", "x")
    frames = await client.until("turnStarted")
    assert frames[-1]["id"] == "x"
    await works(evaa, client)
    assert (await evaa.memory())[0].text == "one"


async def test_nothing_is_acknowledged_by_an_agent_that_does_not_know_whether_it_is_durable(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(fails(1.0, error=BUG))
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one", "x")
    await trio.sleep(5)
    await client.say("one", "x")
    await trio.sleep(5)
    assert "turnStarted" not in [frame.kind for frame in client.waiting]
    evaa.store.unavailable = False
    assert (await client.until("turnStarted"))[-1]["id"] == "x"


# --- back-off and budget ------------------------------------------------------------------------------------------


async def test_each_restart_within_ten_seconds_waits_twice_as_long(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[float] = []
    run = Heartbeat.run

    async def fails_three_times(self: Heartbeat) -> None:
        started.append(trio.current_time())
        if len(started) <= 3:
            raise BUG
        await run(self)

    monkeypatch.setattr(Heartbeat, "run", fails_three_times)
    client = await evaa.join()
    await trio.sleep(5)
    assert started == list(accumulate([0.0, 0.1, 0.2, 0.4]))
    await works(evaa, client)


async def test_the_fourth_failure_ends_the_session(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    other = await evaa.join(OTHER_SESSION)
    client = await evaa.join()
    await client.ask("one")
    faults.at(Reader, "_take", 1, 2, 3, 4)
    for number in range(4):
        await trio.sleep(2)
        await client.say(f"lost {number}")
    assert await client.close_code() == 1011
    assert client.closed_at == 8.0
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
    await works(evaa, await evaa.join())
    assert (await other.ask("untouched"))["response"] == "1: untouched"
    assert other.closed_at is None


async def test_failures_that_are_spread_out_are_forgiven(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    client = await evaa.join()
    faults.at(Reader, "_take", *range(1, 21))
    for number in range(20):
        await client.say(f"lost {number}")
        await trio.sleep(4)
    await works(evaa, client)


async def test_all_actors_share_one_budget(evaa: Evaa, autojump_clock: MockClock, faults: Faults) -> None:
    client = await evaa.join()
    faults.once(Connection, "check_alive")
    faults.at(Reader, "_take", 1, 2, 3)
    for _ in range(3):
        await trio.sleep(2.75)
        await client.say("lost")
    assert await client.close_code() == 1011
    assert client.closed_at == 10.0


async def test_an_interviewer_with_a_bug_ends_its_own_session_only(evaa: Evaa, autojump_clock: MockClock) -> None:
    other = await evaa.join(OTHER_SESSION)
    evaa.interviewer.will(*[fails(error=BUG)] * 4)
    client = await evaa.join()
    await client.say("one")
    assert await client.close_code() == 1011
    assert client.closed_at == list(accumulate([0.1, 0.2, 0.4]))[-1]
    assert (await other.ask("untouched"))["response"] == "1: untouched"
    again = await evaa.connect()
    assert (await again.reply())["response"] == "1: one"


@pytest.mark.parametrize("error", [VersionConflict("elsewhere"), RecordTooLarge("over 16 MB")])
async def test_a_store_that_refuses_for_good_ends_the_session_and_the_state_is_spilled(
    evaa: Evaa, autojump_clock: MockClock, error: Exception
) -> None:
    client = await evaa.join()
    evaa.store.errors = [error] * 20
    await client.say("one")
    assert await client.close_code() == 1011
    await evaa.gone()
    evaa.store.errors = []
    assert [record.interview.turns[0].text for record, _ in evaa.spill.kept][-1] == "one"
    assert await evaa.memory() == []


async def test_a_frame_that_cannot_be_written_at_all_ends_the_session_and_a_reconnect_resumes_it(
    evaa: Evaa, autojump_clock: MockClock, faults: Faults
) -> None:
    client = await evaa.join(dialect=PLAIN)
    faults.at(Connection, "send", 1, 2, 3, 4)
    await client.say("one")
    assert await client.close_code() == 1011
    again = await evaa.connect(dialect=PLAIN)
    assert (await again.reply())["response"] == "1: one"
    await again.nothing_for(60)
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
