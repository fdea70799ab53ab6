"""`python run.py health`: what it says of a real server, and of whatever else may listen."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from trio.testing import MockClock

from actors.server import PATH, ServerLimits
from evaa.commands.address import url_on_this_machine
from evaa.commands.health import DEADLINE_S, find_problem, report_health
from tests.actors.listening import listening
from tests.actors.stores import WatchedStore
from tests.evaa.talk_server import Peer, serving

UPGRADE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@asynccontextmanager
async def answering(answer: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Anything that listens: `answer` is what it does with a connection, which it then closes."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await answer(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        yield url_on_this_machine("127.0.0.1", listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


# --- EVAA -------------------------------------------------------------------------------------------------------


async def test_a_server_that_takes_connections_is_healthy_and_keeps_no_trace() -> None:
    store = WatchedStore()
    with structlog.testing.capture_logs() as log:
        async with listening(store=store) as (server, url):
            assert await find_problem(url) is None
            with trio.fail_after(10):
                await server.drain()  # waits for the server's side of the connection
            assert server.connections == 0
    assert store.tried_at == []
    assert {line["event"] for line in log} <= {"server.ready", "server.draining", "server.drained"}


async def test_origins_do_not_matter_to_it() -> None:
    async with listening(ServerLimits(allowed_origins=frozenset({"https://only.example"}))) as (_, url):
        assert await find_problem(url) is None


async def test_a_draining_server_is_not_healthy() -> None:
    async with listening() as (server, url):
        await server.drain()
        problem = await find_problem(url)
    assert problem is not None
    assert "HTTP 503: the server is going away; try again in a moment." in problem


async def test_a_full_server_is_not_healthy() -> None:
    async with listening(ServerLimits(max_sessions=0)) as (_, url):
        problem = await find_problem(url)
    assert problem is not None
    assert "HTTP 503: overloaded: too many sessions" in problem


async def test_the_report_is_a_status_and_a_sentence() -> None:
    async with listening() as (_, url):
        said = io.StringIO()
        assert await report_health(url, said) == 0
        assert said.getvalue() == ""
        assert await report_health(url.replace(PATH, "/other"), said) == 1
        where = url.removeprefix("ws://").replace(PATH, "/other")
        reason = "HTTP 404: nothing is here; the WebSocket is at /ws"
        assert said.getvalue() == f"EVAA refuses connections at {where}: {reason}.\n"


# --- something else, or nothing ---------------------------------------------------------------------------------


async def test_nothing_listens() -> None:
    with trio.socket.socket() as bound:
        await bound.bind(("127.0.0.1", 0))
        problem = await find_problem(f"ws://127.0.0.1:{bound.getsockname()[1]}/ws?token=secret")
    assert problem is not None
    assert problem.startswith("Nothing listens at 127.0.0.1:")
    assert "secret" not in problem


async def test_no_answer_in_time(autojump_clock: MockClock) -> None:
    with trio.socket.socket() as silent:
        await silent.bind(("127.0.0.1", 0))
        silent.listen()
        problem = await find_problem(f"ws://127.0.0.1:{silent.getsockname()[1]}/ws?token=secret")
        address = f"127.0.0.1:{silent.getsockname()[1]}/ws"
    assert trio.current_time() == DEADLINE_S
    assert problem == f"EVAA gave no answer at {address} in 3 s."


async def test_a_server_that_hangs_up() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()

    async with answering(hang_up) as url:
        problem = await find_problem(url)
    assert problem is not None
    assert problem.endswith("hung up without an answer.")


@pytest.mark.parametrize(
    "greeting", [b"220 mail.example ESMTP\r\n\r\n", f"{UPGRADE}Sec-WebSocket-Accept: x\r\n\r\n".encode()]
)
async def test_a_server_of_another_kind(greeting: bytes) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(greeting)

    async with answering(greet) as url:
        problem = await find_problem(url)
    assert problem is not None
    assert problem.endswith("does not answer like a WebSocket server.")


async def test_a_refusal_that_is_cut_short_is_a_refusal() -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 900\r\n\r\nno \x1b[31mupstream\r\n")

    async with answering(refuse) as url:
        problem = await find_problem(url)
    assert problem is not None
    assert problem.endswith("HTTP 502: no [31mupstream.")


async def test_a_websocket_that_is_not_evaas() -> None:
    async with serving(Peer.gone, dialect=None) as url:
        problem = await find_problem(url)
    assert problem is not None
    assert problem.endswith("is not EVAA.")


async def test_a_server_that_never_says_goodbye_is_healthy(autojump_clock: MockClock) -> None:
    async def deaf(peer: Peer) -> None:
        await trio.sleep(2 * DEADLINE_S)
        await peer.socket._stream.aclose()

    async with serving(deaf) as url:
        assert await find_problem(url) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765/ws", "127.0.0.1:8765", "ws://", "ws://127.0.0.1:70000/ws"])
async def test_what_is_no_address_of_a_websocket(url: str) -> None:
    assert await report_health(url, said := io.StringIO()) == 1
    assert said.getvalue().endswith(".\n")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8765/ws"),
        ("0.0.0.0", "ws://127.0.0.1:8765/ws"),
        ("::", "ws://[::1]:8765/ws"),
        ("evaa.example", "ws://evaa.example:8765/ws"),
    ],
)
def test_a_server_that_listens_everywhere_is_asked_here(host: str, url: str) -> None:
    assert url_on_this_machine(host, 8765) == url
