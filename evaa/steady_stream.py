"""A TCP stream for WebSockets: frames stay whole, and what can be done at once costs no scheduling."""

import os

import trio

DEFAULT_READ_BYTES = 65_536


class SteadyStream(trio.abc.Stream):
    """Wraps a TCP stream (POSIX). Any number of tasks may send; what they send is never mixed up.

    - `trio.SocketStream` says that after a cancelled `send_all` nobody knows how much was sent; a close frame after it
      might stand in the middle of another frame. Here what is unsent is kept and goes out first the next time.
    - A write that the kernel takes at once is no checkpoint, and a read waits first: a chunk of audio is read and
      written in a fraction of what a round of the scheduler, or a read in vain, takes.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._unsent = bytearray()
        self._is_flushing = False
        self._flushed = trio.lowlevel.ParkingLot()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send what is left of earlier writes, then `data`. Raises as `trio.SocketStream.send_all` does."""
        if self._unsent:
            self._unsent += data
        elif (sent := self._write(data)) < len(data):
            self._unsent += memoryview(data)[sent:]
        while self._unsent:
            await self._flush()

    async def _flush(self) -> None:
        """Wait until the kernel takes more of what is unsent, or another task's wait has ended."""
        if self._is_flushing:
            await self._flushed.park()
            return
        self._is_flushing = True
        try:
            await trio.lowlevel.wait_writable(self._stream.socket)
            del self._unsent[: self._write(self._unsent)]
        finally:
            self._is_flushing = False
            self._flushed.unpark_all()

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return os.write(self._open_fd(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError("the socket is broken") from error

    def _open_fd(self) -> int:
        # Asked each time: once it is closed, its number may be another file's.
        fd = self._stream.socket.fileno()
        if fd < 0:
            raise trio.ClosedResourceError("the stream is closed")
        return fd

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        while True:
            self._open_fd()
            await trio.lowlevel.wait_readable(self._stream.socket)
            try:
                return os.read(self._open_fd(), max_bytes or DEFAULT_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError("the socket is broken") from error

    async def aclose(self) -> None:
        """Close the socket."""
        await self._stream.aclose()
