"""Which interviewer answers: the choice of plug-ins, and their order when one fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import structlog

from evaa.asyncio_bridge import Bridge
from evaa.llm.fallback import FallbackInterviewer
from evaa.llm.scripted import ScriptedInterviewer
from evaa.plugins import load_factory
from protocols.ports import Interviewer

_log = structlog.get_logger(actor="llm")


class LlmChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of the interviewer. `plugin`: auto, groq, scripted, or `package.module:factory`.

    A factory is called without arguments and returns an `Interviewer`. `models` are asked in their order.
    """

    plugin: str
    api_key: str
    base_url: str
    models: tuple[str, ...]
    max_history_chars: int
    first_token_timeout_s: float
    patience_s: float


@asynccontextmanager
async def open_interviewer(bridge: Bridge, choice: LlmChoice) -> AsyncIterator[Interviewer]:
    """The interviewer that was chosen, with the scripted one behind it, for the length of the block.

    Raises `PluginRefused`.
    """
    plugin = choice.plugin
    if plugin == "auto":
        plugin = "groq" if choice.api_key else "scripted"
        why = "GROQ_API_KEY is set" if choice.api_key else "GROQ_API_KEY is not set"
        _log.info("llm.chosen", plugin=plugin, reason=why)
    else:
        _log.info("llm.chosen", plugin=plugin, reason="EVAA_LLM")
    if plugin == "groq":
        # Pydantic AI and the SDK take a second and a half to import; who does not need them does not wait.
        from evaa.llm.groq import GroqInterviewer, open_groq  # noqa: PLC0415

        async with open_groq(bridge, api_key=choice.api_key, base_url=choice.base_url) as client:
            models = [
                GroqInterviewer(bridge, client, model, max_history_chars=choice.max_history_chars)
                for model in choice.models
            ]
            for model in models:
                await model.warm_up()
            yield _chain(choice, *models)
    elif plugin == "scripted":
        yield ScriptedInterviewer()
    else:
        made = load_factory(plugin, variable="EVAA_LLM", kind="an interviewer", methods=("name", "answer"))
        yield _chain(choice, cast(Interviewer, made))


def _chain(choice: LlmChoice, *interviewers: Interviewer) -> Interviewer:
    return FallbackInterviewer(
        (*interviewers, ScriptedInterviewer()),
        first_token_timeout_s=choice.first_token_timeout_s,
        patience_s=choice.patience_s,
    )
