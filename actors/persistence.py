"""The persistence actor: what happened in, durable out. Storage is never on the way of a reply."""

import random
from typing import Protocol

import msgspec
import outcome
import structlog
import trio

from actors.supervisor import TAKEN_OVER, EndSession
from evaa.storage.spill import Replayed
from protocols.frontend import CloseCode
from protocols.messages import Message, Save, Saved, StoreTroubled
from protocols.ports import LeaseLost, RecordTooLarge, SessionStore, StoreError, StoreUnavailable
from protocols.records import Lease, SessionRecord

TOO_LARGE = "the session is too large to be stored"


class PersistenceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long the lease lasts, how saves are retried, and how long a session's end may wait for the store (s).

    A save that takes longer than `slow_after_s` is told to the client as a store that is away.
    """

    lease_ttl_s: float = 15.0
    renew_every_s: float = 5.0
    first_back_off_s: float = 0.1
    max_back_off_s: float = 5.0
    last_save_s: float = 2.0
    slow_after_s: float = 2.0


class Spill(Protocol):
    """Where a state goes that the store could not take, until it is replayed."""

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits to be replayed; cheap."""
        ...

    async def replay(self, store: SessionStore, owner: str, ttl_s: float) -> Replayed:
        """Bring what waits into the store, under the leases that it was owned by. Raises `OSError`."""
        ...

    async def append(self, record: SessionRecord, lease: Lease | None) -> None:
        """Keep the state durably, to be saved when the store is back. Raises `OSError`."""
        ...


class SaveSlot:
    """Persistence's mailbox: holds one state, the newest; a newer one replaces it, since it contains the older.

    It outlives the actors on both sides: what was put in is not lost when one of them is restarted. `version` is the
    stored version that the next save expects; `store_is_away` tells how the last save went.
    """

    def __init__(self, record: SessionRecord) -> None:
        self.latest = Save(record, 0)
        self.version = record.version
        self.saved_revision = 0
        self.store_is_away = False
        self.is_closed = False
        self._waiter = trio.lowlevel.ParkingLot()

    @property
    def is_unsaved(self) -> bool:
        """Whether the newest state is not durable yet."""
        return self.latest.revision > self.saved_revision

    def put(self, save: Save) -> None:
        """Replace the state that waits. Never blocks."""
        self.latest = save
        self._waiter.unpark()

    def close(self) -> None:
        """No more will come."""
        self.is_closed = True
        self._waiter.unpark()

    async def wait(self) -> None:
        """Wait until there is something to save, or the slot is closed."""
        while not (self.is_unsaved or self.is_closed):
            await self._waiter.park()


