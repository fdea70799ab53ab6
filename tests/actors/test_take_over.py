"""The newest connection of a session wins; nothing of the older one is lost."""

import itertools

import pytest
import structlog
import trio
import trio.testing
from trio.testing import MockClock

from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OPENING, OTHER_SESSION, SESSION, Closed, Evaa
from tests.actors.interviewers import says
from tests.actors.stores import Said

MASKED_PING = bytes([0x89, 0x80, 0, 0, 0, 0])


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_the_older_connection_is_closed(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    older = await evaa.join(dialect=dialect)
    await older.ask("one")
    newer = await evaa.connect(dialect=dialect)
    assert (await newer.reply())["response"] == "1: one"
    assert await older.close_code() == 4409
    assert older.closed_at == 0.0
    assert (await newer.ask("two"))["response"] == "2: two"


async def test_a_reply_that_the_older_was_owed_is_given_to_the_newer(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("Half", 100.0, " of it"))
    older = await evaa.join()
    await older.say("one", "x")
    await older.until("delta")
    await trio.sleep(3)
    newer = await evaa.connect()
    ready, started = await newer.expect("ready", "turnStarted")
    assert (ready["resumed"], started["turn"], started["id"]) == (True, 1, "x")
    assert (await newer.reply())["response"] == "1: one"
    assert evaa.interviewer.cancelled == 1
    assert await older.close_code() == 4409
    await newer.nothing_for(200)
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_what_waited_for_the_store_is_saved_before_the_newer_reads_it(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    older = await evaa.join()
    evaa.store.delay_s = 1.5
    await older.say("one")
    await older.until("reply")
    newer = await evaa.connect()
    assert (await newer.reply())["response"] == "1: one"
    assert [record.version for _, record in evaa.store.saved] == list(range(1, len(evaa.store.saved) + 1))


async def test_what_the_older_had_to_spill_is_there_for_the_newer(evaa: Evaa, autojump_clock: MockClock) -> None:
    older = await evaa.join()
    evaa.store.unavailable = True
    await older.say("one")
    await older.until("reply")
    newer = await evaa.connect_later()
    await trio.sleep(4)
    evaa.store.unavailable = False
    client = await newer()
    assert (await client.reply())["response"] == "1: one"
    assert await older.close_code() == 4409
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
    assert evaa.spill.kept == []


async def test_an_older_connection_that_does_not_read_delays_the_newer_by_its_grace_only(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    older = await evaa.join()
    older.wire.stall()
    await older.say("one")
    await trio.sleep(1)
    newer = await evaa.connect()
    reply = await newer.reply()
    writer_grace_s, close_s = 2.0, 1.0
    assert reply.at == 1.0 + writer_grace_s + close_s
    assert older.wire.closed_at == reply.at


async def test_a_dead_older_connection_is_taken_over_at_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    older = await evaa.join()
    older.wire.cut()
    await trio.sleep(1)
    assert (await (await evaa.connect()).reply()).at == 1.0 + 1.0  # the close time-out


@pytest.mark.parametrize("seed", range(8))
async def test_of_three_at_once_the_newest_wins(evaa: Evaa, autojump_clock: MockClock, seed: int) -> None:
    """Whatever the order in which the scheduler wakes those that wait."""
    first = await evaa.join()
    first.wire.cut()  # so that it takes a second to close, and all the others wait for it
    waiting = []
    for _ in range(4):
        waiting.append(await evaa.connect())
        await trio.testing.wait_all_tasks_blocked()
    *older, newest = waiting
    await newest.reply()
    await trio.sleep(5)
    assert newest.closed_at is None
    assert [await client.close_code() for client in older] == [4409] * 3
    assert (await newest.ask("mine"))["response"] == "1: mine"
    assert len(evaa.interviewer.briefs) == 1


async def test_one_that_was_overtaken_while_it_waited_says_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    first = await evaa.join()
    first.wire.cut()
    second = await evaa.connect()
    third = await evaa.connect()
    await third.reply()
    assert await second.rest() == []
    assert await second.close_code() == 4409


async def test_a_client_that_waits_may_leave(evaa: Evaa, autojump_clock: MockClock) -> None:
    first = await evaa.join()
    first.wire.cut()
    second = await evaa.connect()
    second.wire.scope.cancel()
    third = await evaa.connect()
    assert (await third.reply())["response"] == OPENING


async def test_a_session_whose_lease_cannot_be_released_can_still_be_taken_over(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the store fails in a way that no contract allows."""
    calls = itertools.count()
    release = evaa.store.release

    async def fails_once(lease: object) -> None:
        if next(calls) == 0:
            raise ValueError("a bug")
        await release(lease)  # type: ignore[arg-type]

    monkeypatch.setattr(evaa.store, "release", fails_once)
    older = await evaa.join()
    newer = await evaa.connect()
    assert (await newer.reply()).at == 0.0
    await older.rest()


async def test_take_overs_back_and_forth(evaa: Evaa, autojump_clock: MockClock) -> None:
    for number in range(1, 6):
        client = await evaa.join()
        assert (await client.ask(f"word {number}"))["turn"] == number
    assert [said.text for said in await evaa.memory()] == [f"word {number}" for number in range(1, 6)]
    assert evaa.server.connections == 1


async def test_another_session_is_not_taken_over(evaa: Evaa, autojump_clock: MockClock) -> None:
    other = await evaa.join(OTHER_SESSION)
    await evaa.join()
    await evaa.join()
    assert other.closed_at is None
    assert (await other.ask("still here"))["response"] == "1: still here"


# --- across processes ---------------------------------------------------------------------------------------------


async def test_a_lease_that_another_process_took_ends_the_session_at_the_next_save(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    lease = await evaa.store.acquire(SESSION, "another process", 15.0)
    assert lease is not None
    await client.say("too late")
    assert await client.close_code() == 4409
    assert client.closed_at == 0.0
    await evaa.gone()
    assert await evaa.memory() == []
    assert evaa.spill.kept == []
    await evaa.store.renew(lease, 15.0)  # it is still theirs


async def test_a_lease_that_another_process_took_ends_a_silent_session_at_the_next_renewal(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    await trio.sleep(1)
    await evaa.store.acquire(SESSION, "another process", 15.0)
    assert await client.close_code() == 4409
    assert client.closed_at == 5.0


async def test_two_processes_take_a_session_from_each_other(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    other = Evaa(nursery, store=evaa.store, owner="another process")
    here = await evaa.join()
    await here.ask("one")
    there = await other.join()
    assert (await there.ask("two"))["turn"] == 2
    await here.say("lost", "z")
    frames = await here.rest()
    assert not [frame for frame in frames if frame.kind == "turnStarted"]
    assert await here.close_code() == 4409
    back = await evaa.join()
    assert (await back.ask("lost", "z"))["turn"] == 3
    with pytest.raises(Closed):
        await there.receive()
    assert [said.text for said in await evaa.memory()] == ["one", "two", "lost"]


async def test_a_ping_that_crosses_our_close_is_no_failure(evaa: Evaa, autojump_clock: MockClock) -> None:
    older = await evaa.join()
    older.wire.stall()
    with structlog.testing.capture_logs() as logs:
        newer = await evaa.connect()
        await trio.testing.wait_all_tasks_blocked()
        await older.wire.far_end.send_all(MASKED_PING)
        await trio.testing.wait_all_tasks_blocked()
        older.wire.flow()
        assert await older.close_code() == 4409
        assert (await newer.reply())["response"] == OPENING
    assert [line["event"] for line in logs if line["log_level"] == "error"] == []
