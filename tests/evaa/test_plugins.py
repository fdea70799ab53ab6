"""The choice of the interviewer: what each choice gives, in which order, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import structlog
import trio

from evaa.asyncio_bridge import Bridge, open_bridge
from evaa.interview.exchange import exchange
from evaa.llm import plugins
from evaa.llm.plugins import LlmChoice, open_interviewer
from evaa.llm.scripted import ScriptedInterviewer
from evaa.plugins import PluginRefused, load_factory
from evaa.simulators.groq import Behaviour, GroqSimulator
from protocols.ports import Answer, AnswerSink, Interviewer, InterviewerFailed, TurnBrief
from tests.evaa.groq_helpers import RecordingSink, brief

KEY = "gsk_canary_key"
MODELS = ("openai/gpt-oss-20b", "openai/gpt-oss-120b")
HERE = __name__


class Ours:
    """What a factory of somebody else's returns."""

    name = "ours"

    def __init__(self) -> None:
        self.is_failing = False

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        if self.is_failing:
            raise InterviewerFailed("ours is tired", passing=False)
        sink.text("Ours.")
        return Answer(text="Ours.", wants_next=False, facts={}, history=(), model=self.name)


made: list[Ours] = []


def make_ours() -> Ours:
    made.append(Ours())
    return made[-1]


def make_nothing() -> None:
    return None


def make_half() -> object:
    class Half:
        name = "half"

    return Half()


def load(path: str) -> object:
    return load_factory(path, variable="EVAA_LLM", kind="an interviewer", methods=("name", "answer"))


class Chosen(NamedTuple):
    interviewer: Interviewer
    logs: list[dict[str, Any]]

    async def model(self) -> str:
        sink = RecordingSink()
        answer = await self.interviewer.answer(brief(), sink)
        assert sink.shown == answer.text
        return answer.model


@asynccontextmanager
async def chosen(plugin: str, bridge: Bridge, **changes: Any) -> AsyncIterator[Chosen]:
    fields: dict[str, Any] = {
        "plugin": plugin,
        "api_key": "",
        "base_url": "http://127.0.0.1:1",
        "models": MODELS,
        "max_history_chars": 24_000,
        "first_token_timeout_s": 20.0,
        "patience_s": 0.1,
    }
    with structlog.testing.capture_logs() as logs:
        async with open_interviewer(bridge, LlmChoice(**fields | changes)) as interviewer:
            yield Chosen(interviewer, [dict(log) for log in logs])
    assert KEY not in repr(logs)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


class Groq(NamedTuple):
    simulator: GroqSimulator
    url: str


@pytest.fixture
async def groq(nursery: trio.Nursery) -> Groq:
    simulator = GroqSimulator()
    return Groq(simulator, await nursery.start(simulator.serve))


# --- the choice -------------------------------------------------------------------------------------------------


async def test_auto_without_a_key_is_scripted_and_says_so(bridge: Bridge) -> None:
    async with chosen("auto", bridge) as choice:
        assert isinstance(choice.interviewer, ScriptedInterviewer)
        assert await choice.model() == "scripted"
    (log,) = choice.logs
    assert (log["event"], log["plugin"], log["reason"]) == ("llm.chosen", "scripted", "GROQ_API_KEY is not set")


@pytest.mark.parametrize(("plugin", "reason"), [("auto", "GROQ_API_KEY is set"), ("groq", "EVAA_LLM")])
async def test_groq_is_warm_before_the_first_turn_and_says_why_it_was_chosen(
    bridge: Bridge, groq: Groq, plugin: str, reason: str
) -> None:
    async with chosen(plugin, bridge, api_key=KEY, base_url=groq.url) as choice:
        assert [request.method for request in groq.simulator.requests] == ["GET", "GET"]
        assert await choice.model() == MODELS[0]
        assert groq.simulator.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    (log,) = choice.logs
    assert (log["event"], log["plugin"], log["reason"]) == ("llm.chosen", "groq", reason)


async def test_scripted_asks_no_provider_even_with_a_key(bridge: Bridge, groq: Groq) -> None:
    async with chosen("scripted", bridge, api_key=KEY, base_url=groq.url) as choice:
        assert await choice.model() == "scripted"
    assert not groq.simulator.requests
    assert choice.logs[0]["reason"] == "EVAA_LLM"


