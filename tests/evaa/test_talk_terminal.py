import io
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from evaa.commands.talk_effects import Hearing, Piece, Print, Retracted, Spoken, Writing
from evaa.commands.talk_terminal import (
    Key,
    LiveTerminal,
    PlainTerminal,
    PlayingTerminal,
    PromptTerminal,
    Terminal,
    open_live,
    open_terminal,
)


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
        Hearing("Al"),
        Hearing("All [x]"),
        Hearing(""),
        Writing("Writing: 7 of 22"),
        Writing(""),
        Print("you", "All [x]."),
        Spoken(long, streamed=False),
        Print("stage", "Stage 2"),
    ):
        terminal.show(effect)

    assert out.getvalue().splitlines() == [
        "EVAA: Wh",
        "EVAA: ich [x]?",
        "EVAA: So",
        "[interrupted]",
        "… Al",
        "… All [x]",
        "you: All [x].",
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

        terminal.show(Hearing("Al"))
        terminal.show(Hearing("All"))
        assert terminal._prompt()[0] == ("", "EVAA: Which\n… All\n")
        terminal.show(Hearing(""))

        terminal.show(Writing("Writing: 7 of 22"))
        terminal.show(Writing("Writing: 8 of 22"))
        assert terminal._prompt()[0] == ("", "EVAA: Which\nWriting: 8 of 22\n")
        terminal.show(Writing(""))

        terminal.show(Spoken("Which?", streamed=True))
        terminal.show(Piece("So"))
        terminal.show(Retracted("So", "interrupted"))
        terminal.show(Print("note", "Bye."))
        assert terminal._prompt()[0] == ("", "")

    assert out.getvalue() == "EVAA: Which?\nEVAA: So [interrupted]\nBye.\n"


# --- while recordings are played --------------------------------------------------------------------------------


def test_on_a_terminal_what_grows_is_rewritten_in_place_and_what_is_complete_stays() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, color_system=None)
    with open_live(console) as live:
        terminal = LiveTerminal(live)
        terminal.show(Piece("Which"))
        terminal.show(Hearing("Al"))
        terminal.show(Hearing("All [x]"))
        assert screen(out.getvalue()) == ["EVAA: Which", "… All [x]"]

        terminal.show(Spoken("Which?", streamed=True))
        assert screen(out.getvalue()) == ["EVAA: Which?", "… All [x]"]

        terminal.show(Hearing(""))
        terminal.show(Writing("Writing: 7 of 22"))
        terminal.show(Writing("Writing: 8 of 22"))
        assert screen(out.getvalue()) == ["EVAA: Which?", "Writing: 8 of 22"]

        terminal.show(Writing(""))
        terminal.show(Print("you", "All [x]."))
        terminal.show(Hearing("And so on, for longer than one line of this console"))

    assert screen(out.getvalue()) == ["EVAA: Which?", "you: All [x]."]


def screen(written: str) -> list[str]:
    """What a terminal shows of it; knows as many control sequences as are used."""
    lines, row = [""], 0
    for line_end, control, text in re.findall(r"(\n)|(\r|\x1b\[[?\d]*[A-Za-z])|([^\n\r\x1b]+)", written):
        if line_end:
            row += 1
            lines += [""] * (row == len(lines))
        elif control == "\x1b[2K":
            lines[row] = ""
        elif control.endswith("A"):
            row -= int(control[2:-1])
        lines[row] += text
    return [line for line in lines if line]


async def test_while_recordings_are_played_only_ctrl_c_is_read() -> None:
    console = Console(file=io.StringIO())
    for terminal in (PlayingTerminal(console, console), LiveTerminal(open_live(console))):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_ctrl_c, terminal)
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)


async def read_ctrl_c(terminal: Terminal) -> None:
    assert await terminal.read() is Key.INTERRUPT


@pytest.mark.parametrize(
    ("takes_lines", "terminals", "face"),
    [
        (True, "", PlainTerminal),
        (True, "stdin", PlainTerminal),
        (True, "stdin stdout", PromptTerminal),
        (False, "stdin", PlayingTerminal),
        (False, "stdout", LiveTerminal),
    ],
)
def test_the_face_is_what_standard_input_and_output_call_for(
    takes_lines: bool, terminals: str, face: type[Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stream("stdin" in terminals))
    monkeypatch.setattr(sys, "stdout", Stream("stdout" in terminals))
    with create_app_session(output=DummyOutput()), open_terminal(takes_lines=takes_lines) as terminal:
        assert type(terminal) is face


class Stream(io.StringIO):
    """A standard stream that is a terminal, or is none."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal
