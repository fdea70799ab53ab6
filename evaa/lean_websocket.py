"""Rounds of the scheduler that trio-websocket 0.12 makes for each message and that are not needed here.

There is no public way to do without them, so this module reaches into two private attributes; the dependency is held
below the next minor version, and a test watches both. For a message that comes and goes they are three rounds of five.
"""

from contextlib import nullcontext

import trio
from trio_websocket import WebSocketConnection


def make_lean(websocket: WebSocketConnection) -> None:
    """Change a WebSocket over a `SteadyStream`, just opened.

    - Its sends go without a lock: a `SteadyStream` keeps what several tasks send whole and in order.
    - What it receives goes into its queue without a checkpoint if there is room; the next read waits in any case.
    """
    websocket._stream_lock = nullcontext()  # type: ignore[assignment]
    websocket._send_channel = _QuickChannel(websocket._send_channel)  # type: ignore[assignment]


class _QuickChannel:
    def __init__(self, channel: trio.MemorySendChannel[str | bytes]) -> None:
        self._channel = channel

    async def send(self, message: str | bytes) -> None:
        try:
            self._channel.send_nowait(message)
        except trio.WouldBlock:
            await self._channel.send(message)

    async def aclose(self) -> None:
        await self._channel.aclose()
