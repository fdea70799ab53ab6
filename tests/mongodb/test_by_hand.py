"""People edit the database: EVAA takes what it can read, refuses the rest without quoting it, keeps what is added."""

from typing import Any

import msgspec
import pytest
from bson import Int64, ObjectId
from pymongo.database import Database

from evaa.storage.mongodb.store import MongoStore
from protocols.ports import StoreError
from protocols.records import Interview, Stage
from tests.contracts.examples import S1, TTL_S, changed, make_record, make_stage, started, stored, taken, with_words
from tests.mongodb.stores import document_of, edit

SECRET = "a secret"
By = Database[dict[str, Any]]

# --- sessions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        *({"$unset": {name: 1}} for name in ("createdAt", "updatedAt", "turns", "messages", "stages", "version")),
        *({"$set": {name: SECRET}} for name in ("createdAt", "messages", "turns", "stages", "facts", "stageIndex")),
        {"$set": {"createdAt": None}},
        {"$set": {"messages": [1, SECRET]}},
        {"$set": {"messages": [{"text": SECRET}]}},
        {"$set": {"turns": [{"turn": SECRET}]}},
        {"$set": {"turns.0.saidAtMs": 1.5}},
        {"$set": {"turns.0.outcome": SECRET}},
        {"$set": {"stages": [{"name": SECRET}]}},
        {"$set": {"facts": {"trigger": {SECRET: SECRET}}}},
        {"$set": {"facts": [{"stageId": "a", "facts": [SECRET]}]}},
        {"$set": {"version": SECRET}},
        {"$set": {"version": 0.5}},
        {"$set": {"overflowId": SECRET}},
        {"$set": {"overflowId": ObjectId()}},
    ],
    ids=str,
)
async def test_a_session_that_cannot_be_read_is_not_quoted(
    store: MongoStore, database: By, change: dict[str, Any]
) -> None:
    record = with_words(make_record(), "said")
    lease = await store.create(record, "a", TTL_S)
    edit(database, change)
    with pytest.raises(StoreError) as refusal:
        await store.load(S1)
    assert type(refusal.value) is StoreError
    assert (refusal.value.__cause__, refusal.value.__suppress_context__) in ((None, True), (None, False))
    assert SECRET not in str(refusal.value)
    if "version" not in str(change):  # its owner still knows it
        saved = await store.save(record, lease)
        assert await store.load(S1) == saved


async def test_numbers_may_be_doubles(store: MongoStore, database: By) -> None:
    record, lease = await started(store)
    saved = await store.save(with_words(record, "said"), lease)
    document = document_of(database)
    doubles = {name: float(document[name]) for name in ("version", "stageIndex", "followUpsUsed", "leaseToken")}
    edit(database, {"$set": {**doubles, "stages.1.order": 2.0, "turns.0.turn": 1.0, "turns.0.saidAtMs": 5.0}})
    found = await stored(store)
    assert found == saved
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == saved
    assert await store.overtaken([lease]) == frozenset()
    assert (await taken(store, "b")).token == 2
    assert await store.save(found, await taken(store, "b")) == await store.load(S1)


async def test_fields_that_people_add_stay(store: MongoStore, database: By) -> None:
    record, lease = await started(store)
    edit(database, {"$set": {"note": {"by": ["hand", 1]}, "a b": None}})
    await store.save(changed(record, "new"), lease)
    await store.release(await taken(store, "b"))
    document = document_of(database)
    assert (document["note"], document["a b"], document["messages"]) == ({"by": ["hand", 1]}, None, ['"new"'])
    assert (await stored(store)).messages == ('"new"',)


async def test_a_session_without_a_lease_can_be_taken(store: MongoStore, database: By) -> None:
    record, _ = await started(store)
    edit(database, {"$unset": {"leaseOwner": 1, "leaseUntil": 1, "leaseToken": 1, "writeId": 1, "writeAttempt": 1}})
    lease = await taken(store, "b", take_over=False)
    await store.save(changed(record, "new"), lease)
    assert (await stored(store)).messages == ('"new"',)


# --- stages ---------------------------------------------------------------------------------------------------------


async def test_a_stage_needs_what_the_brief_names_and_no_more(store: MongoStore, database: By) -> None:
    added = {"name": "Volume", "description": "How much", "goal": "Know the volume", "order": 2.0}
    key = database.stages.insert_one(dict(added)).inserted_id
    database.stages.insert_one({**added, "order": Int64(1), "colour": "red", "opening": "", "description": ""})
    first, second = await store.stages()
    assert second == Stage(
        str(key), "Volume", "How much", "Know the volume", 2, "Let us talk about this: Volume. How much"
    )
    assert (first.order, first.opening) == (1, "Let us talk about this: Volume.")
    assert type(first.order) is type(second.order) is int
    record = msgspec.structs.replace(make_record(), interview=Interview((first, second)))
    await store.create(record, "a", TTL_S)
    assert await store.load(S1) == record


async def test_an_edited_stage_is_not_seeded_over(store: MongoStore, database: By) -> None:
    await store.prepare([make_stage("a", 1)])
    database.stages.update_one({}, {"$set": {"name": "Edited", "order": 7.0, "mine": 1}})
    await store.prepare([make_stage("a", 1)])
    assert await store.stages() == (make_stage("a", 7, name="Edited"),)
    assert database.stages.count_documents({"mine": 1}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"name": ""},
        {"goal": ""},
        {"goal": 5},
        {"order": SECRET},
        {"order": 1.5},
        {"order": None},
        {"_id": SECRET},
        {"maxFollowUps": -1},
        {"followUps": SECRET},
        {"keyterms": [1]},
        {"opening": {"text": SECRET}},
        {"imposedAtMs": SECRET},
    ],
    ids=str,
)
async def test_a_stage_that_is_none_is_not_quoted(store: MongoStore, database: By, wrong: dict[str, Any]) -> None:
    await store.prepare([make_stage("a", 1)])
    database.stages.insert_one({"name": "b", "description": "", "goal": "c", "order": 2, **wrong})
    with pytest.raises(StoreError) as refusal:
        await store.stages()
    assert type(refusal.value) is StoreError
    assert SECRET not in str(refusal.value)
    await store.replace_stages([make_stage("a", 1)])
    assert await store.stages() == (make_stage("a", 1),)


# --- indexes --------------------------------------------------------------------------------------------------------


async def test_indexes_that_somebody_made_otherwise_are_left(store: MongoStore, database: By) -> None:
    database.memories.create_index([("leaseUntil", 1)], name="somebodys", sparse=True)
    await store.prepare([make_stage("a", 1)])
    assert await store.stages() == (make_stage("a", 1),)
    assert "somebodys" in database.memories.index_information()
