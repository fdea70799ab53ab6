"""The interviewer on Groq: a Pydantic AI agent with `GroqModel`, one request a turn, its text streamed as it comes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pydantic
import structlog
from groq import AsyncGroq, GroqError
from pydantic_ai import Agent, ModelRetry, RunContext, TextOutput
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelMessage, ModelRequest
from pydantic_ai.models.groq import GroqModel, GroqModelSettings
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.groq import GroqProvider

from evaa.asyncio_bridge import AsyncioCallCancelled, Bridge, time_limit
from evaa.llm import groq_transport, history, prompt
from evaa.llm.control_lines import ControlLineParser
from evaa.llm.groq_failures import failure_of
from evaa.llm.lean_groq import LeanGroq, network
from protocols.ports import Answer, AnswerSink, InterviewerFailed, TurnBrief, Usage

MAX_ANSWER_TOKENS = 900
"""Reasoning included. Groq's admission counts what is requested, so it is kept small."""

DEFAULT_MAX_HISTORY_CHARS = 24_000

CHECK_S = 3.0
"""How long the start waits for Groq to list its models."""

_log = structlog.get_logger(actor="llm")


@asynccontextmanager
async def open_groq(
    bridge: Bridge,
    *,
    api_key: str,
    base_url: str,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[AsyncGroq]:
    """A client for the length of the block: one a process, its connections kept, no retries of its own.

    `transport` replaces the network in tests. The client belongs to the asyncio side of `bridge`.
    """
    streaming = groq_transport.StreamingTransport(transport or network())
    client = LeanGroq(api_key=api_key, base_url=base_url, transport=streaming)
    try:
        yield client
    finally:
        await bridge.call(client.close)


class _Listener:
    """One run's ear: what the stream says, through the parser, to the sink."""

    def __init__(self, sink: AnswerSink) -> None:
        self._sink = sink
        self.parser = ControlLineParser()
        self.is_complete = False

    def requested(self) -> None:
        if self.parser.text:  # tool_use_failed in mid-stream is no failure to Pydantic AI: it asks again by itself
            self._sink.restarted("The answer broke off; it begins anew")
        self.parser = ControlLineParser()
        self.is_complete = False
        self._sink.requested()

    def text(self, piece: str) -> None:
        self._tell(self.parser.feed(piece))

    def received(self) -> None:
        self.is_complete = True
        self._sink.received()
        self._tell(self.parser.finish())

    def _tell(self, shown: str) -> None:
        # Empty while a control line comes: nothing to see, but a sign of life.
        self._sink.text(shown)


async def _accept(context: RunContext[_Listener], text: str) -> str:
    """Take the answer as it was shown; ask once more if there was nothing to show."""
    shown = context.deps.parser.text
    if not (shown and context.deps.is_complete):
        raise ModelRetry("Your answer had no reply in it. Answer in the form that you were given.")
    return shown


class GroqInterviewer:
    """`Interviewer` on one of Groq's models, in the form of answer that `control_lines` describes."""

    def __init__(
        self,
        bridge: Bridge,
        client: AsyncGroq,
        model: str,
        *,
        max_history_chars: int = DEFAULT_MAX_HISTORY_CHARS,
    ) -> None:
        self.name = model
        self._bridge = bridge
        self._client = client
        self._max_history_chars = max_history_chars
        self._agent = Agent(
            GroqModel(model, provider=GroqProvider(groq_client=client)),
            name="interviewer",
            deps_type=_Listener,
            output_type=TextOutput(_accept),
            instructions=prompt.instructions(),
            model_settings=_settings(model),
            retries={"output": 1},
        )

    async def warm_up(self) -> None:
        """Do what a first turn would otherwise pay for, and log whether Groq answers and knows the model."""
        await self._bridge.call(self._warm_up)

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        """See `Interviewer.answer`."""
        try:
            return await self._bridge.call(self._run, brief, sink)
        except AsyncioCallCancelled as error:
            raise InterviewerFailed(f"{self.name} was cancelled from within", passing=True) from error

    async def _run(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        hearer = _Listener(sink)
        groq_transport.listener.set(hearer)
        try:
            result = await self._agent.run(
                prompt.user_message(brief),
                message_history=history.recent(brief.history, self._max_history_chars),
                deps=hearer,
            )
        except (AgentRunError, pydantic.ValidationError) as error:
            why = failure_of(error, self.name)
            raise InterviewerFailed(why.message, passing=why.passing, retry_after_s=why.retry_after_s) from error
        usage = result.usage
        return Answer(
            text=result.output,
            wants_next=hearer.parser.wants_next,
            facts=hearer.parser.facts,
            history=history.dump(_without_instructions(result.new_messages())),
            model=self.name,
            usage=Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens),
            followed_protocol=hearer.parser.followed_protocol,
        )

    async def _warm_up(self) -> None:
        hearer = _Listener(_Deaf())
        hearer.text("@stay\nwarm")
        hearer.received()
        await self._agent.run("warm up", model=TestModel(custom_output_text="warm"), deps=hearer)
        try:
            async with time_limit(CHECK_S):
                models = await self._client.models.list()
        except (GroqError, TimeoutError) as error:
            _log.warning("llm.unreachable", model=self.name, error=type(error).__name__)
            return
        if self.name not in {model.id for model in models.data}:
            _log.warning("llm.model_unknown", model=self.name)


class _Deaf:
    def requested(self) -> None: ...

    def text(self, piece: str) -> None: ...

    def received(self) -> None: ...

    def restarted(self, reason: str) -> None: ...


def _settings(model: str) -> GroqModelSettings:
    """Low or no reasoning, and none of it sent: it delays the first word, and each of its tokens costs a chunk."""
    settings = GroqModelSettings(temperature=0.4, max_tokens=MAX_ANSWER_TOKENS)
    if model.startswith("openai/gpt-oss"):
        settings["groq_reasoning_effort"] = "low"
        settings["extra_body"] = {"stream": True, "include_reasoning": False}
    elif model.startswith("qwen/"):
        settings["groq_reasoning_effort"] = "none"
        settings["extra_body"] = {"stream": True}
    else:
        settings["extra_body"] = {"stream": True}
    return settings


def _without_instructions(messages: list[ModelMessage]) -> list[ModelMessage]:
    """The agent adds its current instructions to every request; a copy in each stored message would only be weight."""
    return [
        ModelRequest(parts=message.parts, timestamp=message.timestamp) if isinstance(message, ModelRequest) else message
        for message in messages
    ]
