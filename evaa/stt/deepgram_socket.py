"""A raw WebSocket to Deepgram, by trio-websocket: opened within a bound, closed within a bound, its ends explained."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import cast
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from evaa.lean_websocket import make_lean
from evaa.steady_stream import SteadyStream
from protocols.deepgram import ProtocolName, closure, refusal
from protocols.ports import SttLost, SttRefused

MAX_MESSAGE_BYTES = 1 << 20
MESSAGES_WAITING = 4
PONG_S = 5.0

Dial = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""Opens a stream to a host and port, with TLS or without. Raises `OSError`, `trio.BrokenResourceError`."""


class DeepgramAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where Deepgram is, and how to get in. `url` is `wss://host[:port]`. Times in seconds."""

    url: str
    api_key: str
    connect_timeout_s: float = 5.0
    close_timeout_s: float = 1.0


async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """Open a TCP connection, with TLS over it if asked for."""
    stream = SteadyStream(await trio.open_tcp_stream(host, port))
    if not tls:
        return stream
    secure = trio.SSLStream(stream, _tls_context(), server_hostname=host, https_compatible=True)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(trio.aclose_forcefully, stream)
        await secure.do_handshake()
        stack.pop_all()
    return secure


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class DeepgramSocket:
    """An open WebSocket. Its methods raise what the provider's close meant: `SttLost` or `SttRefused`."""

    def __init__(self, websocket: WebSocketConnection, protocol: ProtocolName, nursery: trio.Nursery) -> None:
        self.request_id = _request_id(websocket)
        self.has_asked_to_close = False
        self._websocket = websocket
        self._protocol = protocol
        self._nursery = nursery
        self._is_pinging = False

    async def send(self, message: str | bytes) -> None:
        """Send a message; blocks while Deepgram does not read."""
        try:
            await self._websocket.send_message(message)
        except ConnectionClosed as closed:
            raise self._explain(closed) from None

    async def ping(self) -> None:
        """Send a ping, unless one is on its way. A pong that does not come in time ends the block with `SttLost`."""
        if not self._is_pinging:
            self._is_pinging = True
            self._nursery.start_soon(self._ping)
        await trio.lowlevel.checkpoint()

    async def _ping(self) -> None:
        with trio.move_on_after(PONG_S) as patience, contextlib.suppress(ConnectionClosed):  # the receiver tells why
            await self._websocket.ping()
        if patience.cancelled_caught:
            raise SttLost(f"Deepgram did not answer a ping within {PONG_S:g} s")
        self._is_pinging = False

    async def receive(self) -> str | None:
        """Return the next text message; None once Deepgram has closed as it was asked to (`has_asked_to_close`)."""
        while True:
            try:
                message = await self._websocket.get_message()
            except ConnectionClosed as closed:
                if (error := self._meaning(closed)) is None:
                    return None
                raise error from None
            if isinstance(message, str):
                return message

    def _explain(self, closed: ConnectionClosed) -> SttLost | SttRefused:
        return self._meaning(closed) or SttLost("Deepgram has closed the connection")

    def _meaning(self, closed: ConnectionClosed) -> SttLost | SttRefused | None:
        code, reason = (None, None) if closed.reason is None else (int(closed.reason.code), closed.reason.reason)
        return closure(self._protocol, code, reason or "", asked=self.has_asked_to_close)


@asynccontextmanager
async def open_socket(
    access: DeepgramAccess, target: str, protocol: ProtocolName, dial: Dial
) -> AsyncIterator[DeepgramSocket]:
    """A WebSocket to `target` (path and query), for the length of the block.

    Raises `SttLost` if Deepgram cannot be reached in time, `SttRefused` if it does not want the connection, in a group
    or alone; what the block raises comes out in a group. At a regular end of the block the WebSocket is closed in good
    order, within the bound; else it is dropped at once.
    """
    stream = await _reach(access, dial)
    try:
        async with trio.open_nursery() as nursery:
            websocket = await _shake_hands(access, target, stream, nursery)
            if stream.takes_any_sender:
                make_lean(websocket)
            yield DeepgramSocket(websocket, protocol, nursery)
            with trio.move_on_after(access.close_timeout_s):
                await websocket.aclose()
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as group:
        raise _refusal(group) from None
    except* LocalProtocolError:
        pass  # a ping has crossed our close frame; trio-websocket 0.12 tries to answer it (its issue 184)
    finally:
        await trio.aclose_forcefully(stream)


async def _reach(access: DeepgramAccess, dial: Dial) -> "_WatchedStream":
    url = urlsplit(access.url)
    tls = url.scheme == "wss"
    assert url.hostname is not None
    try:
        with trio.fail_after(access.connect_timeout_s):
            return _WatchedStream(await dial(url.hostname, url.port or (443 if tls else 80), tls))
    except (OSError, trio.BrokenResourceError) as error:
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise SttRefused(f"{url.hostname} is not trusted: {error.__cause__.verify_message}") from None
        raise SttLost(f"Deepgram cannot be reached: {type(error).__name__}") from None
    except trio.TooSlowError:
        raise SttLost(f"Deepgram cannot be reached within {access.connect_timeout_s:g} s") from None


async def _shake_hands(
    access: DeepgramAccess, target: str, stream: "_WatchedStream", nursery: trio.Nursery
) -> WebSocketConnection:
    with trio.move_on_after(access.connect_timeout_s) as stream.handshake:
        return await wrap_client_stream(
            nursery,
            cast(trio.SocketStream, stream),
            urlsplit(access.url).netloc,
            target,
            extra_headers=[(b"Authorization", f"Token {access.api_key}".encode())],
            max_message_size=MAX_MESSAGE_BYTES,
            message_queue_size=MESSAGES_WAITING,
        )
    raise SttLost("Deepgram ended the handshake" if stream.has_ended else "Deepgram did not answer the handshake")


class _WatchedStream(trio.abc.Stream):
    """Ends the handshake when the stream ends: trio-websocket 0.12 would wait for ever."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.handshake = trio.CancelScope()
        self.has_ended = False
        self.takes_any_sender = isinstance(stream, SteadyStream)
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self._end()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except trio.BrokenResourceError:
            self._end()
            raise
        if not data:
            self._end()
        return data

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    def _end(self) -> None:
        self.has_ended = True
        self.handshake.cancel()


def _refusal(group: BaseExceptionGroup[ConnectionRejected]) -> SttLost | SttRefused:
    rejected = next(error for error in group.exceptions if isinstance(error, ConnectionRejected))
    return refusal(rejected.status_code, rejected.headers or (), rejected.body)


def _request_id(websocket: WebSocketConnection) -> str | None:
    headers = websocket.handshake_headers
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"dg-request-id"), None)
