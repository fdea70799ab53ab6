"""EVAA's entry point and composition root: reads the settings, builds the plug-ins, runs the command.

What only one command needs is imported there: the server should start at once.
"""

import gc
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import trio

from actors.connection import ConnectionLimits
from actors.daemon import AddressRefused, run_daemon
from actors.persistence import PersistenceLimits
from actors.server import Server, ServerLimits
from actors.session import Services, SessionLimits
from actors.stt import SttLimits
from actors.stt_link import LinkLimits
from actors.supervisor import contain
from actors.writing import Writing, WritingLimits
from evaa.asyncio_bridge import open_bridge
from evaa.commands.address import url_on_this_machine
from evaa.commands.arguments import parse_arguments
from evaa.computing import SWITCH_INTERVAL_S
from evaa.llm.plugins import LlmChoice, open_llm
from evaa.observability.logs import configure_logs
from evaa.plugins import PluginRefused
from evaa.storage.owner import new_owner
from evaa.storage.plugins import StoreChoice, open_store
from evaa.storage.spill import SpillFile
from evaa.stt.deepgram_socket import DeepgramAccess
from evaa.stt.plugins import SttChoice, choose_speech_to_text
from protocols.ports import StoreError
from settings import Settings, SettingsRefused, describe_settings, load_settings

if TYPE_CHECKING:
    from evaa.commands.evaluate import Subject

QUIET_COMMANDS = {"stages", "export", "import", "brd", "n8n", "evaluate"}
"""They say themselves what they do."""


async def serve(settings: Settings, *, simulate: bool) -> None:
    """Run the daemon until it is told to stop."""
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(open_bridge())
        store = await stack.enter_async_context(open_store(bridge, store_choice(settings)))
        llm, stt = llm_choice(settings), stt_choice(settings)
        if simulate:
            llm, stt = await start_simulators(stack, llm, stt)
        minds = await stack.enter_async_context(open_llm(bridge, llm))
        services = Services(
            store=store,
            interviewer=minds.interviewer,
            writer=minds.writer,
            stt=choose_speech_to_text(stt),
            keyterms=split(settings.stt_keyterms),
            spill=SpillFile(settings.spill_path),
            owner=new_owner(),
        )
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.freeze()  # what is loaded by now lives for ever: a collection need not walk it in the middle of a turn
        await run_daemon(Server(services, server_limits(settings)), services, settings.host, settings.port)


async def start_simulators(stack: AsyncExitStack, llm: LlmChoice, stt: SttChoice) -> tuple[LlmChoice, SttChoice]:
    """Start the simulated providers, for as long as the stack lives; what chooses them."""
    from evaa.simulators.deepgram import DeepgramSimulator  # noqa: PLC0415
    from evaa.simulators.groq import GroqSimulator  # noqa: PLC0415

    nursery = await stack.enter_async_context(trio.open_nursery())
    stack.callback(nursery.cancel_scope.cancel)
    groq_url: str = await nursery.start(GroqSimulator().serve)
    deepgram_url: str = await nursery.start(DeepgramSimulator(keep_audio=False, keep_messages=0).serve)
    access = msgspec.structs.replace(stt.access, url=deepgram_url, api_key="simulated")
    return (
        msgspec.structs.replace(llm, plugin="groq", base_url=groq_url, api_key="simulated"),
        msgspec.structs.replace(stt, plugin="deepgram", access=access),
    )


def store_choice(settings: Settings) -> StoreChoice:
    """What the settings say of the store."""
    return StoreChoice(
        plugin=settings.store,
        mongodb_uri=settings.mongodb_uri,
        mongodb_database=settings.mongodb_database,
        sqlite_path=settings.sqlite_path,
    )


def llm_choice(settings: Settings) -> LlmChoice:
    """What the settings say of the interviewer."""
    return LlmChoice(
        plugin=settings.llm,
        api_key=settings.groq_api_key,
        base_url=settings.groq_base_url,
        models=tuple(model for model in (settings.groq_model, settings.groq_fallback_model) if model != "none"),
        max_history_chars=settings.llm_history_chars,
        first_token_timeout_s=settings.llm_first_token_timeout_s,
        patience_s=settings.llm_patience_s,
    )


