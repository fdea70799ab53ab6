"""How far a long command is, on a stream of its own (standard error): a bar on a terminal, else a line now and then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.segment import ControlType

TELL_EVERY = 5_000
"""Sessions between two lines, where there is no bar."""

_OWN_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


class Teller:
    """Tells what a command has done so far. `sessions` counts them."""

    def __init__(self, err: TextIO, doing: str, total: int | None) -> None:
        self.sessions = 0
        self._doing = doing
        self._console = Console(file=err, force_terminal=err.isatty(), highlight=False, markup=False, emoji=False)
        self._bar = None if total is None or not err.isatty() else _make_bar(self._console)
        self._task = self._bar.add_task(doing, total=total, sessions=0) if self._bar else None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar, if there is one, for the length of the block."""
        if self._bar is None:
            yield
        else:
            with self._bar:
                yield

    def step(self, amount: int = 1) -> None:
        """One more session is done, which was so much of the total."""
        self.sessions += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=amount, sessions=f"{self.sessions:,}")
        elif self.sessions % TELL_EVERY == 0:
            self.say(f"{self._doing}: {self.sessions:,} sessions so far")

    def say(self, text: str) -> None:
        """Tell something in a line of its own, above the bar."""
        if self._bar is None:
            self._console.control(_OWN_LINE)  # on it may be the bar of the command at the other end of the pipe
        self._console.print(text, soft_wrap=True)


def _make_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[sessions]} sessions"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
