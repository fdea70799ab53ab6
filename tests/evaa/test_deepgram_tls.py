"""The Deepgram plug-ins over TLS and real sockets, and what only one of them does."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trustme
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import WebSocketConnection, wrap_server_stream

from evaa.simulators.deepgram import DeepgramSimulator, Fault
from evaa.simulators.deepgram.recordings import load_recordings
from evaa.stt import deepgram_socket
from evaa.stt.deepgram_socket import DeepgramAccess, Dial
from protocols.ports import SpeechToText, SttLost, SttRefused
from tests.evaa.recordings import AUDIO, recording
from tests.evaa.test_deepgram_plugins import KEY, WEBM, Wired, both, connect, failing, flux, heard


@both
async def test_over_tls_on_real_sockets(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    server_tls, client_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server_tls)
    authority.configure_trust(client_tls)
    monkeypatch.setattr(deepgram_socket, "_tls_context", lambda: client_tls)
    simulator = DeepgramSimulator(load_recordings(AUDIO), api_key=KEY)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(stream: trio.SocketStream) -> None:
        await simulator.handle(trio.SSLStream(stream, server_tls, server_side=True, https_compatible=True))

    nursery.start_soon(trio.serve_listeners, serve, listeners)
    port = listeners[0].socket.getsockname()[1]

    async def dial_locally(host: str, _: int, tls: bool) -> trio.abc.Stream:
        assert (host, tls) == ("localhost", True)
        return await deepgram_socket.dial("localhost", port, True)

    stt = make(dial_locally)
    stt._access = DeepgramAccess(url="wss://localhost", api_key=KEY)  # type: ignore[attr-defined]
    async with stt.connect(WEBM) as connection:
        await connection.send_audio(recording("c_yes.webm"))
        await connection.finish_stream()
        assert await heard(connection) == ["Yes."]
    nursery.cancel_scope.cancel()


@both
async def test_a_server_that_is_not_trusted_is_refused_for_good(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery
) -> None:
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(server_tls)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, server_tls, server_side=True)
        with contextlib.suppress(trio.BrokenResourceError):
            await secure.do_handshake()
        await trio.aclose_forcefully(stream)

    nursery.start_soon(trio.serve_listeners, serve, listeners)
    port = listeners[0].socket.getsockname()[1]

    async def dial(host: str, _: int, tls: bool) -> trio.abc.Stream:
        return await deepgram_socket.dial("localhost", port, True)

    async with failing(SttRefused) as errors:
        await connect(make(dial))
    assert "is not trusted" in str(errors[0])
    nursery.cancel_scope.cancel()


async def test_flux_whose_pongs_do_not_come_is_lost(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    wired = Wired(nursery, Fault(stop_reading_after_audio_s=0.0))
    async with failing(SttLost) as errors, flux(wired.dial).connect(WEBM) as connection:
        await connection.send_audio(recording("c_yes.webm"))
        await trio.sleep(1.0)
        await connection.keep_alive()
        assert trio.current_time() == 1.0
        await heard(connection)
    assert trio.current_time() == 6.0
    assert "ping" in str(errors[0])


async def test_the_natural_end_of_a_turn_is_not_taken_for_the_last_one(autojump_clock: MockClock) -> None:
    def turn(event: str, text: str, **more: object) -> str:
        window = {"turn_index": 0, "audio_window_start": 0.0, "audio_window_end": 1.0, "words": []}
        return json.dumps({"type": "TurnInfo", "event": event, "transcript": text, **window, **more})

    async with lean_peer() as (peer, dial), flux(dial).connect(WEBM) as connection:
        await connection.finish_stream()
        await peer.send_message(turn("EndOfTurn", "We have invoices.", trigger="model"))
        await peer.send_message(turn("EndOfTurn", "And orders.", trigger="manual"))
        assert await heard(connection) == ["We have invoices.", "And orders."]


@asynccontextmanager
async def lean_peer() -> AsyncIterator[tuple[WebSocketConnection, Dial]]:
    """A provider that says what it is told to, once it is connected."""
    near, far = memory_stream_pair()

    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return far

    async with trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[WebSocketConnection](1)

        async def accept() -> None:
            peer = await (await wrap_server_stream(nursery, near)).accept()
            await peer.send_message('{"type":"Connected"}')
            await send.send(peer)

        nursery.start_soon(accept)

        class Peer:
            """Reached only once the other side has dialled."""

            async def send_message(self, message: str) -> None:
                self.peer = getattr(self, "peer", None) or await receive.receive()
                await self.peer.send_message(message)

        yield cast(WebSocketConnection, Peer()), dial
        nursery.cancel_scope.cancel()
