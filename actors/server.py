"""The server: listens, admits, hands each connection to a session; drains."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
import trio
from trio_websocket import WebSocketConnection, WebSocketRequest, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from actors.connection import Binding, Connection, ConnectionLimits, receive_binding
from actors.polite_stream import PoliteStream
from actors.session import Services, Session, SessionLimits
from actors.store_watch import StoreWatch
from actors.supervisor import GOING_AWAY, TAKEN_OVER, EndSession, contain
from actors.unattended import Finisher
from evaa.lean_websocket import make_lean
from evaa.steady_stream import SteadyStream
from protocols.dialects import DIALECTS, Dialect, choose_dialect
from protocols.frontend import CloseCode, FrameRefused, parse_session_id

PATH = "/ws"
RECEIVE_BUFFER_BYTES = 65_536

DRAINING_HANDSHAKE_S = 1.0
"""Who comes while the server drains is told so, and may not hold up the end."""

_log = structlog.get_logger(actor="server")


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the server as a whole."""

    connection: ConnectionLimits = ConnectionLimits()
    session: SessionLimits = SessionLimits()
    max_sessions: int = 1_000
    max_message_bytes: int = 1_048_576
    handshake_timeout_s: float = 10.0
    drain_s: float = 10.0
    end_s: float = 8.0
    allowed_origins: frozenset[str] = frozenset()


