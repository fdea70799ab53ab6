"""No secret and no word of anybody's in the logs while documents are written, whatever goes wrong.

Canaries stand in the user's words, the model's, the instructions and the key; everything is logged at level debug.
"""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import httpx
import pytest
import structlog
import trio

from evaa.asyncio_bridge import Bridge, open_bridge
from evaa.llm import writing_prompt
from evaa.llm.fallback_writer import FallbackWriter
from evaa.llm.groq import open_groq
from evaa.llm.groq_writer import GroqWriter
from evaa.observability.logs import LogFormat, configure_logs
from evaa.simulators.groq import MODELS, Behaviour, GroqSimulator
from protocols.documents import Brd, Entry, Section
from protocols.writing import DocumentWriter, WriterFailed
from tests.evaa.writing_helpers import SESSION_ID, brief, interview, review_brief, turn

WORDS = "canaryWordsOfTheUser"
REPLY = "canaryWordsOfTheModel"
PROMPT = "canaryWordsOfThePrompt"
KEY = "gsk_canaryKey"
CANARIES = (WORDS, REPLY, PROMPT, KEY)

INTERVIEW = interview(turn(1, f"We type {WORDS}.", reply=f"I see, {REPLY}. And then?"))
PREVIOUS = Section("objectives", (Entry("OBJ-1", {"objective": f"{WORDS} {REPLY}"}, (1,)),))
BRIEF = brief(interview=INTERVIEW, previous=PREVIOUS, correction=f"No, {WORDS}.")
BRD = Brd("BRD-1", 1, SESSION_ID, WORDS, "en", 0, 1, (PREVIOUS,))
REVIEW_BRIEF = review_brief(f"No, {WORDS}.", interview=INTERVIEW, brd=BRD)
SAID = f'{{"entries":[{{"id":"","turns":[1],"fields":{{"{REPLY}":"{WORDS}"}},"status":"{REPLY}"}}]}}'


class QuotingProvider(httpx.AsyncBaseTransport):
    """A provider that quotes the whole request, key included, in whatever goes wrong."""

    def __init__(self) -> None:
        self.responses = 0
        self._statuses = [400, 401, 404, 413, 418, 422, 429, 498, 500, 503]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        quoted = (await request.aread()).decode() + repr(request.headers.raw)
        assert all(canary in quoted for canary in CANARIES)
        self.responses += 1
        if self._statuses:
            error = {"message": quoted, "type": quoted, "code": quoted, "failed_generation": quoted}
            headers = {"retry-after": "0", "x-quoted": KEY}
            return httpx.Response(self._statuses.pop(), headers=headers, json={"error": error})
        if self.responses % 2:
            return httpx.Response(200, html=quoted)
        raise httpx.ConnectError(quoted)


class World(NamedTuple):
    bridge: Bridge
    simulator: GroqSimulator
    writer: DocumentWriter


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(writing_prompt, "instructions", lambda role: f"Obey {PROMPT}.")
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
    simulator = GroqSimulator()
    url = await nursery.start(simulator.serve)
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url=url) as client:
        yield World(bridge, simulator, FallbackWriter((GroqWriter(bridge, client, MODELS[0]),)))


async def troubles_of(writer: DocumentWriter) -> None:
    """Ask for a section and a review: neither can be had, and the errors say nothing either."""
    with pytest.raises(WriterFailed) as no_section:
        await writer.write(BRIEF)
    with pytest.raises(WriterFailed) as no_review:
        await writer.review(REVIEW_BRIEF)
    said = f"{no_section.value} {no_review.value}"
    assert [canary for canary in CANARIES if canary in said] == []


def check(log: io.StringIO, capfd: pytest.CaptureFixture[str], *events: str) -> None:
    """No canary came out, and what should have been logged was."""
    logged = log.getvalue()
    output = logged + "".join(capfd.readouterr())
    assert [canary for canary in CANARIES if canary in output] == []
    assert [event for event in events if event not in logged] == []


async def test_good_documents(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    assert (await world.writer.write(BRIEF)).lists["entries"]
    assert (await world.writer.review(REVIEW_BRIEF)).intent == "correct"
    request = world.simulator.requests[0]
    assert all(canary in repr(request) for canary in CANARIES)
    check(log, capfd, "documents.written")


SIMULATED = [
    *[Behaviour(status=status, retry_after_s=0) for status in (400, 401, 403, 404, 413, 422, 429, 498, 500, 502, 503)],
    Behaviour(status=400, error_code="json_validate_failed"),
    Behaviour(text=SAID),
    Behaviour(text=SAID[:50]),
    Behaviour(text=SAID[:50], finish_reason="length"),
    Behaviour(text=""),
    Behaviour(text=REPLY),
    Behaviour(text=SAID, cut="mid"),
    Behaviour(cut="before_headers"),
]


async def test_every_trouble_of_the_provider(world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    for behaviour in SIMULATED:
        world.simulator.default = behaviour
        await troubles_of(world.writer)
    check(log, capfd, "documents.failed", "documents.asked_again")


async def test_a_provider_that_quotes_the_request_in_its_errors(
    world: World, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    provider = QuotingProvider()
    async with open_groq(world.bridge, api_key=KEY, base_url="http://groq", transport=provider) as client:
        writer = FallbackWriter((GroqWriter(world.bridge, client, MODELS[0]),))
        for _ in range(8):
            await troubles_of(writer)
    assert provider.responses == 16
    check(log, capfd, "documents.failed")
