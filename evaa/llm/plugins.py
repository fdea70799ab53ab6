"""Which interviewer answers: the choice of plug-ins, and their order when one fails."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import structlog

from evaa.asyncio_bridge import Bridge
from evaa.llm.fallback import FallbackInterviewer
from evaa.llm.scripted import ScriptedInterviewer
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


class PluginRefused(Exception):
    """A plug-in that cannot be had; the message says why."""


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
        yield _chain(choice, load_factory(plugin))


def load_factory(path: str) -> Interviewer:
    """Call the factory at `package.module:name`. Raises `PluginRefused` if there is none or it is no interviewer."""
    module_name, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise PluginRefused(f"EVAA_LLM is {path}, but it cannot be loaded: {error}.") from None
    if not callable(factory):
        raise PluginRefused(f"EVAA_LLM is {path}, but that is not callable; it should return an interviewer.")
    interviewer = factory()
    missing = [method for method in ("name", "answer") if not hasattr(interviewer, method)]
    if missing:
        raise PluginRefused(f"EVAA_LLM is {path}, but what it returns lacks {', '.join(missing)}.")
    return cast(Interviewer, interviewer)


def _chain(choice: LlmChoice, *interviewers: Interviewer) -> Interviewer:
    return FallbackInterviewer(
        (*interviewers, ScriptedInterviewer()),
        first_token_timeout_s=choice.first_token_timeout_s,
        patience_s=choice.patience_s,
    )
