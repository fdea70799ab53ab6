"""The server goes away: live turns may finish, everything is saved, everybody is told."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.server import ServerLimits
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OTHER_SESSION, Client, Evaa
from tests.actors.interviewers import fails, says
from tests.actors.stores import Said


async def talking(evaa: Evaa, *steps: str | float, dialect: str = TYPED_JSON) -> Client:
    """A client whose turn is live."""
    evaa.interviewer.will(says(*steps))
    client = await evaa.join(dialect=dialect)
    await client.say("one")
    await trio.testing.wait_all_tasks_blocked()
    return client


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_an_idle_session_ends_at_once(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    client = await evaa.join(dialect=dialect)
    await evaa.server.drain()
    assert trio.current_time() == 0.0
    frames = await client.rest()
    assert [frame["type"] for frame in frames] == (["goingAway"] if dialect == TYPED_JSON else [])
    if frames:
        assert frames[0]["reconnectAfterMs"] == 1_000
    assert await client.close_code() == 1001


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_live_turn_finishes_first(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    client = await talking(evaa, 4.0, "Just in time.", dialect=dialect)
    await evaa.server.drain()
    assert trio.current_time() == 4.0
    reply = await client.reply()
    assert (reply["response"], reply.at) == ("Just in time.", 4.0)
    assert await client.close_code() == 1001
    assert await evaa.memory() == [Said("one", "Just in time.", "answered")]
    assert evaa.spill.kept == []


async def test_a_turn_that_takes_longer_is_owed(evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    client = await talking(evaa, 30.0, "Too late.")
    await evaa.server.drain()
    assert trio.current_time() == 10.0
    assert await client.close_code() == 1001
    assert client.closed_at == 10.0
    assert await evaa.memory() == [Said("one", "", "pending")]
    successor = Evaa(nursery, store=evaa.store, owner="the next process")
    assert (await (await successor.connect()).reply())["response"] == "1: one"


async def test_a_turn_that_fails_is_not_waited_for_any_longer(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(fails(2.0))
    client = await evaa.join()
    await client.say("one")
    await trio.testing.wait_all_tasks_blocked()
    await evaa.server.drain()
    assert trio.current_time() == 2.0
    assert await client.close_code() == 1001


async def test_an_interrupt_while_draining_ends_the_session(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = await talking(evaa, 1.0, "Some", 30.0, "Too late.")
    nursery.start_soon(evaa.server.drain)
    await trio.sleep(2)
    await client.send(type="interrupt")
    assert await client.close_code() == 1001
    assert client.closed_at == 2.0
    assert await evaa.memory() == [Said("one", "Some", "interrupted")]


async def test_hurry_cuts_the_wait_short(evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    client = await talking(evaa, 8.0, "Too late.")

    async def hurry() -> None:
        await trio.sleep(3)
        evaa.server.hurry()

    nursery.start_soon(hurry)
    await evaa.server.drain()
    assert trio.current_time() == 3.0
    assert await client.close_code() == 1001


async def test_hurry_before_the_drain_waits_for_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    await talking(evaa, 8.0, "Too late.")
    evaa.server.hurry()
    await evaa.server.drain()
    assert trio.current_time() == 0.0


async def test_one_that_is_not_bound_yet_is_closed_too(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    await evaa.server.drain()
    assert await client.close_code() == 1001
    assert client.closed_at == 0.0


async def test_one_that_says_nothing_while_the_server_drains_delays_the_end_by_a_second(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evaa.interviewer.will(says("Half", 3.0, " of it"))
    client = await evaa.join()
    await client.say("one")
    await client.until("delta")
    nursery.start_soon(evaa.server.drain)
    await trio.sleep(2.9)
    await evaa.open_wire()
    await evaa.gone()
    assert trio.current_time() == 3.9


async def test_one_that_waits_for_an_older_connection_is_drained_as_well(evaa: Evaa, autojump_clock: MockClock) -> None:
    older = await evaa.join()
    older.wire.cut()
    newer = await evaa.connect()
    await evaa.server.drain()
    assert trio.current_time() == 1.0
    assert await newer.close_code() == 1001


async def test_a_store_that_is_away_costs_nothing_but_time(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one")
    await client.until("reply")
    await evaa.server.drain()
    assert trio.current_time() == 4.0
    assert [record.interview.turns[0].reply for record, _ in evaa.spill.kept] == ["1: one"]


async def test_sessions_that_do_not_end_are_cancelled(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(drain_s=1.0, end_s=2.0))
    client = await talking(evaa, 100.0, "Never.")
    other = await evaa.join(OTHER_SESSION)
    evaa.store.unavailable = True
    await other.say("two")
    await other.until("reply")
    client.wire.stall()
    await evaa.server.drain()
    # 1 s for turns, 2 s for ends, then the persistence's own bound of 2 s
    assert trio.current_time() == 1.0 + 2.0 + 2.0
    assert [record.session_id for record, _ in evaa.spill.kept] == [OTHER_SESSION]


async def test_many_at_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(*[says(float(number), "Bye.") for number in range(8)])
    clients = []
    for number in range(8):
        client = await evaa.join(f"{number:024x}")
        await client.say("one")
        await trio.testing.wait_all_tasks_blocked()
        clients.append(client)
    await evaa.server.drain()
    assert trio.current_time() == 7.0
    assert [await client.close_code() for client in clients] == [1001] * 8
    assert [client.closed_at for client in clients] == [float(number) for number in range(8)]


async def test_without_anybody_it_is_over_at_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    await evaa.server.drain()
    assert trio.current_time() == 0.0


async def test_a_session_that_is_cancelled_still_says_good_bye(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await talking(evaa, 30.0, "Too late.")
    client.wire.scope.cancel()
    assert await client.close_code() == 1001
    assert client.closed_at == 0.0
    assert await evaa.memory() == [Said("one", "", "pending")]
