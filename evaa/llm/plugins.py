"""Who interviews and who writes the documents: the choice of plug-ins, and their order when one fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

import msgspec
import structlog

from evaa.asyncio_bridge import Bridge
from evaa.computing import in_a_thread
from evaa.llm.fallback import FallbackInterviewer
from evaa.llm.fallback_writer import FallbackWriter
from evaa.llm.scripted import ScriptedInterviewer
from evaa.llm.scripted_writer import ScriptedWriter
from evaa.plugins import load_factory
from protocols.ports import Interviewer
from protocols.writing import DocumentWriter

_log = structlog.get_logger(actor="llm")


class LlmChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of the interviewer. `plugin`: auto, groq, scripted, or `package.module:factory`.

    A factory is called without arguments and returns an `Interviewer`, which may be a `DocumentWriter`, too. `models`
    are asked in their order. `max_transcript_chars` bounds what of an interview is sent to write the documents from.
    """

    plugin: str
    api_key: str
    base_url: str
    models: tuple[str, ...]
    max_history_chars: int
    first_token_timeout_s: float
    patience_s: float
    max_transcript_chars: int = 60_000


class Llm(NamedTuple):
    """Who interviews, and who writes the documents from it."""

    interviewer: Interviewer
    writer: DocumentWriter


@asynccontextmanager
async def open_llm(bridge: Bridge, choice: LlmChoice) -> AsyncIterator[Llm]:
    """What was chosen, for the length of the block: the interviewer, with the scripted one behind it, and the writer.

    On Groq both share one client. A factory's interviewer is the writer, too, if it can `write` and `review`; where
    there is no writer that has a model, the scripted one writes. Raises `PluginRefused`.
    """
    plugin = choice.plugin
    if plugin == "auto":
        plugin = "groq" if choice.api_key else "scripted"
        why = "GROQ_API_KEY is set" if choice.api_key else "GROQ_API_KEY is not set"
        _log.info("llm.chosen", plugin=plugin, reason=why)
    else:
        _log.info("llm.chosen", plugin=plugin, reason="EVAA_LLM")
    if plugin == "groq":
        async with _open_groq_llm(bridge, choice) as llm:
            yield llm
    elif plugin == "scripted":
        yield Llm(ScriptedInterviewer(), _scripted_writer())
    else:
        made = load_factory(plugin, variable="EVAA_LLM", kind="an interviewer", methods=("name", "answer"))
        writes = hasattr(made, "write") and hasattr(made, "review")
        writer = cast(DocumentWriter, made) if writes else _scripted_writer()
        yield Llm(_chain(choice, cast(Interviewer, made)), writer)


@asynccontextmanager
async def open_interviewer(bridge: Bridge, choice: LlmChoice) -> AsyncIterator[Interviewer]:
    """The interviewer of `open_llm` alone."""
    async with open_llm(bridge, choice) as llm:
        yield llm.interviewer


@asynccontextmanager
async def _open_groq_llm(bridge: Bridge, choice: LlmChoice) -> AsyncIterator[Llm]:
    # Pydantic AI and the SDK take a second and a half to import; who does not need them does not wait.
    from evaa.llm.groq import GroqInterviewer, open_groq  # noqa: PLC0415
    from evaa.llm.groq_writer import GroqWriter  # noqa: PLC0415

    async with open_groq(bridge, api_key=choice.api_key, base_url=choice.base_url) as client:
        interviewers = [
            GroqInterviewer(bridge, client, model, max_history_chars=choice.max_history_chars)
            for model in choice.models
        ]
        for interviewer in interviewers:
            await interviewer.warm_up()
        writers = [
            GroqWriter(bridge, client, model, max_transcript_chars=choice.max_transcript_chars)
            for model in choice.models
        ]
        yield Llm(_chain(choice, *interviewers), FallbackWriter(writers))


def _scripted_writer() -> DocumentWriter:
    return ScriptedWriter(in_a_thread)


def _chain(choice: LlmChoice, *interviewers: Interviewer) -> Interviewer:
    return FallbackInterviewer(
        (*interviewers, ScriptedInterviewer()),
        first_token_timeout_s=choice.first_token_timeout_s,
        patience_s=choice.patience_s,
    )
