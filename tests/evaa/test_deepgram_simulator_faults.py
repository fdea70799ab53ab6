"""The Deepgram simulator's script: what it does wrong on purpose; and the simulator over real sockets."""

import contextlib
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed, wrap_client_stream

from evaa.simulators.deepgram import MAX_SCRIPT, DeepgramSimulator, Fault
from evaa.simulators.deepgram.script import Closed
from tests.evaa.deepgram_client import KEY, V1, V2, audio, final_texts, listening, newest, pieces, recordings, rejection

UPGRADE = (
    b"host: x\r\nauthorization: Token key\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n"
)


def faulty(*faults: Fault) -> DeepgramSimulator:
    simulator = DeepgramSimulator(recordings())
    simulator.script(*faults)
    return simulator


# --- handshakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=429, retry_after_s=1.5), b"TOO_MANY_REQUESTS"),
        (Fault(status=402), b"ASR_PAYMENT_REQUIRED"),
        (Fault(status=400, error_code="INVALID_QUERY_PARAMETER"), b"INVALID_QUERY_PARAMETER"),
        (Fault(status=418, error_code="TEAPOT"), b"TEAPOT"),
    ],
)
async def test_a_handshake_is_refused(fault: Fault, code: bytes) -> None:
    simulator = faulty(fault)
    rejected = await rejection(simulator)
    assert rejected.status_code == fault.status
    assert code in (rejected.body or b"")
    assert (b"retry-after", b"1.5") in (rejected.headers or ()) or fault.retry_after_s is None
    async with listening(simulator) as client:  # the next one is served
        assert client.connection.closed is None
    assert (simulator.counters.handshakes, simulator.counters.refused, simulator.counters.accepted) == (2, 1, 1)


async def test_a_handshake_takes_its_time_or_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(handshake_delay_s=3.0), Fault(handshake_hang=True), Fault(handshake_delay_s=3.0))
    async with listening(simulator):
        assert trio.current_time() == 3.0
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        await near.send_all(b"GET " + V1.encode() + b" HTTP/1.1\r\n" + UPGRADE)
        await trio.sleep(1000)
        assert simulator.counters.hung == 1
        await near.aclose()
    assert newest(simulator).closed == Closed("client", "left")
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        await near.send_all(b"GET " + V1.encode() + b" HTTP/1.1\r\n" + UPGRADE)
        await trio.testing.wait_all_tasks_blocked()
        await near.aclose()
    assert newest(simulator).closed == Closed("client", "left")
    assert simulator.counters.open_connections == 0


async def test_frames_sent_ahead_of_the_answer_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(handshake_delay_s=1.0))
    near, far = trio.testing.memory_stream_pair()
    ping = b"\x89\x81\0\0\0\0a"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        await near.send_all(b"GET " + V1.encode() + b" HTTP/1.1\r\n" + UPGRADE + ping[:3])
        await trio.testing.wait_all_tasks_blocked()
        await near.send_all(ping[3:] + ping)
        await trio.sleep(2)
        await near.aclose()
    assert [message.kind for message in newest(simulator).received] == ["ping", "ping"]


# --- ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_connection_is_cut_after_messages(count: int, autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(cut_after_messages=count))
    async with listening(simulator, V2) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await client.wait_closed()
    assert len(client.messages) == count
    assert client.close_code == 1006
    assert newest(simulator).closed == Closed("simulator", "cut")


async def test_a_connection_is_cut_in_the_middle_of_a_message(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(cut_in_message=2))
    async with listening(simulator, V2) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await client.wait_closed()
    assert len(client.messages) == newest(simulator).sent_count == 1
    assert newest(simulator).closed == Closed("simulator", "cut")


@given(st.integers(0, 6000))
def test_a_connection_is_cut_after_so_many_bytes_of_audio(size: int) -> None:
    async def check() -> None:
        simulator = faulty(Fault(cut_after_audio_bytes=size))
        async with listening(simulator) as client:
            await client.play(pieces(audio("c_yes.webm")))
            if size <= 5611:
                await client.wait_closed()
        assert newest(simulator).audio == audio("c_yes.webm")[:size]

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


@given(st.integers(0, 5000))
def test_a_connection_is_cut_at_any_byte_of_what_came(size: int) -> None:
    async def check() -> None:
        simulator = faulty(Fault(cut_after_received_bytes=size))
        async with listening(simulator) as client:
            await client.play(pieces(audio("c_yes.webm")))
            await client.wait_closed()
        record = newest(simulator)
        frames, rest = divmod(size, 508)  # 500 bytes and the frame's 8
        assert record.audio_bytes == 500 * frames
        assert record.closed == Closed("simulator", "cut")
        assert rest < 508

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(("code", "count"), [(1011, 0), (1008, 2), (1005, 1)])
async def test_a_connection_is_closed_after_messages(
    code: int, count: int, autojump_clock: trio.testing.MockClock
) -> None:
    reason = "" if code == 1005 else "DATA-0000"
    simulator = faulty(Fault(close_code=code, close_reason=reason, close_after_messages=count))
    async with listening(simulator, V2) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await client.wait_closed()
    assert (client.close_code, client.close_reason or "") == (code, reason)
    assert len(client.messages) == count
    assert newest(simulator).closed == Closed("simulator", "close", code, reason)


