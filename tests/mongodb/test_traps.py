"""What goes wrong with other ways of using the same driver: cancellation, values that BSON knows not, two processes."""

import time
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from bson import ObjectId
from pymongo.database import Database

from evaa.storage.mongodb import store as store_module
from evaa.storage.mongodb.store import MongoStore
from evaa.storage.storable import storable
from protocols.ports import LeaseLost, StoreError
from protocols.records import Interview, Lease, SessionRecord, TurnRecord
from tests.contracts.examples import (
    S1,
    TTL_S,
    at_once,
    changed,
    make_record,
    make_stage,
    object_id,
    started,
    stored,
    taken,
)
from tests.mongodb.faults import Hold, HoldReply, HoldRequest
from tests.mongodb.stores import World, document_of, faulty_world, mongo_store

LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""

# --- cancellation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [HoldRequest, HoldReply])
async def test_a_cancelled_save_returns_when_it_is_known(mongo_uri: str, mongo_database: str, kind: type[Hold]) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world, trio.open_nursery() as nursery:
        held = world.proxy.add(kind("update"))
        returned = trio.Event()

        async def save() -> None:
            try:
                await world.save("first")
            finally:
                returned.set()

        nursery.start_soon(save)
        await held.struck()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert not returned.is_set()
            held.release()
            await returned.wait()
            assert await world.mark() == ("first", 1)


