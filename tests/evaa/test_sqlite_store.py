"""What is SQLite's own: the file, its neighbours, group commit, and a disk that fails."""

import os
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import msgspec
import pytest
import trio
import trio.testing

from evaa.storage import writer
from evaa.storage.sqlite import SqliteStore, open_sqlite_store
from protocols.ports import LeaseHeld, LeaseLost, RecordTooLarge, StoreError, StoreUnavailable, VersionConflict
from protocols.records import Lease, SessionRecord
from tests.contracts import examples
from tests.contracts.examples import S1, TTL_S, at_once, changed, make_record, make_stage, started, stored, taken

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaa.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_sqlite_store(path, busy_timeout_s=30)  # longer than any test holds a lock
    yield opened
    await opened.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process is in the middle of a write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def begun(store: SqliteStore, count: int) -> list[tuple[SessionRecord, Lease]]:
    return [await started(store, f"s{n}") for n in range(count)]


async def versions(store: SqliteStore, count: int) -> list[int]:
    return [(await stored(store, f"s{n}")).version for n in range(count)]


async def together(path: Path, calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T | StoreError]:
    """Make the calls while another process is writing, so that they all wait; return their results."""
    results: list[T | StoreError] = []

    async def make() -> None:
        results.extend(await at_once(calls))

    async with trio.open_nursery() as nursery:
        with locked(path):
            nursery.start_soon(make)
            await trio.testing.wait_all_tasks_blocked()
            assert results == []
    return results


class Faulty(sqlite3.Connection):
    """A connection whose statements can be made to fail. `made` are all there are, the newest last."""

    made: list["Faulty"] = []
    refused: str | None = None
    error: Exception = sqlite3.OperationalError("disk I/O error: secret words")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if Faulty.refused is not None and sql.startswith(Faulty.refused):
            raise Faulty.error
        return super().execute(sql, *args)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    monkeypatch.setattr(Faulty, "made", [])
    monkeypatch.setattr(Faulty, "refused", None)
    monkeypatch.setattr(Faulty, "error", Faulty.error)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Faulty))
    return Faulty


# --- the file -----------------------------------------------------------------------------------------------------


async def test_reopening_finds_everything(path: Path) -> None:
    store = await open_sqlite_store(path)
    record, lease = await started(store)
    saved = await store.save(changed(record, "kept"), lease)
    await store.replace_stages([make_stage()])
    await store.close()

    again = await open_sqlite_store(path)
    assert await again.load(S1) == saved
    assert await again.stages() == (make_stage(),)
    with pytest.raises(LeaseHeld):
        await again.acquire(S1, "b", TTL_S, take_over=False)
    assert (await again.save(changed(saved, "more"), lease)).version == 2
    await again.close()


async def test_the_tables_can_be_read_with_any_tool(store: SqliteStore, path: Path) -> None:
    record, lease = await started(store)
    stage_id = examples.object_id("trigger")
    await store.save(msgspec.structs.replace(record, messages=('{"kind":"request"}', '{"kind":"response"}')), lease)
    query = """SELECT json_array_length(messages), json_extract(messages, '$[1].kind'), current_stage_id, status,
        json_extract(interview, '$.stages[0].stageId'), created_at, version, lease_owner FROM memories"""
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(query).fetchall() == [
            (2, "response", stage_id, "interviewing", stage_id, record.created_at_ms, 1, "a")
        ]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    await trio.Path(path).write_bytes(b"dear diary\n" * 500)
    with pytest.raises(StoreError, match="not a database") as caught:
        await open_sqlite_store(path)
    assert str(path) in str(caught.value)
    assert not isinstance(caught.value, StoreUnavailable)
    assert await trio.Path(path).read_bytes() == b"dear diary\n" * 500


async def test_a_newer_schema_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="a newer EVAA"):
        await open_sqlite_store(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)


async def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="directory does not exist"):
        await open_sqlite_store(tmp_path / "no" / "evaa.sqlite3")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await open_sqlite_store(tmp_path)


async def test_no_write_ahead_log_no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="write-ahead log"):
        await open_sqlite_store(":memory:")


async def test_many_may_make_the_file_at_once(path: Path) -> None:
    opened = await at_once([partial(open_sqlite_store, path, busy_timeout_s=30)] * 8)
    stores = [store for store in opened if isinstance(store, SqliteStore)]
    assert len(stores) == 8
    await at_once(partial(started, store, f"s{n}") for n, store in enumerate(stores))
    for n in range(8):
        assert await stores[0].load(f"s{n}") is not None
    await at_once(store.close for store in stores)


