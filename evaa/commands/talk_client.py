"""The terminal client's connection: opened, read, and opened again when it is lost.

One task keeps the connection and reads it; another, the user's, says what is said. Both change the view only through
`Client.apply`, which replaces it in one step. What is decided is decided in `talk_view`.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import LocalProtocolError

from evaa.commands.address import Address, Stream, dial
from evaa.commands.talk_effects import Kind, Print, Send
from evaa.commands.talk_frames import plain
from evaa.commands.talk_state import Change, View
from evaa.commands.talk_terminal import Terminal
from evaa.commands.talk_view import lost, receive, start_message
from protocols.dialects import TYPED_JSON
from protocols.frontend import CloseCode

QUIET_S = 1.0
"""How long nothing must come after a word on the documents is answered: it may have begun a new version."""

PATIENCE_S = 60.0
"""How long nothing at all may come while documents are written: a model may have to be waited for."""

STILL_WRITING = "The documents are not written yet; EVAA goes on with them, also when nobody waits."

_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_LASTED_S = 30.0
_NO_ANSWER = "no answer in time"
_LARGEST_MESSAGE = 16 * 2**20  # a replay holds a whole conversation

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


class _Loss(NamedTuple):
    """Why there is no connection, and whether another attempt may help."""

    why: str
    final: bool = False
    idle: bool = False


_OVER = _Loss("over")


class Client:
    """One run of the client. `view` is the state, and whoever reads it may wait for it; `finish` ends the run."""

    def __init__(
        self,
        address: Address,
        view: View,
        token: str | None,
        terminal: Terminal,
        retry_delays_s: Sequence[float],
    ) -> None:
        self.view = view
        self._address = address
        self._headers = [] if token is None else [(b"Authorization", f"Bearer {token}".encode())]
        self._terminal = terminal
        self._delays = retry_delays_s
        self._status: int | None = None
        self._socket: WebSocketConnection | None = None
        self._changed = trio.Event()
        self._attempt = trio.CancelScope()

    async def run(self, user: Callable[[], Awaitable[None]]) -> int:
        """Keep connected, and let the user talk, until it is over; return the exit status."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(user)
            await self._keep_connected()
            nursery.cancel_scope.cancel()
        return 1 if self._status is None else self._status

    @property
    def is_over(self) -> bool:
        """Whether the run has been ended."""
        return self._status is not None

    def finish(self, status: int) -> None:
        """End the run with this exit status. Returns at once; the connection is then closed, and the user cancelled."""
        self._status = status
        self._attempt.cancel()

    async def apply(self, change: Change) -> None:
        """Take the new view, and do what goes with it. Blocks while the connection takes nothing."""
        self.view, effects = change
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        for effect in effects:
            if not isinstance(effect, Send):
                self._terminal.show(effect)
        for effect in effects:
            if isinstance(effect, Send):
                await self.send(effect.message)

    async def send(self, message: str | bytes) -> None:
        """Send a message, if there is a connection. Blocks while it takes nothing."""
        if self._socket is None:
            return
        with contextlib.suppress(ConnectionClosed):  # the reading task learns of it, and opens the next connection
            await self._socket.send_message(message)

    async def until(self, holds: Callable[[View], bool]) -> None:
        """Wait until something holds of the view; returns at once if it does."""
        while not holds(self.view):
            await self._changed.wait()

    async def another_change(self) -> None:
        """Wait until the view is replaced, by whatever comes next."""
        await self._changed.wait()

    async def until_documents(self) -> None:
        """Wait until EVAA is at rest about the documents, so far as there are any: nothing written, nothing owed.

        Gives up, and says so, when nothing at all has come for `PATIENCE_S`.
        """
        while self.view.is_complete and not self.is_over:
            is_done = self.view.idle and not self.view.is_drafting
            with trio.move_on_after(QUIET_S if is_done else PATIENCE_S):
                await self.another_change()
                continue
            if not is_done:
                self.tell("note", STILL_WRITING)
            return

    def tell(self, kind: Kind, text: str) -> None:
        """Show a text to the user."""
        self._terminal.show(Print(kind, text))

    # --- the connection -----------------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            began, settled = trio.current_time(), self.view.settled
            loss = await self._connect()
            if self._status is not None:
                return
            await self.apply(lost(self.view))
            if self.view.settled > settled or trio.current_time() - began > _LASTED_S:
                failures = 0
            if loss.final or not self.view.was_bound or failures == len(self._delays):
                gave_up = f"; gave up after {failures} attempts to reconnect." if failures and not loss.final else ""
                self.tell("error", loss.why + gave_up)
                return
            await self._pause(loss, failures)
            failures += 1

    async def _pause(self, loss: _Loss, failures: int) -> None:
        """Wait until it is time for the next attempt."""
        delay_s = max(self._delays[failures], self.view.reconnect_after_s)
        with trio.CancelScope() as self._attempt:
            if loss.idle and self.view.audio is None:
                self.tell("note", f"{loss.why}; it is opened again when you go on.")
                await self.until(lambda view: bool(view.said))
            else:
                attempt = f"attempt {failures + 1} of {len(self._delays)}"
                self.tell("note", f"{loss.why}; reconnecting in {delay_s:g} s ({attempt}).")
                await trio.sleep(delay_s)

    async def _connect(self) -> _Loss:
        """Open a connection and use it until it is lost or all is over; return how it ended."""
        if self._status is not None:
            return _OVER
        with trio.CancelScope() as self._attempt:
            try:
                with trio.fail_after(_CONNECT_TIMEOUT_S):
                    stream = await dial(self._address)
            except (OSError, trio.BrokenResourceError) as error:
                return self._unreachable(str(error))
            except trio.TooSlowError:
                return self._unreachable(_NO_ANSWER)
            # Kept here because trio-websocket leaves its stream open when the other side has closed first.
            async with stream:
                return await self._shake_hands(stream)
        return _OVER

    async def _shake_hands(self, stream: Stream) -> _Loss:
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
        except* LocalProtocolError:
            pass  # a ping has crossed our close frame; trio-websocket 0.12 tries to answer it (its issue 184)
        return loss

    async def _upgrade(self, nursery: trio.Nursery, stream: Stream) -> WebSocketConnection:
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
                    await self.apply(receive(self.view, message))  # the view as it is now, not before the wait
                    if self.view.is_refused:
                        self.finish(1)
        except ConnectionClosed as closed:
            return _closure(closed)
        finally:
            self._socket = None
        return _OVER

    def _unreachable(self, reason: str) -> _Loss:
        if self.view.was_bound:
            return _Loss(f"EVAA cannot be reached ({reason})")
        return _Loss(
            f"EVAA cannot be reached at {self._address.shown} ({reason}). Is it running? Start it with: make run"
        )


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
