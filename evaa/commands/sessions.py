"""The commands that write sessions out and take them in, so that a store's sessions can move to another:

    python run.py export sessions | MONGODB_URI=mongodb://... python run.py import sessions

Each takes an opened store, a stream of bytes and a text stream for what is said about it; the bytes are lines as
`session_lines` has them. Each returns an exit status: 0, or 1 if anything was left out. What is said names ids and
counts, never what a user said. Both may be used while servers use the store.
"""

import os
import stat
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import BinaryIO, Literal, TextIO, cast

import msgspec
import trio

from evaa.commands.progress import Teller
from evaa.commands.session_lines import LineRefused, LineSplitter, decode_line, differences, encode_line
from evaa.storage.owner import new_owner
from protocols.ports import SessionExists, SessionStore, StoreError, StoreUnavailable
from protocols.records import SessionRecord

MAX_LINE_BYTES = 256 * 2**20
LOADS_AT_ONCE = 8
LINES_AT_ONCE = 16

_IDS_A_PAGE = 1_000
_CHUNK_BYTES = 2**20
_LEASE_TTL_S = 30.0

Outcome = Literal["imported", "replaced", "already there", "differing", "refused"]
_OUTCOMES: tuple[Outcome, ...] = ("imported", "replaced", "already there", "differing", "refused")
_Line = tuple[int, bytearray | None]


async def run_sessions(store: SessionStore, arguments: Namespace) -> int:
    """Run `export sessions` or `import sessions`, as the command line says, on the process's own streams."""
    if arguments.command == "export":
        with _bare(sys.stdout, "wb") as out:
            return await export_sessions(store, out, sys.stderr)
    try:
        source = _open(arguments.file)
    except OSError as error:
        sys.stderr.write(f"{arguments.file} cannot be read: {error}\n")
        return 1
    with source:
        size = _size(source)
        return await import_sessions(store, source, sys.stderr, replaces=arguments.replace, total_bytes=size)


def _open(path: str) -> BinaryIO:
    return _bare(sys.stdin, "rb") if path == "-" else cast(BinaryIO, open(path, "rb", buffering=0))


def _bare(stream: TextIO, mode: str) -> BinaryIO:
    """The file under a standard stream, without the buffer: at the end a thread may still wait in a read or a write.

    (Python would wait for the buffer's lock, or write its rest to a reader that is gone.)
    """
    os.set_blocking(stream.fileno(), True)  # whoever shares it may have changed that; a read would end too early
    return cast(BinaryIO, open(stream.fileno(), mode, buffering=0, closefd=False))


def _size(source: BinaryIO) -> int | None:
    """How many bytes will come; None where nobody knows, as in a pipe."""
    status = os.fstat(source.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


# --- out --------------------------------------------------------------------------------------------------------


async def export_sessions(store: SessionStore, out: BinaryIO, err: TextIO) -> int:
    """Write all sessions to `out`, in the order of their ids, each as it was last saved.

    `out` is written to in a thread and waited for, so a slow reader slows the reading of the store; at most
    `LOADS_AT_ONCE` sessions are in memory. A session that cannot be read is told, and the others go on. Ends early if
    the store is unavailable, or if nobody reads any more. Cancellable at any time.
    """
    try:
        teller = Teller(err, "Exporting", await store.count_sessions())
    except StoreError as error:
        err.write(f"The sessions cannot be read: {error}\n")
        return 1
    unreadable = 0
    try:
        with teller.shown():
            unreadable = await _export_all(store, out, teller)
    except BrokenPipeError:
        return 1
    except StoreError as error:
        teller.say(f"The export stopped after {teller.sessions:,} sessions: {error}")
        return 1
    except OSError as error:
        teller.say(f"The export stopped after {teller.sessions:,} sessions: they cannot be written ({error.strerror})")
        return 1
    left_out = f", {unreadable:,} could not be read" if unreadable else ""
    teller.say(f"Sessions: {teller.sessions:,} exported{left_out}")
    return 1 if unreadable else 0


async def _export_all(store: SessionStore, out: BinaryIO, teller: Teller) -> int:
    """Return how many could not be read."""
    unreadable, after = 0, ""
    while ids := await store.session_ids(after, _IDS_A_PAGE):
        for start in range(0, len(ids), LOADS_AT_ONCE):
            unreadable += await _export_some(store, ids[start : start + LOADS_AT_ONCE], out, teller)
        after = ids[-1]
    return unreadable


async def _export_some(store: SessionStore, ids: Sequence[str], out: BinaryIO, teller: Teller) -> int:
    unreadable = 0
    for session_id, found in zip(ids, await _load_all(store, ids), strict=True):
        match found:
            case StoreUnavailable():
                raise found
            case StoreError():
                unreadable += 1
                teller.say(f"{session_id}: {found}")
            case SessionRecord():
                await trio.to_thread.run_sync(_write, out, encode_line(found), abandon_on_cancel=True)
                teller.step()
    return unreadable


async def _load_all(store: SessionStore, ids: Sequence[str]) -> list[SessionRecord | StoreError | None]:
    """Load them at the same time; return each, or why it cannot be read, or None if it was deleted just now."""
    found: list[SessionRecord | StoreError | None] = [None] * len(ids)

    async def load(index: int) -> None:
        try:
            found[index] = await store.load(ids[index])
        except StoreError as error:
            found[index] = error

    async with trio.open_nursery() as nursery:
        for index in range(len(ids)):
            nursery.start_soon(load, index)
    return found


def _write(out: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) :]