async def test_a_row_that_cannot_be_read_is_an_error_without_its_text(store: SqliteStore, path: Path) -> None:
    await started(store)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("""UPDATE memories SET interview = '{"secret words": '""")
    with pytest.raises(StoreError) as caught:
        await store.load(S1)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


# --- two stores on one file ---------------------------------------------------------------------------------------


async def test_leases_hold_between_two_stores(store: SqliteStore, path: Path) -> None:
    other = await open_sqlite_store(path)
    record, old = await started(store)
    with pytest.raises(LeaseHeld):
        await other.acquire(S1, "b", TTL_S, take_over=False)
    new = await taken(other, "b")
    saved = await other.save(changed(record, "new"), new)
    with pytest.raises(LeaseLost):
        await store.save(changed(record, "old"), old)
    with pytest.raises(LeaseLost):
        await store.renew(old, TTL_S)
    assert await store.load(S1) == saved
    await other.close()


# --- group commit -------------------------------------------------------------------------------------------------


async def test_saves_that_wait_share_a_commit(store: SqliteStore, path: Path) -> None:
    sessions = await begun(store, 100)
    before = store.commits
    results = await together(path, [partial(store.save, changed(it, "saved"), lease) for it, lease in sessions])
    assert {type(result) for result in results} == {SessionRecord}
    # What the thread had taken when it met the lock, and all the rest.
    assert store.commits - before <= 2


async def test_a_refused_save_undoes_none_of_its_batch(store: SqliteStore, path: Path) -> None:
    sessions = await begun(store, 30)
    bases = [msgspec.structs.replace(changed(it, "saved"), version=n % 2) for n, (it, _) in enumerate(sessions)]
    before = store.commits
    results = await together(path, [partial(store.save, bases[n], lease) for n, (_, lease) in enumerate(sessions)])
    assert store.commits - before <= 2
    assert [type(result) for result in results] == [SessionRecord, VersionConflict] * 15
    assert await versions(store, 30) == [1, 0] * 15


async def test_reading_waits_for_no_writer(store: SqliteStore, path: Path) -> None:
    record, lease = await started(store)
    async with trio.open_nursery() as nursery:
        with locked(path):
            nursery.start_soon(store.save, changed(record, "saved"), lease)
            await trio.testing.wait_all_tasks_blocked()
            assert await store.load(S1) == record


async def test_more_writers_than_there_is_room_for(store: SqliteStore, path: Path) -> None:
    records = [make_record(f"s{n}") for n in range(writer.MAX_WAITING + 50)]
    results = await together(path, [partial(store.create, record, "a", TTL_S) for record in records])
    assert [type(result) for result in results] == [Lease] * len(records)


async def test_a_cancelled_caller_that_was_not_accepted_has_written_nothing(store: SqliteStore, path: Path) -> None:
    record, lease = await started(store)
    async with trio.open_nursery() as nursery:
        with locked(path):
            for n in range(writer.MAX_WAITING):
                nursery.start_soon(store.create, make_record(f"other-{n}"), "a", TTL_S)
            await trio.testing.wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                scope.cancel()
                await store.save(changed(record, "never"), lease)
            assert scope.cancelled_caught
    assert await store.load(S1) == record


async def test_an_accepted_save_outlives_its_cancellation(store: SqliteStore, path: Path) -> None:
    record, lease = await started(store)
    results: list[SessionRecord] = []

    async def save(scope: trio.CancelScope) -> None:
        with scope:
            results.append(await store.save(changed(record, "saved"), lease))

    async with trio.open_nursery() as nursery:
        with locked(path):
            nursery.start_soon(save, scope := trio.CancelScope())
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert results == []
    assert results == [await stored(store)]
    assert results[0].version == 1


# --- failures -----------------------------------------------------------------------------------------------------


async def test_a_lock_that_lasts_is_unavailability(path: Path) -> None:
    store = await open_sqlite_store(path, busy_timeout_s=0)
    record, lease = await started(store)
    with locked(path), pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        await store.save(changed(record, "lost"), lease)
    assert await store.load(S1) == record
    assert (await store.save(changed(record, "saved"), lease)).version == 1
    await store.close()


