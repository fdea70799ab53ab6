"""No secret and no word of anybody's in the logs: a whole server at level debug, everything that can go wrong, and
canaries in the user's words, the model's, the prompt and the key, none of which may come out."""

import asyncio
import io
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import structlog
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from actors.connection import ConnectionLimits
from actors.server import PATH, Server, ServerLimits
from actors.session import Services
from evaa.asyncio_bridge import Bridge, open_bridge
from evaa.llm import prompt
from evaa.llm.fallback import FallbackInterviewer
from evaa.llm.groq import GroqInterviewer, open_groq
from evaa.llm.scripted import ScriptedInterviewer
from evaa.observability.logs import LogFormat, configure_logs
from evaa.simulators.groq import MODELS, Behaviour, GroqSimulator
from protocols.dialects import TYPED_JSON
from protocols.ports import Answer, AnswerSink, Interviewer, RecordTooLarge, TurnBrief
from protocols.records import Stage
from tests.actors.stores import MemorySpill, WatchedStore
from tests.actors.writers import FakeWriter
from tests.evaa.groq_helpers import event, text_event

WORDS = "canaryWordsOfTheUser"
REPLY = "canaryWordsOfTheModel"
PROMPT = "canaryWordsOfThePrompt"
KEY = "gsk_canaryKey"
CANARIES = (WORDS, REPLY, PROMPT, KEY)

STAGES = (
    Stage("a" * 24, "Goal", PROMPT, f"know {PROMPT}", 1, f"What for, {PROMPT}?", follow_ups=(f"Why, {PROMPT}?",) * 3),
    Stage("b" * 24, "Trigger", PROMPT, PROMPT, 2, f"What starts it, {PROMPT}?"),
)
SAID = f'@stay\nI see, {REPLY}. And then?\n@facts {{"{REPLY}": "{WORDS}"}}'


class QuotingProvider(httpx.AsyncBaseTransport):
    """A provider that quotes the whole request, key included, in whatever goes wrong: each request goes wrong next."""

    def __init__(self) -> None:
        refusals = [partial(self._refuse, status) for status in (400, 401, 404, 413, 422, 429, 498, 500, 503)]
        others = [self._break_off, self._talk_nonsense, self._be_a_page, self._be_gone]
        self.answers: Iterator[Callable[[str], httpx.Response]] = iter([*refusals, *others])
        self.is_done = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        quoted = (await request.aread()).decode() + repr(request.headers.raw)
        assert KEY in quoted
        answer = next(self.answers, None)
        if answer is None:
            self.is_done = True
            return httpx.Response(418, text=quoted)
        return answer(quoted)

    def _refuse(self, status: int, quoted: str) -> httpx.Response:
        error = {"message": quoted, "type": quoted, "code": quoted, "failed_generation": quoted}
        return httpx.Response(status, headers={"retry-after": "0", "x-quoted": KEY}, json={"error": error})

    def _break_off(self, quoted: str) -> httpx.Response:
        error = {"error": {"message": quoted, "code": quoted, "status_code": 503}}
        return _stream(text_event(SAID[:20]) + event(error, name="error"))

    def _talk_nonsense(self, quoted: str) -> httpx.Response:
        return _stream(text_event(SAID[:20]) + f"data: {quoted}\n\n".encode())

    def _be_a_page(self, quoted: str) -> httpx.Response:
        return httpx.Response(200, html=quoted)

    def _be_gone(self, quoted: str) -> httpx.Response:
        raise httpx.ConnectError(quoted)


def _stream(data: bytes) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)


class Relay:
    """The interviewer that the server knows: another one at every turn, if need be; or a bug."""

    name = "relay"

    def __init__(self) -> None:
        self.interviewer: Interviewer = ScriptedInterviewer()
        self.bugs: list[Exception] = []

    def use(self, model: Interviewer) -> None:
        """Ask `model`, not yet tired by anything, and the scripted interviewer when it fails."""
        self.interviewer = FallbackInterviewer(
            (model, ScriptedInterviewer()), first_token_timeout_s=0.5, patience_s=0.5
        )

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        if self.bugs:
            sink.text(REPLY)
            raise self.bugs.pop()
        return await self.interviewer.answer(brief, sink)


