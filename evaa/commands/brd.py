"""The command that writes a session's BRD out as a file, whichever process wrote it."""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

import trio

from evaa.documents.export import Exported, NotExported, render
from protocols.documents import Brd
from protocols.ports import SessionStore, StoreError
from protocols.records import SessionRecord


async def write_brd(store: SessionStore, arguments: Namespace, out: BinaryIO, err: TextIO) -> int:
    """Write the version that was asked for to standard output or into a file; return the exit status.

    Status 1, with one sentence on `err`: there is no such session, or no BRD of it yet, or no such version, or it
    cannot be written; without one, if nobody reads standard output any more.
    """
    try:
        record = await store.load(arguments.session)
        file = await trio.to_thread.run_sync(partial(_render, record, arguments))
    except (StoreError, _NotThere, NotExported) as error:
        err.write(f"{error}\n")
        return 1
    if arguments.output == "-":
        return await trio.to_thread.run_sync(_write_out, file.data, out, err)
    path = Path(arguments.output or file.filename)
    try:
        await trio.Path(path).write_bytes(file.data)
    except OSError as error:
        err.write(f"{path} cannot be written: {error}\n")
        return 1
    err.write(f"Written: {path}\n")
    return 0


def _write_out(data: bytes, out: BinaryIO, err: TextIO) -> int:
    try:
        out.write(data)
        out.flush()
    except BrokenPipeError:  # who reads has seen enough, and knows
        return 1
    except OSError as error:
        err.write(f"Standard output cannot be written: {error.strerror}\n")
        return 1
    return 0


class _NotThere(Exception):
    """What was asked for does not exist; the message says what does."""


def _render(record: SessionRecord | None, arguments: Namespace) -> Exported:
    if record is None:
        raise _NotThere(f"There is no session {arguments.session}.")
    brd = _version(record, arguments.version)
    documents = record.documents
    assert documents is not None
    assert documents.summary is not None
    return render(brd, documents.summary, record.interview.turns, arguments.format)


def _version(record: SessionRecord, number: int | None) -> Brd:
    documents = record.documents
    newest = documents.brd if documents is not None else None
    if documents is None or newest is None:
        raise _NotThere(f"There is no BRD of this session yet: it is {record.status}.")
    chosen = newest if number is None else documents.version(number)
    if chosen is None:
        raise _NotThere(f"There is no version {number}; there are 1 to {newest.version}.")
    return chosen
