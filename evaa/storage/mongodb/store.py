"""The store itself: the port's methods, each a call or two of the driver's, with the driver's errors translated.

`engine.save` is of no use for a live session: it knows no version and no lease, and where somebody deleted the session
it would make a stub of it. The lease lies in the session's own document, so that the database itself refuses a stale
owner, and its times are on the server's clock.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import msgspec
import structlog
import trio
from bson import Int64, ObjectId
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession, AsyncIOMotorCollection
from odmantic import AIOEngine, Model
from pymongo import DeleteMany, ReplaceOne, ReturnDocument
from pymongo.errors import OperationFailure

from evaa.asyncio_bridge import Bridge
from evaa.storage.mongodb.documents import (
    Memory,
    StageDocument,
    object_id,
    session_record,
    stage_fields,
    stage_record,
)
from evaa.storage.mongodb.errors import DRIVER_ERRORS, translated
from evaa.storage.mongodb.overflow import Overflow
from evaa.storage.mongodb.saving import Saving
from evaa.storage.storable import storable
from protocols.ports import LONG_EXPIRED_S, LeaseHeld, LeaseLost, StoreError, StoreUnavailable
from protocols.records import Lease, SessionRecord, Stage

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Document = dict[str, Any]

MAX_CALLS = 40
"""Calls that may be under way at once, each in a thread; further ones wait, and can be cancelled."""

CLOSE_S = 1.0
_NOW = {"$toLong": "$$NOW"}  # compared as whole numbers: those mean the same everywhere
_LOAD_ATTEMPTS = 3
_STAGES_RETRIES = 10
"""Somebody else may be replacing them as well: then the server refuses one of the two at once."""

_log = structlog.get_logger(actor="store")


class MongoStore:
    """A `SessionStore` in MongoDB, made by `open_mongo_store`; it belongs to the bridge that it was opened on.

    Every method raises `StoreUnavailable` while the server cannot be reached, does not answer in time or refuses; the
    message names the driver's error and nothing that is stored. Ids must be 24 hexadecimal digits (`StoreError`).

    Cancellation: a call can be cancelled while `MAX_CALLS` others are under way; then nothing was sent. From there on
    it is waited for under a shield, at most for the client's time-out and, for a write of unknown outcome, once more.
    Lone surrogates, which UTF-8 cannot hold, are stored as U+FFFD; `save` returns what is stored. A session that is
    more than a document can hold goes to GridFS in part.
    """

    name = "mongodb"

    def __init__(self, bridge: Bridge, client: AsyncIOMotorClient[_Document], database: str) -> None:
        self._bridge = bridge
        self._client = client
        self._engine = AIOEngine(client, database)
        self._memories: AsyncIOMotorCollection[_Document] = self._engine.get_collection(Memory)
        self._stages: AsyncIOMotorCollection[_Document] = self._engine.get_collection(StageDocument)
        self._overflow = Overflow(client[database])
        self._saving = Saving(self._memories, self._overflow)
        self._slots = trio.CapacityLimiter(MAX_CALLS)
        self._closing = trio.Lock()
        self._is_closed = False

    # --- sessions -----------------------------------------------------------------------------------------------

    async def create(self, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
        """See `SessionStore.create`. The record's own version is ignored."""
        lease = Lease(record.session_id, owner, 1)
        await self._call(self._saving.create, storable(record), owner)
        with suppress(LeaseLost):  # overtaken in this very moment: the owner will learn of it as ever
            await self.renew(lease, ttl_s)  # an insert cannot read the server's clock
        return lease

    async def load(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore.load`. Raises `StoreError` if the document is not what EVAA writes."""
        return await self._call(self._load, object_id(session_id))

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        """See `SessionStore.save`. A lease that was released but not taken since still saves."""
        if lease.session_id != record.session_id:
            raise LeaseLost("the lease is another session's")
        try:
            await self._call(self._saving.save, record, lease)
        except UnicodeEncodeError:
            record = storable(record)
            await self._call(self._saving.save, record, lease)
        return msgspec.structs.replace(record, version=record.version + 1)

    async def session_ids(self, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
        """See `SessionStore.session_ids`."""
        later: _Document = {"_id": {"$gt": object_id(after)}} if after else {}
        found = self._memories.find(later, {"_id": 1}).sort("_id", 1).limit(limit)
        return tuple(str(document["_id"]) for document in await self._call(found.to_list, limit))

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """See `SessionStore.unfinished`."""
        long_ago = {"$subtract": [_NOW, _ms(LONG_EXPIRED_S)]}
        free = {"status": "drafting", "$expr": {"$lte": ["$leaseUntil", long_ago]}}
        found = self._memories.find(free, {"_id": 1}).sort("updatedAt", 1).limit(limit)
        return tuple(str(document["_id"]) for document in await self._call(found.to_list, limit))

    async def count_sessions(self) -> int:
        """See `SessionStore.count_sessions`. It is the collection's own count: an estimate after a crash."""
        count: int = await self._call(self._memories.estimated_document_count)
        return count

    # --- leases -------------------------------------------------------------------------------------------------

    async def acquire(self, session_id: str, owner: str, ttl_s: float, *, take_over: bool = True) -> Lease | None:
        """See `SessionStore.acquire`. An owner whose lease has expired gets a new token, like anybody else."""
        document: _Document | None = await self._call(
            self._memories.find_one_and_update,
            {"_id": object_id(session_id)},
            _acquisition(owner, ttl_s, take_over=take_over),
            {"leaseOwner": 1, "leaseToken": 1},
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            return None
        if document["leaseOwner"] != owner:
            raise LeaseHeld("another owner holds the session")
        return Lease(session_id, owner, document["leaseToken"])

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        """See `SessionStore.renew`. A lease that has expired but was not taken since can be renewed."""
        longer = [{"$set": {"leaseUntil": {"$add": [_NOW, _ms(ttl_s)]}}}]
        renewed = await self._call(self._memories.update_one, _held_by(lease), longer)
        if not renewed.matched_count:
            raise LeaseLost("the session has another owner, or is gone")

    async def release(self, lease: Lease) -> None:
        """See `SessionStore.release`."""
        free = {"$set": {"leaseOwner": None, "leaseUntil": Int64(0)}}
        await self._call(self._memories.update_one, _held_by(lease), free)
        self._saving.forget(lease.session_id)

    async def overtaken(self, leases: Sequence[Lease]) -> frozenset[str]:
        """See `SessionStore.overtaken`."""
        ids = [object_id(lease.session_id) for lease in leases]
        found = self._memories.find({"_id": {"$in": ids}}, {"leaseToken": 1})
        tokens = {str(it["_id"]): it.get("leaseToken") for it in await self._call(found.to_list, None)}
        return frozenset(lease.session_id for lease in leases if tokens.get(lease.session_id) != lease.token)

    # --- stages -------------------------------------------------------------------------------------------------

    async def prepare(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.prepare`. Indexes that the server refuses are logged: without them EVAA is only slower."""
        if await self._call(self._stages.find_one, {}, {"_id": 1}) is None:
            await self.replace_stages(stages)
        await self._call(self._make_indexes)

    async def stages(self) -> tuple[Stage, ...]:
        """See `SessionStore.stages`. Raises `StoreError` if one is not a stage."""
        return await self._call(self._read_stages)

    async def replace_stages(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.replace_stages`. A standalone server has no transactions: a crash there may leave both."""
        await self._call(self._replace_stages, [stage_fields(storable(stage)) for stage in stages])

    async def close(self) -> None:
        """Finish what was accepted, then close the client. Idempotent, not cancellable.

        Takes at most a call's time-out, and `CLOSE_S`: a server that is dead is not waited for any longer.
        """
        with trio.CancelScope(shield=True):
            async with self._closing:
                if self._is_closed:
                    return
                self._is_closed = True
                for _ in range(MAX_CALLS):
                    await self._slots.acquire_on_behalf_of(object())
                with trio.move_on_after(CLOSE_S):
                    # Blocking: it tells the server that its sessions end.
                    await trio.to_thread.run_sync(self._client.delegate.close, abandon_on_cancel=True)

    async def _call(self, function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run asyncio code; raise the port's errors."""
        self._check_open()
        async with self._slots:
            self._check_open()
            with trio.CancelScope(shield=True):
                result = await self._call_translating(function, *args, **kwargs)
        return result

    async def _call_translating(self, function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await self._bridge.call(function, *args, **kwargs)
        except DRIVER_ERRORS as error:
            raise translated(error) from None

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")

    # --- what runs on the asyncio side --------------------------------------------------------------------------

    async def _load(self, key: ObjectId) -> SessionRecord | None:
        for _ in range(_LOAD_ATTEMPTS):
            memory: Memory | None = await self._engine.find_one(Memory, Memory.sessionId == key)
            if memory is None:
                return None
            if memory.overflowId is None:
                return session_record(memory, None)
            if (overflow := await self._overflow.get(memory.overflowId)) is not None:
                return session_record(memory, overflow)
            # It was saved again in between; the newer document names another file.
        raise StoreError("a part of what is stored is missing")

    async def _read_stages(self) -> tuple[Stage, ...]:
        documents = await self._engine.find(StageDocument, sort=(StageDocument.order, StageDocument.id))
        return tuple(map(stage_record, documents))

    async def _replace_stages(self, documents: list[_Document]) -> None:
        if not await self._has_transactions():
            await self._put_stages(documents, None)
            return
        for is_last in (*[False] * _STAGES_RETRIES, True):
            try:
                # Not `with_transaction`: it goes on trying for two minutes, with a server that is silent too.
                async with await self._client.start_session() as session, session.start_transaction():
                    await self._put_stages(documents, session)
                return
            except OperationFailure as refused:
                if is_last or not refused.has_error_label("TransientTransactionError"):
                    raise

    async def _put_stages(self, documents: list[_Document], session: AsyncIOMotorClientSession | None) -> None:
        kept = [document["_id"] for document in documents]
        writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
        await self._stages.bulk_write([*writes, DeleteMany({"_id": {"$nin": kept}})], session=session)

    async def _has_transactions(self) -> bool:
        hello = await self._client.admin.command("hello")
        return "setName" in hello or hello.get("msg") == "isdbgrid"

    async def _make_indexes(self) -> None:
        try:
            models: list[type[Model]] = [Memory, StageDocument]
            await self._engine.configure_database(models)
        except OperationFailure as refused:
            _log.warning("store.indexes_refused", reason=str(translated(refused)))


def _held_by(lease: Lease) -> _Document:
    return {"_id": object_id(lease.session_id), "leaseToken": lease.token}


def _acquisition(owner: str, ttl_s: float, *, take_over: bool) -> list[_Document]:
    """The update that takes a lease, if it may, as one step of the server's."""
    me = {"$literal": owner}
    is_free = {"$lte": [{"$ifNull": ["$leaseUntil", 0]}, _NOW]}
    is_mine = {"$eq": ["$leaseOwner", me]}
    may = {"$literal": True} if take_over else {"$or": [is_free, is_mine]}
    changes_hands = {"$and": [may, {"$or": [is_free, {"$not": [is_mine]}]}]}
    token = {"$ifNull": ["$leaseToken", 0]}
    lease = {
        "leaseToken": {"$cond": [changes_hands, {"$add": [token, 1]}, token]},
        "leaseOwner": {"$cond": [may, me, "$leaseOwner"]},
        "leaseUntil": {"$cond": [may, {"$add": [_NOW, _ms(ttl_s)]}, "$leaseUntil"]},
    }
    return [{"$set": lease}]


def _ms(seconds: float) -> Int64:
    return Int64(round(seconds * 1000))
