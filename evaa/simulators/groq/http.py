"""The Groq simulator's HTTP/1.1: the server's end of one connection on any trio stream.

h11 parses what comes and keeps the states; chunks are framed by hand, since there is one for each token.
"""

import contextlib
import socket
import struct
from typing import Any

import h11
import msgspec
import trio

from evaa.simulators.groq.script import ProviderError, RecordedRequest

MAX_BODY_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024
IDLE_S = 400.0  # until a request's head is there; Groq's edge waits as long
BODY_S = 60.0  # until its body is there
SEND_S = 30.0  # for the client to take one send

Headers = list[tuple[str, str]]

JSON_TYPE = ("content-type", "application/json")
EVENT_STREAM = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """The server's end of one HTTP/1.1 connection: h11 for heads and states, bodies framed by hand."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._answers_head = False

    async def next_request(self) -> RecordedRequest | None:
        """Return the next request, or None if the client closed the connection. Raises trio.TooSlowError.

        What cannot be served raises h11.RemoteProtocolError, which tells the status to answer with.
        """
        with trio.fail_after(IDLE_S):
            head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        self._answers_head = head.method == b"HEAD"
        with trio.fail_after(BODY_S):
            raw = await self._read_body()
        if head.http_version != b"1.1":
            raise h11.RemoteProtocolError("Only HTTP/1.1 is spoken here", error_status_hint=505)
        if len(raw) > MAX_BODY_BYTES:
            raise h11.RemoteProtocolError("Request Entity Too Large", error_status_hint=413)
        return RecordedRequest(
            method=head.method.decode("ascii"),
            path=head.target.decode("latin-1").partition("?")[0],
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
            body=_decoded(raw),
            at_s=trio.current_time(),
        )

    async def watch(self, scope: trio.CancelScope) -> None:
        """Cancel `scope` when the client leaves. What it sends ahead of time is kept, up to about `READ_BYTES`."""
        ahead = 0
        while ahead < READ_BYTES:
            try:
                data = await self._stream.receive_some(READ_BYTES)
            except trio.ClosedResourceError:
                return  # We cut it ourselves.
            if not data:
                scope.cancel()
                return
            ahead += len(data)
            self._http.receive_data(bytes(data))

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response with a JSON body."""
        head = self._head(status, [*headers, JSON_TYPE, ("content-length", str(len(body)))])
        content = b"" if self._answers_head else self._bytes(h11.Data(data=body))
        await self.send(head + content + self._bytes(h11.EndOfMessage()))

    async def start(self, status: int, headers: Headers) -> None:
        """Send a response's head alone."""
        await self.send(self._head(status, headers))

    async def send_chunk(self, data: bytes) -> None:
        """Send `data`, which must not be empty, as one chunk of a chunked body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """End a chunked body."""
        await self.send(self._bytes(h11.EndOfMessage()))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are. Raises trio.TooSlowError if the client does not take them within `SEND_S`."""
        with trio.fail_after(SEND_S):
            await self._stream.send_all(data)

    async def cut(self) -> None:
        """Close at once and, on a real socket, with a reset: the client sees a broken connection, not an end."""
        if isinstance(self._stream, trio.SocketStream):
            with contextlib.suppress(OSError):
                self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        await trio.aclose_forcefully(self._stream)

    def begin_next(self) -> bool:
        """Get ready for another request; False if this connection cannot carry one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._answers_head = False
        return True

    async def refuse_garbage(self, error: h11.RemoteProtocolError) -> None:
        """Answer what is not proper HTTP, if that is still possible."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = ProviderError(status=error.error_status_hint, message=str(error)).body()
            with contextlib.suppress(trio.BrokenResourceError, trio.TooSlowError):
                await self.respond(error.error_status_hint, [("connection", "close")], body)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self.send(self._bytes(h11.InformationalResponse(status_code=100, headers=[])))
            self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
        return event

    async def _read_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            # What is too long is read to its end all the same: closing with bytes unread would lose the answer.
            if len(body) <= MAX_BODY_BYTES:
                body += event.data
        return bytes(body)

    def _head(self, status: int, headers: Headers) -> bytes:
        return self._bytes(h11.Response(status_code=status, headers=headers))

    def _bytes(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
