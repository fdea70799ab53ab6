"""The Groq simulator's connections and times: what clients do wrong, and delays and hangs on a mock clock."""

import contextlib
import re
from typing import Any

import httpx
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.groq import MODELS, Behaviour, GroqSimulator, http

CHAT = "/openai/v1/chat/completions"
KEY = {"authorization": "Bearer x"}
ASK: dict[str, Any] = {"model": MODELS[0], "messages": [{"role": "user", "content": "Hello"}]}

# Pieces that make requests, proper and improper, when they are strung together.
FIRST_LINES = st.sampled_from(
    [
        b"GET /openai/v1/models HTTP/1.1\r\n",
        b"POST /openai/v1/chat/completions HTTP/1.1\r\n",
        b"POST /_simulator/script HTTP/1.1\r\n",
        b"HEAD / HTTP/1.1\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n",
        b"POST / HTTP/1.0\r\n",
    ]
)
HEADERS = st.sampled_from(
    [
        b"authorization: Bearer x\r\n",
        b"content-length: 2\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\n",
        b"expect: 100-continue\r\n",
    ]
)
BODIES = st.sampled_from([b"", b"{}", b"[]", b"2\r\n[]\r\n0\r\n\r\n"]) | st.binary(max_size=4)
REQUESTS = st.builds(
    lambda first, headers, body: [first, b"host: x\r\n", *headers, b"\r\n", body],
    FIRST_LINES,
    st.lists(HEADERS, max_size=3),
    BODIES,
)


def request_bytes(body: dict[str, Any]) -> bytes:
    content = msgspec.json.encode(body)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


async def converse(simulator: GroqSimulator, *sends: bytes) -> bytes:
    """Send all, and return all that was answered once the server is idle or has closed."""
    client, server = trio.testing.memory_stream_pair()
    answer = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, server)
        with contextlib.suppress(trio.BrokenResourceError):  # The server may have closed already.
            for sent in sends:
                await client.send_all(sent)
                await trio.testing.wait_all_tasks_blocked()
        await client.send_stream.aclose()
        async for data in client:
            answer += data
    return bytes(answer)


async def arrivals(behaviour: Behaviour, until_s: float = 1000, **settings: Any) -> list[tuple[float, bytes]]:
    """Ask once at time 0 and return what came when, up to `until_s` or the end of the response."""
    client, server = trio.testing.memory_stream_pair()
    came: list[tuple[float, bytes]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(GroqSimulator(default=behaviour).handle, server)
        await client.send_all(request_bytes(ASK | {"stream": True} | settings))
        with trio.move_on_at(until_s):
            async for data in client:
                came.append((trio.current_time(), bytes(data)))
                if data.endswith(b"\r\n0\r\n\r\n"):
                    break
        nursery.cancel_scope.cancel()
    return came


# --- connections ------------------------------------------------------------------------------------------------


async def test_a_connection_that_hangs_does_not_harm_another(nursery: trio.Nursery) -> None:
    simulator = GroqSimulator(default=Behaviour(text="Hi"))
    simulator.script(Behaviour(hang="headers"))
    url = httpx.URL(await nursery.start(simulator.serve))
    stuck = await trio.open_tcp_stream(url.host, url.port or 0)
    await stuck.send_all(request_bytes(ASK))
    while not simulator.counters.hung:
        await trio.testing.wait_all_tasks_blocked()
    async with httpx.AsyncClient(base_url=url) as http:
        assert (await http.post(CHAT, json=ASK, headers=KEY)).status_code == 200
    await stuck.aclose()
    while not simulator.counters.abandoned:
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"what?\r\n\r\n", b"400"),
        (b"GET / HTTP/1.0\r\n\r\n", b"505"),
        (b"HEAD / HTTP/1.0\r\n\r\n", b"505"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 200_000, b"431"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4194305\r\n\r\n" + b"x" * 4_194_305, b"413"),
    ],
)
async def test_what_is_no_proper_request_is_answered_and_closed(garbage: bytes, status: bytes) -> None:
    simulator = GroqSimulator()
    answer = await converse(simulator, garbage)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert simulator.counters.open_connections == 0


