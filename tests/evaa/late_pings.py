"""The other side pings in the very moment in which we close a WebSocket: its ping crosses our close frame."""

import trio

PING = b"\x89\x00"
_CLOSE_FRAME = 0x88


class LatePings(trio.abc.Stream):
    """A client's stream: what comes first after a close frame has left is a ping."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.pings = 0
        self._stream = stream
        self._is_closing = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._is_closing |= data[:1] == bytes([_CLOSE_FRAME])
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        if self._is_closing and not self.pings:
            self.pings += 1
            return PING + data
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()
