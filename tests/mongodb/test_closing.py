"""The end of a store: within its bound whatever the server does, with nothing left, and the loop runs on meanwhile."""

import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from evaa.asyncio_bridge import open_bridge
from evaa.storage.mongodb import store as store_module
from evaa.storage.mongodb.connecting import open_mongo_store
from protocols.ports import StoreUnavailable
from tests.contracts.examples import S1, TTL_S, at_once, changed, make_record, make_stage, object_id, started
from tests.mongodb.faults import PATIENCE_S, HoldReply
from tests.mongodb.server import MongoServer, own_server
from tests.mongodb.stores import faulty_world, mongo_store, running_loop, with_options

ROUNDS = 20


@pytest.fixture(scope="module")
def mortal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with own_server(tmp_path_factory.mktemp("storage")) as server:
        yield server


@pytest.mark.parametrize("trouble", ["kill", "pause"])
async def test_a_server_that_is_away_holds_up_neither_the_end_nor_the_loop(
    mortal_server: MongoServer, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(store_module, "CLOSE_S", 0.2)
    async with open_bridge() as bridge:
        store = await open_mongo_store(bridge, with_options(mortal_server.uri, timeoutMS=300), trouble)
        record, lease = await started(store)
        if trouble == "kill":
            mortal_server.kill()
        else:
            mortal_server.pause()
        try:
            async with running_loop() as turns:
                calls: list[Callable[[], Awaitable[object]]] = [
                    partial(store.save, changed(record, "last"), lease),
                    store.close,
                    store.close,
                ]
                with trio.fail_after(PATIENCE_S):
                    refused, *closed = await at_once(calls)
                assert isinstance(refused, StoreUnavailable)
                assert closed == [None, None]
                assert turns() >= 5
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.load(S1)
        finally:
            if trouble == "kill":
                await trio.to_thread.run_sync(mortal_server.start)
            else:
                await trio.to_thread.run_sync(mortal_server.resume)


async def test_what_is_under_way_is_finished_first_and_what_waits_is_refused(
    mongo_uri: str, mongo_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_CALLS", 3)
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        sessions = [await started(world.healthy, object_id(f"s{n}")) for n in range(2, 8)]
        held = world.proxy.add(HoldReply("update", times=None))
        results: list[object] = []

        async def save_all() -> None:
            results.extend(
                await at_once(partial(world.store.save, changed(it, "saved"), lease) for it, lease in sessions)
            )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(save_all)
            await held.struck(3)
            nursery.start_soon(world.store.close)
            held.release()
        assert sorted(type(it).__name__ for it in results) == ["SessionRecord"] * 3 + ["StoreUnavailable"] * 3
        for (_, lease), result in zip(sessions, results, strict=True):
            found = await world.healthy.load(lease.session_id)
            assert found is not None
            assert found.version == (not isinstance(result, StoreUnavailable))


async def test_a_store_that_was_never_used_is_closed(mongo_uri: str, mongo_database: str) -> None:
    for uri in (mongo_uri, "mongodb://nobody.invalid/", "mongodb+srv://nobody.example.com/"):
        async with mongo_store(uri, mongo_database) as store:
            await store.close()


async def test_nothing_is_left(mongo_uri: str, mongo_database: str) -> None:
    async with mongo_store(mongo_uri, mongo_database):
        pass
    tasks = trio.lowlevel.current_statistics().tasks_living
    threads, sockets = set(threading.enumerate()), count_sockets()
    for number in range(ROUNDS):
        async with mongo_store(mongo_uri, mongo_database) as store:
            await store.prepare([make_stage()])
            sessions = [object_id(f"{number} {n}") for n in range(3)]
            await at_once(partial(store.create, make_record(it), "a", TTL_S) for it in sessions)
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith("pymongo"):  # they end of themselves, once they have noticed
            await trio.to_thread.run_sync(thread.join, PATIENCE_S)
            assert not thread.is_alive()
    assert count_sockets() <= sockets


def count_sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(target.startswith("socket:") for link in links if (target := _target(link)))


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # the one that lists the folder
        return ""


async def test_each_bridge_has_a_client_of_its_own(mongo_uri: str, mongo_database: str) -> None:
    async with mongo_store(mongo_uri, mongo_database) as outer:
        await outer.create(make_record(), "a", TTL_S)
        for _ in range(2):
            async with mongo_store(mongo_uri, mongo_database) as inner:
                assert await inner.load(S1) == make_record()
        assert await outer.load(S1) == make_record()
