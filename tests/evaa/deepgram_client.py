"""What the tests of the Deepgram simulator share: the recordings, and a client that plays them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from evaa.simulators.deepgram import ConnectionRecord, DeepgramSimulator
from evaa.simulators.deepgram.recordings import SpokenRecording, load_recordings

AUDIO = Path(__file__).parent.parent / "audio"
V1 = (
    "/v1/listen?model=nova-3&language=en-US&interim_results=true&smart_format=true&endpointing=300"
    "&utterance_end_ms=1500&vad_events=true"
)
V2 = "/v2/listen?model=flux-general-en&eager_eot_threshold=0.4"
KEY = ("authorization", "Token key")
CHUNK_BYTES = 500


@cache
def recordings() -> tuple[SpokenRecording, ...]:
    return tuple(load_recordings(AUDIO))


def recording(name: str) -> SpokenRecording:
    return next(recording for recording in recordings() if recording.name == name)


def audio(name: str) -> bytes:
    return (AUDIO / name).read_bytes()


def pieces(data: bytes, size: int = CHUNK_BYTES) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


Message = dict[str, Any]


class Client:
    """The client's end: collects what comes, with its times since the test's start, until the connection ends."""

    def __init__(self, connection: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self.connection = connection
        self.stream = stream
        self.came: list[tuple[float, Message]] = []
        self.closed_at_s: float | None = None
        self.has_closed = trio.Event()

    @property
    def messages(self) -> list[Message]:
        return [message for _, message in self.came]

    @property
    def close_code(self) -> int | None:
        return self.connection.closed.code if self.connection.closed else None

    @property
    def close_reason(self) -> str | None:
        return self.connection.closed.reason if self.connection.closed else None

    def of_type(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message["type"] == kind]

    async def collect(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = msgspec.json.decode(await self.connection.get_message())
                self.came.append((trio.current_time(), message))
        self.closed_at_s = trio.current_time()
        self.has_closed.set()

    async def say(self, kind: str, **fields: Any) -> None:
        await self.text(msgspec.json.encode({"type": kind} | fields).decode())

    async def text(self, text: str) -> None:
        with suppress(ConnectionClosed):
            await self.connection.send_message(text)
        await trio.testing.wait_all_tasks_blocked()

    async def play(self, chunks: Iterable[bytes], every_s: float = 0.0) -> None:
        """Send audio, so many seconds apart; stop if the connection ends."""
        with suppress(ConnectionClosed):
            for chunk in chunks:
                await self.connection.send_message(chunk)
                if every_s:
                    await trio.sleep(every_s)
        await trio.testing.wait_all_tasks_blocked()

    async def close_stream(self) -> None:
        """Ask for the end, and wait for it."""
        await self.say("CloseStream")
        await self.wait_closed()

    async def wait_closed(self, timeout_s: float = 20.0) -> None:
        """Wait for the server's end of it. Raises trio.TooSlowError."""
        with trio.fail_after(timeout_s):
            await self.has_closed.wait()


@asynccontextmanager
async def listening(
    simulator: DeepgramSimulator, target: str = V1, headers: Sequence[tuple[str, str]] = (KEY,)
) -> AsyncIterator[Client]:
    """Connect over a stream in memory. Raises trio_websocket.ConnectionRejected, in groups."""
    near, far = trio.testing.memory_stream_pair()
    async with near, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        # It takes any stream, whatever its annotation says.
        stream: Any = near
        connection = await wrap_client_stream(nursery, stream, "deepgram.test", target, extra_headers=encoded)
        client = Client(connection, near)
        nursery.start_soon(client.collect)
        yield client
        nursery.cancel_scope.cancel()


async def rejection(
    simulator: DeepgramSimulator, target: str = V1, headers: Sequence[tuple[str, str]] = (KEY,)
) -> ConnectionRejected:
    """Try to connect, and return what was said to it. Fails if it was let in."""
    with pytest.raises(ExceptionGroup) as caught:
        async with listening(simulator, target, headers):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionRejected)
    return error


def final_texts(client: Client) -> list[str]:
    """The final transcripts that came, without the empty ones."""
    results = [m["channel"]["alternatives"][0]["transcript"] for m in client.of_type("Results") if m["is_final"]]
    turns = [m["transcript"] for m in client.of_type("TurnInfo") if m["event"] == "EndOfTurn"]
    return [text for text in results + turns if text]


def newest(simulator: DeepgramSimulator) -> ConnectionRecord:
    return simulator.connections[-1]
