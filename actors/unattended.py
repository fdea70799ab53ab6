"""Documents are finished though the user has gone: sessions without a connection, in the background."""

import contextlib
import math
from typing import Any, NamedTuple

import trio

from actors.connection import Binding
from actors.outbox import Outbox
from actors.session import Services, Session, SessionLimits
from actors.supervisor import Actor, ChildSpec, EndSession, contain
from actors.writing import Writing
from evaa.interview.engine import TurnEngine
from protocols.dialects import choose_dialect
from protocols.frontend import CloseCode, ServerFrame
from protocols.messages import Effect
from protocols.ports import LeaseHeld, StoreError
from protocols.records import SessionRecord

LOOK_EVERY_S = 5.0
MAX_AT_ONCE = 4
"""Sessions that are finished at once in one process: nobody waits for them, and others share the provider's limits."""

MAX_REST_S = 3_600.0
FORGOTTEN_S = 7_200.0
"""A session that cannot be finished is tried again after longer and longer, so that it costs and hinders nobody.

One that failed (a bug, or a record that the store cannot hold) is left alone until the next start, or until its user
comes: what was written of it is lost and would be paid for again.
"""

FINISHED = "its documents are written"
LATER = "what writes its documents is away"
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
    """The writer of a session without a client: lets go of all."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def run(self) -> None:
        """Take until the outbox is closed."""
        while await self._outbox.take() is not None:
            self._outbox.written()

    def stop(self) -> None:
        """Take what is there, then return."""
        self._outbox.close()


class UnattendedSession(Session):
    """A session whose documents are being written though nobody is connected. It ends when they are.

    What the user said of them before they were there has been considered then, too. It also ends when they can only be
    had much later: in `postponed_s` seconds.
    """

    def __init__(self, session_id: str, services: Services, limits: SessionLimits) -> None:
        nobody: Any = _Nobody()
        super().__init__(nobody, Binding(session_id), services, limits)
        self.postponed_s = 0.0
        self._is_settled = False

    @property
    def is_done(self) -> bool:
        """Whether the documents are written and stored."""
        return self._is_settled and not self._slot.store_is_away

    async def _load_or_create(self) -> SessionRecord:
        services = self._services
        ttl_s = self._limits.persistence.lease_ttl_s
        await self._bring_in_what_was_spilled()
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

    def _build_writing(self) -> Writing:
        services = self._services
        return Writing(services.writer, self._limits.writing, self._session_id, services.compute, self._postpone)

    def _greet(self, engine: TurnEngine) -> list[Effect]:
        return engine.attend_to_documents()

    def _on_settled(self) -> None:
        self._is_settled = True
        self.end(CloseCode.NORMAL, FINISHED)

    def _postpone(self, wait_s: float) -> None:
        self.postponed_s = max(wait_s, self.postponed_s)
        self.end(CloseCode.NORMAL, LATER)


class _Rest(NamedTuple):
    """How often a session was tried, and until when it is left alone."""

    attempts: int
    until: float


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
        self._resting: dict[str, _Rest] = {}

    def forget(self, session_id: str) -> None:
        """The user has come: what went before is no reason any more to leave the session alone."""
        self._resting.pop(session_id, None)

    async def run(self) -> None:
        """Look until cancelled; what is in work then is saved as it is."""
        async with trio.open_nursery() as nursery:
            while True:
                with contextlib.suppress(StoreError):  # the store watch says so
                    await self._look(nursery)
                await trio.sleep(LOOK_EVERY_S)

    async def _look(self, nursery: trio.Nursery) -> None:
        now = trio.current_time()
        self._resting = {key: rest for key, rest in self._resting.items() if rest.until > now - FORGOTTEN_S}
        room = MAX_AT_ONCE - self._in_work
        if room > 0:
            for session_id in await self._services.store.unfinished(room + len(self._resting)):
                if self._in_work < MAX_AT_ONCE and self._may_try(session_id, now):
                    session = UnattendedSession(session_id, self._services, self._limits)
                    self._live[session_id] = session
                    self._in_work += 1
                    nursery.start_soon(self._finish, session_id, session)

    def _may_try(self, session_id: str, now: float) -> bool:
        """Whether it is this process's turn; if so, another attempt has to wait, longer each time."""
        rest = self._resting.get(session_id, _Rest(0, now))
        if session_id in self._live or rest.until > now:
            return False
        wait_s = min(LOOK_EVERY_S * 2**rest.attempts, MAX_REST_S)
        self._resting[session_id] = _Rest(min(rest.attempts + 1, 20), now + wait_s)
        return True

    async def _finish(self, session_id: str, session: UnattendedSession) -> None:
        try:
            await contain(session.run, actor="server")
        finally:
            self._in_work -= 1
            session.finished.set()
            self._let_rest(session_id, session)
            if self._live.get(session_id) is session:
                del self._live[session_id]

    def _let_rest(self, session_id: str, session: UnattendedSession) -> None:
        """How it went tells until when it is left alone."""
        rest = self._resting.get(session_id)
        if session.is_done:
            self._resting.pop(session_id, None)
        elif session.close_code == CloseCode.SESSION_FAILED:
            self._resting[session_id] = _Rest(0, math.inf)
        elif rest is not None and session.postponed_s:
            until = trio.current_time() + min(session.postponed_s, MAX_REST_S)
            self._resting[session_id] = _Rest(rest.attempts, max(rest.until, until))
