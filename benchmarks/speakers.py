"""Clients that speak: they send a recording at a steady pace, and read whatever comes back."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import msgspec

from benchmarks import recording
from benchmarks.recogniser import Plan, Stats

PATIENCE_S = 20.0

OnFrame = Callable[[str | bytes, int], None]
"""Is told of each message, and when it came, in nanoseconds of the machine's monotonic clock."""


def ignore(message: str | bytes, now_ns: int) -> None:
    """What a client does that is interested in nothing."""


class Speaker:
    """One client. `sent_ns` is when each chunk left, on the machine's monotonic clock."""

    def __init__(self, name: str, dialect: str, on_frame: OnFrame = ignore) -> None:
        self.name = name
        self.sent_ns: list[int] = []
        self._dialect = dialect
        self._on_frame = on_frame
        self._session_id = os.urandom(12).hex()
        self._websocket: aiohttp.ClientWebSocketResponse
        self._listening: asyncio.Task[None]
        self._bound = asyncio.Event()

    async def connect(self, http: aiohttp.ClientSession, url: str, *, declares: bool = True) -> None:
        """Open the connection and bind it; the audio is declared where the dialect can."""
        self._websocket = await http.ws_connect(url, protocols=(self._dialect,))
        self._listening = asyncio.create_task(self._listen())
        await self._websocket.send_frame(*_frame(recording.start(self._dialect, self._session_id, declares=declares)))
        if urlsplit(url).path == "/ws":
            async with asyncio.timeout(PATIENCE_S):
                await self._bound.wait()

    async def speak(self, begin: float, duration_s: float) -> None:
        """Send a chunk every 0.1 s from `begin` on, on the event loop's clock."""
        clock = asyncio.get_running_loop().time
        pack = recording.packing(self._dialect, self._session_id)
        count = round(duration_s / recording.CHUNK_INTERVAL_S)
        frames = [_frame(pack(chunk)) for chunk in recording.chunks(self.name)[:count]]
        for number, frame in enumerate(frames):
            await asyncio.sleep(begin + number * recording.CHUNK_INTERVAL_S - clock())
            self.sent_ns.append(time.monotonic_ns())
            await self._websocket.send_frame(*frame)

    async def leave(self) -> None:
        """Close the connection."""
        await self._websocket.close()
        await self._listening

    async def _listen(self) -> None:
        async for message in self._websocket:
            self._bound.set()
            self._on_frame(message.data, time.monotonic_ns())


def _frame(message: str | bytes) -> tuple[bytes, aiohttp.WSMsgType]:
    if isinstance(message, str):
        return message.encode(), aiohttp.WSMsgType.TEXT
    return message, aiohttp.WSMsgType.BINARY


class RecogniserControl:
    """The recogniser's other side (see `recogniser`)."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.replace("ws://", "http://")

    async def plan(self, plan: Plan) -> None:
        async with self._http.post(f"{self._url}/plan", data=msgspec.json.encode(plan)) as response:
            response.raise_for_status()

    async def stats(self) -> Stats:
        async with self._http.get(f"{self._url}/stats") as response:
            return msgspec.json.decode(await response.read(), type=Stats)

    async def wait_for(self, connections: int) -> None:
        """Wait until there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self._http.get(f"{self._url}/connected") as response:
                    if int(await response.text()) == connections:
                        return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def connected(
    http: aiohttp.ClientSession, url: str, clients: list[Speaker], *, declares: bool = True
) -> AsyncIterator[None]:
    """The clients, connected a few at a time, for the length of the block."""
    few = asyncio.Semaphore(20)

    async def connect(client: Speaker) -> None:
        async with few:
            await client.connect(http, url, declares=declares)

    await asyncio.gather(*(connect(client) for client in clients))
    try:
        yield
    finally:
        await asyncio.gather(*(client.leave() for client in clients))
