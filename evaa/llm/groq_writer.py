"""The document writer on Groq: Pydantic AI agents whose answers are forms, filled in by structured output.

Groq cannot stream structured output, and need not: nobody waits for the first word. One request a job; an answer that
does not fit its form is asked for again, at most `OUTPUT_RETRIES` times.
"""

from dataclasses import replace

import pydantic
import structlog
import trio
from groq import AsyncGroq
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.groq import GroqModel, GroqModelSettings
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.groq import GroqProvider
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from evaa.asyncio_bridge import AsyncioCallCancelled, Bridge
from evaa.llm import writing_prompt
from evaa.llm.groq_failures import failure_of
from evaa.llm.writing_forms import Form, ReviewForm, drafts_of, form_of, language_of
from evaa.llm.writing_prompt import Message, Role
from protocols.ports import Usage
from protocols.writing import Review, ReviewBrief, WriterFailed, WritingBrief, Written

MAX_OUTPUT_TOKENS = 4_000
"""Reasoning included. Groq's admission counts what is requested, so it is no more than most pieces need."""

MORE_OUTPUT_TOKENS = 12_000
"""What is requested once that was too little."""

DEFAULT_MAX_TRANSCRIPT_CHARS = 60_000

OUTPUT_RETRIES = 2

TIMEOUT_S = 120.0
"""How long one answer may take: nothing of it comes before all of it."""

_log = structlog.get_logger(actor="llm")


class GroqWriter:
    """`DocumentWriter` on one of Groq's models. It shares the interviewer's client, and with it its connections.

    A transcript of more than `max_transcript_chars` characters is shortened; see `evaa/llm/transcript.py`.
    """

    def __init__(
        self,
        bridge: Bridge,
        client: AsyncGroq,
        model: str,
        *,
        max_transcript_chars: int = DEFAULT_MAX_TRANSCRIPT_CHARS,
    ) -> None:
        self.name = model
        self._bridge = bridge
        self._max_chars = max_transcript_chars
        # Pydantic AI knows of some models only that they can; all that are offered here can.
        profile = ModelProfile(supports_json_schema_output=True)
        self._model = _PatientGroqModel(model, provider=GroqProvider(groq_client=client), profile=profile)
        self._agents = {role: self._agent(role) for role in _ROLES}

    async def write(self, brief: WritingBrief) -> Written:
        """See `DocumentWriter.write`."""
        job = brief.job
        previous = brief.previous.entries if brief.previous is not None else ()
        form = form_of(job.task, job.key, revises=bool(previous))
        message = writing_prompt.job_message(brief, self._max_chars)
        role: Role = "requirements" if job.task == "section" else "summary"
        filled, usage = await self._ask(role, form, message, brief.session_id, task=job.task, key=job.key)
        return Written(drafts_of(filled), self.name, usage, message.cut, language_of(filled))

    async def review(self, brief: ReviewBrief) -> Review:
        """See `DocumentWriter.review`."""
        message = writing_prompt.review_message(brief, self._max_chars)
        filled, usage = await self._ask("review", ReviewForm, message, brief.session_id, task="review", key="")
        assert isinstance(filled, ReviewForm)
        sections = tuple(dict.fromkeys(filled.sections))
        return Review(filled.intent, filled.reply, self.name, sections, filled.change, usage)

    async def _ask(
        self, role: Role, form: Form, message: Message, session_id: str, *, task: str, key: str
    ) -> tuple[pydantic.BaseModel, Usage]:
        begun = trio.current_time()
        try:
            result = await self._bridge.call(self._run, role, form, message.text)
        except AsyncioCallCancelled as error:
            raise WriterFailed(f"{self.name} was cancelled from within", passing=True) from error
        usage = Usage(result.usage.input_tokens, result.usage.output_tokens, result.usage.cache_read_tokens)
        _log.info(
            "documents.written",
            session_id=session_id,
            task=task,
            key=key,
            model=self.name,
            answers=result.usage.requests,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            shortened=message.shortened,
            took_ms=round((trio.current_time() - begun) * 1000),
        )
        return result.output, usage

    async def _run(self, role: Role, form: Form, text: str) -> AgentRunResult[pydantic.BaseModel]:
        try:
            return await self._agents[role].run(text, output_type=NativeOutput(form, strict=True))
        except (AgentRunError, pydantic.ValidationError) as error:
            why = failure_of(error, self.name)
            raise WriterFailed(why.message, passing=why.passing, retry_after_s=why.retry_after_s) from error

    def _agent(self, role: Role) -> Agent[None, str]:
        return Agent(
            self._model,
            name=role,
            instructions=writing_prompt.instructions(role),
            model_settings=_settings(self.name),
            retries={"output": OUTPUT_RETRIES},
        )


_ROLES: tuple[Role, ...] = ("summary", "requirements", "review")


class _PatientGroqModel(GroqModel):
    """Asks once more, with more room, for an answer that broke off, is empty, or of which Groq says that it is no JSON.

    Reasoning that leaves too little for the answer is the usual cause of all three. The same messages are sent again:
    Groq's prompt cache has them, and an assistant's message without content in the history would be refused.
    """

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        spent = RequestUsage()
        try:
            response = await super().request(messages, model_settings, model_request_parameters)
        except ModelAPIError as error:
            if error.provider_error_code != "json_validate_failed":
                raise
            reason = "json_validate_failed"
        else:
            if response.parts and response.finish_reason != "length":
                return response
            reason, spent = "length" if response.finish_reason == "length" else "empty", response.usage
        _log.warning("documents.asked_again", model=self.model_name, reason=reason)
        settings = ModelSettings(**{**(model_settings or {}), "max_tokens": MORE_OUTPUT_TOKENS})
        response = await super().request(messages, settings, model_request_parameters)
        if not response.parts:
            raise UnexpectedModelBehavior("the answer is empty")
        return replace(response, usage=spent + response.usage)


def _settings(model: str) -> GroqModelSettings:
    """Some reasoning, where a model reasons by degrees, and none of it sent."""
    settings = GroqModelSettings(temperature=0.2, max_tokens=MAX_OUTPUT_TOKENS, timeout=TIMEOUT_S)
    if model.startswith("openai/gpt-oss"):
        settings["groq_reasoning_effort"] = "medium"
        settings["extra_body"] = {"include_reasoning": False}
    elif model.startswith("qwen/"):
        settings["groq_reasoning_effort"] = "none"
    return settings
