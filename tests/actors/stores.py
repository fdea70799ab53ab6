"""A store and a spill in memory that can be watched, and whose process can die."""

from collections.abc import Callable

import msgspec
import trio

from evaa.storage.memory import MemoryStore
from evaa.storage.spill import Replayed
from protocols.ports import LeaseLost, SessionStore, StoreError, VersionConflict
from protocols.records import Lease, SessionRecord


def ignore(point: str) -> None:
    """Nobody wants to know."""


class WatchedStore(MemoryStore):
    """`tried_at` is when each save was asked for; `saved` what was saved, and when.

    `errors` are raised by the next saves in place of saving. `probe` is told when a save begins and when it is done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tried_at: list[float] = []
        self.saved: list[tuple[float, SessionRecord]] = []
        self.errors: list[Exception] = []
        self.released: list[Lease] = []
        self.tried_to_release = 0
        self.probe: Callable[[str], None] = ignore

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        self.tried_at.append(trio.current_time())
        self.probe(f"save {len(self.tried_at)} begins")
        if self.errors:
            raise self.errors.pop(0)
        stored = await super().save(record, lease)
        self.saved.append((trio.current_time(), stored))
        self.probe(f"save {len(self.saved)} is done")
        return stored

    async def release(self, lease: Lease) -> None:
        self.tried_to_release += 1
        await super().release(lease)
        self.released.append(lease)


class MemorySpill:
    """A `Spill` without a disk. `kept` is what waits; `spilled_at` when it came."""

    def __init__(self) -> None:
        self.kept: list[tuple[SessionRecord, Lease | None]] = []
        self.spilled_at: list[float] = []
        self.rejected: list[SessionRecord] = []
        self.is_dead = False

    @property
    def is_waiting(self) -> bool:
        return bool(self.kept)

    async def append(self, record: SessionRecord, lease: Lease | None) -> None:
        await trio.lowlevel.checkpoint()
        if not self.is_dead:
            self.kept.append((record, lease))
            self.spilled_at.append(trio.current_time())

    async def replay(self, store: SessionStore, owner: str, ttl_s: float) -> Replayed:
        left: list[tuple[SessionRecord, Lease | None]] = []
        for record, lease in self.kept:
            assert lease is not None, "a session is created before anything of it is spilled"
            try:
                await store.save(record, lease)
            except (LeaseLost, VersionConflict):
                self.rejected.append(record)
            except StoreError:
                left.append((record, lease))
        self.kept = left
        return Replayed(kept=len(left))


class Said(msgspec.Struct, frozen=True):
    """One turn as memory has it."""

    text: str
    reply: str
    outcome: str
