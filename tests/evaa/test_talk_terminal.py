import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from evaa.commands.talk_terminal import Key, PlainTerminal, PromptTerminal
from evaa.commands.talk_view import Piece, Print, Retracted, Spoken


def plain_terminal(lines: str = "") -> tuple[PlainTerminal, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    terminal = PlainTerminal(io.StringIO(lines), Console(file=out, width=40), Console(file=err, width=40))
    return terminal, out, err


async def test_a_plain_terminal_reads_lines_to_their_end_and_shows_them() -> None:
    terminal, out, _ = plain_terminal("[b]one[/b]\r\n\nlast")

    assert [await terminal.read() for _ in range(4)] == ["[b]one[/b]", "", "last", Key.END]
    assert out.getvalue() == "you: [b]one[/b]\nyou: last\n"


def test_a_plain_terminal_writes_a_reply_as_it_comes() -> None:
    terminal, out, err = plain_terminal()
    long = "a text that is much longer than a line of this console is wide"
    for effect in (
        Piece("Wh"),
        Print("warning", "slow"),
        Piece("ich [x]?"),
        Spoken("Which [x]?", streamed=True),
        Piece("So"),
        Retracted("So", "interrupted"),
        Spoken(long, streamed=False),
        Print("stage", "Stage 2"),
    ):
        terminal.show(effect)

    assert out.getvalue().splitlines() == [
        "EVAA: Wh",
        "EVAA: ich [x]?",
        "EVAA: So",
        "[interrupted]",
        f"EVAA: {long}",
        "Stage 2",
    ]
    assert err.getvalue() == "warning: slow\n"


@asynccontextmanager
async def prompt_terminal() -> AsyncIterator[tuple[PromptTerminal, PipeInput, io.StringIO]]:
    out = io.StringIO()
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield PromptTerminal(Console(file=out, width=40)), keys, out


async def test_a_prompt_gives_lines_and_keys() -> None:
    async with prompt_terminal() as (terminal, keys, out):
        keys.send_text("hello\r")
        assert await terminal.read() == "hello"
        keys.send_text("half\x03")
        assert await terminal.read() is Key.INTERRUPT
        keys.send_text("\x04")
        assert await terminal.read() is Key.END

    assert out.getvalue() == "you: hello\n"


async def test_a_prompt_that_is_no_longer_wanted_ends_and_can_be_opened_again() -> None:
    async with prompt_terminal() as (terminal, keys, _):
        with trio.CancelScope() as early:
            early.cancel()
            await terminal.read()
        assert early.cancelled_caught

        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminal.read)
            await trio.to_thread.run_sync(wait_for_prompt, terminal)
            nursery.cancel_scope.cancel()
        assert not terminal._session.app.is_running

        keys.send_text("still here\r")
        assert await terminal.read() == "still here"


def wait_for_prompt(terminal: PromptTerminal) -> None:
    while not terminal._session.app.is_running:
        pass


def test_a_prompt_shows_a_reply_above_itself_until_it_is_complete() -> None:
    out = io.StringIO()
    with create_app_session(output=DummyOutput()):
        terminal = PromptTerminal(Console(file=out, width=40))
        terminal.show(Piece("Wh"))
        terminal.show(Piece("ich"))
        assert terminal._prompt()[0] == ("", "EVAA: Which\n")
        assert out.getvalue() == ""

        terminal.show(Spoken("Which?", streamed=True))
        terminal.show(Piece("So"))
        terminal.show(Retracted("So", "interrupted"))
        terminal.show(Print("note", "Bye."))
        assert terminal._prompt()[0] == ("", "")

    assert out.getvalue() == "EVAA: Which?\nEVAA: So [interrupted]\nBye.\n"