async def test_a_client_that_does_not_answer_a_close_is_left(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(close_code=1011))
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        await near.send_all(b"GET " + V1.encode() + b" HTTP/1.1\r\n" + UPGRADE)
    assert trio.current_time() == 5.0
    assert simulator.counters.open_connections == 0


@pytest.mark.parametrize(
    ("target", "kinds", "code"),
    [(V2, ["Connected", "TurnInfo", "Error"], 1005), (V1, ["SpeechStarted", "Results"], 1011)],
)
async def test_a_fatal_error(target: str, kinds: list[str], code: int, autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(fatal_error="INTERNAL_SERVER_ERROR", fatal_after_messages=2))
    async with listening(simulator, target) as client:
        await client.play(pieces(audio("a_dental.webm")))
        await client.wait_closed()
    assert [message["type"] for message in client.messages] == kinds
    assert client.close_code == code
    if target == V2:
        assert client.messages[-1]["code"] == "INTERNAL_SERVER_ERROR"


# --- silence and slowness ---------------------------------------------------------------------------------------


async def test_a_stalled_connection_reads_and_says_nothing(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(stall_after_audio_s=1.0), Fault(stall_after_audio_s=0.0))
    for is_early in (False, True):
        async with listening(simulator, V2) as client:
            await client.play(pieces(audio("c_yes.webm")), 0.1)
            await client.say("CloseStream")
            await trio.sleep(500)
            assert client.connection.closed is None
            assert all(message.get("audio_window_end", 0) <= 1.0 for message in client.messages)
            assert bool(client.messages) is not is_early
            await client.connection.ping(b"x")
        assert newest(simulator).audio == audio("c_yes.webm")


async def test_results_are_held_back(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(result_delay_s=2.5))
    async with listening(simulator, V2) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await client.connection.ping(b"x")
        assert trio.current_time() == 0.0, "a pong is not held back"
        await trio.sleep(3)
    assert {at for at, _ in client.came} == {2.5}
    assert final_texts(client) == ["Yes."]


async def test_reading_stops(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(stop_reading_after_audio_s=1.0))
    near, far = trio.testing.lockstep_stream_pair()
    async with near, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        stream: Any = near
        headers = [(KEY[0].encode(), KEY[1].encode())]
        connection = await wrap_client_stream(nursery, stream, "x", V1, extra_headers=headers)
        sent = 0
        with trio.move_on_after(100) as stuck:
            for piece in pieces(audio("b_long_pause.webm")):
                await connection.send_message(piece)
                sent += 1
        assert stuck.cancelled_caught
        assert 1.0 <= newest(simulator).audio_s < 1.2
        assert sent < 20
        nursery.cancel_scope.cancel()


async def test_reading_is_slow(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(read_bytes_per_s=1000))
    async with listening(simulator) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await trio.sleep(3.01)
        assert 3000 <= newest(simulator).audio_bytes <= 4000
        await trio.sleep(3)
        assert newest(simulator).audio == audio("c_yes.webm")


async def test_what_recognisers_do_at_times(autojump_clock: trio.testing.MockClock) -> None:
    simulator = faulty(Fault(suppress_speech_final=True), Fault(no_finish_answer=True), Fault(no_connected=True))
    async with listening(simulator) as client:
        await client.play(pieces(audio("b_long_pause.webm")))
        assert not any(message["speech_final"] for message in client.of_type("Results"))
    async with listening(simulator) as client:
        await client.play(pieces(audio("c_yes.webm")[:3500]))
        await client.say("Finalize")
        assert final_texts(client) == []
    async with listening(simulator, V2) as client:
        await client.say("Configure")
        assert [message["type"] for message in client.messages] == ["ConfigureSuccess"]


async def test_a_client_that_does_not_read_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    simulator = DeepgramSimulator(recordings())
    near, far = trio.testing.lockstep_stream_pair()
    async with near, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, far)
        await near.send_all(b"GET " + V2.encode() + b" HTTP/1.1\r\n" + UPGRADE)
        await trio.sleep(100)
        assert newest(simulator).closed == Closed("client", "stuck")
        assert simulator.counters.open_connections == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 200},
        {"status": 600},
        {"cut_after_messages": -1},
        {"cut_in_message": 0},
        {"read_bytes_per_s": 0},
        {"result_delay_s": float("inf")},
        {"close_code": 7},
        {"error_code": "X"},
        {"retry_after_s": 1.0},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=" "):
        Fault(**fields)


