"""The terminal client: an interview from a shell, over the same WebSocket that a browser uses.

One task keeps the connection and reads it; another takes the user's lines. Both change the view only through
`_Client._apply`, which replaces it in one step. What is decided is decided in `talk_view`.
"""

import contextlib
import secrets
import time
import urllib.parse
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from evaa.commands.talk_frames import plain
from evaa.commands.talk_terminal import Key, Terminal, open_terminal
from evaa.commands.talk_view import Change, Kind, Print, Send, View, interrupt, lost, receive, say, start_message
from protocols.frontend import TYPED_JSON, CloseCode, FrameRefused, parse_session_id

RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)

_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_LASTED_S = 30.0
_NO_ANSWER = "no answer in time"
_LARGEST_MESSAGE = 16 * 2**20  # a replay holds a whole conversation
_HELP = """\
Type what you want to say and press Enter.
  /interrupt  stop the reply that is coming (so does Ctrl-C)
  /quit       leave; the session stays, and can be resumed (so does Ctrl-D)
  /help       this"""

# Close codes after which a further attempt could only end the same way, and what to say of each.
_FINAL = {
    1003: "EVAA does not take this client's messages",
    1007: "EVAA does not take this client's messages",
    1009: "a message was too large",
    CloseCode.TOO_MANY_BAD_FRAMES: "EVAA refused too much of what was sent",
    4401: "the token is missing, wrong or expired",
    4403: "the token is not for this session",
    CloseCode.TAKEN_OVER: "this session was opened elsewhere",
}


