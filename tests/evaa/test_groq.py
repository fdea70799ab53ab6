"""The interviewer on Groq, through the real SDK and over a real socket: what it asks for, and what it keeps."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import pytest
import trio
from groq import NOT_GIVEN, AsyncGroq

from evaa.asyncio_bridge import Bridge, open_bridge
from evaa.interview.exchange import exchange
from evaa.llm import prompt
from evaa.llm.groq import GroqInterviewer, open_groq
from evaa.simulators.groq import Behaviour, GroqSimulator
from protocols.ports import Answer
from tests.evaa.groq_helpers import (
    MODEL,
    RecordingSink,
    brief,
    stream_of,
)

KEY = "gsk_key"
QWEN = "qwen/qwen3.8-27b"


class Real(NamedTuple):
    simulator: GroqSimulator
    bridge: Bridge
    client: AsyncGroq

    def interviewer(self, model: str = MODEL, **options: Any) -> GroqInterviewer:
        return GroqInterviewer(self.bridge, self.client, model, **options)

    async def ask(self, model: str = MODEL, words: str = "We type invoices.", **options: Any) -> Answer:
        return await self.interviewer(model).answer(brief(words, **options), RecordingSink())

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.simulator.requests if request.method == "POST"]


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


@pytest.fixture
async def real(nursery: trio.Nursery, bridge: Bridge) -> AsyncIterator[Real]:
    simulator = GroqSimulator()
    url = await nursery.start(simulator.serve)
    async with open_groq(bridge, api_key=KEY, base_url=url) as client:
        yield Real(simulator, bridge, client)


async def test_the_request_is_exactly_this(real: Real) -> None:
    await real.ask()
    (request,) = real.simulator.requests
    assert (request.method, request.path) == ("POST", "/openai/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": prompt.instructions()},
            {"role": "user", "content": prompt.user_message(brief())},
        ],
        "n": 1,
        "stream": True,
        "temperature": 0.4,
        "max_tokens": 900,
        "include_reasoning": False,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        ("openai/gpt-oss-120b", {"include_reasoning": False, "reasoning_effort": "low"}),
        (QWEN, {"reasoning_effort": "none"}),
        ("other/model", {}),
    ],
)
async def test_what_each_family_of_models_is_told_of_reasoning(
    real: Real, model: str, reasoning: dict[str, Any]
) -> None:
    real.simulator.models = (*real.simulator.models, model)
    await real.ask(model)
    (body,) = real.bodies
    asked = {name: value for name, value in body.items() if "reasoning" in name}
    assert asked == reasoning
    assert body["stream"] is True
    assert not {"tools", "tool_choice", "response_format", "service_tier"} & body.keys()


async def test_the_history_only_grows_at_its_end(real: Real) -> None:
    history: tuple[str, ...] = exchange("", "What is the goal?")
    for turn in range(6):
        answer = await real.ask(words=f"Answer {turn}.", turn=turn, history=history)
        history += answer.history
    sent = [body["messages"] for body in real.bodies]
    assert [len(messages) for messages in sent] == [3, 5, 7, 9, 11, 13]
    for earlier, later in pairwise(sent):
        assert later[: len(earlier)] == earlier
        assert [message["role"] for message in later[len(earlier) :]] == ["assistant", "user"]
    assert [message["role"] for message in sent[-1]].count("system") == 1


async def test_what_the_model_said_goes_back_as_it_was_with_its_control_lines(real: Real) -> None:
    said = '@next\nGot it. And then?\n@facts {"tool": "Excel"}'
    real.simulator.script(Behaviour(text=said))
    answer = await real.ask()
    await real.ask(history=answer.history)
    assert real.bodies[-1]["messages"][2] == {"role": "assistant", "content": said}


async def test_a_long_history_is_cut_behind_a_note_and_the_prefix_then_holds_again(real: Real) -> None:
    interviewer = real.interviewer(max_history_chars=8_000)
    history: tuple[str, ...] = ()
    for turn in range(30):
        answer = await interviewer.answer(brief(f"Fact {turn}.", turn=turn, history=history), RecordingSink())
        history += answer.history
    sent = [body["messages"] for body in real.bodies]
    assert max(map(len, sent)) < 20
    held = [later[: len(earlier)] == earlier for earlier, later in pairwise(sent)]
    assert 0 < held.count(False) < 10
    assert sent[-1][1]["content"].startswith("[earlier in this interview]")


async def test_the_stored_history_carries_no_instructions(real: Real) -> None:
    answer = await real.ask()
    request, response = map(msgspec.json.decode, answer.history)
    assert request["kind"] == "request"
    assert request["instructions"] is None
    assert [part["content"] for part in request["parts"]] == [prompt.user_message(brief())]
    assert response["kind"] == "response"
    assert [part["part_kind"] for part in response["parts"]] == ["text"]
    assert not any(prompt.instructions()[:60] in text for text in answer.history)


async def test_turns_share_one_connection_even_if_a_response_ends_after_its_last_event(
    nursery: trio.Nursery, bridge: Bridge
) -> None:
    heard_all: list[trio.Event] = []

    class Sink(RecordingSink):
        def received(self) -> None:
            heard_all[-1].set()

    async def serve(stream: trio.SocketStream) -> None:
        connections.append(stream)
        while await _read_request(stream):
            events = stream_of("@stay\nHi.")
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            await stream.send_all(head + b"%x\r\n%b\r\n" % (len(events), events))
            await heard_all[-1].wait()
            await stream.send_all(b"0\r\n\r\n")

    connections: list[trio.SocketStream] = []
    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with open_groq(bridge, api_key=KEY, base_url=url) as client:
        for _ in range(4):
            heard_all.append(trio.Event())
            assert (await GroqInterviewer(bridge, client, MODEL).answer(brief(), Sink())).text == "Hi."
    assert len(connections) == 1


async def _read_request(stream: trio.SocketStream) -> bool:
    """Read one request to its end; False if there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        if not more:
            return False
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    return True