# --- whatever a client does -------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from([V1, V2]), st.booleans())
def test_whatever_a_client_sends_the_handler_ends_without_an_error(
    garbage: list[bytes], target: str, has_shaken_hands: bool
) -> None:
    async def check() -> None:
        simulator = DeepgramSimulator(recordings())
        near, far = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(simulator.handle, far)
            with contextlib.suppress(trio.BrokenResourceError):
                if has_shaken_hands:
                    await near.send_all(b"GET " + target.encode() + b" HTTP/1.1\r\n" + UPGRADE)
                for data in garbage:
                    await near.send_all(data)
                    await trio.testing.wait_all_tasks_blocked()
                await near.aclose()
        assert simulator.counters.open_connections == 0

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"what?\r\n\r\n", b"400"),
        (b"GET " + V1.encode() + b" HTTP/1.1\r\nhost: x\r\nauthorization: Token key\r\n\r\n", b"400"),
        (b"POST " + V2.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b"405"),
        (b"POST /_simulator/script HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n" + b"x" * 5_000_000, b"413"),
    ],
)
async def test_what_is_no_proper_request_is_answered(garbage: bytes, status: bytes) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with near, trio.open_nursery() as nursery:
        nursery.start_soon(DeepgramSimulator().handle, far)
        await near.send_all(garbage)
        assert (await near.receive_some()).startswith(b"HTTP/1.1 " + status)
        nursery.cancel_scope.cancel()


# --- real sockets -----------------------------------------------------------------------------------------------


def control_url(url: str) -> str:
    return url.replace("ws://", "http://") + "/_simulator"


async def test_it_is_scripted_over_http(nursery: trio.Nursery) -> None:
    simulator = DeepgramSimulator(recordings())
    url = control_url(await nursery.start(simulator.serve))
    async with httpx.AsyncClient() as http:
        scripted = await http.post(f"{url}/script", json=[{"status": 429}, {"close_code": 1011}])
        assert scripted.json() == {"pending": 2}
        assert (await http.post(f"{url}/default", json={"no_connected": True})).status_code == 200
        assert simulator.default == Fault(no_connected=True)
        bodies: tuple[Any, ...] = ([{"stauts": 429}], {"status": 429}, None, [{"status": 7}], [{}] * MAX_SCRIPT)
        for body in bodies:
            assert (await http.post(f"{url}/script", json=body)).status_code == 400
        assert simulator.pending == 2
        assert (await rejection(simulator)).status_code == 429
        async with listening(simulator) as client:
            await client.play(pieces(audio("c_yes.webm")))
        told = (await http.get(f"{url}/connections")).json()
        assert told["pending"] == 0
        assert told["connections"][1]["closed"]["code"] == 1011
        assert told["counters"]["refused"] == 1
        assert told["connections"][0]["closed"] == {"by": "simulator", "how": "refused", "code": None, "reason": ""}
        assert (await http.post(f"{url}/reset")).json() == {"pending": 0}
        assert (simulator.default, len(simulator.connections)) == (Fault(), 0)
        assert (await http.get(f"{url}/nothing")).status_code == 404


async def test_a_recording_over_a_real_socket(nursery: trio.Nursery) -> None:
    simulator = DeepgramSimulator(recordings())
    url = await nursery.start(simulator.serve)
    assert url.startswith("ws://127.0.0.1:")
    port = int(url.rpartition(":")[2])
    heard: list[str] = []
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as own:
        headers = [(KEY[0].encode(), KEY[1].encode())]
        connection = await wrap_client_stream(own, stream, "127.0.0.1", V1, extra_headers=headers)
        for piece in pieces(audio("a_dental.webm")):
            await connection.send_message(piece)
        await connection.send_message('{"type":"CloseStream"}')
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(str(await connection.get_message()))
        assert connection.closed is not None
        assert connection.closed.code == 1000
        own.cancel_scope.cancel()
    assert " ".join(final.text for final in newest(simulator).finals) == (
        "We run a small dental clinic and we want to automate appointment reminders."
    )
    assert len(heard) == newest(simulator).sent_count
    while simulator.counters.open_connections:
        await trio.testing.wait_all_tasks_blocked()


async def test_a_cut_on_a_real_socket_is_a_reset(nursery: trio.Nursery) -> None:
    simulator = faulty(Fault(cut_after_messages=1))
    url = await nursery.start(simulator.serve)
    async with await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        await stream.send_all(b"GET " + V2.encode() + b" HTTP/1.1\r\n" + UPGRADE)
        with pytest.raises(trio.BrokenResourceError):
            await read_to_the_end(stream)


async def read_to_the_end(stream: trio.abc.ReceiveStream) -> None:
    while await stream.receive_some():
        pass
