"""The Deepgram simulator's bytes: the server's end of one connection, HTTP/1.1 at first and then perhaps WebSocket.

h11 reads requests and wsproto frames. Of trio-websocket nothing is used here: the simulator must be able to end a
connection in every way that a server can, and must see the pings that only keep it alive.
"""

import base64
import contextlib
import hashlib
import math
import socket
import struct
from collections.abc import Mapping
from typing import Any

import h11
import msgspec
import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

READ_BYTES = 64 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
IDLE_S = 400.0  # until a request is there
SEND_S = 30.0  # for the client to take one send

Headers = list[tuple[str, str]]
Frame = str | bytes | Ping | Pong | CloseConnection
"""A whole message of the client, or a control frame."""

_JSON_TYPE = ("content-type", "application/json")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOO_BIG = 1009


class Request(msgspec.Struct, frozen=True):
    """A request: header names in lower case, the decoded body (None if it is no JSON)."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


class Wire:
    """The server's end of one connection. `received_bytes` counts what came after the handshake.

    After `limit` of these bytes nothing more is read, and the connection counts as cut.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.received_bytes = 0
        self.limit: int | None = None
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._frames: Connection | None = None
        self._ahead = bytearray()
        self._parts: list[str | bytes] = []
        self._parts_size = 0
        self._sending = trio.StrictFIFOLock()

    # --- HTTP ---------------------------------------------------------------------------------------------------

    async def next_request(self) -> Request | None:
        """Return the next request, or None if the client closed the connection.

        Raises trio.TooSlowError, and h11.RemoteProtocolError for what is no proper request.
        """
        with trio.fail_after(IDLE_S):
            head = await self._next_event()
            if not isinstance(head, h11.Request):
                return None
            body = await self._read_body()
        return Request(
            method=head.method.decode("ascii"),
            target=head.target.decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
            body=_decoded(body),
        )

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response with a JSON body."""
        head = h11.Response(status_code=status, headers=[*headers, _JSON_TYPE, ("content-length", str(len(body)))])
        events: list[h11.Event] = [head, h11.Data(data=body), h11.EndOfMessage()]
        await self.send(b"".join(self._http.send(event) or b"" for event in events))

    async def accept(self, request: Request, headers: Headers) -> None:
        """Send the 101 and speak WebSocket from now on."""
        digest = hashlib.sha1(request.headers["sec-websocket-key"].encode("latin-1") + _ACCEPT_GUID).digest()
        accept = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", base64.b64encode(digest).decode("ascii")),
        ]
        head = self._http.send(h11.InformationalResponse(status_code=101, headers=[*accept, *headers]))
        self._frames = Connection(ConnectionType.SERVER)
        self._ahead[:0] = self._http.trailing_data[0]
        await self.send(head or b"")

    async def refuse_garbage(self, error: h11.RemoteProtocolError) -> None:
        """Answer what is not proper HTTP, if that is still possible."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = msgspec.json.encode({"err_code": "Bad Request", "err_msg": str(error)})
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                await self.respond(error.error_status_hint, [("connection", "close")], body)

    def begin_next(self) -> bool:
        """Get ready for another request; False if this connection cannot carry one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def wait(self, seconds: float = math.inf) -> bool:
        """Wait for so long; False at once if the client leaves. What it sends meanwhile is kept, up to a limit."""
        with trio.move_on_after(seconds):
            while len(self._ahead) < READ_BYTES:
                data = await self._stream.receive_some(READ_BYTES)
                if not data:
                    return False
                self._ahead += data
            await trio.sleep_forever()
        return True

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
        return event

    async def _read_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            if len(body) <= MAX_BODY_BYTES:
                body += event.data
        if len(body) > MAX_BODY_BYTES:
            raise h11.RemoteProtocolError("Request Entity Too Large", error_status_hint=413)
        return bytes(body)

    # --- WebSocket ----------------------------------------------------------------------------------------------

    @property
    def has_their_close(self) -> bool:
        """Whether the client sent a close frame; without one, a `CloseConnection` tells of a broken rule."""
        return self._frames is not None and self._frames.state in (
            ConnectionState.REMOTE_CLOSING,
            ConnectionState.CLOSED,
        )

    async def receive(self, max_bytes: int = READ_BYTES) -> list[Frame] | None:
        """Return the messages and control frames that came; None once the client has left, or `limit` was reached."""
        left = READ_BYTES if self.limit is None else self.limit - self.received_bytes
        if left <= 0:
            return None
        if self._ahead:
            data = bytes(self._ahead[:left])
            del self._ahead[:left]
        else:
            data = bytes(await self._stream.receive_some(min(left, max_bytes)))
        self.received_bytes += len(data)
        return self._parse(data) if data else None

    def _parse(self, data: bytes) -> list[Frame]:
        assert self._frames is not None
        if self._frames.state is ConnectionState.CLOSED:
            return []
        self._frames.receive_data(data)
        frames: list[Frame] = []
        for event in self._frames.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._take_part(event, frames)
            elif isinstance(event, Ping | Pong | CloseConnection):
                frames.append(event)
        return frames

    def _take_part(self, event: TextMessage | BytesMessage, frames: list[Frame]) -> None:
        is_text = isinstance(event, TextMessage)
        self._parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
        self._parts_size += len(event.data)
        if self._parts_size > MAX_MESSAGE_BYTES:
            frames.append(CloseConnection(code=_TOO_BIG, reason="message too big"))
            self._parts, self._parts_size = [], 0
        elif event.message_finished:
            empty: Any = "" if is_text else b""
            frames.append(self._parts[0] if len(self._parts) == 1 else empty.join(self._parts))
            self._parts, self._parts_size = [], 0

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        await self.send(self._frame(TextMessage(data=text)))

    async def send_half(self, text: str) -> None:
        """Send the first half of a text message's frame."""
        frame = self._frame(TextMessage(data=text))
        await self.send(frame[: len(frame) // 2])

    async def send_pong(self, ping: Ping) -> None:
        """Answer a ping."""
        await self.send(self._frame(ping.response()))

    async def send_close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame, or answer the client's; `code` None: one without a code."""
        # wsproto leaves the code out for this very member, not for a number that equals it.
        bare = CloseConnection(code=CloseReason.NO_STATUS_RCVD)
        close = bare if code is None else CloseConnection(code=code, reason=reason)
        await self.send(self._frame(close))

    def _frame(self, event: Event) -> bytes:
        """Return a frame's bytes; none if we have sent a close frame, behind which nothing may come."""
        assert self._frames is not None
        is_closing = self._frames.state in (ConnectionState.LOCAL_CLOSING, ConnectionState.CLOSED)
        has_no_place = self._frames.state is ConnectionState.REMOTE_CLOSING and not isinstance(event, CloseConnection)
        return b"" if is_closing or has_no_place else self._frames.send(event)

    # --- both ---------------------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send bytes as they are. Raises trio.TooSlowError if the client does not take them within `SEND_S`."""
        if not data:
            return
        with trio.fail_after(SEND_S):
            async with self._sending:
                await self._stream.send_all(data)

    async def cut(self) -> None:
        """Close at once and, on a real socket, with a reset: the client sees a broken connection, not an end."""
        if isinstance(self._stream, trio.SocketStream):
            with contextlib.suppress(OSError):
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        await trio.aclose_forcefully(self._stream)


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
