"""What other processes do in the store is seen within two seconds; whether the store is there is always known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from actors.store_watch import StoreWatch
from evaa.interview.stages import default_stages
from evaa.storage.memory import MemoryStore
from protocols.dialects import PLAIN, TYPED_JSON
from protocols.ports import StoreError
from protocols.records import Lease, Stage
from tests.actors.harness import OTHER_SESSION, SESSION, STAGES, Evaa
from tests.actors.interviewers import says
from tests.actors.stores import Said
from tests.contracts.examples import taken


@pytest.fixture
async def other(evaa: Evaa, nursery: trio.Nursery) -> Evaa:
    """Another process over the same store; both watch it."""
    another = Evaa(nursery, store=evaa.store, owner="another process")
    for process in (evaa, another):
        nursery.start_soon(process.server.watch_store)
    return another


# --- take-over between processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_the_older_connection_at_another_process_is_closed_within_two_seconds(
    evaa: Evaa, other: Evaa, autojump_clock: MockClock, dialect: str
) -> None:
    older = await evaa.join(dialect=dialect)
    await older.ask("one")
    await trio.sleep(6.1)
    newer = await other.connect(dialect=dialect)
    assert (await newer.reply())["response"] == "1: one"
    assert await older.close_code() == 4409
    assert older.closed_at is not None
    assert 6.1 <= older.closed_at <= 8.1
    assert (await newer.ask("two"))["response"] == "2: two"
    await trio.sleep(60)
    assert newer.closed_at is None
    assert await evaa.memory() == [Said("one", "1: one", "answered"), Said("two", "2: two", "answered")]


async def test_only_the_session_that_was_taken_over_ends(evaa: Evaa, other: Evaa, autojump_clock: MockClock) -> None:
    taken_over, stays = await evaa.join(SESSION), await evaa.join(OTHER_SESSION)
    await other.join(SESSION)
    assert await taken_over.close_code() == 4409
    assert (await stays.ask("still here"))["response"] == "1: still here"


async def test_a_session_that_wanders_to_and_fro_has_one_owner_at_a_time(
    evaa: Evaa, other: Evaa, autojump_clock: MockClock
) -> None:
    for number in range(1, 9):
        client = await (evaa, other)[number % 2].join()
        await client.ask(f"word {number}")
        await trio.sleep(number * 0.4)
    assert [said.text for said in await evaa.memory()] == [f"word {number}" for number in range(1, 9)]


async def test_what_the_older_was_saying_is_not_stored_by_it(
    evaa: Evaa, other: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(says("Half", 100.0, " of it"))
    older = await evaa.join()
    await older.say("one", "x")
    await older.until("delta")
    newer = await other.connect()
    assert [frame["id"] for frame in await newer.until("turnStarted") if frame.kind == "turnStarted"] == ["x"]
    assert (await newer.reply())["response"] == "1: one"
    assert await older.close_code() == 4409
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_a_session_that_was_deleted_ends(evaa: Evaa, other: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.forget(SESSION)
    assert await client.close_code() == 4409


async def test_a_process_that_slept_beyond_its_lease_finds_out_when_it_wakes(
    evaa: Evaa, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    older = await evaa.join()
    asleep = Evaa(nursery, store=evaa.store, owner="another process")
    newer = await asleep.join()
    await newer.ask("mine")
    await older.say("stale", "s")  # as if it had just been woken: it has not looked yet
    assert await older.close_code() == 4409
    assert "turnStarted" not in [frame.kind for frame in older.everything]
    assert await evaa.memory() == [Said("mine", "1: mine", "answered")]


# --- is it there? -------------------------------------------------------------------------------------------------


class WatchedAlone:
    """A watch without a server."""

    def __init__(self, store: MemoryStore, sessions: Mapping[str, Any] | None = None) -> None:
        self.watch = StoreWatch(store, sessions or {})

    @property
    def trouble(self) -> str | None:
        return self.watch.trouble

    async def run_for(self, seconds: float) -> list[str]:
        """The events that it logs."""
        with structlog.testing.capture_logs() as logs, trio.move_on_after(seconds):
            await self.watch.run()
        return [line["event"] for line in logs]


async def test_a_store_that_is_away_at_the_start_is_prepared_when_it_comes(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    store.unavailable = True
    alone = WatchedAlone(store)
    assert alone.trouble == "the store has not answered yet"
    assert await alone.run_for(30.5) == ["server.not_ready"]
    assert alone.trouble == "unavailable, as asked for"
    store.unavailable = False
    assert await alone.run_for(3.5) == ["server.ready"]
    assert not alone.trouble
    assert await store.stages() == default_stages()


async def test_going_and_coming_is_logged_once_each(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    alone = WatchedAlone(store)
    events = []
    for unavailable in (False, True, False, True, False):
        store.unavailable = unavailable
        events += await alone.run_for(3.5)
    assert events == ["server.ready", "server.not_ready"] * 2 + ["server.ready"]


async def test_without_any_session_a_store_that_goes_away_is_noticed(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    alone = WatchedAlone(store)
    await alone.run_for(0.5)
    store.fail_next(1, "overtaken")
    assert await alone.run_for(1.5) == ["server.not_ready", "server.ready"]


# --- stages that cannot be read -----------------------------------------------------------------------------------


class MisreadStore(MemoryStore):
    """Somebody has edited the stages in the database, badly."""

    is_misread = False

    async def stages(self) -> tuple[Stage, ...]:
        if self.is_misread:
            raise StoreError("what is stored cannot be read (SomeError)")
        return await super().stages()


async def test_stages_that_cannot_be_read_are_logged_once_and_the_last_ones_stand(autojump_clock: MockClock) -> None:
    store = MisreadStore()
    told: list[Sequence[Stage]] = []
    alone = WatchedAlone(store, {SESSION: FakeSession(told.append)})
    await store.replace_stages(STAGES)
    assert await alone.run_for(0.5) == ["server.ready"]
    store.is_misread = True
    assert await alone.run_for(5.5) == ["stages.unreadable"]
    assert told == [STAGES] * len(told)
    assert not alone.trouble


class FakeSession:
    """A session that is not loaded yet."""

    lease: Lease | None = None

    def __init__(self, tell_stages: Callable[[tuple[Stage, ...]], None]) -> None:
        self.tell_stages = tell_stages

    def end(self, code: int, reason: str) -> None:
        raise AssertionError("it is nobody's yet")


async def test_a_lease_that_was_taken_while_it_was_looked_at_ends_nobody(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    alone = WatchedAlone(store, {SESSION: FakeSession(lambda stages: None)})
    assert await alone.run_for(2.5) == ["server.ready"]


async def test_a_session_begins_with_the_defaults_where_the_stages_cannot_be_read(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def misread(self: MemoryStore) -> tuple[Stage, ...]:
        raise StoreError("what is stored cannot be read (SomeError)")

    monkeypatch.setattr(MemoryStore, "stages", misread)
    with structlog.testing.capture_logs() as logs:
        client = await evaa.connect()
        assert (await client.reply())["response"] == default_stages()[0].opening
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["stages.unreadable"]


async def test_a_session_that_cannot_be_read_is_refused_for_a_reason(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await evaa.join()
    await first.leave()
    await evaa.gone()

    async def misread(self: MemoryStore, session_id: str) -> None:
        raise StoreError("what is stored cannot be read (SomeError)")

    monkeypatch.setattr(MemoryStore, "load", misread)
    with structlog.testing.capture_logs() as logs:
        client = await evaa.connect()
        assert await client.close_code() == 1011
    assert [(line["event"], line["reason"]) for line in logs if line["log_level"] == "error"] == [
        ("store.refused", "what is stored cannot be read (SomeError)")
    ]
    assert (await taken(evaa.store, "next", SESSION, take_over=False)).token > 0  # it was given up
