"""Documents are finished though the user has gone: sessions without a connection, in the background."""

import contextlib
from typing import Any

import trio

from actors.connection import Binding
from actors.outbox import Outbox
from actors.session import Services, Session, SessionLimits
from actors.supervisor import Actor, ChildSpec, EndSession, contain
from evaa.interview.engine import TurnEngine
from protocols.dialects import choose_dialect
from protocols.frontend import CloseCode, Completed, ServerFrame
from protocols.messages import Effect
from protocols.ports import LeaseHeld, StoreUnavailable
from protocols.records import SessionRecord

LOOK_EVERY_S = 5.0
MAX_AT_ONCE = 4
"""Sessions that are finished at once in one process: nobody waits for them, and others share the provider's limits."""

FINISHED = "its documents are written"
NOT_OURS = "somebody else has it"


class _Nobody:
    """Stands where a client's connection would: takes everything, says nothing."""

    def __init__(self) -> None:
        dialect = choose_dialect(())
        assert dialect is not None
        self.dialect = dialect

    async def send(self, frame: ServerFrame) -> None:
        """Nobody hears it."""

    async def close(self, code: int, reason: str) -> None:
        """There is nothing to close."""


class _Absence:
    """The writer of a session without a client: lets go of all, and ends the session with its documents."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def run(self) -> None:
        """Take until the outbox is closed; raises `EndSession` once the documents are written."""
        while (frame := await self._outbox.take()) is not None:
            self._outbox.written()
            if isinstance(frame, Completed):
                raise EndSession(CloseCode.NORMAL, FINISHED)

    def stop(self) -> None:
        """Take what is there, then return."""
        self._outbox.close()


class UnattendedSession(Session):
    """A session whose documents are being written though nobody is connected. It ends when they are."""

    def __init__(self, session_id: str, services: Services, limits: SessionLimits) -> None:
        nobody: Any = _Nobody()
        super().__init__(nobody, Binding(session_id), services, limits)

    async def _load_or_create(self) -> SessionRecord:
        services = self._services
        ttl_s = self._limits.persistence.lease_ttl_s
        try:
            lease = await services.store.acquire(self._session_id, services.owner, ttl_s, take_over=False)
        except LeaseHeld:
            lease = None
        if lease is None:
            raise EndSession(CloseCode.NORMAL, NOT_OURS)
        self._lease = lease
        record = await services.store.load(self._session_id)
        if record is None or record.status != "drafting":
            raise EndSession(CloseCode.NORMAL, NOT_OURS)
        self._is_resumed = True
        return record

    def _children(self) -> list[ChildSpec]:
        kept = [child for child in super()._children() if child.name in ("persistence", "agent")]
        return [*kept, ChildSpec("writer", self._build_absence)]

    def _build_absence(self) -> Actor:
        return _Absence(self._outbox)

    def _greet(self, engine: TurnEngine) -> list[Effect]:
        return engine.attend_to_documents()


class Finisher:
    """Looks for sessions whose documents are outstanding and that nobody owns, and has them written.

    `live` are the sessions of this process; those in work stand among them, so that a client who comes back takes over
    in the usual way.
    """

    def __init__(self, services: Services, limits: SessionLimits, live: dict[str, Session]) -> None:
        self._services = services
        self._limits = limits
        self._live = live
        self._in_work = 0

    async def run(self) -> None:
        """Look until cancelled; what is in work then is saved as it is."""
        async with trio.open_nursery() as nursery:
            while True:
                with contextlib.suppress(StoreUnavailable):  # the store watch says so
                    await self._look(nursery)
                await trio.sleep(LOOK_EVERY_S)

    async def _look(self, nursery: trio.Nursery) -> None:
        room = MAX_AT_ONCE - self._in_work
        if room > 0:
            for session_id in await self._services.store.unfinished(room):
                if session_id not in self._live:
                    session = UnattendedSession(session_id, self._services, self._limits)
                    self._live[session_id] = session
                    self._in_work += 1
                    nursery.start_soon(self._finish, session_id, session)

    async def _finish(self, session_id: str, session: Session) -> None:
        try:
            await contain(session.run, actor="server")
        finally:
            self._in_work -= 1
            session.finished.set()
            if self._live.get(session_id) is session:
                del self._live[session_id]
