"""The faces of the terminal client: lines from a pipe and a prompt on a terminal, and the same two without typing.

On a terminal what is growing (a reply that comes, words that are being heard, documents that are being written) stays
below all else, above the prompt if there is one; a reply moves into the scroll-back once it is complete.
"""

import contextlib
import enum
import io
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, TextIO

import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console
from rich.live import Live
from rich.text import Text

from evaa.commands.talk_effects import Hearing, Kind, Piece, Print, Retracted, Shown, Spoken, Writing

_NAMES: dict[Kind, str] = {"you": "you: ", "evaa": "EVAA: ", "warning": "warning: ", "error": "error: "}
_STYLES: dict[Kind, str] = {
    "note": "dim",
    "stage": "bold cyan",
    "you": "green",
    "evaa": "",
    "warning": "yellow",
    "error": "bold red",
}
_HEARING = "… "
_DISMISSAL_S = 1.0


class Key(enum.Enum):
    """What `Terminal.read` returns in place of a line."""

    INTERRUPT = enum.auto()
    END = enum.auto()


class Terminal(Protocol):
    """Where the user's lines come from, and where effects are shown.

    An interactive one is read at any time; from another the next line is taken when the last one has been answered.
    """

    interactive: bool

    async def read(self) -> str | Key:
        """Return the next line, without its line end. Cancellation leaves the terminal as it was found."""
        ...

    def show(self, effect: Shown) -> None:
        """Show an effect. Returns at once."""
        ...


class PlainTerminal:
    """Lines from a stream, everything shown as it comes: for pipes. Warnings and errors go to `err`.

    How far the documents are is not: it would be a line for each piece.
    """

    interactive = False

    def __init__(self, lines: TextIO, out: Console, err: Console) -> None:
        self._lines = lines
        self._out = out
        self._err = err
        self._in_line = False

    async def read(self) -> str | Key:
        """Return the next line, and show it, since a pipe does not."""
        line = await trio.to_thread.run_sync(self._lines.readline, abandon_on_cancel=True)
        if not line:
            return Key.END
        line = line.rstrip("\r\n")
        if line.strip():
            self.show(Print("you", line))
        return line

    def show(self, effect: Shown) -> None:
        """Write an effect; what is not a piece begins on a new line."""
        match effect:
            case Piece(text):
                self._out.print(Text(text if self._in_line else _NAMES["evaa"] + text), end="", soft_wrap=True)
                self._in_line = True
            case Spoken(text, streamed):
                self._break_line()
                if not streamed:
                    self._out.print(_line(Print("evaa", text)), soft_wrap=True)
            case Retracted(_, why):
                self._break_line()
                self._out.print(_line(Print("note", f"[{why}]")), soft_wrap=True)
            case Hearing(text):
                if text:
                    self._break_line()
                    self._out.print(Text(_HEARING + text, style="dim"), soft_wrap=True)
            case Print(kind):
                self._break_line()
                console = self._err if kind in ("warning", "error") else self._out
                console.print(_line(effect), soft_wrap=True)

    def _break_line(self) -> None:
        if self._in_line:
            self._out.print()
        self._in_line = False


class PlayingTerminal(PlainTerminal):
    """Everything is shown as it comes, and nothing is read but Ctrl-C: for pipes, while recordings are played."""

    def __init__(self, out: Console, err: Console) -> None:
        super().__init__(io.StringIO(), out, err)

    async def read(self) -> str | Key:
        """Wait for Ctrl-C."""
        return await _ctrl_c()


