"""WebSockets with fewer rounds of the scheduler: they do what they did, and trio-websocket is still as we know it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream, wrap_server_stream

from evaa.lean_websocket import make_lean
from evaa.steady_stream import SteadyStream


@asynccontextmanager
async def lean_pair(queue: int = 1) -> AsyncIterator[tuple[WebSocketConnection, WebSocketConnection]]:
    """A lean server's end and a lean client's end of one connection."""
    near, far = (SteadyStream(trio.SocketStream(socket)) for socket in trio.socket.socketpair())
    async with near, far, trio.open_nursery() as nursery:
        accepted: list[WebSocketConnection] = []

        async def accept() -> None:
            request = await wrap_server_stream(nursery, near, message_queue_size=queue)
            accepted.append(await request.accept())

        async with trio.open_nursery() as opening:
            opening.start_soon(accept)
            client = await wrap_client_stream(
                nursery, cast(trio.SocketStream, far), "evaa", "/", message_queue_size=queue
            )
        make_lean(accepted[0])
        make_lean(client)
        yield accepted[0], client
        nursery.cancel_scope.cancel()


def test_trio_websocket_has_what_is_replaced() -> None:
    websocket = WebSocketConnection.__init__.__code__
    assert {"_stream_lock", "_send_channel"} <= set(websocket.co_names)


async def test_messages_both_ways() -> None:
    async with lean_pair() as (server, client):
        for number in range(100):
            await client.send_message(f"{number}")
            assert await server.get_message() == f"{number}"
            await server.send_message(bytes([number]))
            assert await client.get_message() == bytes([number])


async def test_several_senders_at_once_keep_their_messages_whole() -> None:
    async with lean_pair() as (server, client), trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(server.send_message, bytes([number]) * 200_000)
        received = [await client.get_message() for _ in range(20)]
        assert sorted(cast(list[bytes], received)) == [bytes([number]) * 200_000 for number in range(20)]


async def test_who_does_not_read_holds_up_the_sender() -> None:
    async with lean_pair() as (server, client):
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await server.send_message(b"x" * 100_000)
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked(0.05)
            held_up_at = sent
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert sent == held_up_at < 100
            for _ in range(held_up_at):
                assert await client.get_message() == b"x" * 100_000
            nursery.cancel_scope.cancel()


async def test_pings_are_answered_while_somebody_sends() -> None:
    async with lean_pair(queue=100) as (server, client), trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(server.send_message, b"x" * 10_000)
            nursery.start_soon(client.ping)
        with trio.fail_after(10):
            for _ in range(50):
                await client.get_message()


async def test_a_close_ends_both_sides() -> None:
    async with lean_pair() as (server, client):
        await client.send_message("last")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose, 1000, "done")
            assert await server.get_message() == "last"
            with pytest.raises(ConnectionClosed):
                await server.get_message()
        with pytest.raises(ConnectionClosed):
            await client.send_message("more")
        assert server.closed is not None
        assert server.closed.code == 1000
