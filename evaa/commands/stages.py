"""The commands that show, replace and write out the stages that new sessions begin with.

Each takes an opened store and two text streams: `out` for what was asked for, `err` for what is said about it, so that
`export` can be redirected into a file. Each returns an exit status: 0, or 1 when nothing was done.
"""

import sys
from argparse import Namespace
from typing import TextIO

import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaa.interview.stages import MAX_BYTES, Format, StagesRefused, default_stages, format_stages, parse_stages
from protocols.ports import SessionStore, StoreUnavailable
from protocols.records import Stage

_NONE_STORED = "No stages are stored yet; these are the defaults."


async def run_stages(store: SessionStore, arguments: Namespace, out: TextIO, err: TextIO) -> int:
    """Run `stages list`, `stages import` or `stages export`, as the command line says."""
    match arguments.action:
        case "list":
            return await list_stages(store, out, err)
        case "import":
            return await import_stages(store, arguments.file, out, err)
        case _:
            return await export_stages(store, arguments.format, out, err)


async def list_stages(store: SessionStore, out: TextIO, err: TextIO) -> int:
    """Write the stages as a table; the defaults if none are stored, saying so on `err`."""
    stages = await _stages_in_use(store, err)
    if stages is None:
        return 1
    console = Console(file=out, highlight=False)
    console.print(f"The interview: {_count(stages)}")
    console.print(_table(stages))
    return 0


async def export_stages(store: SessionStore, form: Format, out: TextIO, err: TextIO) -> int:
    """Write the stages as a file that `import_stages` takes; the defaults if none are stored, saying so on `err`."""
    stages = await _stages_in_use(store, err)
    if stages is None:
        return 1
    out.write(format_stages(stages, form))
    return 0


async def import_stages(store: SessionStore, path: str, out: TextIO, err: TextIO) -> int:
    """Put the stages of a file, or of standard input if the path is `-`, in place of the stored ones.

    A file with any problem is refused whole: every problem goes to `err`, and the store keeps what it has. Sessions
    that are running keep the stages that they began with.
    """
    try:
        stages = parse_stages(await _read(path))
    except StagesRefused as refused:
        lines = (f"  {problem}\n" for problem in refused.problems)
        err.write(f"{path} was refused, and nothing was changed:\n{''.join(lines)}")
        return 1
    except (OSError, UnicodeDecodeError) as error:
        err.write(f"{path} cannot be read: {error}\n")
        return 1
    try:
        await store.replace_stages(stages)
    except StoreUnavailable as error:
        err.write(f"The stages were not imported: {error}\n")
        return 1
    names = "".join(f"  {stage.order}. {stage.name}\n" for stage in stages)
    out.write(f"Imported {_count(stages)}; new sessions begin with:\n{names}")
    return 0


async def _read(path: str) -> str:
    data: bytes
    if path == "-":
        data = await trio.to_thread.run_sync(sys.stdin.buffer.read, MAX_BYTES + 1, abandon_on_cancel=True)
    else:
        async with await trio.open_file(path, "rb") as file:
            data = await file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise StagesRefused(("the file: larger than 1 MiB",))
    return data.decode()


async def _stages_in_use(store: SessionStore, err: TextIO) -> tuple[Stage, ...] | None:
    try:
        stored = await store.stages()
    except StoreUnavailable as error:
        err.write(f"The stages cannot be read: {error}\n")
        return None
    if not stored:
        err.write(f"{_NONE_STORED}\n")
    return stored or default_stages()


def _table(stages: tuple[Stage, ...]) -> Table:
    table = Table()
    table.add_column("Order", justify="right")
    table.add_column("Stage")
    table.add_column("What it is about")
    table.add_column("Follow-ups", justify="right")
    for stage in stages:
        most = Text(str(stage.max_follow_ups))
        table.add_row(Text(str(stage.order)), Text(stage.name), Text(stage.description), most)
    return table


def _count(stages: tuple[Stage, ...]) -> str:
    return f"{len(stages)} stage{'' if len(stages) == 1 else 's'}"
