"""What a process finds out from the store by asking, for all its sessions at once."""

from collections.abc import Mapping
from typing import Protocol

import structlog
import trio

from actors.supervisor import TAKEN_OVER
from evaa.interview.stages import default_stages
from protocols.frontend import CloseCode
from protocols.ports import SessionStore, StoreError, StoreUnavailable
from protocols.records import Lease, Stage

LOOK_EVERY_S = 1.0
"""The owner before is to close within two seconds of a take-over; and this is how soon trouble is known."""

_log = structlog.get_logger(actor="server")


class WatchedSession(Protocol):
    """What the watch needs of a session."""

    @property
    def lease(self) -> Lease | None:
        """What the session is owned by; None until it is loaded."""
        ...

    def end(self, code: int, reason: str) -> None:
        """End the session. Returns at once."""
        ...

    def tell_stages(self, stages: tuple[Stage, ...]) -> None:
        """Tell which stages are stored. Returns at once."""
        ...


class StoreWatch:
    """Looks into the store once a second: is it there, which sessions have another owner, which stages are stored.

    `sessions` is read anew each time. `trouble` says why the process is not ready; None once it is.
    """

    def __init__(self, store: SessionStore, sessions: Mapping[str, WatchedSession]) -> None:
        self.trouble: str | None = "the store has not answered yet"
        self._store = store
        self._sessions = sessions
        self._is_prepared = False
        self._stages: tuple[Stage, ...] = ()
        self._stages_trouble: str | None = None
        self._was_ready: bool | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self._look()
            except StoreUnavailable as error:
                self._tell(str(error))
            else:
                self._tell(None)
            await trio.sleep(LOOK_EVERY_S)

    async def _look(self) -> None:
        if not self._is_prepared:
            await self._store.prepare(default_stages())
            self._is_prepared = True
        await self._end_overtaken()
        await self._read_stages()
        for session in tuple(self._sessions.values()):
            session.tell_stages(self._stages)

    async def _end_overtaken(self) -> None:
        """A newer connection of these sessions has come to another process."""
        owned = {session: lease for session in self._sessions.values() if (lease := session.lease) is not None}
        overtaken = await self._store.overtaken(tuple(owned.values()))
        for session, lease in owned.items():
            if lease.session_id in overtaken:
                session.end(CloseCode.TAKEN_OVER, TAKEN_OVER)

    async def _read_stages(self) -> None:
        """People may have edited the stages in the database; what cannot be read stays as it was last."""
        trouble = None
        try:
            stages = await self._store.stages()
        except StoreUnavailable:
            raise
        except StoreError as error:
            trouble = str(error)
        else:
            if stages != self._stages:
                self._stages = stages
        if trouble is not None and trouble != self._stages_trouble:
            _log.error("stages.unreadable", reason=trouble)
        self._stages_trouble = trouble

    def _tell(self, trouble: str | None) -> None:
        self.trouble = trouble
        if (trouble is None) is self._was_ready:
            return
        self._was_ready = trouble is None
        if trouble is None:
            _log.info("server.ready")
        else:
            _log.warning("server.not_ready", reason=trouble)
