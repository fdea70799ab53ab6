"""A WebSocket client for tests against a real process."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

CLOSE_S = 2.0
"""A process that was stopped answers no close frame."""


class Client:
    """A connection in one of the JSON dialects. `receive` and `next` raise `ConnectionClosed` when it has ended."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        self._websocket = websocket

    async def send(self, **frame: Any) -> None:
        await self._websocket.send_message(json.dumps(frame))

    async def send_audio(self, data: bytes) -> None:
        await self._websocket.send_message(data)

    async def receive(self) -> dict[str, Any]:
        """The next frame."""
        return dict(json.loads(await self._websocket.get_message()))

    async def next(self, kind: str) -> dict[str, Any]:
        """The next frame of a type; what comes before is passed over."""
        while (frame := await self.receive())["type"] != kind:
            pass
        return frame

    async def close_code(self) -> int:
        """Wait for the end; the close code."""
        while True:
            try:
                await self.receive()
            except ConnectionClosed as closed:
                return int(closed.reason.code) if closed.reason is not None else 1006


@asynccontextmanager
async def connected(url: str, dialect: str = "evaa.v2.json") -> AsyncIterator[Client]:
    """Connect; the socket is closed in any case (trio-websocket leaves it open when the other side closes first)."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    stream = await trio.open_tcp_stream(parts.hostname, parts.port)
    try:
        async with stream, trio.open_nursery() as nursery:
            path = f"{parts.path}?{parts.query}"
            websocket = await wrap_client_stream(
                nursery, stream, f"{parts.hostname}:{parts.port}", path, subprotocols=[dialect]
            )
            try:
                yield Client(websocket)
            finally:
                with trio.move_on_after(CLOSE_S):
                    await websocket.aclose()
            nursery.cancel_scope.cancel()
    except* LocalProtocolError:
        pass  # a ping of the process has crossed our close frame (see LatePings)
