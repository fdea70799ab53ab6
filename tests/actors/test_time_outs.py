"""Every time-out of a connection and of its session, to the second."""

from itertools import accumulate

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors import outbox
from actors.connection import ConnectionLimits
from actors.server import ServerLimits
from actors.session import SessionLimits
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OTHER_SESSION, SESSION, Evaa, error_code
from tests.actors.interviewers import says
from tests.actors.stores import Said

# --- the client ---------------------------------------------------------------------------------------------------


async def test_a_client_that_says_nothing_is_closed(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    assert await client.close_code() == 4408
    assert client.closed_at == 900.0


async def test_the_idle_time_out_begins_anew_with_each_frame(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await trio.sleep(899.5)
    await client.send_raw("{")
    await trio.sleep(899.5)
    await client.ask("here I am")
    assert await client.close_code() == 4408
    assert client.closed_at == 899.5 + 899.5 + 900


async def test_a_client_that_is_never_bound_is_closed_too(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    assert await client.close_code() == 4408
    assert client.closed_at == 900.0


async def test_a_slow_reply_is_no_reason_to_close(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(850.0, "At last."))
    client = await evaa.join()
    assert (await client.ask("one")).at == 850.0


async def test_a_client_that_does_not_read_is_closed_after_the_write_deadline(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    await trio.sleep(2)
    client.wire.stall()
    await client.say("one")
    await trio.sleep(10.5)
    client.wire.flow()
    assert await client.close_code() == 4413
    assert client.closed_at == 12.5
    await evaa.gone()
    assert await evaa.memory() == [Said("one", "", "pending")]


async def test_a_client_that_reads_just_in_time_stays(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    client.wire.stall()
    await client.say("one")
    await trio.sleep(9.5)
    client.wire.flow()
    assert (await client.reply()).at == 9.5
    assert (await client.ask("two"))["response"] == "2: two"


async def test_a_connection_that_takes_no_close_frame_is_closed_all_the_same(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    client.wire.stall()
    await client.say("one")
    await evaa.gone()
    assert client.wire.closed_at == 10.0 + 1.0


async def test_a_client_that_reads_slowly_is_waited_for_and_loses_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(connection=ConnectionLimits(ping_interval_s=1_000)))
    client = await evaa.join()
    client.wire.seconds_per_write = 0.5
    asked = 2 * outbox.MAX_FRAMES
    for number in range(asked):
        await client.send(type="ping", t=number)
    assert [(await client.receive())["t"] for _ in range(asked)] == list(range(asked))


async def test_a_flood_of_texts_is_answered_and_closes_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    for number in range(300):
        await client.say(f"text {number}", str(number))
    acknowledged = [(await client.until("turnStarted"))[-1]["turn"] for _ in range(300)]
    assert acknowledged == list(range(1, 301))
    assert [turn.text for turn in await evaa.memory()] == [f"text {number}" for number in range(300)]


@pytest.mark.parametrize("cut_at", [0.5, 9.5, 10.5])
async def test_a_dead_client_is_found_by_a_ping(evaa: Evaa, autojump_clock: MockClock, cut_at: float) -> None:
    client = await evaa.join()
    await trio.sleep(cut_at)
    client.wire.cut()
    await evaa.gone()
    next_ping = 10.0 if cut_at < 10 else 20.0
    assert client.wire.closed_at == next_ping + 9.0 + 1.0
    assert client.wire.closed_at - cut_at < 20.0


async def test_a_dead_client_is_found_in_the_middle_of_a_reply_too(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(*(1.0, "word ") * 60))
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(5)
    client.wire.cut()
    await evaa.gone()
    assert client.wire.closed_at == 20.0
    assert evaa.interviewer.cancelled == 1


async def test_a_client_that_hangs_up_is_forgotten_at_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await trio.sleep(3)
    await client.wire.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    assert client.wire.closed_at == 3.0
    assert evaa.server.connections == 0


async def test_who_closes_is_closed_with_his_own_code(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await client.websocket.aclose(3000, "enough")
    await trio.testing.wait_all_tasks_blocked()
    assert evaa.server.connections == 0
    assert trio.current_time() == 0.0


# --- the store ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_store_that_is_away_at_the_start_is_waited_for(
    evaa: Evaa, autojump_clock: MockClock, dialect: str
) -> None:
    await (await evaa.connect(OTHER_SESSION)).leave()
    evaa.store.unavailable = True
    client = await evaa.connect(dialect=dialect)
    (error,) = await client.expect("error")
    assert error_code(error) == "storage_unavailable"
    assert error.at == 0.0
    await client.nothing_for(9.9)
    assert await client.close_code() == 1013
    assert client.closed_at == 10.0


async def test_a_store_that_comes_back_in_time_is_enough(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.store.fail_next(3, "acquire")
    client = await evaa.connect()
    _, ready, _ = await client.expect("error", "ready", "reply")
    assert ready.at == list(accumulate([0.1] * 3))[-1]
    assert (await client.ask("one"))["response"] == "1: one"


async def test_saves_are_tried_again_after_longer_and_longer_waits(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.persistence.random.uniform", lambda low, high: high)
    evaa.interviewer.will(says("No", 1000.0))
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one", "x")
    await trio.sleep(22)
    waits = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert evaa.store.tried_at == list(accumulate(waits))
    evaa.store.unavailable = False
    started = (await client.until("turnStarted"))[-1]
    assert (started["id"], started.at) == ("x", list(accumulate([*waits, 5.0]))[-1])


async def test_the_wait_is_spread_by_half(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    monkeypatch.setattr("actors.persistence.random.uniform", uniform)
    client = await evaa.join()
    evaa.store.fail_next(2, "save")
    await client.ask("one")
    assert asked == [(0.5, 1.0)] * 2
    assert evaa.store.tried_at[:3] == [0.0, 0.05, 0.05 + 0.1]


async def test_a_new_save_begins_with_the_shortest_wait_again(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.persistence.random.uniform", lambda low, high: high)
    client = await evaa.join()
    evaa.store.fail_next(3, "save")
    await client.ask("one")
    await trio.sleep(10 - trio.current_time())
    evaa.store.tried_at.clear()
    evaa.store.fail_next(1, "save")
    await client.ask("two")
    assert evaa.store.tried_at[:2] == [10.0, 10.1]


async def test_the_end_waits_for_the_store_for_its_bound_then_spills(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one")
    await client.until("reply")
    await client.leave()
    await evaa.gone()
    assert evaa.spill.spilled_at == [2.0 + 2.0]
    (record, lease), *none = evaa.spill.kept
    assert not none
    assert lease is not None
    assert [turn.text for turn in record.interview.turns] == ["one"]
    assert [turn.outcome for turn in record.interview.turns] == ["answered"]


async def test_nothing_is_spilled_if_the_store_comes_back_before_the_bound(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one")
    await client.until("reply")
    await client.leave()
    await trio.sleep(3.5)
    evaa.store.unavailable = False
    await evaa.gone()
    assert evaa.spill.kept == []
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_a_store_that_hangs_delays_the_end_by_its_bounds_only(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(session=SessionLimits(release_s=1.0)))
    client = await evaa.join()

    async def hang(*_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(evaa.store, "save", hang)
    monkeypatch.setattr(evaa.store, "release", hang)
    await client.say("one")
    await client.until("reply")
    await client.leave()
    await evaa.gone()
    assert evaa.spill.spilled_at == [4.0]
    assert client.wire.closed_at == 0.0  # the client had gone; the session took 4 s more, and did not ask for the lease
    assert trio.current_time() == 4.0


async def test_a_lease_that_cannot_be_given_up_delays_the_end_by_its_bound_only(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(session=SessionLimits(release_s=1.0)))
    client = await evaa.join()

    async def hang(*_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(evaa.store, "release", hang)
    await client.ask("one")
    await client.leave()
    await evaa.gone()
    assert trio.current_time() == 1.0


async def test_the_lease_is_renewed(evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[float] = []
    renew = evaa.store.renew

    async def watched(*arguments: object) -> None:
        renewed.append(trio.current_time())
        await renew(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaa.store, "renew", watched)
    client = await evaa.join()
    await trio.sleep(18)
    await client.ask("one")
    await trio.sleep(5)
    assert renewed == [5.0, 10.0, 15.0, 20.0]
    await client.leave()
    await evaa.gone()
    assert [lease.session_id for lease in evaa.store.released] == [SESSION]
