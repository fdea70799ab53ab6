"""The chain of writers: who is asked when one fails, and which failure comes out; and which writer a choice gives."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import structlog
import trio

from evaa.asyncio_bridge import open_bridge
from evaa.llm.fallback_writer import FallbackWriter
from evaa.llm.plugins import Llm, LlmChoice, open_llm
from evaa.llm.scripted_writer import ScriptedWriter
from evaa.simulators.groq import Behaviour, GroqSimulator
from protocols.ports import Answer, AnswerSink, TurnBrief
from protocols.writing import Review, ReviewBrief, WriterFailed, WritingBrief, Written
from tests.evaa.groq_helpers import RecordingSink
from tests.evaa.groq_helpers import brief as turn_brief
from tests.evaa.writing_helpers import brief, interview, review_brief, turn

KEY = "gsk_canary_key"
MODELS = ("openai/gpt-oss-20b", "openai/gpt-oss-120b")
HERE = __name__


class Scripted:
    """Writes nothing, or fails as it is told."""

    def __init__(self, name: str, failure: WriterFailed | None = None) -> None:
        self.name = name
        self.asked = 0
        self._failure = failure

    async def write(self, brief: WritingBrief) -> Written:
        self._ask()
        return Written({}, self.name)

    async def review(self, brief: ReviewBrief) -> Review:
        self._ask()
        return Review("other", "Hm.", self.name)

    def _ask(self) -> None:
        self.asked += 1
        if self._failure is not None:
            raise self._failure


def failed(*, passing: bool = False, retry_after_s: float | None = None) -> WriterFailed:
    return WriterFailed("x: no", passing=passing, retry_after_s=retry_after_s)


@pytest.mark.parametrize("passing", [False, True])
async def test_the_next_is_asked_when_one_fails_and_only_then(passing: bool) -> None:
    first, second, third = Scripted("a", failed(passing=passing)), Scripted("b"), Scripted("c")
    writer = FallbackWriter((first, second, third))
    with structlog.testing.capture_logs() as logs:
        assert (await writer.write(brief())).model == "b"
        assert (await writer.review(review_brief())).model == "b"
    assert [each.asked for each in (first, second, third)] == [2, 2, 0]
    assert [(log["event"], log["model"], log["reason"]) for log in logs] == [("documents.failed", "a", "x: no")] * 2


@pytest.mark.parametrize(
    ("failures", "passing", "retry_after_s"),
    [
        ([failed(), failed()], False, None),
        ([failed(passing=True, retry_after_s=9), failed()], True, 9),
        ([failed(), failed(passing=True)], True, None),
        ([failed(passing=True, retry_after_s=9), failed(passing=True, retry_after_s=4)], True, 4),
        ([failed(passing=True, retry_after_s=9), failed(passing=True)], True, None),
    ],
)
async def test_when_all_fail_waiting_helps_if_it_helps_with_one(
    failures: Sequence[WriterFailed], passing: bool, retry_after_s: float | None
) -> None:
    writers = [Scripted(f"w{number}", failure) for number, failure in enumerate(failures)]
    with pytest.raises(WriterFailed, match=r"^x: no; x: no$") as raised:
        await FallbackWriter(writers).write(brief())
    assert (raised.value.passing, raised.value.retry_after_s) == (passing, retry_after_s)
    assert [each.asked for each in writers] == [1, 1]


# --- which writer each choice gives -------------------------------------------------------------------------------


class Ours:
    """An interviewer of somebody else's."""

    name = "ours"

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        sink.text("Ours.")
        return Answer(text="Ours.", wants_next=False, facts={}, model=self.name)


class OursWrites(Ours, Scripted):
    """One that writes, too."""

    def __init__(self) -> None:
        Scripted.__init__(self, "ours")


class OursHalf(Ours):
    """One that can write but not review: no writer."""

    async def write(self, brief: WritingBrief) -> Written:
        raise AssertionError("it was asked")


@asynccontextmanager
async def opened(plugin: str, **changes: Any) -> AsyncIterator[Llm]:
    fields: dict[str, Any] = {
        "plugin": plugin,
        "api_key": "",
        "base_url": "http://127.0.0.1:1",
        "models": MODELS,
        "max_history_chars": 24_000,
        "first_token_timeout_s": 20.0,
        "patience_s": 0.1,
    }
    async with open_bridge() as bridge, open_llm(bridge, LlmChoice(**fields | changes)) as llm:
        yield llm


@pytest.mark.parametrize("plugin", ["auto", "scripted", f"{HERE}:Ours", f"{HERE}:OursHalf"])
async def test_where_no_model_writes_the_scripted_one_does(plugin: str) -> None:
    async with opened(plugin) as llm:
        assert isinstance(llm.writer, ScriptedWriter)
        assert (await llm.interviewer.answer(turn_brief(), RecordingSink())).text


async def test_a_factorys_interviewer_that_can_write_is_the_writer() -> None:
    async with opened(f"{HERE}:OursWrites") as llm:
        assert isinstance(llm.writer, OursWrites)
        assert (await llm.interviewer.answer(turn_brief(), RecordingSink())).model == "ours"


class Groq(NamedTuple):
    simulator: GroqSimulator
    llm: Llm


@pytest.fixture
async def groq(nursery: trio.Nursery) -> AsyncIterator[Groq]:
    simulator = GroqSimulator()
    url = await nursery.start(simulator.serve)
    async with opened("groq", api_key=KEY, base_url=url, max_transcript_chars=2_000) as llm:
        yield Groq(simulator, llm)


async def test_on_groq_the_models_write_in_their_order(groq: Groq) -> None:
    assert (await groq.llm.writer.write(brief())).model == MODELS[0]
    groq.simulator.script(Behaviour(status=401, model=MODELS[0]))
    assert (await groq.llm.writer.review(review_brief())).model == MODELS[1]


async def test_on_groq_interviewer_and_writer_share_one_connection(groq: Groq) -> None:
    await groq.llm.interviewer.answer(turn_brief(), RecordingSink())
    await groq.llm.writer.write(brief())
    assert groq.simulator.counters.requests == 4  # two of them asked which models there are
    assert groq.simulator.counters.connections == 1
    streamed = [request.body.get("stream") for request in groq.simulator.requests if request.method == "POST"]
    assert streamed == [True, False]


async def test_on_groq_the_transcript_is_bounded_as_chosen(groq: Groq) -> None:
    with structlog.testing.capture_logs() as logs:
        await groq.llm.writer.write(brief(interview=interview(turn(1, "x" * 9_000))))
    assert [log["shortened"] for log in logs] == [True]
