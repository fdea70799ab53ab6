"""The interviewer on Groq, through the real SDK and on the virtual clock: what comes when, and what a cancel stops."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import trio
from trio.testing import MockClock

from evaa.asyncio_bridge import open_bridge
from evaa.llm.groq import GroqInterviewer, open_groq
from protocols.ports import Usage
from tests.evaa.groq_helpers import (
    DONE,
    MODEL,
    RecordingSink,
    ScriptedProvider,
    brief,
    last_event,
    stream_of,
    text_event,
)


class Virtual(NamedTuple):
    provider: ScriptedProvider
    interviewer: GroqInterviewer


@pytest.fixture
async def virtual(autojump_clock: MockClock) -> AsyncIterator[Virtual]:
    provider = ScriptedProvider()
    async with (
        open_bridge() as bridge,
        open_groq(bridge, api_key="gsk_key", base_url="http://groq", transport=provider) as client,
    ):
        interviewer = GroqInterviewer(bridge, client, MODEL)
        # The SDK's first request hops to a thread, which no virtual clock may run ahead of.
        autojump_clock.autojump_threshold = float("inf")
        await interviewer.warm_up()
        autojump_clock.autojump_threshold = 0
        yield Virtual(provider, interviewer)


async def test_each_piece_reaches_the_sink_at_the_moment_it_comes(virtual: Virtual, autojump_clock: MockClock) -> None:
    virtual.provider.stream(
        0.5, text_event("@st"), text_event("ay\n"),
        0.25, text_event("Got"), 0.125, text_event(" it"),
        2.0, text_event(".\n@facts"), text_event(' {"tool": "Excel"}'),
        0.5, last_event(), 0.25, DONE, 0.125,
        headers_after_s=1.0,
    )  # fmt: skip
    sink, begun = RecordingSink(), trio.current_time()
    answer = await virtual.interviewer.answer(brief(), sink)
    assert sink.events == [
        (0.0, "requested", ""),
        (1.75, "text", "Got"),
        (1.875, "text", " it"),
        (3.875, "text", "."),
        (4.625, "received", ""),
    ]
    assert trio.current_time() - begun == 4.75
    assert (answer.text, answer.wants_next, answer.facts) == ("Got it.", False, {"tool": "Excel"})


@pytest.mark.parametrize("cancel_after_s", [0.5, 1.25, 3.0])
async def test_a_cancellation_stops_the_request_at_once_and_nothing_reaches_the_sink_afterwards(
    virtual: Virtual, autojump_clock: MockClock, cancel_after_s: float
) -> None:
    body = virtual.provider.stream(0.5, text_event("@stay\nGot"), 60.0, stream_of(" it."), headers_after_s=1.0)
    sink, begun = RecordingSink(), trio.current_time()
    with trio.move_on_after(cancel_after_s) as scope:
        await virtual.interviewer.answer(brief(), sink)
    assert scope.cancelled_caught
    assert trio.current_time() - begun == cancel_after_s
    was_open = cancel_after_s > 1.0
    assert body.closed_at == (begun + cancel_after_s if was_open else None)
    told = list(sink.told)
    await trio.sleep(120)
    assert sink.told == told
    assert sink.shown == ("Got" if cancel_after_s > 1.5 else "")


async def test_the_next_turn_works_after_a_cancelled_one(virtual: Virtual, autojump_clock: MockClock) -> None:
    virtual.provider.stream(60.0)
    with trio.move_on_after(1.0):
        await virtual.interviewer.answer(brief(), RecordingSink())
    virtual.provider.stream(stream_of("@next\n", "And then?"))
    answer = await virtual.interviewer.answer(brief(), RecordingSink())
    assert (answer.text, answer.wants_next) == ("And then?", True)


async def test_turns_at_once_keep_apart(virtual: Virtual, autojump_clock: MockClock) -> None:
    answers: dict[int, tuple[str, list[tuple[float, str, str]]]] = {}

    async def turn(number: int) -> None:
        sink = RecordingSink()
        answer = await virtual.interviewer.answer(brief(f"Words {number}."), sink)
        asked = virtual.provider.requests.index(_request_of(virtual.provider, f"Words {number}."))
        answers[asked] = answer.text, sink.events

    for number in range(20):
        virtual.provider.stream(text_event("@stay\n"), number / 8, text_event(f"Reply {number}."), last_event(), DONE)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(turn, number)
    for number in range(20):
        pieces = [(0.0, "requested", ""), (number / 8, "text", f"Reply {number}."), (number / 8, "received", "")]
        assert answers[number] == (f"Reply {number}.", pieces)


def _request_of(provider: ScriptedProvider, words: str) -> dict[str, Any]:
    return next(request for request in provider.requests if request["messages"][-1]["content"].endswith(words))


async def test_usage_and_cached_tokens_are_what_groq_counted(virtual: Virtual, autojump_clock: MockClock) -> None:
    virtual.provider.stream(stream_of("@stay\nHi."))
    answer = await virtual.interviewer.answer(brief(), RecordingSink())
    assert answer.usage == Usage(input_tokens=900, output_tokens=40, cached_tokens=512)


async def test_an_answer_without_usage_counts_nothing(virtual: Virtual, autojump_clock: MockClock) -> None:
    virtual.provider.stream(text_event("@stay\nHi."), DONE)
    answer = await virtual.interviewer.answer(brief(), RecordingSink())
    assert answer.usage == Usage()
