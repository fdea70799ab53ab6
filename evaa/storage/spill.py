"""The spill file: what no store would take before the process had to end, kept until the next start.

One JSON object a line, the whole session in each. A line that a crash or a full disk tore is recognised, costs no other
line, and is set aside with what was overtaken in `<path>.rejected`: nothing is ever thrown away, except by an
operator. The file exists only while something waits in it.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import trio

from evaa.storage.storable import storable
from protocols.base import Record
from protocols.ports import SessionExists, SessionStore, StoreError, StoreUnavailable, VersionConflict
from protocols.records import Lease, SessionRecord

LOCK_ATTEMPTS = 200
LOCK_EVERY_S = 0.01
"""One process waits for another that is at the file, which takes an fsync or two, unless it was stopped there."""


class SpillEntry(Record, frozen=True):
    """A session as it was last known. `lease` is the one it was owned by; None if it was never created in the store."""

    record: SessionRecord
    lease: Lease | None = None


class Replayed(msgspec.Struct, frozen=True):
    """What became of a spill file, in sessions; `torn` is in lines.

    `saved` and `created` are in the store now. `rejected` were overtaken (or refused for good), and are in the rejected
    file, as are the `torn` lines. `kept` wait in the spill file, since the store was unavailable.
    """

    saved: int = 0
    created: int = 0
    rejected: int = 0
    kept: int = 0
    torn: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SpillEntry)


class SpillFile:
    """The spill file at `path`, which several processes of a host may share. Making one touches no disk.

    The methods are async and do their disk work in a worker thread, which cannot be cancelled and takes an fsync or
    two. All of them raise `OSError` if the disk refuses. They may be called concurrently.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rejected_path = Path(f"{self.path}.rejected")
        self._disk = trio.Lock()
        self._replaying = trio.Lock()

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits in the file."""
        return self.path.exists()

    async def append(self, record: SessionRecord, lease: Lease | None) -> None:
        """Add a session; when this returns it is on the disk. Not cancellable: there is nowhere else to put it.

        `lease` is the one that the session was owned by, None if the store has never heard of the session.
        """
        line = _encode(SpillEntry(record, lease))
        with trio.CancelScope(shield=True):
            async with self._disk:
                if not await self._alone(_append, self.path, [line]):
                    await trio.to_thread.run_sync(_append, self.path, [line])

    async def entries(self) -> tuple[SpillEntry, ...]:
        """Return what can be read, oldest first; torn lines are left out."""
        lines = await self._lines()
        return tuple(entry for line in lines if (entry := _decode(line)) is not None)

    async def replay(self, store: SessionStore, owner: str, ttl_s: float) -> Replayed:
        """Bring the file's sessions into the store; return what became of them.

        Of several entries of one session under one lease only the newest counts. An entry is saved under its own, old
        lease, so that the store itself refuses whatever was overtaken since. A session that the store has never heard
        of is created for `owner` with `ttl_s`, and released at once. Ends early when the store is unavailable.

        Cancellable between two sessions; the file then says what is left. Raises no `StoreError`.
        """
        async with self._replaying:
            lines = await self._lines()
            replay = _Replay(store, owner, ttl_s, lines)
            try:
                await replay.run()
            finally:
                with trio.CancelScope(shield=True):
                    await self._settle(replay.rejected, Counter(lines) - Counter(replay.left))
            return replay.counts()

    async def _lines(self) -> list[bytes]:
        async with self._disk:  # else a line that is being written would look torn
            return await trio.to_thread.run_sync(_read_lines, self.path)

    async def _settle(self, rejected: Sequence[bytes], gone: Counter[bytes]) -> None:
        async with self._disk:
            if rejected:
                # First, so that a crash in between doubles a line rather than losing it.
                await trio.to_thread.run_sync(_append, self.rejected_path, rejected)
            if gone and not await self._alone(_take_out, self.path, gone):
                raise TimeoutError(f"another process keeps {self.path} locked")

    async def _alone(self, work: Callable[..., None], *args: object) -> bool:
        """Do the work in a thread, with no other process at the file; False where one is there for too long."""
        for _ in range(LOCK_ATTEMPTS):
            if await trio.to_thread.run_sync(_if_free, self.path, work, *args):
                return True
            await trio.sleep(LOCK_EVERY_S)
        return False


class _Replay:
    """One pass over the lines of a file: `left` shrinks as they find their place."""

    def __init__(self, store: SessionStore, owner: str, ttl_s: float, lines: Sequence[bytes]) -> None:
        self.rejected: list[bytes] = []
        self._store = store
        self._owner = owner
        self._ttl_s = ttl_s
        self._saved = self._created = 0
        self._waiting: dict[tuple[str, int], tuple[SpillEntry, bytes]] = {}
        for line in lines:
            self._sort(line)
        self._torn = len(self.rejected)

    @property
    def left(self) -> list[bytes]:
        return [line for _, line in self._waiting.values()]

    def counts(self) -> Replayed:
        overtaken = len(self.rejected) - self._torn
        return Replayed(self._saved, self._created, overtaken, len(self._waiting), self._torn)

    def _sort(self, line: bytes) -> None:
        entry = _decode(line)
        if entry is None:
            self.rejected.append(line)
            return
        # Under one lease the newest entry contains the older ones; under another it may not: fencing decides those.
        key = entry.record.session_id, entry.lease.token if entry.lease else 0
        self._waiting.pop(key, None)
        self._waiting[key] = entry, line

    async def run(self) -> None:
        for key, (entry, line) in list(self._waiting.items()):
            try:
                await self._bring(entry)
            except StoreUnavailable:
                return
            except StoreError:
                self.rejected.append(line)
            del self._waiting[key]

    async def _bring(self, entry: SpillEntry) -> None:
        if entry.lease is None:
            await self._create(entry.record)
            self._created += 1
        else:
            await self._save(entry.record, entry.lease)
            self._saved += 1

    async def _create(self, record: SessionRecord) -> None:
        try:
            lease = await self._store.create(record, self._owner, self._ttl_s)
        except SessionExists:
            if not await self._is_stored(record, 0):
                raise
        else:
            await self._store.release(lease)

    async def _save(self, record: SessionRecord, lease: Lease) -> None:
        try:
            await self._store.save(record, lease)
        except VersionConflict:
            # Not overtaken if it is this very save that did arrive: its answer was lost, or an earlier replay's end.
            if not await self._is_stored(record, record.version + 1):
                await self._save_over_doubt(record, lease)

    async def _save_over_doubt(self, record: SessionRecord, lease: Lease) -> None:
        """What is in the way may be an older save of the same owner's, which was in doubt and landed late."""
        stored = await self._store.load(record.session_id)
        if stored is None or stored.version != record.version + 1 or _progress(stored) >= _progress(record):
            raise VersionConflict("a newer state is stored")
        await self._store.save(msgspec.structs.replace(record, version=stored.version), lease)

    async def _is_stored(self, record: SessionRecord, version: int) -> bool:
        return await self._store.load(record.session_id) == msgspec.structs.replace(record, version=version)


