"""A session store in memory, for tests on a virtual clock: the port's contract in pure trio, and faults on request."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec
import trio

from evaa.storage.storable import storable
from protocols.ports import LONG_EXPIRED_S, LeaseHeld, LeaseLost, SessionExists, StoreUnavailable, VersionConflict
from protocols.records import Lease, SessionRecord, Stage

Method = Literal[
    "create", "acquire", "renew", "release", "load", "save", "overtaken", "list", "stages", "replace_stages"
]

_encoder = msgspec.json.Encoder()
_record_decoder = msgspec.json.Decoder(SessionRecord)
_stages_decoder = msgspec.json.Decoder(tuple[Stage, ...])


class _Row(msgspec.Struct):
    """A stored session, encoded, so that nobody can share a part of it. Times are trio's, in seconds."""

    document: bytes
    version: int
    lease_owner: str | None
    lease_token: int
    lease_until: float


class MemoryStore:
    """A `SessionStore` that forgets everything with the process.

    Its faults: while `unavailable` is true every call raises `StoreUnavailable`; `fail_next` does the same for some
    calls; each save waits `delay_s` seconds before it takes effect. `saves` counts the saves that took effect.

    Cancellation is delivered as a call begins; from there on the call is shielded, its delay included.
    """

    name = "memory"

    def __init__(self) -> None:
        self.unavailable = False
        self.delay_s = 0.0
        self.saves = 0
        self._failures: Counter[Method | None] = Counter()
        self._rows: dict[str, _Row] = {}
        self._stages = b"[]"
        self._closed = False
        self._delayed = 0
        self._delay_over = trio.lowlevel.ParkingLot()

    def fail_next(self, count: int = 1, method: Method | None = None) -> None:
        """Let the next `count` calls, of `method` if it is given, raise `StoreUnavailable` without effect."""
        self._failures[method] += count

    def forget(self, session_id: str) -> None:
        """Delete a session behind everybody's back."""
        del self._rows[session_id]

    async def create(self, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
        """See `SessionStore.create`. The record's own version is ignored."""
        await self._begin("create")
        if record.session_id in self._rows:
            raise SessionExists("there is a session of this id")
        first = msgspec.structs.replace(record, version=0)
        self._rows[record.session_id] = _Row(_encode(first), 0, owner, 1, trio.current_time() + ttl_s)
        return Lease(record.session_id, owner, 1)

    async def acquire(self, session_id: str, owner: str, ttl_s: float, *, take_over: bool = True) -> Lease | None:
        """See `SessionStore.acquire`. An owner whose lease has expired gets a new token, like anybody else."""
        await self._begin("acquire")
        row = self._rows.get(session_id)
        if row is None:
            return None
        mine, expired = row.lease_owner == owner, row.lease_until <= trio.current_time()
        if not (take_over or mine or expired):
            raise LeaseHeld("another owner holds the session")
        if expired or not mine:
            row.lease_token += 1
        row.lease_owner, row.lease_until = owner, trio.current_time() + ttl_s
        return Lease(session_id, owner, row.lease_token)

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        """See `SessionStore.renew`. A lease that has expired but was not taken since can be renewed."""
        await self._begin("renew")
        self._owned(lease).lease_until = trio.current_time() + ttl_s

    async def release(self, lease: Lease) -> None:
        """See `SessionStore.release`."""
        await self._begin("release")
        row = self._rows.get(lease.session_id)
        if row is not None and row.lease_token == lease.token:
            row.lease_owner, row.lease_until = None, -math.inf

    async def load(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore.load`."""
        await self._begin("load")
        row = self._rows.get(session_id)
        return None if row is None else _record_decoder.decode(row.document)

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        """See `SessionStore.save`. Whether it fails is decided after the delay."""
        await self._accept()
        await self._delay()
        self._check_faults("save")
        row = self._owned(lease)
        if lease.session_id != record.session_id:
            raise LeaseLost("the lease is another session's")
        if row.version != record.version:
            raise VersionConflict(f"the stored version is not {record.version}")
        row.version += 1
        row.document = _encode(msgspec.structs.replace(record, version=row.version))
        self.saves += 1
        return _record_decoder.decode(row.document)

    async def overtaken(self, leases: Sequence[Lease]) -> frozenset[str]:
        """See `SessionStore.overtaken`."""
        await self._begin("overtaken")
        rows = self._rows
        return frozenset(
            it.session_id for it in leases if it.session_id not in rows or rows[it.session_id].lease_token != it.token
        )

    async def session_ids(self, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
        """See `SessionStore.session_ids`."""
        await self._begin("list")
        return tuple(sorted(session_id for session_id in self._rows if session_id > after)[:limit])

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """See `SessionStore.unfinished`."""
        await self._begin("list")
        long_ago = trio.current_time() - LONG_EXPIRED_S
        free = (row for row in self._rows.values() if row.lease_until <= long_ago)
        drafting = [record for row in free if (record := _record_decoder.decode(row.document)).status == "drafting"]
        drafting.sort(key=lambda record: record.updated_at_ms)
        return tuple(record.session_id for record in drafting[:limit])

    async def count_sessions(self) -> int:
        """See `SessionStore.count_sessions`."""
        await self._begin("list")
        return len(self._rows)

    async def prepare(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.prepare`."""
        if not await self.stages():
            await self.replace_stages(stages)

    async def stages(self) -> tuple[Stage, ...]:
        """See `SessionStore.stages`."""
        await self._begin("stages")
        return _stages_decoder.decode(self._stages)

    async def replace_stages(self, stages: Sequence[Stage]) -> None:
        """See `SessionStore.replace_stages`."""
        await self._begin("replace_stages")
        self._stages = _encode(tuple(sorted(stages, key=lambda stage: stage.order)))

    async def close(self) -> None:
        """Let delayed saves finish; calls from now on raise `StoreUnavailable`. Idempotent, not cancellable."""
        self._closed = True
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            while self._delayed:
                await self._delay_over.park()

    async def _begin(self, method: Method) -> None:
        await self._accept()
        self._check_faults(method)

    async def _accept(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def _delay(self) -> None:
        self._delayed += 1
        try:
            if self.delay_s:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.delay_s)
        finally:
            self._delayed -= 1
            self._delay_over.unpark_all()

    def _check_faults(self, method: Method) -> None:
        for kind in (method, None):
            if self._failures[kind]:
                self._failures[kind] -= 1
                raise StoreUnavailable("a failure that was asked for")
        if self.unavailable:
            raise StoreUnavailable("unavailable, as asked for")

    def _owned(self, lease: Lease) -> _Row:
        row = self._rows.get(lease.session_id)
        if row is None or row.lease_token != lease.token:
            raise LeaseLost("the session has another owner, or is gone")
        return row


def _encode(value: SessionRecord | tuple[Stage, ...]) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(storable(value))