def stt_choice(settings: Settings) -> SttChoice:
    """What the settings say of speech to text."""
    return SttChoice(
        plugin=settings.stt,
        access=DeepgramAccess(url=settings.deepgram_url.rstrip("/"), api_key=settings.deepgram_api_key),
        model=settings.deepgram_model,
        language=settings.stt_language,
        endpointing_ms=settings.deepgram_endpointing_ms,
        utterance_end_ms=settings.deepgram_utterance_end_ms,
        eot_threshold=settings.deepgram_eot_threshold,
        eager_eot_threshold=settings.deepgram_eager_eot_threshold,
        eot_timeout_ms=settings.deepgram_eot_timeout_ms,
    )


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated setting."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def server_limits(settings: Settings) -> ServerLimits:
    """What the settings say of the server."""
    return ServerLimits(
        connection=ConnectionLimits(
            idle_timeout_s=settings.idle_timeout_s,
            write_deadline_s=settings.write_deadline_s,
            max_text_chars=settings.max_text_chars,
        ),
        max_sessions=settings.max_sessions,
        session=SessionLimits(
            persistence=PersistenceLimits(lease_ttl_s=settings.lease_s, renew_every_s=settings.lease_s / 3),
            stt=SttLimits(link=LinkLimits(idle_s=settings.stt_idle_s)),
        ),
        allowed_origins=frozenset(split(settings.allowed_origins)),
        drain_s=settings.drain_s,
    )


async def manage_stages(settings: Settings, arguments: Namespace) -> int:
    """Show, replace or write out the stages; return the exit status."""
    from evaa.commands.stages import run_stages  # noqa: PLC0415

    async with open_bridge() as bridge, open_store(bridge, store_choice(settings)) as store:
        return await run_stages(store, arguments, sys.stdout, sys.stderr)


async def move_sessions(settings: Settings, arguments: Namespace) -> int:
    """Write the sessions out, or take some in; return the exit status."""
    from evaa.commands.sessions import run_sessions  # noqa: PLC0415

    async with open_bridge() as bridge, open_store(bridge, store_choice(settings)) as store:
        return await run_sessions(store, arguments)


async def write_out_brd(settings: Settings, arguments: Namespace) -> int:
    """Write a session's BRD out as a file; return the exit status."""
    from evaa.commands.brd import write_brd  # noqa: PLC0415

    async with open_bridge() as bridge, open_store(bridge, store_choice(settings)) as store:
        return await write_brd(store, arguments, sys.stdout.buffer, sys.stderr)


async def evaluate(settings: Settings, arguments: Namespace) -> int:
    """Interview simulated users, and report how well that went; return the exit status."""
    from evaa.commands.evaluate import run_evaluation  # noqa: PLC0415

    async with open_subject(settings, simulate=arguments.simulate) as subject:
        return await run_evaluation(subject, arguments, sys.stdout, sys.stderr)


@asynccontextmanager
async def open_subject(settings: Settings, *, simulate: bool) -> AsyncIterator["Subject"]:
    """Who is evaluated, for the length of the block: without a key, and no other choice, the simulated Groq."""
    from evaa.commands.evaluate import Subject, describe_subject  # noqa: PLC0415

    llm = llm_choice(settings)
    is_simulated = simulate or (llm.plugin == "auto" and not llm.api_key)
    async with AsyncExitStack() as stack:
        if is_simulated:
            llm, _ = await start_simulators(stack, llm, stt_choice(settings))
        bridge = await stack.enter_async_context(open_bridge())
        minds = await stack.enter_async_context(open_llm(bridge, llm))
        yield Subject(
            name=describe_subject(llm, is_simulated=is_simulated),
            interviewer=minds.interviewer,
            hands=partial(Writing, minds.writer, WritingLimits()),
            contain=partial(contain, actor="evaluation"),
        )


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = parse_arguments(argv, describe_settings())
    status = 0
    try:
        settings = load_settings()
        output = sys.stdout if arguments.command == "serve" else sys.stderr
        level = "warning" if arguments.command in QUIET_COMMANDS else settings.log_level
        configure_logs(settings.log_format, level, output)
        match arguments.command:
            case "talk":
                from evaa.commands.talk import talk  # noqa: PLC0415

                url = arguments.url or url_on_this_machine(settings.host, settings.port)
                status = trio.run(partial(talk, url, arguments.session, audio=arguments.audio))
            case "health":
                from evaa.commands.health import report_health  # noqa: PLC0415

                url = arguments.url or url_on_this_machine(settings.host, settings.port)
                status = trio.run(report_health, url, sys.stderr)
            case "stages":
                status = trio.run(manage_stages, settings, arguments)
            case "evaluate":
                status = trio.run(evaluate, settings, arguments)
            case "brd":
                status = trio.run(write_out_brd, settings, arguments)
            case "export" | "import":
                status = trio.run(move_sessions, settings, arguments)
            case "n8n":
                from evaa.commands.n8n import run_n8n  # noqa: PLC0415

                status = run_n8n(arguments, sys.stdout, sys.stderr)
            case _:
                trio.run(partial(serve, settings, simulate=arguments.simulate))
    except* (SettingsRefused, StoreError, PluginRefused, AddressRefused) as refused:
        print(f"EVAA cannot start: {first_sentence(refused)}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status


def first_sentence(error: BaseException) -> str:
    """What the first error inside a group says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
