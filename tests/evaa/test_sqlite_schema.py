"""A file is made by one of those who open it, and one that an older EVAA wrote is brought up to date where it lies."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from evaa.storage.sqlite import SqliteStore, open_sqlite_store
from protocols.ports import StoreError
from protocols.records import Lease
from tests.contracts.examples import S1, make_record, make_stage, some_documents, started

SCHEMA_1 = """
    CREATE TABLE memories (
        session_id TEXT PRIMARY KEY, messages TEXT NOT NULL, current_stage_id TEXT, status TEXT NOT NULL,
        interview TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL,
        lease_owner TEXT, lease_token INTEGER NOT NULL, lease_until INTEGER NOT NULL);
    CREATE TABLE stages (
        stage_id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, goal TEXT NOT NULL,
        stage_order INTEGER NOT NULL, document TEXT NOT NULL);
    PRAGMA user_version = 1;
"""


def write_schema_1(path: Path) -> None:
    record, stage = make_record(messages=('"m"',)), make_stage()
    row = (S1, '["m"]', None, "interviewing", msgspec.json.encode(record.interview).decode())
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript(SCHEMA_1)
        file.execute("INSERT INTO memories VALUES (?, ?, ?, ?, ?, 1700000000000, 1, 7, 'old', 3, 0)", row)
        kept = (stage.stage_id, "", "", "", 1, msgspec.json.encode(stage).decode())
        file.execute("INSERT INTO stages VALUES (?, ?, ?, ?, ?, ?)", kept)


async def test_sessions_and_stages_of_schema_1_are_there_and_can_have_documents(tmp_path: Path) -> None:
    path = tmp_path / "evaa.sqlite3"
    write_schema_1(path)
    for _ in range(2):  # the second time there is nothing to do
        store = await open_sqlite_store(path)
        record = await store.load(S1)
        assert record is not None
        assert (record.messages, record.documents, record.status) == (('"m"',), None, "interviewing")
        assert await store.stages() == (make_stage(),)
        await store.close()
    assert record is not None
    store = await open_sqlite_store(path)
    saved = await store.save(msgspec.structs.replace(record, documents=some_documents()), Lease(S1, "old", 3))
    assert await store.load(S1) == saved
    await store.close()


async def test_several_processes_may_bring_it_up_to_date_at_once(tmp_path: Path) -> None:
    path = tmp_path / "evaa.sqlite3"
    write_schema_1(path)
    first, second = await open_sqlite_store(path), await open_sqlite_store(path)
    assert await first.load(S1) == await second.load(S1)
    await first.close()
    await second.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaa.sqlite3"
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 3")
    with pytest.raises(StoreError, match="a newer EVAA wrote it"):
        await open_sqlite_store(path)


async def test_who_opens_a_new_file_waits_for_another_that_is_at_it(tmp_path: Path, nursery: trio.Nursery) -> None:
    path, opened = tmp_path / "evaa.sqlite3", list[SqliteStore]()

    async def open_it() -> None:
        opened.append(await open_sqlite_store(path, busy_timeout_s=30))

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE unrelated (it)")  # without a write-ahead log yet
        other.execute("BEGIN IMMEDIATE")
        nursery.start_soon(open_it)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert opened == []
        other.execute("COMMIT")
    with trio.fail_after(30):
        while not opened:
            await trio.testing.wait_all_tasks_blocked(0.01)
    await started(opened[0])
    await opened[0].close()
