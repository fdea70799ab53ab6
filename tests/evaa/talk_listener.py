"""A server in memory that listens to recordings: all of it on a virtual clock, so that times are exact."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import trio
from trio.abc import Stream
from trio.testing import memory_stream_pair
from trio_websocket import WebSocketConnection, WebSocketRequest, wrap_server_stream

from protocols.dialects import TYPED_JSON
from tests.evaa.recordings import AUDIO
from tests.evaa.talk_server import Desk, Peer

YES = AUDIO / "c_yes.webm"
URL = "ws://evaa.test/ws"
OPENING = {"role": "assistant", "text": "What is it?", "turn": 0}


class Arrival(NamedTuple):
    """A chunk, and when it came: seconds after the connection was ready for it."""

    at_s: float
    data: bytes


class Listener(Peer):
    """The server's side of one connection over which a recording comes."""

    def __init__(self, request: WebSocketRequest, socket: WebSocketConnection) -> None:
        super().__init__(request, socket)
        self.audio: Any = None
        self.ready_at = 0.0

    async def bind(self, *messages: dict[str, Any]) -> None:
        """Take a `start`, and bind: a new session, or the one with these messages."""
        self.audio = (await self.hear("start"))["audio"]
        await self.ready(*messages, resumed=bool(messages))
        if not messages:
            await self.reply(0, "What is it?")
        self.ready_at = trio.current_time()

    async def chunk(self) -> Arrival:
        """The next chunk."""
        data = await self.socket.get_message()
        assert isinstance(data, bytes)
        return Arrival(trio.current_time() - self.ready_at, data)

    async def listen(self) -> list[Arrival]:
        """The whole recording, up to `endOfSpeech`."""
        arrived = []
        while isinstance(message := await self.socket.get_message(), bytes):
            arrived.append(Arrival(trio.current_time() - self.ready_at, message))
        assert json.loads(message) == {"type": "endOfSpeech"}
        return arrived

    async def heard(self, turn: int, text: str, *, final: bool = True) -> None:
        await self.tell("transcript", turn=turn, text=text, final=final)

    async def answer(self, turn: int, said: str, reply: str) -> None:
        """What was said is final, acknowledged and answered."""
        await self.heard(turn, said)
        await self.tell("turnStarted", turn=turn, source="voice")
        await self.reply(turn, reply)


Script = Callable[[Listener], Awaitable[None]]


@asynccontextmanager
async def listening(
    monkeypatch: pytest.MonkeyPatch, *scripts: Script, wire: Callable[[], tuple[Stream, Stream]] = memory_stream_pair
) -> AsyncIterator[str]:
    """Run one script for each connection that is dialled; yields the URL. All have ended when the block is left."""
    waiting = list(scripts)
    done = trio.Event()

    async def serve(stream: Stream, script: Script) -> None:
        async with trio.open_nursery() as connection:
            request = await wrap_server_stream(connection, stream)
            await script(Listener(request, await request.accept(subprotocol=TYPED_JSON)))
            connection.cancel_scope.cancel()
        if not waiting:
            done.set()

    async def dial(host: str, port: int) -> Stream:
        await trio.lowlevel.checkpoint()
        near, far = wire()
        nursery.start_soon(serve, far, waiting.pop(0))
        return near

    monkeypatch.setattr(trio, "open_tcp_stream", dial)
    async with trio.open_nursery() as nursery:
        yield URL
        await done.wait()
        nursery.cancel_scope.cancel()


def desk() -> Desk:
    """A terminal that reads nothing unless a key is pressed."""
    return Desk(interactive=True)


def at(arrived: Sequence[Arrival]) -> list[float]:
    return [chunk.at_s for chunk in arrived]


def sent(arrived: Sequence[Arrival]) -> bytes:
    return b"".join(chunk.data for chunk in arrived)