async def test_a_request_may_come_byte_by_byte_and_the_next_one_ahead_of_time() -> None:
    simulator = GroqSimulator(default=Behaviour(text="Hi"))
    wire = request_bytes(ASK) + request_bytes(ASK | {"stream": True})
    whole = await converse(simulator, wire)
    by_byte = await converse(simulator, *(wire[index : index + 1] for index in range(len(wire))))
    for answer in (whole, by_byte):
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@given(st.lists(REQUESTS, min_size=1, max_size=3))
def test_whatever_a_client_sends_the_handler_ends_without_an_error(requests: list[list[bytes]]) -> None:
    simulator = GroqSimulator(default=Behaviour(text="Hi"))
    trio.run(converse, simulator, *(piece for request in requests for piece in request))
    assert simulator.counters.open_connections == 0


async def test_head_gets_no_body_and_a_waiting_client_is_told_to_continue() -> None:
    head = await converse(GroqSimulator(), b"HEAD /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert head.endswith(b"\r\n\r\n")
    waiting = request_bytes(ASK).replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n", 1)
    split = waiting.index(b"\r\n\r\n") + 4
    assert (await converse(GroqSimulator(), waiting[:split], waiting[split:])).startswith(b"HTTP/1.1 100")


async def test_a_client_that_leaves_ends_its_handler(autojump_clock: trio.testing.MockClock) -> None:
    simulator = GroqSimulator(default=Behaviour(text="One two", hang="mid"))
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, server)
        await client.send_all(request_bytes(ASK | {"stream": True}))
        await trio.sleep(5)
        assert simulator.counters.open_connections == 1
        await client.aclose()
    assert trio.current_time() == 5
    assert (simulator.counters.open_connections, simulator.counters.abandoned) == (0, 1)


async def test_a_client_that_does_not_read_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    simulator = GroqSimulator(default=Behaviour(text="Hi"))
    client, server = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, server)
        await client.send_all(request_bytes(ASK | {"stream": True}))
    assert trio.current_time() == http.SEND_S
    assert simulator.counters.abandoned == 1


@pytest.mark.parametrize(
    ("sent", "after_s"),
    [
        (b"", http.IDLE_S),
        (b"GET / HT", http.IDLE_S),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab", http.BODY_S),
    ],
)
async def test_a_silent_client_is_closed(autojump_clock: trio.testing.MockClock, sent: bytes, after_s: float) -> None:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(GroqSimulator().handle, server)
        await client.send_all(sent)
        assert await client.receive_some() == b""
    assert trio.current_time() == after_s


async def test_cancelling_the_server_closes_listener_and_connections(autojump_clock: trio.testing.MockClock) -> None:
    simulator = GroqSimulator(default=Behaviour(hang="first_token"))
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle, server)
        await client.send_all(request_bytes(ASK | {"stream": True}))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert simulator.counters.open_connections == 0
    assert simulator.counters.abandoned == 0
    assert (await client.receive_some()).startswith(b"HTTP/1.1 200")
    assert await client.receive_some() == b""


# --- time, on a mock clock --------------------------------------------------------------------------------------


def deltas(came: list[tuple[float, bytes]]) -> list[tuple[float, str]]:
    """Return each delta's time and its text; reasoning in brackets."""
    found: list[tuple[float, str]] = []
    for at_s, data in came:
        for line in re.findall(rb"^data: (\{.*)$", data, re.MULTILINE):
            delta = msgspec.json.decode(line)["choices"][0]["delta"]
            if delta.get("content") or delta.get("reasoning"):
                found.append((at_s, delta.get("content") or f"[{delta['reasoning']}]"))
    return found