async def test_reasoning_costs_time_and_is_neither_shown_nor_kept(real: Real) -> None:
    real.simulator.script(Behaviour(text="@stay\nHi.", reasoning_tokens=5))
    answer = await real.ask(QWEN)
    assert answer.text == "Hi."
    assert answer.usage.output_tokens == 10
    assert [part["part_kind"] for part in msgspec.json.decode(answer.history[1])["parts"]] == ["text"]


# --- the lean client --------------------------------------------------------------------------------------------


def _plain(client: AsyncGroq) -> AsyncGroq:
    return AsyncGroq(api_key=client.api_key, base_url=str(client.base_url), http_client=client._client, max_retries=0)


@pytest.mark.parametrize("model", [MODEL, QWEN])
async def test_the_lean_client_sends_exactly_what_the_plain_one_sends(real: Real, model: str) -> None:
    history = exchange("", "What is the goal?") + exchange("Less typing.", "Why?")
    plain = GroqInterviewer(real.bridge, _plain(real.client), model)
    lean = GroqInterviewer(real.bridge, real.client, model)
    answers = [await each.answer(brief(history=history), RecordingSink()) for each in (lean, plain)]
    assert answers[0].text == answers[1].text
    by_lean, by_plain = real.simulator.requests
    assert by_lean.body == by_plain.body
    for header in ("authorization", "content-type", "accept", "user-agent"):
        assert by_lean.headers[header] == by_plain.headers[header]
    assert by_lean.headers["accept-encoding"] == "identity"
    assert (by_lean.method, by_lean.path) == (by_plain.method, by_plain.path)


async def test_the_lean_client_passes_on_what_a_call_adds_and_leaves_out_what_is_not_given(real: Real) -> None:
    ask: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi."}]}
    extra: dict[str, Any] = {"extra_headers": {"x-ours": "1"}, "extra_query": {"q": "2"}, "extra_body": {"seed": 3}}

    async def call(client: AsyncGroq) -> Any:
        create: Callable[..., Any] = client.chat.completions.create
        return await create(**ask, **extra, stop=NOT_GIVEN, timeout=30)

    replies = [await real.bridge.call(call, client) for client in (real.client, _plain(real.client))]
    assert replies[0].choices == replies[1].choices
    by_lean, by_plain = real.simulator.requests
    assert by_lean.body == by_plain.body == ask | {"seed": 3}
    assert by_lean.path == by_plain.path
    assert by_lean.headers["x-ours"] == by_plain.headers["x-ours"] == "1"