def fresh_session_id() -> str:
    """Return a session id that is made like a MongoDB ObjectId: the time in seconds, then chance."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}{secrets.token_hex(8)}"


async def talk(
    url: str,
    session_id: str | None = None,
    *,
    token: str | None = None,
    terminal: Terminal | None = None,
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    resume_command: str = "python run.py talk --session",
) -> int:
    """Hold an interview at `url` (`ws://host:port/ws`) and return the exit status.

    Without a session id one is made, and told together with `resume_command`. A connection that is lost is opened
    again after each of `retry_delays_s` in turn; the count begins anew once a connection was of use. Without a
    terminal the process's own streams serve.

    The status is 0 when the user leaves, when the interview is complete, and when piped lines have come to their end
    and were all answered; 1 when EVAA cannot be reached, refuses, or left a piped line unanswered.
    """
    if terminal is None:
        with open_terminal() as own:
            return await talk(
                url,
                session_id,
                token=token,
                terminal=own,
                retry_delays_s=retry_delays_s,
                resume_command=resume_command,
            )
    try:
        known = parse_session_id(session_id) if session_id is not None else None
        address = _parse_url(url)
    except (FrameRefused, ValueError) as error:
        terminal.show(Print("error", str(error)))
        return 1
    client = _Client(address, known or fresh_session_id(), token, terminal, retry_delays_s)
    resume = f"{resume_command} {client.view.session_id}"
    if known is None:
        terminal.show(Print("note", f"Session {client.view.session_id}. To come back to it: {resume}"))
    status = await client.run()
    if client.view.was_bound and client.view.ending is None:
        terminal.show(Print("note", f"To go on with this session: {resume}"))
    return status


_Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class _Address(NamedTuple):
    """Where EVAA is: what to dial, and what to put into the request."""

    tls: bool
    host: str
    port: int
    authority: str
    target: str


def _parse_url(url: str) -> _Address:
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{plain(url)} is not the URL of a WebSocket, such as ws://127.0.0.1:8765/ws")
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return _Address(parts.scheme == "wss", parts.hostname, port, parts.netloc.rpartition("@")[2], target)


async def _dial(address: _Address) -> _Stream:
    if address.tls:
        return await trio.open_ssl_over_tcp_stream(address.host, address.port, https_compatible=True)
    return await trio.open_tcp_stream(address.host, address.port)


class _Loss(NamedTuple):
    """Why there is no connection, and whether another attempt may help."""

    why: str
    final: bool = False
    idle: bool = False


_OVER = _Loss("over")


class _Client:
    """One run of the client. `view` is the state; `_status` is set once it is over."""

    def __init__(
        self,
        address: _Address,
        session_id: str,
        token: str | None,
        terminal: Terminal,
        retry_delays_s: Sequence[float],
    ) -> None:
        self.view = View(session_id)
        self._address = address
        self._headers = [] if token is None else [(b"Authorization", f"Bearer {token}".encode())]
        self._terminal = terminal
        self._delays = retry_delays_s
        self._status: int | None = None
        self._socket: WebSocketConnection | None = None
        self._changed = trio.Event()
        self._attempt = trio.CancelScope()
        self._asked_to_quit = False

    async def run(self) -> int:
        """Talk until it is over; return the exit status."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_lines)
            await self._keep_connected()
            nursery.cancel_scope.cancel()
        return 1 if self._status is None else self._status

    def _finish(self, status: int) -> None:
        self._status = status
        self._attempt.cancel()

    async def _apply(self, change: Change) -> None:
        self.view, effects = change
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        for effect in effects:
            if not isinstance(effect, Send):
                self._terminal.show(effect)
        for effect in effects:
            if isinstance(effect, Send):
                await self._send(effect.message)

    async def _send(self, message: str) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(ConnectionClosed):  # the reading task learns of it, and opens the next connection
            await self._socket.send_message(message)

    async def _until(self, holds: Callable[[View], bool]) -> None:
        while not holds(self.view):
            await self._changed.wait()

    def _tell(self, kind: Kind, text: str) -> None:
        self._terminal.show(Print(kind, text))

    # --- the connection -----------------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            began, settled = trio.current_time(), self.view.settled
            loss = await self._connect()
            if self._status is not None:
                return
            await self._apply(lost(self.view))
            if self.view.settled > settled or trio.current_time() - began > _LASTED_S:
                failures = 0
            if loss.final or not self.view.was_bound or failures == len(self._delays):
                gave_up = f"; gave up after {failures} attempts to reconnect." if failures and not loss.final else ""
                self._tell("error", loss.why + gave_up)
                return
            await self._pause(loss, failures)
            failures += 1

    async def _pause(self, loss: _Loss, failures: int) -> None:
        """Wait until it is time for the next attempt."""
        delay_s = max(self._delays[failures], self.view.reconnect_after_s)
        with trio.CancelScope() as self._attempt:
            if loss.idle:
                self._tell("note", f"{loss.why}; it is opened again when you go on.")
                await self._until(lambda view: bool(view.said))
            else:
                attempt = f"attempt {failures + 1} of {len(self._delays)}"
                self._tell("note", f"{loss.why}; reconnecting in {delay_s:g} s ({attempt}).")
                await trio.sleep(delay_s)

    async def _connect(self) -> _Loss:
        """Open a connection and use it until it is lost or all is over; return how it ended."""
        if self._status is not None:
            return _OVER
        with trio.CancelScope() as self._attempt:
            try:
                with trio.fail_after(_CONNECT_TIMEOUT_S):
                    stream = await _dial(self._address)
            except (OSError, trio.BrokenResourceError) as error:
                return self._unreachable(str(error))
            except trio.TooSlowError:
                return self._unreachable(_NO_ANSWER)
            # Kept here because trio-websocket leaves its stream open when the other side has closed first.
            async with stream:
                return await self._shake_hands(stream)
        return _OVER

    async def _shake_hands(self, stream: _Stream) -> _Loss:
        loss = _OVER
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(_CONNECT_TIMEOUT_S) as handshake:
                    socket = await self._upgrade(nursery, stream)
                if handshake.cancelled_caught:
                    loss = self._unreachable(_NO_ANSWER)
                else:
                    loss = await self._converse(socket)
                    with trio.move_on_after(_CLOSE_TIMEOUT_S):
                        await socket.aclose()
                nursery.cancel_scope.cancel()
        except* ConnectionRejected as group:
            for error in group.exceptions:
                if isinstance(error, ConnectionRejected):
                    loss = _rejection(error)
        return loss

    async def _upgrade(self, nursery: trio.Nursery, stream: _Stream) -> WebSocketConnection:
        return await wrap_client_stream(
            nursery,
            stream,
            self._address.authority,
            self._address.target,
            subprotocols=[TYPED_JSON],
            extra_headers=list(self._headers),
            max_message_size=_LARGEST_MESSAGE,
        )

    async def _converse(self, socket: WebSocketConnection) -> _Loss:
        if socket.subprotocol != TYPED_JSON:
            return _Loss(f"There is a server, but it does not speak {TYPED_JSON}: is it EVAA?", final=True)
        self._socket = socket
        try:
            # Its own scope: once it is over, the connection is still closed properly.
            with trio.CancelScope() as self._attempt:
                await socket.send_message(start_message(self.view))
                while self._status is None:
                    message = await socket.get_message()
                    await self._apply(receive(self.view, message))  # the view as it is now, not before the wait
                    if self.view.ending is not None:
                        self._finish(0 if self.view.ending == "complete" else 1)
        except ConnectionClosed as closed:
            return _closure(closed)
        finally:
            self._socket = None
        return _OVER

    def _unreachable(self, reason: str) -> _Loss:
        if self.view.was_bound:
            return _Loss(f"EVAA cannot be reached ({reason})")
        where = f"{self._address.authority}{self._address.target.partition('?')[0]}"  # the query may hold a token
        return _Loss(f"EVAA cannot be reached at {where} ({reason}). Is it running? Start it with: make run")

    # --- the user -----------------------------------------------------------------------------------------------

    async def _take_lines(self) -> None:
        await self._until(lambda view: view.was_bound)
        while self._status is None:
            if not self._terminal.interactive:
                await self._until(lambda view: view.idle)
            line = await self._terminal.read()
            if line is Key.INTERRUPT:
                await self._interrupt_or_quit()
            elif line is Key.END:
                self._finish(1 if self.view.failed and not self._terminal.interactive else 0)
            else:
                self._asked_to_quit = False
                await self._take(line.strip())

    async def _take(self, line: str) -> None:
        if not line.startswith("/"):
            if line:
                await self._apply(say(self.view, line, secrets.token_hex(8)))
        elif line == "/quit":
            self._finish(0)
        elif line == "/interrupt":
            await self._apply(interrupt(self.view))
        elif line == "/help":
            self._tell("note", _HELP)
        else:
            self._tell("error", f"{line.split(maxsplit=1)[0]} is no command here; /help lists them.")

    async def _interrupt_or_quit(self) -> None:
        if self.view.bound and self.view.busy:
            await self._apply(interrupt(self.view))
        elif self._asked_to_quit:
            self._finish(0)
        else:
            self._asked_to_quit = True
            self._tell("note", "To quit, press Ctrl-C again, or Ctrl-D.")


def _rejection(rejected: ConnectionRejected) -> _Loss:
    body = plain((rejected.body or b"").decode(errors="replace")).strip()[:500]
    why = f"EVAA refused the connection: HTTP {rejected.status_code}{': ' if body else ''}{body}"
    return _Loss(why, final=rejected.status_code not in (429, 502, 503, 504))


def _closure(closed: ConnectionClosed) -> _Loss:
    code = closed.reason.code if closed.reason is not None else 1006
    said = plain(closed.reason.reason or "") if closed.reason is not None else ""
    if code in _FINAL:
        return _Loss(f"EVAA closed the connection: {said or _FINAL[code]} ({code})", final=True)
    if code == CloseCode.IDLE:
        return _Loss("The connection was closed because nothing was said for long", idle=True)
    return _Loss(f"The connection was lost{': ' if said else ''}{said} ({code})")
