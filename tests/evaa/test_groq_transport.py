"""The streaming transport by itself: an event stream goes in, however it is cut; one completion comes out."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.asyncio_bridge import open_bridge
from evaa.llm import groq_transport
from evaa.llm.groq_transport import END_S, StreamingTransport
from evaa.llm.sse import MAX_EVENT_BYTES
from tests.evaa.groq_helpers import (
    DONE,
    MODEL,
    USAGE,
    ScriptedProvider,
    chunk_of,
    event,
    last_event,
    stream_of,
    text_event,
)

ASK: dict[str, Any] = {"model": MODEL, "messages": [], "stream": True}
ERROR = {"message": "over capacity", "type": "internal_server_error", "status_code": 503}
REPLY = ("@stay\n", "Grüße \U0001f600", " and\u2028", "more.", "\n@facts {}")


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def requested(self) -> None:
        self.heard.append("<requested>")

    def text(self, piece: str) -> None:
        self.heard.append(piece)

    def received(self) -> None:
        self.heard.append("<received>")


async def post(provider: ScriptedProvider, ear: Ear | None) -> httpx.Response:
    """One request through the transport, on the asyncio side."""

    async def send() -> httpx.Response:
        groq_transport.listener.set(ear)
        async with httpx.AsyncClient(transport=StreamingTransport(provider), base_url="http://groq") as client:
            return await client.post("/openai/v1/chat/completions", json=ASK)

    async with open_bridge() as bridge:
        return await bridge.call(send)


async def post_stream(*items: bytes) -> tuple[httpx.Response, list[str]]:
    provider, ear = ScriptedProvider(), Ear()
    body = provider.stream(*items)
    response = await post(provider, ear)
    assert body.closed_at is not None
    return response, ear.heard


async def failure_of(*items: bytes) -> tuple[str, list[str]]:
    """How a stream that makes no sense fails, and what was heard of it."""
    provider, ear = ScriptedProvider(), Ear()
    body = provider.stream(*items)
    with pytest.raises(ExceptionGroup) as raised:
        await post(provider, ear)
    assert body.closed_at is not None
    return str(_innermost(raised.value)), ear.heard


def _innermost(error: BaseException) -> httpx.RemoteProtocolError:
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, httpx.RemoteProtocolError)
    return error


# --- one completion ---------------------------------------------------------------------------------------------


async def test_a_stream_becomes_the_completion_that_groq_would_have_sent_without_streaming() -> None:
    response, heard = await post_stream(stream_of("Hello", " you.", finish_reason="length"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1771434740,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello you."},
                "finish_reason": "length",
                "logprobs": None,
            }
        ],
        "usage": USAGE,
    }
    assert heard == ["<requested>", "Hello you.", "<received>"]


async def test_each_read_is_told_at_once_and_reads_without_text_are_not() -> None:
    items = (text_event("Hel"), text_event("lo") + text_event(" you"), text_event(""), last_event(), DONE)
    _, heard = await post_stream(*items)
    assert heard == ["<requested>", "Hel", "lo you", "<received>"]


async def test_text_in_the_same_read_as_done_is_told_before_the_end() -> None:
    _, heard = await post_stream(text_event("Hello"), text_event(" you.") + last_event() + DONE)
    assert heard == ["<requested>", "Hello", " you.", "<received>"]


async def test_reasoning_tool_calls_and_unknown_fields_are_passed_over() -> None:
    odd = [
        chunk_of(delta={"reasoning": "hm", "channel": "analysis"}),
        chunk_of(delta={"content": None, "tool_calls": [{"index": 0, "function": {"name": "x"}}]}),
        {"id": "", "choices": [], "new_field": 1},
    ]
    response, heard = await post_stream(b": comment\n\nid: 7\n", *map(event, odd), stream_of("Hi."))
    assert heard == ["<requested>", "Hi.", "<received>"]
    assert response.json()["id"] == "chatcmpl-1"


async def test_a_stream_without_usage_gives_a_completion_without_usage() -> None:
    response, _ = await post_stream(text_event("Hi."), DONE)
    assert "usage" not in response.json()
    assert response.json()["choices"][0]["finish_reason"] is None


WHOLE = stream_of(*REPLY)


@settings(deadline=None)
@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=40).map(sorted), st.booleans())
def test_one_completion_comes_out_of_any_cutting_of_the_stream(cuts: Sequence[int], has_returns: bool) -> None:
    pieces = [WHOLE[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(WHOLE)], strict=True)]
    if has_returns:
        pieces = [piece.replace(b"\n", b"\r\n") for piece in pieces]
    response, heard = trio.run(post_stream, *pieces)
    assert response.json()["choices"][0]["message"]["content"] == "".join(REPLY)
    assert heard[0] == "<requested>"
    assert heard[-1] == "<received>"
    assert "".join(heard[1:-1]) == "".join(REPLY)
    assert "" not in heard


async def test_one_byte_at_a_time() -> None:
    response, heard = await post_stream(*(bytes([byte]) for byte in WHOLE))
    assert response.json()["choices"][0]["message"]["content"] == "".join(REPLY)
    assert heard == ["<requested>", *REPLY, "<received>"]


async def test_the_response_is_read_to_its_end_so_that_the_connection_can_be_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    provider = ScriptedProvider()
    body = provider.stream(WHOLE, END_S / 2, b": bye\n\n")
    response = await post(provider, Ear())
    assert response.status_code == 200
    assert body.is_read_to_its_end
    assert body.closed_at == trio.current_time()


async def test_a_response_that_does_not_end_after_done_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    provider, begun = ScriptedProvider(), trio.current_time()
    body = provider.stream(WHOLE, 60.0)
    response = await post(provider, Ear())
    assert response.status_code == 200
    assert body.closed_at == begun + END_S
    assert not body.is_read_to_its_end


async def test_a_connection_that_breaks_after_done_takes_nothing_away() -> None:
    provider, ear = ScriptedProvider(), Ear()
    body = provider.stream(WHOLE, httpx.ReadError("reset"))
    response = await post(provider, ear)
    assert response.status_code == 200
    assert body.closed_at is not None
    assert ear.heard[-1] == "<received>"


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["error", ""])
async def test_an_error_event_becomes_the_response_that_it_stands_for(name: str) -> None:
    response, heard = await post_stream(text_event("Hel"), text_event("lo") + event({"error": ERROR}, name=name))
    assert response.status_code == 503
    assert response.json() == {"error": ERROR}
    assert "<received>" not in heard


@pytest.mark.parametrize("status", [None, 200, 399, 600, "503", True, 503.0])
async def test_an_error_event_without_a_good_status_is_a_500(status: Any) -> None:
    response, _ = await post_stream(event({"error": ERROR | {"status_code": status}}, name="error"))
    assert response.status_code == 500


async def test_an_error_event_without_an_error_is_a_500() -> None:
    response, _ = await post_stream(event({}, name="error"))
    assert (response.status_code, response.json()) == (500, {"error": {}})


@pytest.mark.parametrize("rest", [b"", last_event(), b"data: [DONE]\n", b"data: [DO"])
async def test_a_stream_that_ends_before_done_is_a_broken_connection(rest: bytes) -> None:
    message, heard = await failure_of(text_event("Hel"), rest)
    assert message == "the stream ended before it was complete"
    assert heard == ["<requested>", "Hel"]


SECRET = "what the user said"


@pytest.mark.parametrize(
    "nonsense",
    [
        f"data: {SECRET}\n\n".encode(),
        f'data: {{"{SECRET}\n\n'.encode(),
        msgspec.json.encode([SECRET]).join([b"data: ", b"\n\n"]),
        event({"choices": SECRET}),
        event({"choices": [{"delta": {"content": [SECRET]}}]}),
        event({"x_groq": {"usage": SECRET}}),
        event({"created": 10**30}),
        event({"created": -1}),
        b"data: \xff\xfe\n\n",
        b'data: {"id": "\xff"}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
async def test_a_chunk_that_makes_no_sense_is_a_protocol_error_that_quotes_nothing(nonsense: bytes) -> None:
    message, heard = await failure_of(text_event("Hel"), nonsense, DONE)
    assert message.startswith("a chunk makes no sense: ")
    assert SECRET not in message
    assert heard == ["<requested>", "Hel"]


@pytest.mark.parametrize(
    "items",
    [[b"data: ", *[b"x" * 65_536] * 17], [b"data: " + b"x" * 65_530 + b"\n"] * 17],
    ids=["one line", "many lines"],
)
async def test_an_event_without_end_is_a_protocol_error(items: list[bytes]) -> None:
    message, _ = await failure_of(*items, b"\n\n", DONE)
    assert str(MAX_EVENT_BYTES) in message


# --- what it leaves alone ---------------------------------------------------------------------------------------


async def test_without_a_listener_nothing_is_touched() -> None:
    provider = ScriptedProvider()
    body = provider.stream(WHOLE)
    response = await post(provider, None)
    assert response.content == WHOLE
    assert body.is_read_to_its_end


@pytest.mark.parametrize(
    ("status", "content_type"), [(400, "application/json"), (429, "text/event-stream"), (307, "text/html"), (204, "")]
)
async def test_what_is_no_success_is_not_touched(status: int, content_type: str) -> None:
    headers = {"content-type": content_type, "retry-after": "3"}
    provider, ear = ScriptedProvider(), Ear()
    provider.answer(httpx.Response(status, headers=headers, content=WHOLE))
    response = await post(provider, ear)
    assert (response.status_code, response.content) == (status, WHOLE)
    assert {name: response.headers[name] for name in headers} == headers
    assert ear.heard == ["<requested>"]


@pytest.mark.parametrize("content_type", ["application/json", "text/html", ""])
async def test_a_success_that_is_no_event_stream_is_a_protocol_error(content_type: str) -> None:
    provider, ear = ScriptedProvider(), Ear()
    provider.answer(httpx.Response(200, headers={"content-type": content_type}, content=WHOLE))
    with pytest.raises(ExceptionGroup) as raised:
        await post(provider, ear)
    assert str(_innermost(raised.value)) == "the answer is no event stream"
    assert ear.heard == ["<requested>"]


class _Closable(httpx.AsyncBaseTransport):
    is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True


async def test_closing_it_closes_the_connections() -> None:
    inner = _Closable()
    await StreamingTransport(inner).aclose()
    assert inner.is_closed
