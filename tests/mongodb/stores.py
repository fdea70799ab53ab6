"""Stores on a real server, straight or through a proxy that does harm, and what then lies in the database."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pymongo.common
import pytest
import trio
from bson import ObjectId
from pymongo.database import Database

from evaa.asyncio_bridge import open_bridge
from evaa.storage.mongodb.connecting import open_mongo_store
from evaa.storage.mongodb.store import MongoStore
from protocols.ports import StoreUnavailable
from protocols.records import Lease, SessionRecord
from tests.contracts.examples import S1, changed, started, stored, taken
from tests.mongodb.faults import PATIENCE_S, Fault, Hold, HoldRequest, LateRequest
from tests.mongodb.proxy import FaultProxy, fault_proxy

SHORT = {"timeoutMS": 300, "serverSelectionTimeoutMS": 200, "serverMonitoringMode": "poll"}
"""Options that keep tests short. A driver that lets the server tell it of changes learns late that it is back."""

WRITE_RETRIES = {"retryWrites": "true", "retryReads": "false"}
NO_RETRIES = {"retryWrites": "false", "retryReads": "false"}
RETRIES = pytest.mark.parametrize("retries", [WRITE_RETRIES, NO_RETRIES], ids=["retries", "no retries"])
"""A driver that may retry does so until its time is up."""


def with_options(uri: str, **options: object) -> str:
    """The same address with more options."""
    parts = urlsplit(uri)
    query = "&".join(filter(None, [parts.query, urlencode(options)]))
    return parts._replace(path=parts.path or "/", query=query).geturl()


@asynccontextmanager
async def mongo_store(uri: str, database: str, **options: object) -> AsyncIterator[MongoStore]:
    """A store on a bridge of its own, closed at the end of the block."""
    async with open_bridge() as bridge:
        store = await open_mongo_store(bridge, with_options(uri, **options), database)
        try:
            yield store
        finally:
            await store.close()


class World:
    """A store behind a proxy, with one session of its own, and another store that nothing happens to."""

    def __init__(self, proxy: FaultProxy, store: MongoStore, healthy: MongoStore) -> None:
        self.proxy = proxy
        self.store = store
        self.healthy = healthy
        self.record: SessionRecord
        self.lease: Lease

    async def begin(self) -> None:
        self.record, self.lease = await started(self.healthy)

    async def save(self, mark: str) -> bool:
        """Save the next state of the session; False if the store was unavailable."""
        try:
            self.record = await self.store.save(changed(self.record, mark), self.lease)
        except StoreUnavailable:
            return False
        return True

    async def save_in_the_end(self, mark: str) -> None:
        """Save the next state; on a machine that is slow it may take a few attempts."""
        with trio.fail_after(PATIENCE_S):
            while not await self.save(mark):
                pass

    async def reopen(self) -> None:
        """The same process opens the session again."""
        self.lease = await taken(self.healthy, "a")
        self.record = await stored(self.healthy)

    async def mark(self) -> tuple[str, int]:
        """What is stored: the mark, and the version."""
        found = await stored(self.healthy)
        return mark_of(found), found.version

    async def land(self, *faults: Fault) -> None:
        """Let go of what these hold; wait until the requests among it have been at the server."""
        holds = [fault for fault in faults if isinstance(fault, Hold)]
        for hold in holds:
            hold.release()
        for hold in holds:
            if isinstance(hold, HoldRequest | LateRequest):
                await hold.landed(hold.strikes)


def mark_of(record: SessionRecord) -> str:
    return record.messages[0].strip('"') if record.messages else ""


@asynccontextmanager
async def faulty_world(uri: str, database: str, **options: object) -> AsyncIterator[World]:
    """`options` of the address come on top of `SHORT`."""
    with pytest.MonkeyPatch.context() as patch:
        # A driver that has lost a connection waits so long before it asks whether the server is there.
        patch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.01)
        async with (
            fault_proxy(uri) as proxy,
            mongo_store(uri, database) as healthy,
            mongo_store(proxy.uri, database, **{**SHORT, **options}) as store,
        ):
            world = World(proxy, store, healthy)
            await world.begin()
            yield world


@asynccontextmanager
async def running_loop() -> AsyncIterator[Callable[[], int]]:
    """Something else that the loop has to do; returns how often it was its turn."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        yield lambda: turns
        nursery.cancel_scope.cancel()


def document_of(database: Database[dict[str, Any]], session_id: str = S1) -> dict[str, Any]:
    """A session's document as it lies there."""
    document = database.memories.find_one({"_id": ObjectId(session_id)})
    assert document is not None
    return document


def edit(database: Database[dict[str, Any]], change: dict[str, Any], session_id: str = S1) -> None:
    """Change a session's document by hand; `change` is an update."""
    assert database.memories.update_one({"_id": ObjectId(session_id)}, change).matched_count