class _GrowingTerminal(ABC):
    """Shows what is growing below all else."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._coming = ""
        self._hearing = ""
        self._writing = ""

    def show(self, effect: Shown) -> None:
        """Show an effect; what is complete moves up."""
        match effect:
            case Piece(text):
                self._coming += text
            case Hearing(text):
                self._hearing = text
            case Writing(text):
                self._writing = text
            case Spoken() | Retracted():
                self._coming = ""
        self._redraw()
        match effect:
            case Spoken(text):
                self._console.print(_line(Print("evaa", text)))
            case Retracted(text, why):
                self._console.print(Text(f"{_NAMES['evaa']}{text} [{why}]", style="dim"))
            case Print(kind):
                # A note may hold a command to copy: left to the terminal to wrap, it stays one line.
                self._console.print(_line(effect), soft_wrap=kind == "note")

    @property
    def _growing(self) -> str:
        coming = f"{_NAMES['evaa']}{self._coming}\n" if self._coming else ""
        hearing = f"{_HEARING}{self._hearing}\n" if self._hearing else ""
        return coming + hearing + (f"{self._writing}\n" if self._writing else "")

    @abstractmethod
    def _redraw(self) -> None:
        """Draw anew what is growing."""


class LiveTerminal(_GrowingTerminal):
    """Nothing is read but Ctrl-C: for a terminal, while recordings are played. `live` must be started."""

    interactive = False

    def __init__(self, live: Live) -> None:
        super().__init__(live.console)
        self._live = live

    async def read(self) -> str | Key:
        """Wait for Ctrl-C."""
        return await _ctrl_c()

    def _redraw(self) -> None:
        self._live.update(Text(self._growing.rstrip("\n"), style="dim"), refresh=True)


class PromptTerminal(_GrowingTerminal):
    """A prompt with editing and history, under a reply that grows while it comes.

    The prompt's own event loop lives in a worker thread for as long as one line is read. `console` must write through
    `patch_stdout`, as `open_terminal` arranges it.
    """

    interactive = True

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._session: PromptSession[str] = PromptSession(self._prompt, erase_when_done=True)
        self._dismissed = False

    async def read(self) -> str | Key:
        """Return the line that the user enters, or the key that was pressed instead."""
        finished = threading.Event()
        self._dismissed = False
        try:
            line = await trio.to_thread.run_sync(self._ask, finished, abandon_on_cancel=True)
        except trio.Cancelled:
            self._dismiss()
            # The prompt has to give the terminal back its modes before the process may end.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(finished.wait, _DISMISSAL_S)
            raise
        if isinstance(line, str) and line.strip():
            self.show(Print("you", line))
        return line

    def _redraw(self) -> None:
        self._session.app.invalidate()

    def _prompt(self) -> StyleAndTextTuples:
        return [("", self._growing), ("ansigreen", "you> ")]

    def _ask(self, finished: threading.Event) -> str | Key:
        try:
            return self._session.prompt(pre_run=self._leave_if_dismissed, handle_sigint=False)
        except KeyboardInterrupt:
            return Key.INTERRUPT
        except EOFError:
            return Key.END
        finally:
            finished.set()

    def _dismiss(self) -> None:
        """End the prompt from outside its thread, be it before, while or after it runs."""
        self._dismissed = True
        loop = self._session.app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed in between
                loop.call_soon_threadsafe(self._leave_if_dismissed)

    def _leave_if_dismissed(self) -> None:
        app = self._session.app
        if self._dismissed and app.future is not None and not app.future.done():
            app.exit(exception=EOFError)


@contextlib.contextmanager
def open_terminal(*, takes_lines: bool = True) -> Iterator[Terminal]:
    """Yield the face that standard input and output call for: a prompt only if both are a terminal.

    Without `takes_lines` standard input is left alone, and what is read is Ctrl-C.
    """
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    if not takes_lines and sys.stdout.isatty():
        with open_live(out) as live:
            yield LiveTerminal(live)
    elif not takes_lines:
        yield PlayingTerminal(out, err)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        with patch_stdout(raw=True):
            yield PromptTerminal(Console(highlight=False))
    else:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        yield PlainTerminal(sys.stdin, out, err)


def open_live(console: Console) -> Live:
    """Return a place below all else that is drawn when it is told to, and gone at the end."""
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)


async def _ctrl_c() -> Key:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        await anext(signals)
    return Key.INTERRUPT


def _line(shown: Print) -> Text:
    return Text(_NAMES.get(shown.kind, "") + shown.text, style=_STYLES[shown.kind])
