"""EVAA's stores, and beside each the bare driver that does the same to the same data, without EVAA's knowledge of it.

The bare ones get their documents ready-made, in two forms that they save in turns, and give back what the driver reads:
a dictionary, or a row. Their saves check the version and the lease as EVAA's do, and are as durable.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import msgspec
import trio
from bson import ObjectId
from pymongo import MongoClient

from benchmarks.histories import of_session
from benchmarks.mongodb import Database
from evaa.asyncio_bridge import open_bridge
from evaa.storage.mongodb.connecting import open_mongo_store
from evaa.storage.mongodb.documents import session_fields
from evaa.storage.mongodb.store import MAX_CALLS
from evaa.storage.sqlite import open_sqlite_store
from protocols.ports import SessionStore
from protocols.records import Lease, SessionRecord

TTL_S = 600.0

Forms = tuple[SessionRecord, SessionRecord]


class Contestant(Protocol):
    """Sessions 0, 1, ... somewhere."""

    name: str

    async def begin(self, forms: Forms, sessions: int) -> None:
        """Store so many sessions."""
        ...

    async def save(self, number: int) -> None:
        """Replace a session's document by its other form, if nobody else has."""
        ...

    async def load(self, number: int) -> None:
        """Read a session."""
        ...


class Ours:
    """One of EVAA's stores."""

    def __init__(self, name: str, store: SessionStore) -> None:
        self.name = name
        self.store = store
        self.leases: list[Lease] = []
        self._versions: list[int] = []
        self._forms: Forms

    async def begin(self, forms: Forms, sessions: int) -> None:
        self._forms = forms
        self._versions = [0] * sessions
        self.leases = [await self.store.create(of_session(forms[0], it), self.name, TTL_S) for it in range(sessions)]

    async def save(self, number: int) -> None:
        version = self._versions[number]
        record = msgspec.structs.replace(of_session(self._forms[version % 2], number), version=version)
        self._versions[number] = (await self.store.save(record, self.leases[number])).version

    async def load(self, number: int) -> None:
        assert await self.store.load(f"{number:024x}") is not None


class Bare(ABC):
    """A driver that blocks, in threads; `versions` are those that are stored."""

    name: str

    def __init__(self, threads: int) -> None:
        self.versions: list[int] = []
        self._limiter = trio.CapacityLimiter(threads)

    async def in_thread(self, function: Callable[[int], None], number: int) -> None:
        await trio.to_thread.run_sync(function, number, limiter=self._limiter)

    async def save(self, number: int) -> None:
        await self.in_thread(self.save_blocking, number)
        self.versions[number] += 1

    async def load(self, number: int) -> None:
        await self.in_thread(self.load_blocking, number)

    @abstractmethod
    def save_blocking(self, number: int) -> None: ...

    @abstractmethod
    def load_blocking(self, number: int) -> None: ...


class BareSqlite(Bare):
    """sqlite3: one connection, used by one thread at a time; WAL, an fsync with each save."""

    name = "sqlite3"

    def __init__(self, path: str) -> None:
        super().__init__(threads=1)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE sessions (id TEXT PRIMARY KEY, version INTEGER, token INTEGER, messages TEXT, state TEXT)",
        ):
            self._connection.execute(statement)
        self._rows: list[tuple[str, str]] = []

    async def begin(self, forms: Forms, sessions: int) -> None:
        self.versions = [0] * sessions
        self._rows = [
            (f"[{','.join(it.messages)}]", msgspec.json.encode(msgspec.structs.replace(it, messages=())).decode())
            for it in forms
        ]
        rows = [(f"{number:024x}", 0, 1, *self._rows[0]) for number in range(sessions)]
        self._connection.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", rows)

    def save_blocking(self, number: int) -> None:
        version = self.versions[number]
        saved = self._connection.execute(
            "UPDATE sessions SET version = version + 1, messages = ?, state = ?"
            " WHERE id = ? AND version = ? AND token = 1",
            (*self._rows[version % 2], f"{number:024x}", version),
        )
        assert saved.rowcount == 1

    def load_blocking(self, number: int) -> None:
        assert self._connection.execute("SELECT * FROM sessions WHERE id = ?", (f"{number:024x}",)).fetchone()

    def close(self) -> None:
        self._connection.close()


class BareMongo(Bare):
    """pymongo in as many threads as `MongoStore` takes."""

    name = "pymongo"

    def __init__(self, database: Database) -> None:
        super().__init__(threads=MAX_CALLS)
        client: MongoClient[dict[str, Any]] = MongoClient(database.uri, w="majority", journal=True, timeoutMS=5_000)
        self._sessions = client[database.name].bare
        self._documents: list[dict[str, Any]] = []

    async def begin(self, forms: Forms, sessions: int) -> None:
        self.versions = [0] * sessions
        self._documents = [session_fields(it) for it in forms]
        for number in range(sessions):
            await self.in_thread(self._insert, number)

    def _insert(self, number: int) -> None:
        document = {"_id": ObjectId(f"{number:024x}"), **self._documents[0], "version": 0, "leaseToken": 1}
        self._sessions.insert_one(document)

    def save_blocking(self, number: int) -> None:
        version = self.versions[number]
        saved = self._sessions.update_one(
            {"_id": ObjectId(f"{number:024x}"), "leaseToken": 1, "version": version},
            {"$set": {**self._documents[version % 2], "version": version + 1}},
        )
        assert saved.matched_count == 1

    def load_blocking(self, number: int) -> None:
        assert self._sessions.find_one({"_id": ObjectId(f"{number:024x}")})

    def close(self) -> None:
        self._sessions.database.client.close()


@asynccontextmanager
async def open_ours(folder: str, database: Database | None) -> AsyncIterator[list[Ours]]:
    """EVAA's stores: SQLite in the folder, and MongoDB if there is a server."""
    async with AsyncExitStack() as stack:
        sqlite = await open_sqlite_store(f"{folder}/ours.sqlite3")
        stack.push_async_callback(sqlite.close)
        ours = [Ours("SqliteStore", sqlite)]
        if database is not None:
            bridge = await stack.enter_async_context(open_bridge())
            mongo = await open_mongo_store(bridge, database.uri, database.name)
            stack.push_async_callback(mongo.close)
            ours.append(Ours("MongoStore", mongo))
        yield ours


@asynccontextmanager
async def open_contestants(folder: str, database: Database | None) -> AsyncIterator[list[Contestant]]:
    """EVAA's stores, each behind its bare driver."""
    async with open_ours(folder, database) as ours, AsyncExitStack() as stack:
        bare: list[BareSqlite | BareMongo] = [BareSqlite(f"{folder}/bare.sqlite3")]
        if database is not None:
            bare.append(BareMongo(database))
        for one in bare:
            stack.callback(one.close)
        yield [one for pair in zip(bare, ours, strict=True) for one in pair]