class World:
    """A server over real sockets, and what it stands on."""

    def __init__(self, bridge: Bridge, model: GroqInterviewer, simulator: GroqSimulator) -> None:
        self.port = 0
        self.bridge = bridge
        self.model = model
        self.simulator = simulator
        self.store = WatchedStore()
        self.relay = Relay()
        self.relay.use(model)
        self._sessions = itertools.count(1)

    async def connect(self) -> trio.SocketStream:
        """A bare connection."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[WebSocketConnection]:
        """A client of a new session, past its greeting."""
        path = f"{PATH}?sessionId={next(self._sessions):024x}"
        async with await self.connect() as stream, trio.open_nursery() as nursery:
            websocket = await wrap_client_stream(nursery, stream, "127.0.0.1", path, subprotocols=[TYPED_JSON])
            await until(websocket, "reply")
            yield websocket
            await websocket.aclose()


async def say(websocket: WebSocketConnection, words: str = f"We type {WORDS}.") -> None:
    await websocket.send_message(msgspec.json.encode({"type": "text", "text": words}).decode())


async def until(websocket: WebSocketConnection, kind: str) -> dict[str, Any]:
    with trio.fail_after(5):
        while True:
            frame: dict[str, Any] = msgspec.json.decode(await websocket.get_message())
            if frame["type"] == kind:
                return frame


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(prompt, "instructions", lambda: f"Obey {PROMPT}.")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    log_format: LogFormat = request.param
    configure_logs(log_format, "debug", output)
    yield output
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def world(log: io.StringIO, nursery: trio.Nursery) -> AsyncIterator[World]:
    simulator = GroqSimulator(default=Behaviour(text=SAID))
    provider_url = await nursery.start(simulator.serve)
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url=provider_url) as client:
        world = World(bridge, GroqInterviewer(bridge, client, MODELS[0]), simulator)
        await world.store.replace_stages(STAGES)
        services = Services(
            store=world.store, interviewer=world.relay, spill=MemorySpill(), writer=FakeWriter(), owner="this process"
        )
        limits = ServerLimits(connection=ConnectionLimits(max_text_chars=100), handshake_timeout_s=0.5)
        server = Server(services, limits)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        world.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as serving:
            await serving.start(server.serve, listeners)
            yield world
            await server.drain()
            serving.cancel_scope.cancel()


def check(log: io.StringIO, capfd: pytest.CaptureFixture[str], *events: str) -> None:
    """No canary came out, and what should have been logged was."""
    logged = log.getvalue()
    output = logged + "".join(capfd.readouterr())
    assert [canary for canary in CANARIES if canary in output] == []
    assert [event for event in events if event not in logged] == []


async def test_good_turns(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    async with world.client() as websocket:
        for _ in range(3):
            await say(websocket)
            assert REPLY in (await until(websocket, "reply"))["response"]
        await say(websocket)
        await websocket.send_message('{"type": "interrupt"}')
    asked = msgspec.json.encode(world.simulator.requests[-1].body).decode()
    assert all(canary in asked for canary in (WORDS, REPLY, PROMPT))
    assert KEY in world.simulator.requests[-1].headers["authorization"]
    check(log, capfd, "session.opened", "turn.completed")


SIMULATED = [
    *[Behaviour(status=status, retry_after_s=0) for status in (400, 401, 403, 404, 413, 422, 429, 498, 500, 502, 503)],
    Behaviour(text=SAID, error_event_after_tokens=8, error_code="json_validate_failed"),
    Behaviour(text=SAID, error_event_after_tokens=8),
    Behaviour(text=SAID, cut="mid", after_tokens=8),
    Behaviour(cut="before_headers"),
    Behaviour(text=SAID, hang="mid", after_tokens=8),
    Behaviour(hang="headers"),
    Behaviour(text=SAID[:30], finish_reason="length"),
    Behaviour(text="@stay"),
]


async def test_every_trouble_of_the_provider(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    for behaviour in SIMULATED:
        world.relay.use(world.model)
        world.simulator.script(behaviour)
        async with world.client() as websocket:
            await say(websocket)
            await until(websocket, "reply")
    check(log, capfd, "llm.failed", "turn.completed")


async def test_a_provider_that_quotes_the_request_in_its_errors(
    world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    provider = QuotingProvider()
    async with open_groq(world.bridge, api_key=KEY, base_url="http://groq", transport=provider) as client:
        model = GroqInterviewer(world.bridge, client, MODELS[0])
        while not provider.is_done:
            world.relay.use(model)
            async with world.client() as websocket:
                await say(websocket)
                await until(websocket, "reply")
        await model.warm_up()
    check(log, capfd, "llm.failed", "llm.unreachable", "turn.completed")


BAD_FRAMES: list[str | bytes] = [
    WORDS,
    f'"{WORDS}"',
    f'{{"type": "{WORDS}"}}',
    f'{{"type": "text", "text": ["{WORDS}"]}}',
    f'{{"type": "text", "text": "{WORDS * 10}"}}',
    f'{{"type": "text", "text": "{WORDS}',
    f'{{"type": "start", "sessionId": "{WORDS}"}}',
    f'{{"type": "export", "format": "{WORDS}"}}',
    WORDS.encode(),
]


async def test_bad_frames_and_handshakes(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    async with world.client() as websocket:
        for frame in BAD_FRAMES:
            await websocket.send_message(frame)
            await until(websocket, "error")
        await say(websocket)
        await until(websocket, "reply")
        with suppress(ConnectionClosed):
            for _ in range(20):
                await websocket.send_message(WORDS)
    for path, dialect in [(f"/{WORDS}", TYPED_JSON), (f"{PATH}?sessionId={WORDS}", TYPED_JSON), (PATH, WORDS)]:
        async with await world.connect() as stream:
            with pytest.RaisesGroup(ConnectionRejected):
                async with trio.open_nursery() as nursery:
                    await wrap_client_stream(nursery, stream, "127.0.0.1", path, subprotocols=[dialect])
    for garbage in (WORDS, f"GET /{WORDS} HTTP/1.1\r\nhost: {WORDS}\r\n\r\n", f"GET /{WORDS}\r\n\r\n"):
        async with await world.connect() as stream:
            await stream.send_all(garbage.encode())
            await stream.send_eof()
            while await stream.receive_some():
                pass
    check(log, capfd, "connection.refused", "session.closed")


async def test_bugs_whose_errors_quote_what_was_said(
    world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    for bug in (RuntimeError(WORDS), ExceptionGroup(WORDS, [KeyError(REPLY), ValueError(KEY)])):
        async with world.client() as websocket:
            world.relay.bugs.append(bug)
            await say(websocket)
            await until(websocket, "reply")
    async with world.client() as websocket:
        world.relay.bugs += [RuntimeError(WORDS) for _ in range(9)]
        await say(websocket)
        with pytest.raises(ConnectionClosed):
            await until(websocket, "reply")
    world.relay.bugs.clear()
    check(log, capfd, "actor.failed", "actor.restarted", "giving_up")


async def test_trouble_of_the_store(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    async with world.client() as websocket:
        world.store.fail_next(2, "save")
        await say(websocket)
        await until(websocket, "reply")
    async with world.client() as websocket:
        world.store.errors.append(RuntimeError(WORDS))
        await say(websocket)
        await until(websocket, "error")
    async with world.client() as websocket:
        world.store.errors += [RecordTooLarge(WORDS)] * 2
        await say(websocket)
        with pytest.raises(ConnectionClosed):
            await until(websocket, "error")
    check(log, capfd, "store.retrying", "store.recovered", "actor.failed", "store.refused", "store.spilled")


async def test_what_libraries_and_orphans_say(
    world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    async def orphan() -> None:
        def fail(words: str) -> None:
            raise ValueError(words)

        asyncio.get_running_loop().call_soon(fail, WORDS)
        await asyncio.sleep(0)

    await world.bridge.call(orphan)
    logging.getLogger("aiohttp.client").warning("cannot parse %s", WORDS)
    logging.getLogger("asyncio").error("Task failed: %s", WORDS, exc_info=ValueError(WORDS))
    check(log, capfd, "asyncio.error", "library.warned")