def _progress(record: SessionRecord) -> tuple[int, int, int]:
    """What only grows in the states of a session: of two under one lease, the newer has more of it."""
    return record.updated_at_ms, len(record.interview.turns), len(record.messages)


def _encode(entry: SpillEntry) -> bytes:
    try:
        return _encoder.encode(entry)
    except UnicodeEncodeError:
        return _encoder.encode(storable(entry))


def _decode(line: bytes) -> SpillEntry | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# --- the disk, synchronously --------------------------------------------------------------------------------------


def _read_lines(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().split(b"\n") if line]
    except FileNotFoundError:
        return []


def _if_free(path: Path, work: Callable[..., None], *args: object) -> bool:
    with open(f"{path}.lock", "ab", opener=_open_private) as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        work(*args)
    return True


def _append(path: Path, lines: Iterable[bytes]) -> None:
    # The newline in front ends a line that was torn before; empty lines mean nothing.
    _write(path, "ab", b"".join(b"\n" + line + b"\n" for line in lines))
    _sync_directory(path)


def _take_out(path: Path, gone: Counter[bytes]) -> None:
    """Take these lines out of the file; what was appended meanwhile, by whomever, stays."""
    lines = [line for line in _read_lines(path) if not _counts_down(gone, line)]
    if lines:
        fresh = path.with_name(f"{path.name}.new")
        _write(fresh, "wb", b"".join(line + b"\n" for line in lines))
        fresh.replace(path)
    else:
        path.unlink(missing_ok=True)
    _sync_directory(path)


def _counts_down(gone: Counter[bytes], line: bytes) -> bool:
    gone[line] -= 1
    return gone[line] >= 0


def _write(path: Path, mode: str, data: bytes) -> None:
    with open(path, mode, opener=_open_private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # these are the users' words


def _sync_directory(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
