"""The server on a real port: the same session, over TCP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from actors.server import PATH, Server, ServerLimits
from actors.session import Services
from protocols.dialects import TYPED_JSON
from tests.actors.harness import OPENING, OTHER_SESSION, SESSION, STAGES
from tests.actors.interviewers import FakeInterviewer
from tests.actors.stores import MemorySpill, WatchedStore
from tests.actors.writers import FakeWriter


class Served:
    """A server that listens on a port of its own."""

    def __init__(self, server: Server, store: WatchedStore, port: int) -> None:
        self.server = server
        self.store = store
        self.port = port

    @asynccontextmanager
    async def connect(self, session_id: str = SESSION) -> AsyncIterator[WebSocketConnection]:
        path = f"{PATH}?sessionId={session_id}"
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream, trio.open_nursery() as nursery:
            websocket = await wrap_client_stream(nursery, stream, "evaa", path, subprotocols=[TYPED_JSON])
            yield websocket
            await websocket.aclose()


@pytest.fixture
async def served(nursery: trio.Nursery) -> Served:
    store = WatchedStore()
    await store.replace_stages(STAGES)
    services = Services(
        store=store, interviewer=FakeInterviewer(), spill=MemorySpill(), writer=FakeWriter(), owner="this process"
    )
    server = Server(services, ServerLimits())
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(server.serve, listeners)
    return Served(server, store, listeners[0].socket.getsockname()[1])


async def reply(websocket: WebSocketConnection) -> str:
    with trio.fail_after(10):
        while True:
            frame = msgspec.json.decode(await websocket.get_message())
            if frame["type"] == "reply":
                return str(frame["response"])


async def say(websocket: WebSocketConnection, text: str) -> None:
    await websocket.send_message(msgspec.json.encode({"type": "text", "text": text}).decode())


async def test_a_session_over_tcp(served: Served) -> None:
    async with served.connect() as websocket:
        assert await reply(websocket) == OPENING
        await say(websocket, "x" * 20_000)
        assert await reply(websocket) == "1: " + "x" * 20_000
    async with served.connect() as websocket:
        assert await reply(websocket) == "1: " + "x" * 20_000
        await say(websocket, "two")
        assert await reply(websocket) == "2: two"


async def test_drain_over_tcp(served: Served) -> None:
    async with served.connect() as one, served.connect(OTHER_SESSION) as other:
        await reply(one)
        await reply(other)
        with trio.fail_after(10):
            await served.server.drain()
            for websocket in (one, other):
                with pytest.raises(ConnectionClosed):
                    await reply(websocket)
                assert websocket.closed is not None
                assert websocket.closed.code == 1001
    assert served.server.connections == 0


async def test_take_over_over_tcp(served: Served) -> None:
    async with served.connect() as older:
        await reply(older)
        async with served.connect() as newer:
            assert await reply(newer) == OPENING
            with pytest.raises(ConnectionClosed):
                await reply(older)
            assert older.closed is not None
            assert older.closed.code == 4409
