"""Documents are finished though the user has gone: sessions without a connection, in the background."""

import contextlib
import math
from functools import partial
from typing import Any, NamedTuple

import msgspec
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
        # Nobody sees that an actor fails again and again, however slowly: so few restarts are all that there are.
        limits = msgspec.structs.replace(limits, restarts_within_s=math.inf)
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
    """How often a session was tried without success, and until when it is left alone."""

    attempts: int = 0
    until: float = -math.inf


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
                await contain(partial(self._look, nursery), actor="server")
                await trio.sleep(LOOK_EVERY_S)

    async def _look(self, nursery: trio.Nursery) -> None:
        now = trio.current_time()
        self._resting = {key: rest for key, rest in self._resting.items() if rest.until > now - FORGOTTEN_S}
        if (room := MAX_AT_ONCE - self._in_work) == 0:
            return
        found: tuple[str, ...] = ()
        with contextlib.suppress(StoreError):  # the store watch says so
            found = await self._services.store.unfinished(room + len(self._resting))
        free = [key for key in found if key not in self._live and self._rest(key).until <= now]
        # Those that were tried already come last, or they might keep the others waiting for ever.
        for session_id in sorted(free, key=lambda key: self._rest(key).attempts)[:room]:
            session = UnattendedSession(session_id, self._services, self._limits)
            self._live[session_id] = session
            self._in_work += 1
            nursery.start_soon(self._finish, session_id, session)

    def _rest(self, session_id: str) -> _Rest:
        return self._resting.get(session_id, _Rest())

    async def _finish(self, session_id: str, session: UnattendedSession) -> None:
        try:
            await contain(session.run, actor="server")
        finally:
            self._in_work -= 1
            session.finished.set()
            if self._live.get(session_id) is session:  # else the user has come
                del self._live[session_id]
                self._let_rest(session_id, session)

    def _let_rest(self, session_id: str, session: UnattendedSession) -> None:
        """How it went tells until when it is left alone: longer each time."""
        attempts, _ = self._rest(session_id)
        if session.is_done:
            self._resting.pop(session_id, None)
        elif session.close_code == CloseCode.SESSION_FAILED:
            self._resting[session_id] = _Rest(attempts, math.inf)
        else:
            wait_s = max(LOOK_EVERY_S * 2**attempts, session.postponed_s)
            until = trio.current_time() + min(wait_s, MAX_REST_S)
            self._resting[session_id] = _Rest(min(attempts + 1, 20), until)