@pytest.mark.parametrize("statement", ["BEGIN", "SAVEPOINT", "UPDATE", "ROLLBACK TO", "RELEASE", "COMMIT"])
async def test_a_failing_statement_fails_its_waiters_and_quotes_nothing(
    faulty: type[Faulty], store: SqliteStore, statement: str
) -> None:
    version = 5 if statement == "ROLLBACK TO" else 0  # which follows a refusal
    sessions = [(msgspec.structs.replace(it, version=version), lease) for it, lease in await begun(store, 10)]
    saves = [partial(store.save, changed(it, "saved"), lease) for it, lease in sessions]
    faulty.refused = statement
    for result in await at_once(saves):
        assert isinstance(result, StoreUnavailable)
        assert str(result) == "SQLite: OperationalError"
        assert result.__cause__ is None
    assert await versions(store, 10) == [0] * 10
    faulty.refused = None
    assert {type(it) for it in await at_once(saves)} == {VersionConflict if version else SessionRecord}


async def test_a_bug_in_an_operation_reaches_its_caller_alone(
    faulty: type[Faulty], store: SqliteStore, path: Path
) -> None:
    record, lease = await started(store)

    async def save() -> None:
        with pytest.raises(ZeroDivisionError):
            await store.save(record, lease)

    faulty.refused, faulty.error = "UPDATE", ZeroDivisionError("a bug")
    creations = [partial(store.create, make_record(f"other-{n}"), "a", TTL_S) for n in range(6)]
    calls: list[Callable[[], Awaitable[object]]] = [*creations, save]
    results = await together(path, calls)
    assert [type(result) for result in results] == [Lease] * 6 + [NoneType]


async def test_a_bug_in_a_transaction_ends_no_thread(faulty: type[Faulty], store: SqliteStore) -> None:
    record, lease = await started(store)
    faulty.refused, faulty.error = "COMMIT", ZeroDivisionError("a bug")
    with pytest.raises(StoreUnavailable) as caught:
        await store.save(record, lease)
    assert caught.value.__cause__ is faulty.error
    faulty.refused = None
    assert (await store.save(record, lease)).version == 1


async def test_a_full_disk_fails_the_save_that_needs_the_room(faulty: type[Faulty], store: SqliteStore) -> None:
    record, lease = await started(store)
    writing = faulty.made[0]
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count = {pages + 1}")
    large = msgspec.structs.replace(record, messages=(f'"{"x" * 100_000}"',))
    with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
        await store.save(large, lease)
    assert await store.load(S1) == record
    saved = await store.save(changed(record, "small"), lease)
    writing.execute("PRAGMA max_page_count = 1000000")
    assert (await store.save(msgspec.structs.replace(large, version=saved.version), lease)).version == 2


async def test_a_record_beyond_the_limit_is_too_large(faulty: type[Faulty], store: SqliteStore) -> None:
    record, lease = await started(store)
    faulty.made[0].setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    with pytest.raises(RecordTooLarge):
        await store.save(msgspec.structs.replace(record, messages=(f'"{"x" * 20_000}"',)), lease)
    assert (await store.save(changed(record, "small"), lease)).version == 1


# --- the end ------------------------------------------------------------------------------------------------------


async def test_close_finishes_what_was_accepted(store: SqliteStore, path: Path) -> None:
    sessions = await begun(store, 20)
    async with trio.open_nursery() as nursery:
        with locked(path):
            for record, lease in sessions:
                nursery.start_soon(store.save, changed(record, "saved"), lease)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(store.close)
            await trio.testing.wait_all_tasks_blocked()
    again = await open_sqlite_store(path)
    assert await versions(again, 20) == [1] * 20
    await again.close()


async def test_close_leaves_neither_thread_nor_file_behind(path: Path) -> None:
    def left() -> set[str]:
        links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        files = {os.readlink(link) for link in links if link.is_symlink()}
        threads = {thread.name for thread in threading.enumerate()}
        return {name for name in files | threads if name.startswith((str(path), "sqlite-writer"))}

    store = await open_sqlite_store(path)
    await started(store)
    assert len(left()) > 1
    await store.close()
    assert left() == set()


def test_the_thread_ends_when_its_run_was_interrupted(path: Path) -> None:
    before, interrupted = set(threading.enumerate()), threading.Event()

    def interrupt(connection: sqlite3.Connection) -> None:
        signal.raise_signal(signal.SIGINT)
        interrupted.wait()

    async def main() -> None:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        await writer.Writer(lambda: connection, connection).run(interrupt)

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    interrupted.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "sqlite-writer":
            thread.join(timeout=30)
            assert not thread.is_alive()
