"""A client's connection in memory, with the faults of a real one."""

from typing import Self

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

_MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class Wire(trio.abc.Stream):
    """The server's end of a connection; `far_end` is the client's, `scope` is what the server serves it in, and
    `served_by` the task that does it; `served` is set when it is done.

    - stalled: the client reads nothing and all buffers are full, so that writes block (`stall`, `flow`);
    - slow: each write takes `seconds_per_write`;
    - cut: nothing arrives any more in either direction, and nobody is told (`cut`).

    As on `SteadyStream`, what a cancelled write left unsent goes out with the next one.
    """

    def __init__(self, near_end: _MemoryStream, far_end: _MemoryStream) -> None:
        self.far_end = far_end
        self.scope = trio.CancelScope()
        self.served = trio.Event()
        self.served_by: trio.lowlevel.Task | None = None
        self.seconds_per_write = 0.0
        self.is_cut = False
        self.closed_at: float | None = None
        self.writes = 0
        self._near_end = near_end
        self._flowing = trio.Event()
        self._flowing.set()
        self._unsent = bytearray()

    @classmethod
    def pair(cls) -> Self:
        """A new connection."""
        return cls(*memory_stream_pair())

    def stall(self) -> None:
        """From now on the server's writes block."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        """The client reads again."""
        self._flowing.set()

    def cut(self) -> None:
        """From now on nothing arrives, either way."""
        self.is_cut = True

    async def hang_up(self) -> None:
        """The client's end is closed without a word."""
        await self.far_end.aclose()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._unsent += data
        self.writes += 1
        if self.seconds_per_write:
            await trio.sleep(self.seconds_per_write)
        await self._flowing.wait()
        unsent, self._unsent = self._unsent, bytearray()
        if self.is_cut:
            await trio.lowlevel.checkpoint()
        else:
            await self._near_end.send_all(unsent)

    async def wait_send_all_might_not_block(self) -> None:
        await self._near_end.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            data = bytes(await self._near_end.receive_some(max_bytes))
            if not self.is_cut:
                return data
            if not data:
                await trio.sleep_forever()

    async def aclose(self) -> None:
        if self.closed_at is None:
            self.closed_at = trio.current_time()
        await self._near_end.aclose()