class Refusal(Exception):
    """A handshake that is refused before the upgrade: an HTTP status and a body that says what would be right."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Admission(msgspec.Struct, frozen=True):
    """What a good handshake asked for. `subprotocol` is what to answer; `session_id` may come later in a frame."""

    dialect: Dialect
    subprotocol: str | None
    session_id: str | None


class Server:
    """Serves every connection of this process.

    At most one session lives for each session id: the newest connection wins, and the older one is closed with 4409
    once everything of it is saved.
    """

    def __init__(self, services: Services, limits: ServerLimits) -> None:
        self._services = services
        self._limits = limits
        self._live: dict[str, Session] = {}
        self._connections: set[trio.CancelScope] = set()
        self._unbound: set[trio.CancelScope] = set()
        self._watch = StoreWatch(services.store, self._live)
        self._is_draining = False
        self._finisher = Finisher(services, limits.session, self._live)
        self._finishing = trio.CancelScope()
        self._hurried = trio.Event()
        self._empty = trio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def trouble(self) -> str | None:
        """Why the process is not ready to serve; None if it is. It serves in any case."""
        return self._watch.trouble

    async def serve(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the listeners until cancelled; an error of one connection ends that connection only."""
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, self._serve_socket, listeners, handler_nursery=nursery))
            nursery.start_soon(self.watch_store)
            nursery.start_soon(self.finish_documents)
            task_status.started()

    async def watch_store(self) -> None:
        """Prepare the store, and see what other processes do in it, until cancelled. `serve` does it, too."""
        await self._watch.run()

    async def finish_documents(self) -> None:
        """Have documents written whose users have gone, until cancelled. `serve` does it, too."""
        with self._finishing:
            await self._finisher.run()

    async def drain(self) -> None:
        """Take no more sessions, let live turns finish, save everything, close with 1001. Bounded.

        A turn has `drain_s` to finish; `hurry` cuts that short. After it, sessions have `end_s` to save and close, and
        are cancelled then: cancelled or not, each saves or spills within its own bound.
        """
        self._is_draining = True
        self._finishing.cancel()
        _log.info("server.draining", sessions=len(self._live))
        for scope in tuple(self._unbound):
            scope.cancel()
        for session in tuple(self._live.values()):
            session.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cut_drain_short, nursery.cancel_scope)
            with trio.move_on_after(self._limits.drain_s):
                await self._empty.wait()
            nursery.cancel_scope.cancel()
        for session in tuple(self._live.values()):
            session.end(CloseCode.GOING_AWAY, GOING_AWAY)
        with trio.move_on_after(self._limits.end_s):
            await self._empty.wait()
        for scope in tuple(self._connections):
            scope.cancel()
        await self._empty.wait()
        _log.info("server.drained")

    def hurry(self) -> None:
        """Do not wait for live turns any more."""
        self._hurried.set()

    async def _cut_drain_short(self, scope: trio.CancelScope) -> None:
        await self._hurried.wait()
        scope.cancel()

    async def _serve_socket(self, stream: trio.SocketStream) -> None:
        await self.serve_stream(SteadyStream(stream))

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection, from its handshake to its end."""
        await contain(partial(self._serve_connection, PoliteStream(stream)), actor="server")

    async def _serve_connection(self, stream: PoliteStream) -> None:
        scope = trio.CancelScope()
        self._connections.add(scope)
        self._empty = trio.Event() if self._empty.is_set() else self._empty
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    await self._handshake(nursery, stream)
                    nursery.cancel_scope.cancel()
        except* LocalProtocolError:
            pass  # a ping has crossed our close frame; trio-websocket 0.12 tries to answer it (its issue 184)
        finally:
            try:
                await trio.aclose_forcefully(stream)
            finally:
                self._connections.discard(scope)
                if not self._connections:
                    self._empty.set()

    async def _handshake(self, nursery: trio.Nursery, stream: PoliteStream) -> None:
        websocket: WebSocketConnection | None = None
        timeout_s = DRAINING_HANDSHAKE_S if self._is_draining else self._limits.handshake_timeout_s
        with self._unbound_for(timeout_s) as scope:
            stream.on_end = scope.cancel
            request = await wrap_server_stream(
                nursery,
                stream,
                max_message_size=self._limits.max_message_bytes,
                receive_buffer_size=RECEIVE_BUFFER_BYTES,
            )
            try:
                admission = self._admit(request)
            except Refusal as refusal:
                _log.info("connection.refused", status=refusal.status, reason=refusal.message)
                headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
                await request.reject(refusal.status, extra_headers=headers, body=f"{refusal.message}\n".encode())
                return
            stream.websocket = websocket = await request.accept(subprotocol=admission.subprotocol)
            if stream.takes_any_sender:
                make_lean(websocket)
        stream.on_end = None
        if websocket is not None:
            connection = Connection(websocket, admission.dialect, self._limits.connection)
            await self._serve_client(connection, admission)

    def _admit(self, request: WebSocketRequest) -> Admission:
        """Check a handshake. Raises `Refusal`."""
        try:
            url = urlsplit(request.path)
        except ValueError:
            url = None
        if url is None or url.path != PATH:
            raise Refusal(404, f"nothing is here; the WebSocket is at {PATH}")
        origin = next((value.decode("latin-1") for name, value in request.headers if name.lower() == b"origin"), None)
        allowed = self._limits.allowed_origins
        if allowed and origin is not None and origin not in allowed:
            raise Refusal(403, "this origin is not allowed")
        offered = tuple(request.proposed_subprotocols)
        dialect = choose_dialect(offered)
        if dialect is None:
            raise Refusal(400, f"no dialect that is known here was offered; known are: {', '.join(DIALECTS)}")
        session_id = parse_qs(url.query).get("sessionId", [None])[0]
        if session_id is not None:
            try:
                session_id = parse_session_id(session_id)
            except FrameRefused as refused:
                raise Refusal(400, f"{refused.code}: {refused.message}") from None
        if self._is_draining:
            raise Refusal(503, "the server is going away; try again in a moment")
        if len(self._connections) > self._limits.max_sessions:
            raise Refusal(503, "overloaded: too many sessions; try again later")
        return Admission(dialect, dialect.name if dialect.name in offered else None, session_id)

    async def _serve_client(self, connection: Connection, admission: Admission) -> None:
        try:
            binding = await self._bind(connection, admission)
        except EndSession as end:
            await connection.close(end.code, end.reason)
            return
        session = Session(connection, binding, self._services, self._limits.session)
        self._finisher.forget(binding.session_id)
        older = self._live.get(binding.session_id)
        self._live[binding.session_id] = session  # before the wait: a still newer connection ends this one
        if self._is_draining:
            session.drain()
        try:
            if older is not None:
                older.end(CloseCode.TAKEN_OVER, TAKEN_OVER)
                await older.finished.wait()
            await session.run()
        finally:
            session.finished.set()  # though it was cancelled before it ran, or failed in its cleanup
            if self._live.get(binding.session_id) is session:
                del self._live[binding.session_id]

    async def _bind(self, connection: Connection, admission: Admission) -> Binding:
        """Wait until the connection is bound to a session; a drain ends the wait."""
        if admission.session_id is not None:
            return Binding(admission.session_id)
        with self._unbound_for(math.inf) as scope:
            if self._is_draining:
                scope.cancel()
            return await receive_binding(connection)
        raise EndSession(CloseCode.GOING_AWAY, GOING_AWAY)

    @contextmanager
    def _unbound_for(self, seconds: float) -> Iterator[trio.CancelScope]:
        """A scope of this duration for a connection that is nobody's yet: a drain cancels it."""
        with trio.move_on_after(seconds) as scope:
            self._unbound.add(scope)
            try:
                yield scope
            finally:
                self._unbound.discard(scope)
