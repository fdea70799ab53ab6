"""The interviewer on Groq when the model or the provider misbehaves: what is shown, what fails, and what is told."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
import trio

from evaa.asyncio_bridge import Bridge, open_bridge
from evaa.llm.groq import GroqInterviewer, open_groq
from evaa.simulators.groq import Behaviour, GroqSimulator
from protocols.ports import InterviewerFailed
from tests.evaa.groq_helpers import MODEL, RecordingSink, ScriptedProvider, brief, event, stream_of, text_event

KEY = "gsk_canary_key"
WORDS = "canary words of the user"
ANEW = "The answer broke off; it begins anew"


class Real(NamedTuple):
    simulator: GroqSimulator
    interviewer: GroqInterviewer


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


@pytest.fixture
async def real(nursery: trio.Nursery, bridge: Bridge) -> AsyncIterator[Real]:
    simulator = GroqSimulator(default=Behaviour(text="@next\nAgain."))
    url = await nursery.start(simulator.serve)
    async with open_groq(bridge, api_key=KEY, base_url=url) as client:
        yield Real(simulator, GroqInterviewer(bridge, client, MODEL))


@pytest.fixture
async def scripted(bridge: Bridge) -> AsyncIterator[tuple[ScriptedProvider, GroqInterviewer]]:
    provider = ScriptedProvider()
    async with open_groq(bridge, api_key=KEY, base_url="http://groq", transport=provider) as client:
        yield provider, GroqInterviewer(bridge, client, MODEL)


async def failure_of(interviewer: GroqInterviewer, sink: RecordingSink | None = None) -> InterviewerFailed:
    with pytest.raises(InterviewerFailed) as raised:
        await interviewer.answer(brief(WORDS), sink or RecordingSink())
    message = str(raised.value)
    assert message.startswith(MODEL)
    assert not any(secret in message for secret in (KEY, WORDS, "canary", "EVAA, a consultant"))
    return raised.value


# --- what the model says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown", "goes_on", "facts", "followed"),
    [
        ("Who does it?", "Who does it?", False, {}, False),
        ("Who does it?\n@facts {}", "Who does it?", False, {}, False),
        ('{"reply": "Who does it?", "next": true}', "Who does it?", False, {}, False),
        ('```json\n{"reply": "Who does it?"}\n```', "Who does it?", False, {}, False),
        ("```\nWho does it?\n```", "Who does it?", False, {}, False),
        ('{"reply": "Who does', "Who does", False, {}, False),
        ("@next\nWho does it?", "Who does it?", True, {}, True),
        ("@NEXT: Who does it?", "Who does it?", True, {}, True),
        ("@stay\nWho does it?\n@facts {broken", "Who does it?", False, {}, True),
        ("@stay\nWho does it?\n@facts [1]", "Who does it?", False, {}, True),
        ('@stay\nWho does it?\n@facts {"who": "Ann", "when', "Who does it?", False, {"who": "Ann"}, True),
        ("@stay\n@stay\nWho does it?", "Who does it?", False, {}, True),
        ("Who does it?\n@ne", "Who does it?", False, {}, False),
        ("\n\n  Who does it?  \n\n", "Who does it?", False, {}, False),
    ],
)
async def test_a_malformed_answer_degrades_to_its_text(
    real: Real, said: str, shown: str, goes_on: bool, facts: dict[str, str], followed: bool
) -> None:
    real.simulator.script(Behaviour(text=said))
    sink = RecordingSink()
    answer = await real.interviewer.answer(brief(WORDS), sink)
    assert (answer.text, answer.wants_next, answer.facts) == (shown, goes_on, facts)
    assert answer.followed_protocol is followed
    assert sink.shown == shown
    assert real.simulator.counters.requests == 1


async def test_an_answer_cut_off_by_its_length_is_shown_as_far_as_it_goes(real: Real) -> None:
    real.simulator.script(Behaviour(text='@next\nWho does it?\n@facts {"who": "A', finish_reason="length"))
    sink = RecordingSink()
    answer = await real.interviewer.answer(brief(WORDS), sink)
    assert (answer.text, answer.wants_next, sink.shown) == ("Who does it?", True, "Who does it?")


@pytest.mark.parametrize("said", ["", "@stay", "@next\n", "@facts {}", "@stay\n@facts {}", "  \n", "@st"])
async def test_an_answer_with_nothing_to_show_is_asked_for_once_more(real: Real, said: str) -> None:
    real.simulator.script(Behaviour(text=said))
    sink = RecordingSink()
    answer = await real.interviewer.answer(brief(WORDS), sink)
    assert (answer.text, answer.wants_next) == ("Again.", True)
    assert [kind for kind, _ in sink.told if kind != "text"] == ["requested", "received"] * 2
    assert sink.shown == "Again."
    assert len(answer.history) == 4


async def test_two_answers_with_nothing_to_show_are_a_failure(real: Real) -> None:
    real.simulator.script(*[Behaviour(text="@stay\n@facts {}")] * 2)
    failure = await failure_of(real.interviewer)
    assert str(failure).startswith(f"{MODEL} gave no usable answer: ")
    assert not failure.passing
    assert real.simulator.counters.requests == 2


async def test_an_answer_that_reasoning_ate_up_is_a_failure_at_once(real: Real) -> None:
    real.simulator.script(Behaviour(text="", finish_reason="length"))
    failure = await failure_of(real.interviewer)
    assert str(failure).startswith(f"{MODEL} gave no usable answer: ")
    assert not failure.passing
    assert real.simulator.counters.requests == 1


# --- what the provider says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "passing", "kind"),
    [
        (400, "json_validate_failed", False, "ModelRequestRejectedError (400, json_validate_failed)"),
        (400, "context_length_exceeded", False, "ModelContextWindowExceededError (400, context_length_exceeded)"),
        (401, None, False, "ModelAuthenticationError (401, invalid_api_key)"),
        (403, None, False, "ModelAuthenticationError (403)"),
        (404, None, False, "ModelNotFoundError (404, model_not_found)"),
        (413, None, False, "ModelHTTPError (413, rate_limit_exceeded)"),
        (422, None, True, "ModelRequestRejectedError (422)"),
        (424, None, False, "ModelHTTPError (424)"),
        (429, None, True, "ModelRateLimitError (429, rate_limit_exceeded)"),
        (498, None, True, "ModelHTTPError (498, capacity_exceeded)"),
        (499, None, False, "ModelHTTPError (499)"),
        (500, None, True, "ModelServerError (500)"),
        (502, None, True, "ModelServerError (502)"),
        (503, None, True, "ModelOverloadedError (503)"),
    ],
)
async def test_each_error_status_is_one_failed_request(
    real: Real, status: int, code: str | None, passing: bool, kind: str
) -> None:
    real.simulator.script(Behaviour(status=status, error_code=code))
    sink = RecordingSink()
    failure = await failure_of(real.interviewer, sink)
    assert (str(failure), failure.passing, failure.retry_after_s) == (f"{MODEL}: {kind}", passing, None)
    assert sink.told == [("requested", "")]
    assert real.simulator.counters.requests == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_passed_on(real: Real, status: int) -> None:
    real.simulator.script(Behaviour(status=status, retry_after_s=7))
    assert (await failure_of(real.interviewer)).retry_after_s == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"), [("0", 0.0), ("2m59.56s", None), ("-1", None), ("9" * 400, None), ("soon", None)]
)
async def test_an_odd_retry_after(
    scripted: tuple[ScriptedProvider, GroqInterviewer], header: str, seconds: float | None
) -> None:
    provider, interviewer = scripted
    provider.answer(httpx.Response(429, headers={"retry-after": header}, json={}))
    failure = await failure_of(interviewer)
    assert (failure.passing, failure.retry_after_s) == (True, seconds)


async def test_a_model_that_does_not_exist(bridge: Bridge, real: Real) -> None:
    real.simulator.models = ()
    failure = await failure_of(real.interviewer)
    assert str(failure) == f"{MODEL}: ModelNotFoundError (404, model_not_found)"


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"error": {"message": WORDS, "type": WORDS, "code": WORDS, "failed_generation": WORDS}}},
        {"json": {"error": WORDS}},
        {"json": [WORDS, KEY]},
        {"html": f"<html>{WORDS}</html>"},
        {"content": b"\xff\xfe"},
        {"content": b""},
    ],
)
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_no_error_quotes_what_the_provider_said(
    scripted: tuple[ScriptedProvider, GroqInterviewer], status: int, body: dict[str, Any]
) -> None:
    provider, interviewer = scripted
    provider.answer(httpx.Response(status, **body))
    failure = await failure_of(interviewer)
    assert str(failure).endswith(f"({status})")
    assert failure.passing is (status != 400)


@pytest.mark.parametrize("body", [{"json": {"choices": []}}, {"json": {}}, {"json": [1]}, {"html": f"<p>{WORDS}"}])
async def test_a_success_that_is_no_stream_is_a_failure(
    scripted: tuple[ScriptedProvider, GroqInterviewer], body: dict[str, Any]
) -> None:
    provider, interviewer = scripted
    provider.answer(httpx.Response(200, **body))
    assert (await failure_of(interviewer)).passing


# --- in mid-stream ----------------------------------------------------------------------------------------------


async def test_an_error_event_before_any_text_is_a_failed_request(real: Real) -> None:
    real.simulator.script(Behaviour(error_event_after_tokens=0, error_code="json_validate_failed"))
    failure = await failure_of(real.interviewer)
    assert (str(failure), failure.passing) == (f"{MODEL}: ModelRequestRejectedError (400, json_validate_failed)", False)


@pytest.mark.parametrize(("status", "passing"), [(503, True), (429, True), (400, False), (None, True)])
async def test_an_error_event_after_some_text_fails_with_its_own_status(
    scripted: tuple[ScriptedProvider, GroqInterviewer], status: int | None, passing: bool
) -> None:
    provider, interviewer = scripted
    error = {"error": {"message": WORDS, "type": "invalid_request_error", "code": WORDS, "status_code": status}}
    body = provider.stream(text_event("@stay\nWho"), event(error, name="error"))
    sink = RecordingSink()
    failure = await failure_of(interviewer, sink)
    assert failure.passing is passing
    assert str(failure).endswith(f"({status or 500})")
    assert sink.told == [("requested", ""), ("text", "Who")]
    assert body.closed_at is not None


@pytest.mark.parametrize("generated", ["", "Some text.", '{"name": "x", "arguments": {}}'])
async def test_a_failed_tool_call_in_mid_stream_voids_what_was_shown_and_is_asked_for_once_more(
    scripted: tuple[ScriptedProvider, GroqInterviewer], generated: str
) -> None:
    provider, interviewer = scripted
    error = {"message": "no", "type": "invalid_request_error", "code": "tool_use_failed", "status_code": 400}
    provider.stream(text_event("@stay\nWho"), event({"error": error | {"failed_generation": generated}}, name="error"))
    provider.stream(stream_of("@next\nAgain."))
    sink = RecordingSink()
    answer = await interviewer.answer(brief(WORDS), sink)
    assert (answer.text, answer.wants_next, sink.shown) == ("Again.", True, "Again.")
    assert sink.told == [
        ("requested", ""), ("text", "Who"),
        ("restarted", ANEW), ("requested", ""), ("text", "Again."), ("received", ""),
    ]  # fmt: skip


async def test_a_connection_cut_before_the_headers_is_a_passing_failure(real: Real) -> None:
    real.simulator.script(Behaviour(cut="before_headers"))
    sink = RecordingSink()
    assert (await failure_of(real.interviewer, sink)).passing
    assert sink.told == [("requested", "")]


async def test_a_connection_cut_in_mid_stream_is_a_passing_failure_and_the_next_turn_works(real: Real) -> None:
    real.simulator.script(Behaviour(text="@stay\nWho does it?", cut="mid", after_tokens=5))
    sink = RecordingSink()
    failure = await failure_of(real.interviewer, sink)
    assert (str(failure), failure.passing) == (f"{MODEL}: ModelConnectionError", True)
    assert [kind for kind, _ in sink.told if kind != "text"] == ["requested"]
    assert (await real.interviewer.answer(brief(WORDS), RecordingSink())).text == "Again."


async def test_a_provider_that_is_not_there_is_a_passing_failure(bridge: Bridge) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with open_groq(bridge, api_key=KEY, base_url=f"http://127.0.0.1:{port}") as client:
        assert (await failure_of(GroqInterviewer(bridge, client, MODEL))).passing


@pytest.mark.parametrize("hang", ["headers", "first_token", "mid"])
async def test_a_cancelled_request_leaves_the_provider_at_once(real: Real, nursery: trio.Nursery, hang: Any) -> None:
    real.simulator.script(Behaviour(text="@stay\nWho does it?", hang=hang, after_tokens=4))
    async with trio.open_nursery() as asking:
        asking.start_soon(real.interviewer.answer, brief(WORDS), RecordingSink())
        while not real.simulator.counters.hung:
            await trio.lowlevel.checkpoint()
        asking.cancel_scope.cancel()
    while real.simulator.counters.open_connections:
        await trio.lowlevel.checkpoint()
    assert real.simulator.counters.abandoned == 1


# --- the warm-up ------------------------------------------------------------------------------------------------


async def _logs_of_warming_up(interviewer: GroqInterviewer) -> list[dict[str, Any]]:
    with structlog.testing.capture_logs() as logs:
        await interviewer.warm_up()
    return [dict(log) for log in logs]


async def test_a_warm_up_asks_which_models_there_are_and_nothing_else(real: Real) -> None:
    assert await _logs_of_warming_up(real.interviewer) == []
    assert [(request.method, request.path) for request in real.simulator.requests] == [("GET", "/openai/v1/models")]


async def test_a_warm_up_tells_of_a_model_that_is_not_there(real: Real) -> None:
    real.simulator.models = ("another",)
    (log,) = await _logs_of_warming_up(real.interviewer)
    assert (log["event"], log["log_level"], log["model"]) == ("llm.model_unknown", "warning", MODEL)


async def test_a_warm_up_tells_of_a_provider_that_is_not_there_and_goes_on(bridge: Bridge) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with open_groq(bridge, api_key=KEY, base_url=f"http://127.0.0.1:{port}") as client:
        (log,) = await _logs_of_warming_up(GroqInterviewer(bridge, client, MODEL))
    assert (log["event"], log["log_level"]) == ("llm.unreachable", "warning")
    assert KEY not in repr(log)