async def test_tokens_keep_their_times(autojump_clock: trio.testing.MockClock) -> None:
    came = await arrivals(Behaviour(text="One two three", first_token_delay_s=2, token_delay_s=0.25))
    assert deltas(came) == [(2.0, "One"), (2.25, " two"), (2.5, " three")]
    assert came[0][0] == 0  # the status line does not wait
    assert came[-1] == (2.5, b"0\r\n\r\n")
    assert b'"total_time":0.5' in came[-3][1]


async def test_reasoning_takes_its_time_shown_or_hidden(autojump_clock: trio.testing.MockClock) -> None:
    behaviour = Behaviour(text="Yes", reasoning_tokens=2, first_token_delay_s=1, token_delay_s=0.5)
    assert deltas(await arrivals(behaviour)) == [(1.0, "[ need]"), (1.5, "[ to]"), (2.0, "Yes")]


@pytest.mark.parametrize("settings", [{"include_reasoning": False}, {"reasoning_format": "hidden"}])
async def test_hidden_reasoning_delays_the_first_token(
    autojump_clock: trio.testing.MockClock, settings: dict[str, Any]
) -> None:
    behaviour = Behaviour(text="Yes", reasoning_tokens=2, first_token_delay_s=1, token_delay_s=0.5)
    assert deltas(await arrivals(behaviour, **settings)) == [(2.0, "Yes")]


async def test_an_answer_that_is_not_streamed_takes_as_long(autojump_clock: trio.testing.MockClock) -> None:
    behaviour = Behaviour(text="One two three", reasoning_tokens=1, first_token_delay_s=1, token_delay_s=0.5)
    came = await arrivals(behaviour, until_s=10, stream=False)
    assert [at_s for at_s, _ in came] == [2.5]


async def test_a_burst_is_one_send(autojump_clock: trio.testing.MockClock) -> None:
    behaviour = Behaviour(
        text="One two three", reasoning_tokens=2, first_token_delay_s=1, token_delay_s=0.5, burst=True
    )
    client, server = trio.testing.memory_stream_pair()
    pump = server.send_stream.send_all_hook
    sends: list[float] = []

    async def count() -> None:
        sends.append(trio.current_time())
        assert pump is not None
        await pump()

    server.send_stream.send_all_hook = count
    async with trio.open_nursery() as nursery:
        nursery.start_soon(GroqSimulator(default=behaviour).handle, server)
        await client.send_all(request_bytes(ASK | {"stream": True}))
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert sends == [0, 2, 2]  # the head; all events; the end of the body
    assert (await client.receive_some()).count(b"data: ") == 1 + 2 + 3 + 2


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("hang", "has_head", "said"), [("headers", False, []), ("first_token", True, []), ("mid", True, ["One", " two"])]
)
async def test_a_hang_goes_on_until_the_client_gives_up(
    autojump_clock: trio.testing.MockClock, stream: bool, hang: Any, has_head: bool, said: list[str]
) -> None:
    came = await arrivals(Behaviour(text="One two three", hang=hang, after_tokens=2), stream=stream)
    received = b"".join(data for _, data in came)
    assert trio.current_time() == 1000
    assert received.startswith(b"HTTP/1.1 200") == has_head
    assert b"[DONE]" not in received
    assert b'finish_reason":"stop' not in received
    if stream:
        assert [text for _, text in deltas(came)] == said


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": "before_headers"}])
async def test_a_fault_may_come_late(autojump_clock: trio.testing.MockClock, fault: dict[str, Any]) -> None:
    came = await arrivals(Behaviour(first_token_delay_s=4, **fault), until_s=10)
    ended = [at_s for at_s, _ in came] or [trio.current_time()]
    assert ended == [4.0]


async def test_a_mid_stream_error_comes_when_its_last_token_does(autojump_clock: trio.testing.MockClock) -> None:
    came = await arrivals(Behaviour(text="One two three", token_delay_s=1, error_event_after_tokens=2))
    assert came[-2][0] == 1
    assert b"event: error\ndata: {" in came[-2][1]
