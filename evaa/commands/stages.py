"""The commands that show, replace and write out the stages that new sessions begin with.

Each takes an opened store and two text streams: `out` for what was asked for, `err` for what is said about it, so that
`export` can be redirected into a file. Each returns an exit status: 0, or 1 when nothing was done.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TextIO

import msgspec
import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaa.interview.stages import MAX_BYTES, Format, StagesRefused, default_stages, format_stages, parse_stages
from protocols.ports import SessionStore, StoreError, StoreUnavailable
from protocols.records import Stage

_NONE_STORED = "No stages are stored yet; these are the defaults."


async def run_stages(store: SessionStore, arguments: Namespace, out: TextIO, err: TextIO) -> int:
    """Run `stages list`, `stages import` or `stages export`, as the command line says."""
    match arguments.action:
        case "list":
            return await list_stages(store, out, err)
        case "import":
            now_ms = time.time_ns() // 1_000_000 if arguments.now else None
            return await import_stages(store, arguments.file, out, err, now_ms=now_ms)
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


async def import_stages(store: SessionStore, path: str, out: TextIO, err: TextIO, *, now_ms: int | None = None) -> int:
    """Put the stages of a file, or of standard input if the path is `-`, in place of the stored ones.

    A file with any problem is refused whole: every problem goes to `err`, and the store keeps what it has. For
    `now_ms` see `store_stages`.
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
        await store_stages(store, stages, now_ms=now_ms)
    except StoreError as error:
        err.write(f"The stages were not imported: {error}\n")
        return 1
    names = "".join(f"  {stage.order}. {stage.name}\n" for stage in stages)
    whose = "new sessions begin with"
    if now_ms is not None:
        whose += ", and running sessions get, where they have not reached a stage"
    out.write(f"Imported {_count(stages)}; {whose}:\n{names}")
    return 0


async def store_stages(store: SessionStore, stages: Sequence[Stage], *, now_ms: int | None = None) -> None:
    """Put these stages in place of the stored ones. Raises `StoreError`.

    With `now_ms`, the time, they are imposed on running sessions (`evaa.interview.imposed`). Otherwise running sessions
    keep the stages that they began with, or that were imposed on them: a stage that is as it was stays imposed.
    """
    try:
        stored = await store.stages()
    except StoreUnavailable:
        raise
    except StoreError:
        stored = ()  # this import is how they are put right
    if now_ms is None:
        imposed = _as_imposed_as(stored, stages)
    else:
        at_ms = max([now_ms, *(stage.imposed_at_ms + 1 for stage in stored)])  # whatever the clock says
        imposed = [msgspec.structs.replace(stage, imposed_at_ms=at_ms) for stage in stages]
    await store.replace_stages(imposed)


def _as_imposed_as(stored: Sequence[Stage], stages: Sequence[Stage]) -> list[Stage]:
    """A stage that is stored already is imposed since when it was; a changed or a new one is not."""
    since_ms = {msgspec.structs.replace(stage, imposed_at_ms=0): stage.imposed_at_ms for stage in stored}
    return [msgspec.structs.replace(stage, imposed_at_ms=since_ms.get(stage, 0)) for stage in stages]


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
    except StoreError as error:  # people may have edited them in the database
        err.write(f"The stages cannot be read: {error}. `stages import FILE` replaces them.\n")
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