# --- in ---------------------------------------------------------------------------------------------------------


async def import_sessions(
    store: SessionStore, source: BinaryIO, err: TextIO, *, replaces: bool = False, total_bytes: int | None = None
) -> int:
    """Take in the sessions of `source`, of which `total_bytes` will come if that is known.

    A session that the store does not have is created, at version 0. One that it has in the same state is left alone,
    so that an import that was broken off can be run again. One that it has in another state is told; with `replaces` it
    is replaced, and a client that is connected to it reconnects. A line that is no session is told. Ends early if the
    store is unavailable.

    `source` is read in a thread, no faster than the store takes sessions; at most `LINES_AT_ONCE` lines are in memory,
    and what was read last. Cancellable at any time: each session is in the store whole or not at all.
    """
    teller = Teller(err, "Importing", total_bytes)
    bringing = _Import(store, teller, replaces=replaces)
    trouble = ""
    try:
        with teller.shown():
            await bringing.run(source)
    except* StoreUnavailable as group:
        trouble = f"The import stopped: {group.exceptions[0]}."
    except* OSError as group:
        trouble = f"The import stopped: what is to be imported cannot be read ({group.exceptions[0]})."
    counts = ", ".join(f"{bringing.counts[outcome]:,} {outcome}" for outcome in _OUTCOMES)
    if trouble:
        teller.say(f"{trouble} The same command goes on from here. So far:")
    teller.say(f"Sessions: {counts}")
    return 1 if trouble or bringing.counts["differing"] or bringing.counts["refused"] else 0


class _Import:
    """One import, which is an owner of sessions like any process. `counts` says what became of the lines."""

    def __init__(self, store: SessionStore, teller: Teller, *, replaces: bool) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._store = store
        self._teller = teller
        self._replaces = replaces
        self._owner = new_owner()

    async def run(self, source: BinaryIO) -> None:
        """Bring all lines. Raises groups of `StoreUnavailable` and of `OSError`."""
        send, receive = trio.open_memory_channel[_Line](0)
        async with trio.open_nursery() as nursery, send:
            for _ in range(LINES_AT_ONCE):
                nursery.start_soon(self._bring_lines, receive)
            await _send_lines(source, send)

    async def _bring_lines(self, lines: trio.MemoryReceiveChannel[_Line]) -> None:
        async for number, line in lines:
            size = 1 if line is None else len(line) + 1
            self.counts[await self._bring_line(number, line)] += 1
            self._teller.step(size)

    async def _bring_line(self, number: int, line: bytearray | None) -> Outcome:
        try:
            record = _decode(line)
        except LineRefused as refused:
            self._teller.say(f"line {number}: {refused}")
            return "refused"
        try:
            return await self._bring(record)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._teller.say(f"line {number}: {record.session_id}: {error}")
            return "refused"

    async def _bring(self, record: SessionRecord) -> Outcome:
        stored = await self._find_or_create(record)
        if stored is None:
            return "imported"
        different = differences(stored, record)
        if not different:
            return "already there"
        if self._replaces:
            await self._replace(record)
            return "replaced"
        turns = f"{_count_turns(stored)} there, {_count_turns(record)} here"
        self._teller.say(f"{record.session_id}: not the same as there in {', '.join(different)} (turns: {turns})")
        return "differing"

    async def _find_or_create(self, record: SessionRecord) -> SessionRecord | None:
        """Return what the store has; None if it had nothing and has the record now."""
        while (stored := await self._store.load(record.session_id)) is None:
            try:
                lease = await self._store.create(record, self._owner, _LEASE_TTL_S)
            except SessionExists:
                continue  # a client was faster, or the session comes twice
            await self._store.release(lease)
            return None
        return stored

    async def _replace(self, record: SessionRecord) -> None:
        lease = await self._store.acquire(record.session_id, self._owner, _LEASE_TTL_S)
        stored = await self._store.load(record.session_id)
        if lease is None or stored is None:
            raise StoreError("somebody deleted it just now")
        try:
            await self._store.save(msgspec.structs.replace(record, version=stored.version), lease)
        finally:
            await self._store.release(lease)


async def _send_lines(source: BinaryIO, lines: trio.MemorySendChannel[_Line]) -> None:
    splitter, number = LineSplitter(MAX_LINE_BYTES), 0
    is_over = False
    while not is_over:
        data = await trio.to_thread.run_sync(source.read, _CHUNK_BYTES, abandon_on_cancel=True)
        is_over = not data
        for line in splitter.end() if is_over else splitter.feed(data):
            number += 1
            if line is None or line.strip():
                await lines.send((number, line))


def _decode(line: bytearray | None) -> SessionRecord:
    if line is None:
        raise LineRefused(f"longer than {MAX_LINE_BYTES >> 20} MiB")
    return decode_line(line)


def _count_turns(record: SessionRecord) -> int:
    return len(record.interview.turns)
