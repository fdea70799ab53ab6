"""A stream on which a write that was cancelled half-way is finished by the next one."""

import trio


class SteadyStream(trio.abc.Stream):
    """Wraps a TCP stream so that frames stay whole.

    `trio.SocketStream` says that after a cancelled `send_all` nobody knows how much was sent; a close frame after it
    might stand in the middle of another frame. Here what is unsent is kept and goes out first the next time.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._unsent = bytearray()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send what is left of earlier writes, then `data`. Raises as `trio.SocketStream.send_all` does."""
        self._unsent += data
        if self._stream.socket.fileno() < 0:
            raise trio.ClosedResourceError("the stream is closed")
        try:
            while self._unsent:
                sent = await self._stream.socket.send(self._unsent)
                del self._unsent[:sent]
        except OSError as error:
            raise trio.BrokenResourceError("the socket is broken") from error

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the socket."""
        await self._stream.aclose()