class Persistence:
    """Saves the newest state, retrying with back-off while the store is away, and keeps the lease.

    Ends the session with 4409 when another owner has taken the lease. What is unsaved when it ends, whatever the
    reason, is saved within `last_save_s`, or spilled.
    """

    def __init__(
        self,
        slot: SaveSlot,
        store: SessionStore,
        lease: Lease,
        agent: trio.MemorySendChannel[Message],
        spill: Spill,
        limits: PersistenceLimits,
    ) -> None:
        self._slot = slot
        self._store = store
        self._lease = lease
        self._agent = agent
        self._spill = spill
        self._limits = limits
        self._is_silent = False
        self._log = structlog.get_logger(actor="persistence", session_id=lease.session_id)

    async def run(self) -> None:
        """Save until stopped. Cancellation still saves or spills what waits."""
        try:
            renew_at = trio.current_time() + self._limits.renew_every_s
            while not (self._slot.is_closed and not self._slot.is_unsaved):
                with trio.move_on_at(renew_at):
                    await self._slot.wait()
                if self._slot.is_unsaved:
                    await self._save_patiently()
                if trio.current_time() >= renew_at:
                    await self._renew()
                    renew_at = trio.current_time() + self._limits.renew_every_s
        finally:
            with trio.CancelScope(shield=True):
                await self._save_last()

    def stop(self) -> None:
        """Save what is there, then return."""
        self._slot.close()

    async def _save_patiently(self) -> None:
        back_off_s = self._limits.first_back_off_s
        while True:
            try:
                await self._save_latest()
            except StoreUnavailable as error:
                await self._tell_trouble(error, back_off_s)
                await trio.sleep(back_off_s * random.uniform(0.5, 1.0))
                back_off_s = min(back_off_s * 2, self._limits.max_back_off_s)
            else:
                return

    async def _save_latest(self) -> None:
        begun = trio.current_time()
        try:
            revision = (await self._save_watched()).unwrap()
        except LeaseLost:
            raise EndSession(CloseCode.TAKEN_OVER, TAKEN_OVER) from None
        except RecordTooLarge:
            raise EndSession(CloseCode.SESSION_FAILED, TOO_LARGE) from None
        if self._slot.store_is_away:
            self._slot.store_is_away = False
            self._log.info("store.recovered")
        await self._tell(Saved(revision, trio.current_time() - begun))

    async def _save_watched(self) -> outcome.Outcome[int]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_if_slow)
            saved = await outcome.acapture(self._save_once)
            nursery.cancel_scope.cancel()
        return saved

    async def _tell_if_slow(self) -> None:
        await trio.sleep(self._limits.slow_after_s)
        self._log.warning("store.slow", after_s=self._limits.slow_after_s)
        self._slot.store_is_away = True
        await self._tell(StoreTroubled())

    async def _save_once(self) -> int:
        """Save the newest state, however many came since the last save; return its revision."""
        begun = trio.current_time()
        save = self._slot.latest
        record = msgspec.structs.replace(save.record, version=self._slot.version)
        try:
            stored = await self._store.save(record, self._lease)
        except LeaseLost:
            self._slot.saved_revision = save.revision  # the session is its new owner's; there is nothing to spill
            raise
        except StoreUnavailable:
            self._slot.store_is_away = True
            self._is_silent = trio.current_time() - begun > self._limits.slow_after_s
            raise
        self._slot.version = stored.version
        self._slot.saved_revision = save.revision
        return save.revision

    async def _tell_trouble(self, error: StoreUnavailable, back_off_s: float) -> None:
        self._log.warning("store.retrying", reason=str(error), back_off_s=back_off_s)
        await self._tell(StoreTroubled())  # at every try: an agent that was restarted meanwhile has forgotten it

    async def _tell(self, message: Message) -> None:
        if not self._slot.is_closed:  # a stopped agent empties its mailbox no more
            await self._agent.send(message)

    async def _renew(self) -> None:
        try:
            await self._store.renew(self._lease, self._limits.lease_ttl_s)
        except LeaseLost:
            raise EndSession(CloseCode.TAKEN_OVER, TAKEN_OVER) from None
        except StoreUnavailable as error:
            self._log.warning("store.retrying", reason=str(error), back_off_s=self._limits.renew_every_s)

    async def _save_last(self) -> None:
        """The last chance: save within the bound, or else spill. A store that said nothing is not asked again."""
        with trio.move_on_after(self._limits.last_save_s) as patience:
            while self._slot.is_unsaved and not self._is_silent:
                try:
                    await self._save_once()
                except LeaseLost:
                    break
                except StoreUnavailable:
                    await trio.sleep(self._limits.first_back_off_s)
                except StoreError as error:
                    self._log.error("store.refused", reason=type(error).__name__)
                    break
        self._slot.store_is_away |= patience.cancelled_caught
        if self._slot.is_unsaved:
            record = msgspec.structs.replace(self._slot.latest.record, version=self._slot.version)
            try:
                await self._spill.append(record, self._lease)
            except OSError as error:
                self._log.critical("store.lost", error=type(error).__name__)
                return
            self._slot.saved_revision = self._slot.latest.revision
            self._log.error("store.spilled")
