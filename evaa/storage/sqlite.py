"""The embedded session store: one SQLite file on a local disk, shared by as many processes of this host as wish.

One thread writes, with group commit: a hundred saves at the same time cost one fsync, a refused one undoes none of the
others, and nobody hears of a success that is not on the disk. Reads have a connection of their own, which in WAL mode
waits for no writer.

Ownership is fenced by the storage itself: the lease token is in the session's row and in the filter of each save. Times
in leases are SQLite's, that is, the host's clock, whichever process asks.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec
import trio

from evaa.storage.storable import mending, storable
from evaa.storage.writer import Operation, Writer, attempt
from protocols.documents import Documents
from protocols.ports import (
    LONG_EXPIRED_S,
    LeaseHeld,
    LeaseLost,
    SessionExists,
    StoreError,
    StoreUnavailable,
    VersionConflict,
)
from protocols.records import Interview, Lease, SessionRecord, Stage

T = TypeVar("T")
SWITCHES = 20
"""So many others may be at a new file at the same time."""

_SCHEMA_VERSION = 2
_DRAFTING = "CREATE INDEX drafting ON memories (updated_at) WHERE status = 'drafting'"
_SCHEMA = (
    """CREATE TABLE memories (
        session_id TEXT PRIMARY KEY, messages TEXT NOT NULL, current_stage_id TEXT, status TEXT NOT NULL,
        interview TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, version INTEGER NOT NULL,
        lease_owner TEXT, lease_token INTEGER NOT NULL, lease_until INTEGER NOT NULL, documents TEXT)""",
    """CREATE TABLE stages (
        stage_id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, goal TEXT NOT NULL,
        stage_order INTEGER NOT NULL, document TEXT NOT NULL)""",
    _DRAFTING,
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_FROM_1 = (
    _DRAFTING,
    "ALTER TABLE memories ADD COLUMN documents TEXT",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)

# unixepoch('subsec') would say it, but needs SQLite 3.42.
_NOW = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
_CREATE = f"""INSERT INTO memories (messages, current_stage_id, status, interview, created_at, updated_at, documents,
    session_id, version, lease_owner, lease_token, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 1, {_NOW} + ?)
    ON CONFLICT DO NOTHING"""
_SAVE = """UPDATE memories SET messages = ?, current_stage_id = ?, status = ?, interview = ?, created_at = ?,
    updated_at = ?, documents = ?, version = version + 1 WHERE session_id = ? AND version = ? AND lease_token = ?
    RETURNING version"""
_ACQUIRE = f"""UPDATE memories SET lease_token = lease_token + (lease_owner IS NOT :owner OR lease_until <= {_NOW}),
    lease_owner = :owner, lease_until = {_NOW} + :ttl
    WHERE session_id = :session AND (:take_over OR lease_owner IS :owner OR lease_until <= {_NOW})
    RETURNING lease_token"""
_RENEW = f"""UPDATE memories SET lease_until = {_NOW} + ? WHERE session_id = ? AND lease_token = ?
    RETURNING lease_token"""
_RELEASE = "UPDATE memories SET lease_owner = NULL, lease_until = 0 WHERE session_id = ? AND lease_token = ?"
_LEASE_TOKEN = "SELECT lease_token FROM memories WHERE session_id = ?"
_LOAD = """SELECT session_id, interview, created_at, updated_at, messages, version, documents
    FROM memories WHERE session_id = ?"""
_ADD_STAGE = "INSERT INTO stages (stage_id, name, description, goal, stage_order, document) VALUES (?, ?, ?, ?, ?, ?)"
_TOKENS = "SELECT session_id, lease_token FROM memories WHERE session_id IN (SELECT value FROM json_each(?))"
_IDS = "SELECT session_id FROM memories WHERE session_id > ? ORDER BY session_id LIMIT ?"
_UNFINISHED = f"""SELECT session_id FROM memories
    WHERE status = 'drafting' AND lease_until <= {_NOW} - {round(LONG_EXPIRED_S * 1000)}
    ORDER BY updated_at LIMIT ?"""
_COUNT = "SELECT count(*) FROM memories"
_STAGES = "SELECT document FROM stages ORDER BY stage_order, rowid"

_encoder = msgspec.json.Encoder()
_documents_decoder = msgspec.json.Decoder(Documents)
_interview_decoder = msgspec.json.Decoder(Interview)
_stage_decoder = msgspec.json.Decoder(Stage)
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


# --- the store --------------------------------------------------------------------------------------------------


async def open_sqlite_store(path: str | os.PathLike[str], *, busy_timeout_s: float = 2.0) -> "SqliteStore":
    """Open the file, or make it, and start the writer thread; `close` gives both back.

    `busy_timeout_s` bounds the wait for another process that is writing. Raises `StoreUnavailable` if the file cannot
    be opened (no such directory, no permission, locked), and `StoreError` if it is not a database, has the schema of a
    newer EVAA, or lies where write-ahead logging does not work. The messages name the path.
    """
    file = Path(path)

    def connect() -> sqlite3.Connection:
        return _connect(file, busy_timeout_s)

    def connect_twice() -> tuple[sqlite3.Connection, sqlite3.Connection]:
        writing = connect()
        try:
            return writing, connect()
        except StoreError:
            writing.close()
            raise

    writing, reading = await trio.to_thread.run_sync(connect_twice)
    return SqliteStore(Writer(connect, writing), reading)


class SqliteStore:
    """A `SessionStore` in a SQLite file, made by `open_sqlite_store`; it belongs to the trio run that opened it.

    Every method raises `StoreUnavailable` when the file cannot be written or read, and after `close`; the message names
    SQLite's error and nothing that is stored. The store then goes on: the next call tries afresh.

    Cancellation: a write can be cancelled until it is accepted, that is, while `writer.MAX_WAITING` others wait; then
    nothing was written. From there on it is waited for under a shield, which takes a commit or two (the one that is
    running, and its own), each at worst with the busy time-out.
    Lone surrogates, which UTF-8 cannot hold, are stored as U+FFFD; `save` returns what is stored.
    """

    name = "sqlite"

    def __init__(self, writer: Writer, reading: sqlite3.Connection) -> None:
        self._writer = writer
        self._reading = reading
        self._reader_free = trio.Lock()
        self._closed = False

    @property
    def commits(self) -> int:
        """Transactions committed since opening: writes per commit tell how well they group."""
        return self._writer.commits

    async def create(self, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
        """See `SessionStore.create`. The record's own version is ignored."""
        return await self._writer.run(lambda connection: _create(connection, record, owner, ttl_s))

    async def acquire(self, session_id: str, owner: str, ttl_s: float, *, take_over: bool = True) -> Lease | None:
        """See `SessionStore.acquire`. An owner whose lease has expired gets a new token, like anybody else."""
        return await self._writer.run(lambda connection: _acquire(connection, session_id, owner, ttl_s, take_over))

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        """See `SessionStore.renew`. A lease that has expired but was not taken since can be renewed."""
        await self._writer.run(lambda connection: _renew(connection, lease, ttl_s))

    async def release(self, lease: Lease) -> None:
        """See `SessionStore.release`."""
        await self._writer.run(lambda connection: _release(connection, lease))

    async def load(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore.load`. Raises `StoreError` if the row is not what this version of EVAA writes."""
        return await self._read(lambda connection: _load(connection, session_id))

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        """See `SessionStore.save`. A lease that was released but not taken since still saves."""
        return await self._writer.run(lambda connection: _save(connection, record, lease))

    async def overtaken(self, leases: Sequence[Lease]) -> frozenset[str]:
        """See `SessionStore.overtaken`."""
        return await self._read(lambda connection: _overtaken(connection, leases))

    async def session_ids(self, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
        """See `SessionStore.session_ids`."""
        rows = await self._read(lambda connection: connection.execute(_IDS, (storable(after), limit)).fetchall())
        return tuple(session_id for (session_id,) in rows)

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """See `SessionStore.unfinished`."""
        rows = await self._read(lambda connection: connection.execute(_UNFINISHED, (limit,)).fetchall())
        return tuple(session_id for (session_id,) in rows)

    async def count_sessions(self) -> int:
        """See `SessionStore.count_sessions`."""
        count: int = await self._read(lambda connection: connection.execute(_COUNT).fetchone()[0])
        return count

    async def prepare(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.prepare`."""
        first = tuple(stages)
        await self._writer.run(lambda connection: None if _stages(connection) else _replace_stages(connection, first))

    async def stages(self) -> tuple[Stage, ...]:
        """See `SessionStore.stages`."""
        return await self._read(_stages)

    async def replace_stages(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.replace_stages`."""
        replacement = tuple(stages)
        await self._writer.run(lambda connection: _replace_stages(connection, replacement))

    async def close(self) -> None:
        """Finish what was accepted, end the thread, close the file. Idempotent, not cancellable (a commit's time).

        Calls that still wait to be accepted raise `StoreUnavailable`.
        """
        self._closed = True
        with trio.CancelScope(shield=True):
            await self._writer.close()
            async with self._reader_free:
                self._reading.close()

    async def _read(self, query: Operation[T]) -> T:
        async with self._reader_free:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            result = await trio.to_thread.run_sync(attempt, query, self._reading)
        return result.unwrap()


# --- operations, on a connection ---------------------------------------------------------------------------------


def _connect(file: Path, busy_timeout_s: float) -> sqlite3.Connection:
    if not file.parent.is_dir():
        raise StoreUnavailable(f"cannot open {file}: its directory does not exist")
    try:
        # Several threads use it, one at a time. No implicit transactions.
        connection = sqlite3.connect(file, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"cannot open {file}: {error}") from error
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        _prepare(connection, file)
        undo.pop_all()
    return connection


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    try:
        _check_schema(connection, file)
        if _switched_to_log(connection) != "wal":
            raise StoreError(f"cannot use {file}: SQLite has no write-ahead log there")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: its plain fsync does not outlive a power loss
        _create_schema(connection)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"cannot open {file}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"cannot use {file}: {error}") from error


def _switched_to_log(connection: sqlite3.Connection) -> str:
    """Return the journal mode after the switch to write-ahead logging.

    Where another connection writes, or switches, too, SQLite refuses it at once, whatever its time-out. So one waits
    until one could write oneself, and switches again.
    """
    for _ in range(SWITCHES):
        try:
            return _switched(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    return _switched(connection)


def _switched(connection: sqlite3.Connection) -> str:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return str(mode)


def _check_schema(connection: sqlite3.Connection, file: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _SCHEMA_VERSION:
        raise StoreError(
            f"cannot use {file}: a newer EVAA wrote it (schema {version}, this one knows {_SCHEMA_VERSION})"
        )


def _create_schema(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another process may be doing the same
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for statement in {0: _SCHEMA, 1: _FROM_1}.get(version, ()):
        connection.execute(statement)
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
    def insert(it: SessionRecord) -> int:
        return connection.execute(_CREATE, (*_columns(it), it.session_id, owner, _ms(ttl_s))).rowcount

    if not mending(insert, record):
        raise SessionExists("there is a session of this id")
    return Lease(record.session_id, owner, 1)


def _acquire(
    connection: sqlite3.Connection, session_id: str, owner: str, ttl_s: float, take_over: bool
) -> Lease | None:
    session_id = storable(session_id)
    given = {"session": session_id, "owner": owner, "ttl": _ms(ttl_s), "take_over": take_over}
    rows = connection.execute(_ACQUIRE, given).fetchall()
    if rows:
        return Lease(session_id, owner, rows[0][0])
    if connection.execute(_LEASE_TOKEN, (session_id,)).fetchall():
        raise LeaseHeld("another owner holds the session")
    return None


def _renew(connection: sqlite3.Connection, lease: Lease, ttl_s: float) -> None:
    if not connection.execute(_RENEW, (_ms(ttl_s), storable(lease.session_id), lease.token)).fetchall():
        raise LeaseLost("the session has another owner, or is gone")


def _release(connection: sqlite3.Connection, lease: Lease) -> None:
    connection.execute(_RELEASE, (storable(lease.session_id), lease.token))


def _save(connection: sqlite3.Connection, record: SessionRecord, lease: Lease) -> SessionRecord:
    if lease.session_id != record.session_id:
        raise LeaseLost("the lease is another session's")

    def update(it: SessionRecord) -> SessionRecord | None:
        filled = (*_columns(it), it.session_id, it.version, lease.token)
        saved = connection.execute(_SAVE, filled).fetchall()
        return msgspec.structs.replace(it, version=saved[0][0]) if saved else None

    return mending(update, record) or _refuse_save(connection, record, lease)


def _refuse_save(connection: sqlite3.Connection, record: SessionRecord, lease: Lease) -> NoReturn:
    if connection.execute(_LEASE_TOKEN, (storable(record.session_id),)).fetchall() != [(lease.token,)]:
        raise LeaseLost("the session has another owner, or is gone")
    raise VersionConflict(f"the stored version is not {record.version}")


def _overtaken(connection: sqlite3.Connection, leases: Sequence[Lease]) -> frozenset[str]:
    asked = _encoder.encode([storable(lease.session_id) for lease in leases]).decode()
    tokens = dict(connection.execute(_TOKENS, (asked,)).fetchall())
    return frozenset(it.session_id for it in leases if tokens.get(storable(it.session_id)) != it.token)


def _columns(record: SessionRecord) -> tuple[str, str | None, str, str, int, int, str | None]:
    interview = record.interview
    return (
        f"[{','.join(record.messages)}]",
        interview.stage.stage_id if interview.stage else None,
        record.status,
        _encoder.encode(interview).decode(),
        record.created_at_ms,
        record.updated_at_ms,
        _encoder.encode(record.documents).decode() if record.documents is not None else None,
    )


def _load(connection: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    rows = connection.execute(_LOAD, (storable(session_id),)).fetchall()
    if not rows:
        return None
    [(stored_id, interview, created_at_ms, updated_at_ms, messages, version, written)] = rows
    with _readable():
        state, history = _interview_decoder.decode(interview), _split(messages)
        documents = None if written is None else _documents_decoder.decode(written)
    return SessionRecord(stored_id, state, created_at_ms, updated_at_ms, history, version, documents)


def _split(array: str) -> tuple[str, ...]:
    try:
        return tuple(bytes(item).decode() for item in _array_decoder.decode(array))
    except msgspec.DecodeError:
        # msgspec refuses an escaped lone surrogate, which json.dumps writes and json.loads reads.
        return tuple(json.dumps(item, separators=(",", ":")) for item in json.loads(array))


def _stages(connection: sqlite3.Connection) -> tuple[Stage, ...]:
    rows = connection.execute(_STAGES).fetchall()
    with _readable():
        return tuple(_stage_decoder.decode(document) for (document,) in rows)


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, ValueError) as error:
        # Without the decoder's own message, which may quote the document.
        raise StoreError(f"what is stored cannot be read ({type(error).__name__})") from None


def _replace_stages(connection: sqlite3.Connection, stages: tuple[Stage, ...]) -> None:
    def insert(it: Stage) -> None:
        document = _encoder.encode(it).decode()
        connection.execute(_ADD_STAGE, (it.stage_id, it.name, it.description, it.goal, it.order, document))

    connection.execute("DELETE FROM stages")
    for stage in stages:
        mending(insert, stage)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
