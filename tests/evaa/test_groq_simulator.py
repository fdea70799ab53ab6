"""The Groq simulator, over real sockets, as httpx and Groq's own SDK see it; and its script."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import groq
import httpx
import msgspec
import pytest
import trio
from groq.types.chat import ChatCompletionChunk
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.groq import MAX_SCRIPT, MODELS, Behaviour, GroqSimulator
from evaa.simulators.groq.script import error_for, tokenise

CHAT = "/openai/v1/chat/completions"
MODEL = MODELS[0]
KEY = {"authorization": "Bearer x"}
ASK: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


class Served(NamedTuple):
    simulator: GroqSimulator
    http: httpx.AsyncClient
    sdk: groq.AsyncGroq


@pytest.fixture
async def served(nursery: trio.Nursery) -> AsyncIterator[Served]:
    simulator = GroqSimulator(default=Behaviour(text="Hi there."))
    url = await nursery.start(simulator.serve)
    async with httpx.AsyncClient(base_url=url) as http, httpx.AsyncClient() as for_sdk:
        yield Served(simulator, http, groq.AsyncGroq(base_url=url, api_key="x", http_client=for_sdk, max_retries=0))


async def stream_of(served: Served, **settings: Any) -> list[ChatCompletionChunk]:
    chunks: list[ChatCompletionChunk] = []
    await fill(chunks, served, **settings)
    return chunks


async def fill(chunks: list[ChatCompletionChunk], served: Served, **settings: Any) -> None:
    # Closed by hand: the SDK itself leaves the response open when it raises for an error event.
    async with await served.sdk.chat.completions.create(**ASK, stream=True, **settings) as stream:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - what came before a failure must be kept


def contents(chunks: list[ChatCompletionChunk]) -> list[str]:
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]


async def text_of(served: Served, model: str = MODEL) -> str | None:
    completion = await served.sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    return completion.choices[0].message.content


# --- what Groq's own SDK and httpx see --------------------------------------------------------------------------


async def test_a_stream_gives_role_then_one_chunk_a_token_then_usage(served: Served) -> None:
    served.simulator.script(Behaviour(text="One two, three.", finish_reason="length"))
    chunks = await stream_of(served)
    first, last = chunks[0], chunks[-1]
    assert first.choices[0].delta.role == "assistant"
    assert first.x_groq is not None
    assert first.x_groq.id
    assert contents(chunks) == ["One", " two", ",", " three", "."]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 6 + ["length"]
    assert last.x_groq is not None
    assert last.x_groq.usage is not None
    assert last.x_groq.usage.completion_tokens == 5
    assert last.model == MODEL


async def test_a_streams_bytes_are_sse_and_end_with_done(served: Served) -> None:
    response = await served.http.post(CHAT, json=ASK | {"stream": True}, headers=KEY)
    assert response.headers["content-type"] == "text/event-stream"
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") for event in events[:-2])
    last = msgspec.json.decode(events[-3].removeprefix("data: "))
    assert last["usage"] == last["x_groq"]["usage"]
    assert served.simulator.counters.completed == 1


async def test_chunks_are_sent_exactly_as_given(served: Served) -> None:
    pieces = ("@st", 'ay\nA "q', '", é\U0001f600\u2028', "\n@facts {}")
    served.simulator.script(Behaviour(chunks=pieces))
    assert contents(await stream_of(served)) == list(pieces)


async def test_reasoning_comes_first_unless_it_is_hidden(served: Served) -> None:
    served.simulator.script(*[Behaviour(text="Yes", reasoning_tokens=3)] * 2)
    shown = await stream_of(served)
    hidden = await stream_of(served, extra_body={"include_reasoning": False})
    deltas = [chunk.choices[0].delta for chunk in shown]
    assert [bool(delta.reasoning) for delta in deltas] == [False, True, True, True, False, False]
    assert deltas[1].model_extra == {"channel": "analysis"}
    assert not any(chunk.choices[0].delta.reasoning for chunk in hidden)
    for chunks in (shown, hidden):
        assert contents(chunks) == ["Yes"]
        assert chunks[-1].x_groq is not None
        assert chunks[-1].x_groq.usage is not None
        assert chunks[-1].x_groq.usage.completion_tokens == 4


async def test_an_answer_that_is_not_streamed(served: Served) -> None:
    served.simulator.script(Behaviour(text="One two", reasoning_tokens=2, finish_reason="length"))
    completion = await served.sdk.chat.completions.create(**ASK)
    assert completion.object == "chat.completion"
    assert completion.choices[0].message.content == "One two"
    assert completion.choices[0].message.reasoning == " need to"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + 4


async def test_models_are_listed(served: Served) -> None:
    assert [model.id for model in (await served.sdk.models.list()).data] == list(MODELS)


@pytest.mark.parametrize(
    ("status", "code", "sdk_error"),
    [
        (400, "tool_use_failed", groq.BadRequestError),
        (400, "json_validate_failed", groq.BadRequestError),
        (401, "invalid_api_key", groq.AuthenticationError),
        (404, "model_not_found", groq.NotFoundError),
        (413, "rate_limit_exceeded", groq.APIStatusError),
        (429, "rate_limit_exceeded", groq.RateLimitError),
        (498, "capacity_exceeded", groq.APIStatusError),
        (500, None, groq.InternalServerError),
        (503, None, groq.InternalServerError),
        (502, "never_recorded", groq.InternalServerError),
    ],
)
async def test_errors_map_to_the_sdks_own(
    served: Served, status: int, code: str | None, sdk_error: type[groq.APIStatusError]
) -> None:
    served.simulator.script(Behaviour(status=status, error_code=code))
    with pytest.raises(sdk_error) as caught:
        await stream_of(served)
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"].get("code") == code
    assert "retry-after" not in caught.value.response.headers
    assert served.simulator.counters.refused == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_and_rate_limits_are_in_the_headers(served: Served, status: int) -> None:
    served.simulator.script(Behaviour(status=status, retry_after_s=7))
    refused = await served.http.post(CHAT, json=ASK, headers=KEY)
    answered = await served.http.post(CHAT, json=ASK, headers=KEY)
    assert refused.headers["retry-after"] == "7"
    assert "retry-after" not in answered.headers
    for response in (refused, answered):
        assert int(response.headers["x-ratelimit-limit-requests"]) > 0
        assert int(response.headers["x-ratelimit-limit-tokens"]) > 0
    remaining = [int(response.headers["x-ratelimit-remaining-requests"]) for response in (refused, answered)]
    assert remaining[0] == remaining[1] + 1


def test_the_wait_that_a_rate_limit_names_is_the_one_in_its_header() -> None:
    error = error_for(429, None, model="m{}", retry_after_s=1.5)
    assert "model `m{}`" in error.message
    assert "try again in 1.5s" in error.message


async def test_an_error_event_ends_the_stream(served: Served) -> None:
    served.simulator.script(Behaviour(text="One two three", error_event_after_tokens=2))
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(groq.APIError) as caught:
        await fill(chunks, served)
    assert contents(chunks) == ["One", " two"]
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["code"] == "tool_use_failed"
    assert caught.value.body["status_code"] == 400
    assert served.simulator.counters.failed_midway == 1


async def test_an_error_in_mid_answer_is_a_status_if_nothing_is_streamed(served: Served) -> None:
    served.simulator.script(Behaviour(error_event_after_tokens=0, error_code="json_validate_failed"))
    with pytest.raises(groq.BadRequestError, match="json_validate_failed"):
        await text_of(served)


async def test_a_cut_before_the_headers_is_a_connection_error(served: Served) -> None:
    served.simulator.script(Behaviour(cut="before_headers"))
    with pytest.raises(groq.APIConnectionError):
        await stream_of(served)
    assert await text_of(served) == "Hi there."
    assert served.simulator.counters.cut == 1


async def test_a_cut_in_mid_stream_comes_after_its_tokens(served: Served) -> None:
    served.simulator.script(Behaviour(text="One two three", cut="mid", after_tokens=2))
    chunks: list[ChatCompletionChunk] = []
    # The SDK lets httpx's own errors through once a stream has begun.
    with pytest.raises(httpx.ReadError):
        await fill(chunks, served)
    assert contents(chunks) == ["One", " two"]


async def test_a_cut_without_a_stream_breaks_the_body(served: Served) -> None:
    served.simulator.script(Behaviour(text="One two", cut="mid"))
    with pytest.raises(groq.APIConnectionError):
        await text_of(served)


# --- the script -------------------------------------------------------------------------------------------------


async def test_behaviours_are_taken_in_order_then_the_default(served: Served) -> None:
    served.simulator.script(Behaviour(text="first"), Behaviour(text="second"))
    assert [await text_of(served) for _ in range(4)] == ["first", "second", "Hi there.", "Hi there."]
    assert served.simulator.pending == 0


async def test_a_behaviour_waits_for_its_model(served: Served) -> None:
    main, fallback = MODELS[:2]
    served.simulator.script(Behaviour(model=fallback, text="fallback"), Behaviour(text="any"))
    assert await text_of(served, main) == "any"
    assert await text_of(served, main) == "Hi there."
    assert await text_of(served, fallback) == "fallback"


async def test_a_behaviour_waits_for_what_the_request_must_contain(served: Served) -> None:
    served.simulator.script(
        Behaviour(containing="Nobody says this", text="never"), Behaviour(containing="Hel", text="hi")
    )
    assert await text_of(served) == "hi"
    assert await text_of(served) == "Hi there."
    assert served.simulator.pending == 1


async def test_a_default_that_is_tied_to_a_model_leaves_the_others_alone(served: Served) -> None:
    main, fallback = MODELS[:2]
    served.simulator.default = Behaviour(model=main, status=503)
    with pytest.raises(groq.InternalServerError):
        await text_of(served, main)
    assert "@stay" in (await text_of(served, fallback) or "")


async def test_what_is_refused_takes_nothing_from_the_script(served: Served) -> None:
    served.simulator.script(Behaviour(text="kept"))
    with pytest.raises(groq.NotFoundError, match=r"llama-3\.3-70b-versatile"):
        await text_of(served, "llama-3.3-70b-versatile")
    keyless = await served.http.post(CHAT, json=ASK)
    assert keyless.status_code == 401
    assert keyless.json()["error"]["code"] == "invalid_api_key"
    for bad in (b"{", b'"\xff"', b"[" * 100_000, b"", b'{"model":1}', b'{"model":"m","messages":[]}'):
        response = await served.http.post(CHAT, content=bad, headers=KEY)
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request_error"
    assert await text_of(served) == "kept"


@pytest.mark.parametrize(("method", "path"), [("GET", CHAT), ("GET", "/"), ("POST", "/openai/v1/embeddings")])
async def test_an_unknown_url_is_a_404_in_groqs_form(served: Served, method: str, path: str) -> None:
    response = await served.http.request(method, path, headers=KEY)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_url"


async def test_requests_are_recorded_and_bounded(nursery: trio.Nursery) -> None:
    simulator = GroqSimulator(keep_requests=2)
    async with httpx.AsyncClient(base_url=await nursery.start(simulator.serve)) as http:
        for number in range(3):
            await http.post(f"{CHAT}?n={number}", json=ASK | {"seed": number}, headers=KEY)
    assert [request.body["seed"] for request in simulator.requests] == [1, 2]
    assert simulator.requests[0].path == CHAT
    assert simulator.requests[0].headers["authorization"] == "Bearer x"
    assert simulator.requests[0].at_s <= simulator.requests[1].at_s


def test_the_script_is_bounded() -> None:
    simulator = GroqSimulator()
    simulator.script(*[Behaviour()] * MAX_SCRIPT)
    with pytest.raises(ValueError, match="at most"):
        simulator.script(Behaviour())
    assert simulator.pending == MAX_SCRIPT


@pytest.mark.parametrize(
    "settings",
    [
        {"token_delay_s": -1.0},
        {"first_token_delay_s": float("nan")},
        {"retry_after_s": float("inf")},
        {"reasoning_tokens": -1},
        {"status": 302},
        {"text": "a", "chunks": ("a",)},
        {"hang": "mid", "cut": "mid"},
        {"status": 503, "error_event_after_tokens": 1},
        {"error_code": "tool_use_failed"},
    ],
)
def test_a_senseless_behaviour_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|not both|at most one|needs"):
        Behaviour(**settings)


async def test_the_script_over_http(served: Served) -> None:
    script = [{"text": "scripted"}, {"status": 429, "retry_after_s": 2}]
    assert (await served.http.post("/_simulator/script", json=script)).json() == {"pending": 2}
    assert (await served.http.post("/_simulator/default", json={"text": "new default"})).status_code == 200
    assert await text_of(served) == "scripted"
    with pytest.raises(groq.RateLimitError):
        await text_of(served)
    assert await text_of(served) == "new default"
    told = (await served.http.get("/_simulator/requests")).json()
    assert [request["body"]["model"] for request in told["requests"]] == [MODEL] * 3
    assert {request["headers"]["authorization"] for request in told["requests"]} == {"Bearer ***"}
    assert (told["counters"]["requests"], told["counters"]["refused"], told["pending"]) == (3, 1, 0)


async def test_reset_over_http_forgets_everything(served: Served) -> None:
    await served.http.post("/_simulator/script", json=[{"text": "forgotten"}])
    await served.http.post("/_simulator/default", json={"text": "forgotten"})
    await text_of(served)
    assert (await served.http.post("/_simulator/reset")).status_code == 200
    assert not served.simulator.requests
    assert served.simulator.counters.requests == 0
    assert await text_of(served) == "Hi there."


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("script", b"{", "JSON list"),
        ("script", b'{"text":"a"}', "Expected `array`"),
        ("script", b'[{"txt":"a"}]', "unknown field `txt`"),
        ("script", b'[{"token_delay_s":-1}]', "token_delay_s must be"),
        ("script", b'[{"hang":"tail"}]', "Invalid enum value 'tail'"),
        ("script", b"[" + b"{}," * MAX_SCRIPT + b"{}]", "at most"),
        ("default", b"[]", "Expected `object`"),
        ("default", b'{"status":200,"error_code":"x"}', "error_code needs"),
    ],
)
async def test_bad_control_input_is_refused_with_the_reason(
    served: Served, path: str, content: bytes, why: str
) -> None:
    response = await served.http.post(f"/_simulator/{path}", content=content)
    assert response.status_code == 400
    assert why in response.json()["error"]["message"]
    assert served.simulator.pending == 0
    assert await text_of(served) == "Hi there."


async def test_one_connection_serves_many_requests(served: Served) -> None:
    for _ in range(3):
        assert (await served.http.post(CHAT, json=ASK | {"stream": True}, headers=KEY)).status_code == 200
    assert served.simulator.counters.connections == 1


@given(st.text())
def test_tokens_are_the_text(text: str) -> None:
    tokens = tokenise(text)
    assert "".join(tokens) == text
    assert all(tokens)
