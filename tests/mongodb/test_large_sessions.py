"""Sessions that are more than a document can hold: stored whole, read whole, and no file is left that nobody names."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio
from bson import ObjectId
from pymongo.database import Database

from evaa.storage.mongodb import overflow
from evaa.storage.mongodb.store import MongoStore
from protocols.ports import LeaseLost, RecordTooLarge, StoreError
from protocols.records import SessionRecord
from tests.contracts.examples import S1, TTL_S, make_record, started, stored, taken, with_words
from tests.mongodb.faults import DropReply, DropRequest, HoldRequest, LateRequest
from tests.mongodb.server import client, own_server
from tests.mongodb.stores import NO_RETRIES, World, document_of, faulty_world, mongo_store

By = Database[dict[str, Any]]
MIB = 2**20
BOUND = 4_000
"""Above it a session is large, in the tests that would else be slow."""


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "MAX_DOCUMENT_BYTES", BOUND)


def large(record: SessionRecord, mark: str = "x") -> SessionRecord:
    return with_words(record, mark * BOUND)


def files(database: By) -> int:
    """How many files there are, with all of their chunks and no others."""
    ids = {file["_id"] for file in database["memories.files"].find()}
    assert set(database["memories.chunks"].distinct("files_id")) == ids
    return len(ids)


# --- sizes --------------------------------------------------------------------------------------------------------


def of_size(size: int) -> SessionRecord:
    """A session of so many bytes, mostly emoji, in messages and turns; one more than 15 MiB is large."""
    record = with_words(make_record(messages=("",)), "🎙" * (size // 8))
    return msgspec.structs.replace(record, messages=("🎙" * (size // 8 - 300), "y" * 1_000))


# SecantusDB, with the little memory that it is given here, takes no more than this before it has to rest.
@pytest.mark.parametrize(
    ("size", "saves", "is_large"),
    [(15 * MIB - 10_000, 2, False), (15 * MIB + 10_000, 1, True), (16 * MIB, 2, True), (40 * MIB, 1, True)],
)
async def test_any_size_is_stored(size: int, saves: int, *, is_large: bool) -> None:
    with own_server() as server, client(server.uri, timeout_s=10) as mongo:
        async with mongo_store(server.uri, "large") as store:
            record, lease = await started(store)
            for _ in range(saves):
                record = await store.save(msgspec.structs.replace(of_size(size), version=record.version), lease)
                assert await store.load(S1) == record
                assert files(mongo.large) == is_large
            assert (document_of(mongo.large)["overflowId"] is not None) is is_large


async def test_a_session_may_begin_large(store: MongoStore, database: By, bound: None) -> None:
    await store.create(large(make_record()), "a", TTL_S)
    assert await store.load(S1) == large(make_record())
    assert files(database) == 1


async def test_it_grows_and_shrinks(store: MongoStore, database: By, bound: None) -> None:
    record, lease = await started(store)
    for mark, number in (("x", 1), ("y", 1), ("", 0), ("", 0), ("z", 1)):
        record = await store.save(large(record, mark), lease)
        assert await store.load(S1) == record
        assert files(database) == number
        document = document_of(database)
        assert (document["turns"] == [], document["overflowId"] is not None) == (bool(number), bool(number))


async def test_many_small_parts_are_large_too(store: MongoStore, bound: None) -> None:
    record, lease = await started(store)
    saved = await store.save(msgspec.structs.replace(record, messages=("",) * BOUND), lease)
    assert await store.load(S1) == saved


async def test_beyond_the_stores_bound_it_is_refused(
    store: MongoStore, database: By, bound: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overflow, "MAX_SESSION_BYTES", 2 * BOUND)
    record, lease = await started(store)
    saved = await store.save(large(record), lease)
    with pytest.raises(RecordTooLarge):
        await store.save(large(saved, "xyz"), lease)
    assert await store.load(S1) == saved
    assert files(database) == 1


async def test_what_is_never_put_into_a_file_is_refused(store: MongoStore) -> None:
    record, lease = await started(store)
    interview = msgspec.structs.replace(record.interview, facts={"a": {"name": "x" * 17 * MIB}})
    with pytest.raises(RecordTooLarge):
        await store.save(msgspec.structs.replace(record, interview=interview), lease)
    assert await store.load(S1) == record


# --- what may go wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["find", "aggregate"])
@pytest.mark.parametrize("passed", [0, 1])
async def test_it_is_loaded_while_another_save_replaces_its_file(
    mongo_uri: str, mongo_database: str, bound: None, command: str, passed: int
) -> None:
    """Held back is the first or the second look: at the document, at the file, at its chunks."""
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        old = await world.healthy.save(large(world.record, "o"), world.lease)
        passing = [world.proxy.add(HoldRequest(command)) for _ in range(passed)]
        for it in passing:
            it.release()
        held = world.proxy.add(HoldRequest(command))
        loaded: list[SessionRecord] = []

        async def load() -> None:
            loaded.append(await stored(world.store))
            held.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(load)
            if not (command == "aggregate" and passed):  # there is no second one
                await held.struck()
            new = await world.healthy.save(large(old, "n"), world.lease)
            held.release()
        assert loaded == [new] or (command == "aggregate" and passed and loaded[0] in (old, new))


async def test_a_file_that_cannot_be_deleted_goes_the_next_time(
    mongo_uri: str, mongo_database: str, database: By, bound: None
) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000, **NO_RETRIES) as world:
        record = await world.store.save(large(world.record, "1"), world.lease)
        fault = world.proxy.add(DropRequest("delete", times=None))
        for mark in "23":
            record = await world.store.save(large(record, mark), world.lease)
        assert fault.strikes
        assert files(database) == 3
        world.proxy.remove(fault)
        record = await world.store.save(large(record, "4"), world.lease)
        assert files(database) == 1
        assert await world.store.load(S1) == record


async def _late(world: World) -> None:
    late = world.proxy.add(LateRequest("update"))
    assert not await world.save("late")
    await world.land(late)


async def _never_there(world: World) -> None:
    world.proxy.add(DropRequest("update"))
    assert not await world.save("lost")


async def _not_told(world: World) -> None:
    blind = world.proxy.add(DropRequest("find", times=None))
    world.proxy.add(DropReply("update"))
    assert not await world.save("unknown")
    world.proxy.remove(blind)


@pytest.mark.parametrize("trouble", [_late, _never_there, _not_told])
async def test_files_of_failed_saves_go(
    mongo_uri: str, mongo_database: str, database: By, bound: None, trouble: Callable[[World], Awaitable[None]]
) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000, **NO_RETRIES) as world:
        world.record = large(world.record)
        for mark in ("1", "2"):
            await world.save_in_the_end(mark)
        await trouble(world)
        for mark in ("3", "4"):
            await world.save_in_the_end(mark)
        assert await world.healthy.load(S1) == world.record
        assert files(database) == 1


async def test_a_stale_owners_file_goes_and_its_owner_deletes_none(
    store: MongoStore, database: By, bound: None
) -> None:
    record, stale = await started(store)
    lease = await taken(store, "b")
    new = await store.save(large(record, "n"), lease)
    with pytest.raises(LeaseLost):
        await store.save(large(record, "s"), stale)
    assert await store.load(S1) == new
    assert files(database) == 2
    assert await store.save(new, lease) == await store.load(S1)
    assert files(database) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda database: database["memories.files"].delete_many({}),
        lambda database: database["memories.chunks"].delete_many({}),
        lambda database: database["memories.chunks"].update_many({}, {"$set": {"data": b"secret"}}),
        lambda database: database.memories.update_many({}, {"$set": {"overflowId": ObjectId()}}),
    ],
    ids=["no file", "no chunks", "other data", "another file"],
)
async def test_a_damaged_file_is_told_of(
    store: MongoStore, database: By, bound: None, damage: Callable[[By], object]
) -> None:
    record, lease = await started(store)
    saved = await store.save(large(record), lease)
    damage(database)
    with pytest.raises(StoreError) as refusal:
        await store.load(S1)
    assert type(refusal.value) is StoreError
    assert "secret" not in str(refusal.value)
    again = await store.save(saved, lease)
    assert await store.load(S1) == again


@pytest.mark.parametrize("data", [b"{}", b"secret", b'{"messages":[5],"turns":[]}', b'{"turns":[{}],"messages":[]}'])
async def test_a_file_of_something_else_is_told_of(store: MongoStore, database: By, bound: None, data: bytes) -> None:
    record, lease = await started(store)
    await store.save(large(record), lease)
    database["memories.chunks"].update_many({}, {"$set": {"data": data}})
    database["memories.files"].update_many({}, {"$set": {"length": len(data)}})
    with pytest.raises(StoreError, match="cannot be read"):
        await store.load(S1)