async def test_the_models_are_asked_in_their_order_and_the_scripted_one_last(bridge: Bridge, groq: Groq) -> None:
    async with chosen("groq", bridge, api_key=KEY, base_url=groq.url) as choice:
        groq.simulator.script(Behaviour(status=401, model=MODELS[0]))
        assert await choice.model() == MODELS[1]
        groq.simulator.script(Behaviour(status=401, model=MODELS[1]))
        assert await choice.model() == "scripted"


async def test_one_model_alone_has_the_scripted_one_behind_it(bridge: Bridge, groq: Groq) -> None:
    async with chosen("groq", bridge, api_key=KEY, base_url=groq.url, models=MODELS[:1]) as choice:
        groq.simulator.script(Behaviour(status=500), Behaviour(status=500))
        assert await choice.model() == "scripted"


async def test_a_provider_that_is_not_there_does_not_stop_the_start(bridge: Bridge) -> None:
    async with chosen("groq", bridge, api_key=KEY) as choice:
        assert [log["event"] for log in choice.logs] == ["llm.chosen", "llm.unreachable", "llm.unreachable"]
        assert await choice.model() == "scripted"


async def test_a_models_history_is_bounded_as_chosen(bridge: Bridge, groq: Groq) -> None:
    history = exchange("words " * 100, "reply") * 10
    async with chosen("groq", bridge, api_key=KEY, base_url=groq.url, max_history_chars=2_000) as choice:
        await choice.interviewer.answer(brief(history=history), RecordingSink())
    assert len(groq.simulator.requests[-1].body["messages"]) < 10


async def test_a_factorys_interviewer_is_asked_with_the_scripted_one_behind_it(bridge: Bridge) -> None:
    async with chosen(f"{HERE}:make_ours", bridge) as choice:
        assert await choice.model() == "ours"
        made[-1].is_failing = True
        assert await choice.model() == "scripted"
    assert (choice.logs[0]["plugin"], choice.logs[0]["reason"]) == (f"{HERE}:make_ours", "EVAA_LLM")


async def test_the_time_outs_are_those_that_were_chosen(bridge: Bridge, groq: Groq) -> None:
    async with chosen("groq", bridge, api_key=KEY, base_url=groq.url, first_token_timeout_s=0.05) as choice:
        groq.simulator.default = Behaviour(hang="first_token")
        with structlog.testing.capture_logs() as logs:
            assert await choice.model() == "scripted"
    reasons = [log["reason"] for log in logs if log["event"] == "llm.failed"]
    assert reasons == [f"{model}: no first token in 0.05 s" for model in MODELS]


# --- refusals ---------------------------------------------------------------------------------------------------


NOT_CALLABLE = 5


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no_such_module:make", "cannot be loaded: No module named 'no_such_module'"),
        ("no_such.module:make", "cannot be loaded: No module named 'no_such'"),
        (f"{HERE}:make_none_such", f"cannot be loaded: module '{HERE}' has no attribute 'make_none_such'"),
        (f"{HERE}:NOT_CALLABLE", "is not callable; it should return an interviewer"),
        (f"{HERE}:make_nothing", "what it returns lacks name, answer"),
        (f"{HERE}:make_half", "what it returns lacks answer"),
    ],
)
async def test_a_plug_in_that_cannot_be_had_is_refused_in_one_sentence(bridge: Bridge, path: str, why: str) -> None:
    with pytest.raises(PluginRefused) as raised:
        async with open_interviewer(
            bridge,
            LlmChoice(
                plugin=path,
                api_key=KEY,
                base_url="",
                models=MODELS,
                max_history_chars=1,
                first_token_timeout_s=1,
                patience_s=1,
            ),
        ):
            raise AssertionError("it was opened")
    message = str(raised.value)
    assert message.startswith(f"EVAA_LLM is {path}, but ")
    assert why in message
    assert message.endswith(".")
    assert "\n" not in message
    assert KEY not in message


def test_a_factorys_own_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        load(f"{HERE}:_make_trouble")


def _make_trouble() -> object:
    return 1 // 0


def test_a_factory_may_be_a_class() -> None:
    assert isinstance(load(f"{HERE}:Ours"), Ours)
    assert isinstance(load(f"{plugins.__name__}:ScriptedInterviewer"), ScriptedInterviewer)
