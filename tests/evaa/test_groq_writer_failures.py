"""The document writer on Groq when the model or the provider misbehaves: what is asked again, and what fails how."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
import trio

from evaa.asyncio_bridge import open_bridge
from evaa.llm.groq import open_groq
from evaa.llm.groq_writer import TIMEOUT_S, GroqWriter
from evaa.simulators.groq import Behaviour, GroqSimulator
from protocols.writing import WriterFailed
from tests.evaa.groq_helpers import MODEL, ScriptedProvider
from tests.evaa.writing_helpers import brief, interview, review_brief, turn

KEY = "gsk_canary_key"
WORDS = "canary words of the user"
GOOD = '{"entries":[{"turns":[1],"fields":{"objective":"Less","baseline":"","target":""},"status":"stated"}]}'
BRIEF = brief(interview=interview(turn(1, WORDS)))


class Real(NamedTuple):
    simulator: GroqSimulator
    writer: GroqWriter

    @property
    def requests(self) -> int:
        return self.simulator.counters.requests

    @property
    def rooms(self) -> list[int]:
        """The tokens that each request asked room for."""
        return [request.body["max_tokens"] for request in self.simulator.requests]

    @property
    def numbers_of_messages(self) -> list[int]:
        return [len(request.body["messages"]) for request in self.simulator.requests]


@pytest.fixture
async def real(nursery: trio.Nursery) -> AsyncIterator[Real]:
    simulator = GroqSimulator(default=Behaviour(text=GOOD))
    url = await nursery.start(simulator.serve)
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url=url) as client:
        yield Real(simulator, GroqWriter(bridge, client, MODEL))


async def failure_of(writer: GroqWriter) -> WriterFailed:
    with structlog.testing.capture_logs() as logs, pytest.raises(WriterFailed) as raised:
        await writer.write(BRIEF)
    message = str(raised.value)
    assert message.startswith(MODEL)
    assert not any(secret in message + repr(logs) for secret in (KEY, "canary", "business analyst"))
    return raised.value


# --- what the model says ------------------------------------------------------------------------------------------

BAD = [
    "No.",
    "{",
    "[]",
    "null",
    "{}",
    '{"entries":{}}',
    '{"entries":[{"turns":[1],"status":"stated"}]}',
    GOOD.replace("[1]", '"one"'),
    GOOD.replace("stated", "confirmed"),
    GOOD.replace('"target"', '"goal"'),
    GOOD.replace("]}", '],"extra":1}'),
]


@pytest.mark.parametrize("said", BAD)
async def test_an_answer_that_does_not_fit_its_form_is_asked_for_again_with_the_reason(real: Real, said: str) -> None:
    real.simulator.script(Behaviour(text=said))
    written = await real.writer.write(BRIEF)
    assert [draft.fields["objective"] for draft in written.lists["entries"]] == ["Less"]
    assert real.requests == 2
    again = real.simulator.requests[-1].body
    assert again["messages"][2] == {"role": "assistant", "content": said}
    assert again["messages"][-1]["role"] == "user"
    assert "validation" in again["messages"][-1]["content"]
    assert again["response_format"]["json_schema"]["strict"] is True


async def test_a_form_in_a_code_fence_is_a_form(real: Real) -> None:
    real.simulator.script(Behaviour(text=f"```json\n{GOOD}\n```"))
    assert len((await real.writer.write(BRIEF)).lists["entries"]) == 1
    assert real.requests == 1


@pytest.mark.parametrize("said", BAD[:3])
async def test_three_bad_answers_are_a_failure_for_good(real: Real, said: str) -> None:
    real.simulator.script(*[Behaviour(text=said)] * 4)
    failure = await failure_of(real.writer)
    assert str(failure) == f"{MODEL} gave no usable answer: UnexpectedModelBehavior"
    assert (failure.passing, failure.retry_after_s, real.requests) == (False, None, 3)


@pytest.mark.parametrize(
    "trouble",
    [
        Behaviour(text=GOOD[:40], finish_reason="length"),
        Behaviour(text="", finish_reason="length"),
        Behaviour(text=""),
        Behaviour(status=400, error_code="json_validate_failed"),
    ],
)
async def test_an_answer_without_room_is_asked_for_once_more_with_more_of_it(real: Real, trouble: Behaviour) -> None:
    real.simulator.script(trouble)
    written = await real.writer.write(BRIEF)
    assert len(written.lists["entries"]) == 1
    assert real.rooms == [4_000, 12_000]
    assert real.numbers_of_messages == [2, 2]
    first, second = (request.body["messages"] for request in real.simulator.requests)
    assert first == second


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (Behaviour(text=GOOD[:40], finish_reason="length"), "gave no usable answer: OutputTokenLimitExceeded"),
        (Behaviour(text="", finish_reason="length"), "gave no usable answer: UnexpectedModelBehavior"),
        (Behaviour(text=""), "gave no usable answer: UnexpectedModelBehavior"),
        (
            Behaviour(status=400, error_code="json_validate_failed"),
            ": ModelRequestRejectedError (400, json_validate_failed)",
        ),
    ],
)
async def test_a_second_time_it_is_a_failure_for_good(real: Real, trouble: Behaviour, why: str) -> None:
    real.simulator.script(*[trouble] * 3)
    failure = await failure_of(real.writer)
    assert str(failure) == f"{MODEL}{why if why.startswith(':') else ' ' + why}"
    assert (failure.passing, real.requests) == (False, 2)


async def test_what_broke_off_is_counted_too(real: Real) -> None:
    real.simulator.script(Behaviour(text=GOOD[:40], finish_reason="length"))
    twice = (await real.writer.write(BRIEF)).usage
    once = (await real.writer.write(BRIEF)).usage
    assert twice.input_tokens == 2 * once.input_tokens
    assert twice.output_tokens > once.output_tokens


@pytest.mark.parametrize("said", ["{}", '{"intent":"agree","sections":[],"change":"","reply":""}'])
async def test_a_review_is_asked_for_again_as_well(real: Real, said: str) -> None:
    real.simulator.default = Behaviour()
    real.simulator.script(Behaviour(text=said))
    assert (await real.writer.review(review_brief())).intent == "confirm"
    assert real.requests == 2


# --- what the provider says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "passing", "kind"),
    [
        (400, "context_length_exceeded", False, "ModelContextWindowExceededError (400, context_length_exceeded)"),
        (401, None, False, "ModelAuthenticationError (401, invalid_api_key)"),
        (404, None, False, "ModelNotFoundError (404, model_not_found)"),
        (413, None, False, "ModelHTTPError (413, rate_limit_exceeded)"),
        (422, None, True, "ModelRequestRejectedError (422)"),
        (429, None, True, "ModelRateLimitError (429, rate_limit_exceeded)"),
        (498, None, True, "ModelHTTPError (498, capacity_exceeded)"),
        (500, None, True, "ModelServerError (500)"),
        (502, None, True, "ModelServerError (502)"),
        (503, None, True, "ModelOverloadedError (503)"),
    ],
)
async def test_each_error_status_is_one_failed_request(
    real: Real, status: int, code: str | None, passing: bool, kind: str
) -> None:
    real.simulator.script(Behaviour(status=status, error_code=code))
    failure = await failure_of(real.writer)
    assert (str(failure), failure.passing, failure.retry_after_s) == (f"{MODEL}: {kind}", passing, None)
    assert real.requests == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_passed_on(real: Real, status: int) -> None:
    real.simulator.script(Behaviour(status=status, retry_after_s=7))
    assert (await failure_of(real.writer)).retry_after_s == 7.0


async def test_an_error_after_a_bad_answer_fails_as_what_it_is(real: Real) -> None:
    real.simulator.script(Behaviour(text="{}"), Behaviour(status=503, retry_after_s=2))
    failure = await failure_of(real.writer)
    assert (failure.passing, failure.retry_after_s, real.requests) == (True, 2.0, 2)


@pytest.mark.parametrize("cut", ["before_headers", "mid"])
async def test_a_connection_that_is_cut_is_a_passing_failure_and_the_next_job_works(real: Real, cut: Any) -> None:
    real.simulator.script(Behaviour(text=GOOD, cut=cut))
    failure = await failure_of(real.writer)
    assert (failure.passing, real.requests) == (True, 1)
    assert (await real.writer.write(BRIEF)).lists["entries"]


@pytest.mark.parametrize("hang", ["headers", "first_token", "mid"])
async def test_a_cancelled_job_leaves_the_provider_at_once(real: Real, hang: Any) -> None:
    real.simulator.script(Behaviour(text=GOOD, hang=hang))
    async with trio.open_nursery() as writing:
        writing.start_soon(real.writer.write, BRIEF)
        while not real.simulator.counters.hung:
            await trio.lowlevel.checkpoint()
        writing.cancel_scope.cancel()
    while real.simulator.counters.open_connections:
        await trio.lowlevel.checkpoint()
    assert (real.simulator.counters.abandoned, real.requests) == (1, 1)


async def test_jobs_run_at_the_same_time(real: Real) -> None:
    real.simulator.script(Behaviour(text=GOOD, hang="headers"))
    async with trio.open_nursery() as writing:
        writing.start_soon(real.writer.write, BRIEF)
        while not real.simulator.counters.hung:
            await trio.lowlevel.checkpoint()
        assert (await real.writer.write(BRIEF)).lists["entries"]
        writing.cancel_scope.cancel()


# --- a provider in memory -----------------------------------------------------------------------------------------


async def test_an_answer_may_take_long_but_a_connection_may_not() -> None:
    class Waiting(ScriptedProvider):
        patience: dict[str, Any] = {}

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.patience = request.extensions["timeout"]
            return await super().handle_async_request(request)

    provider = Waiting()
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url="http://g", transport=provider) as it:
        provider.answer(httpx.Response(200, json={}))
        await failure_of(GroqWriter(bridge, it, MODEL))
    assert (provider.patience["read"], provider.patience["connect"]) == (TIMEOUT_S, 3)


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_no_error_quotes_what_the_provider_said(status: int) -> None:
    provider = ScriptedProvider()
    error = {"message": WORDS, "type": WORDS, "code": WORDS, "failed_generation": WORDS}
    provider.answer(httpx.Response(status, json={"error": error}))
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url="http://g", transport=provider) as it:
        failure = await failure_of(GroqWriter(bridge, it, MODEL))
    assert str(failure).endswith(f"({status})")


EMPTY = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": []}
ODD: dict[str, Any] = {"json": {"choices": [{"message": {"content": 5}}], "object": 7}}


@pytest.mark.parametrize(
    "body", [{"json": {"choices": []}}, {"json": {}}, {"html": f"<p>{WORDS}"}, {"json": [1]}, ODD, {"json": EMPTY}]
)
async def test_a_success_that_is_no_completion_is_a_failure(body: dict[str, Any]) -> None:
    provider = ScriptedProvider()
    provider.answer(httpx.Response(200, **body))
    async with open_bridge() as bridge, open_groq(bridge, api_key=KEY, base_url="http://g", transport=provider) as it:
        assert (await failure_of(GroqWriter(bridge, it, MODEL))).passing
    assert len(provider.requests) == 1