async def test_of_many_cancelled_saves_those_that_wait_never_start(
    mongo_uri: str, mongo_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_CALLS", 5)
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        sessions = [await started(world.healthy, object_id(f"s{n}")) for n in range(2, 22)]
        held = world.proxy.add(HoldRequest("update", times=None))
        returned = []

        async def save(record: SessionRecord, lease: Lease) -> None:
            try:
                await world.store.save(changed(record, "saved"), lease)
            finally:
                returned.append(record.session_id)

        async with trio.open_nursery() as nursery:
            for record, lease in sessions:
                nursery.start_soon(save, record, lease)
            await held.struck(5)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert len(returned) == 15
                held.release()
        assert world.proxy.commands.count("update") == 5
        assert len(returned) == 20
        versions = [(await stored(world.healthy, session_id)).version for session_id in returned]
        assert versions == [0] * 15 + [1] * 5


async def test_a_cancelled_old_save_never_overwrites_a_newer_one(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        held = world.proxy.add(HoldRequest("update"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_is_refused, world)
            await held.struck()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await world.healthy.save(changed(world.record, "new"), await taken(world.healthy, "b"))
                held.release()
        assert await world.mark() == ("new", 1)


async def _is_refused(world: World) -> None:
    with pytest.raises(LeaseLost):
        await world.save("old")


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ms", [0, 1, 999, 1_000, 1_700_000_000_123, 2**41 + 1, LAST_MS])
async def test_times_come_back_to_the_millisecond(
    store: MongoStore, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, ms: int
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        record = msgspec.structs.replace(make_record(), created_at_ms=ms, updated_at_ms=ms)
        lease = await store.create(record, "a", TTL_S)
        assert await store.load(S1) == record
        assert await store.save(record, lease) == await store.load(S1)
    finally:
        monkeypatch.undo()
        time.tzset()
    [found] = database.memories.aggregate([{"$project": {"ms": {"$toLong": "$createdAt"}}}])
    assert found["ms"] == ms


@pytest.mark.parametrize("ms", [LAST_MS + 1, 2**63, -(2**63), 10**30])
async def test_a_time_that_is_none_is_refused(store: MongoStore, ms: int) -> None:
    record, lease = await started(store)
    with pytest.raises(StoreError) as refusal:
        await store.save(msgspec.structs.replace(record, updated_at_ms=ms), lease)
    assert type(refusal.value) is StoreError
    assert str(ms) not in str(refusal.value)
    assert await store.load(S1) == record


async def test_a_number_beyond_64_bits_is_refused(store: MongoStore) -> None:
    record, lease = await started(store)
    with pytest.raises(StoreError, match="OverflowError"):
        await store.save(_with_text(record, "said", said_at_ms=2**63), lease)
    assert await store.load(S1) == record


def _with_text(record: SessionRecord, text: str, said_at_ms: int = 2**41) -> SessionRecord:
    """The same text wherever a user, a model or an editor of stages can put one."""
    stage = msgspec.structs.replace(
        make_stage(), name=text, description=text, goal=text, opening=text, follow_ups=(text,), keyterms=(text, "")
    )
    turn = TurnRecord(1, stage.stage_id, "text", text, said_at_ms, client_id=text, reply=text, outcome="answered")
    interview = Interview((stage,), turns=(turn,), facts={text: {text: text, "": text}, stage.stage_id: {text: ""}})
    message = f'{{"{text}":"{text}","$set":{{"a.b":{2**70}}}}}'
    return msgspec.structs.replace(record, interview=interview, messages=(message, text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$",
        "$set",
        ".",
        "a.b",
        "$a.$[]",
        "_id",
        "\0",
        "a\0b",
        "\ud800",
        "x\udfff\ud83d",
        "\ud83d\ude00",
        "🎙",
        "\uffff",
    ],
    ids=ascii,
)
async def test_no_text_loses_a_turn(store: MongoStore, text: str) -> None:
    record, lease = await started(store)
    saved = await store.save(_with_text(record, text), lease)
    assert saved == msgspec.structs.replace(storable(_with_text(record, text)), version=1)
    assert await store.load(S1) == saved


@pytest.mark.parametrize(
    "session_id",
    ["", "x" * 24, "1 " * 12, "AB" * 12, "\ud800" * 24, "\N{FULLWIDTH DIGIT ONE}" * 24, "0" * 23, "0" * 25],
)
async def test_what_is_no_id_is_refused(store: MongoStore, session_id: str) -> None:
    lease = Lease(session_id, "a", 1)
    for call in (
        partial(store.load, session_id),
        partial(store.acquire, session_id, "a", TTL_S),
        partial(store.create, make_record(session_id), "a", TTL_S),
        partial(store.save, make_record(session_id), lease),
        partial(store.renew, lease, TTL_S),
        partial(store.release, lease),
        partial(store.overtaken, [lease]),
    ):
        with pytest.raises(StoreError, match="24 hexadecimal"):
            await call()


# --- two processes --------------------------------------------------------------------------------------------------


async def test_of_two_stores_the_newest_owner_saves(mongo_uri: str, mongo_database: str) -> None:
    async with mongo_store(mongo_uri, mongo_database) as one, mongo_store(mongo_uri, mongo_database) as other:
        record, lease = await started(one)
        newer = await taken(other, "b")
        with pytest.raises(LeaseLost):
            await one.save(changed(record, "stale"), lease)
        saved = await other.save(changed(record, "new"), newer)
        assert await one.load(S1) == await other.load(S1) == saved
        assert await one.overtaken([lease]) == {S1}


async def test_two_stores_seed_once(mongo_uri: str, mongo_database: str) -> None:
    seeds = [(make_stage("a", 1), make_stage("b", 2)), (make_stage("b", 1), make_stage("c", 2))]
    async with mongo_store(mongo_uri, mongo_database) as one, mongo_store(mongo_uri, mongo_database) as other:
        results = await at_once([partial(one.prepare, seeds[0]), partial(other.prepare, seeds[1])])
        assert None in results
        found = await one.stages()
        assert found in seeds
        await at_once([partial(one.prepare, seeds[0]), partial(other.prepare, seeds[1])])
        assert await other.stages() == found


async def test_a_thousand_leases_are_asked_about_at_once(store: MongoStore, database: Database[dict[str, Any]]) -> None:
    leases = [Lease(f"{number:024x}", "a", 1) for number in range(1_000)]
    database.memories.insert_many({"_id": ObjectId(it.session_id), "leaseToken": 1} for it in leases[:990])
    database.memories.update_many({"_id": {"$lt": ObjectId(leases[10].session_id)}}, {"$inc": {"leaseToken": 1}})
    assert await store.overtaken(leases) == {lease.session_id for lease in leases[:10] + leases[990:]}


async def test_who_is_overtaken_while_creating_learns_it_as_ever(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        held = world.proxy.add(HoldRequest("update"))
        other = make_record(object_id("s2"))

        async with trio.open_nursery() as nursery:

            async def create() -> None:
                lease = await world.store.create(other, "a", TTL_S)
                with pytest.raises(LeaseLost):
                    await world.store.save(other, lease)

            nursery.start_soon(create)
            await held.struck()
            await taken(world.healthy, "b", other.session_id)
            held.release()


async def test_a_session_that_is_deleted_while_it_saves_is_gone(
    mongo_uri: str, mongo_database: str, database: Database[dict[str, Any]]
) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000) as world:
        held = world.proxy.add(HoldRequest("update"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_is_refused, world)
            await held.struck()
            database.memories.delete_one({"_id": document_of(database)["_id"]})
            held.release()
    assert database.memories.count_documents({}) == 0
