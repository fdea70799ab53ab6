"""The spill file loses nothing: not to a torn line, not to a rejection, not to a store that is away."""

import fcntl
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.storage.memory import MemoryStore
from evaa.storage.spill import Replayed, SpillEntry, SpillFile
from evaa.storage.sqlite import open_sqlite_store
from protocols.records import Lease, SessionRecord
from tests.contracts.examples import S1, TTL_S, changed, make_record, started, stored, taken, with_words


@pytest.fixture
def spill(tmp_path: Path) -> SpillFile:
    return SpillFile(tmp_path / "evaa.spill")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class HookedStore(MemoryStore):
    """Calls a hook after each save. (A virtual clock would run on while a thread writes the file.)"""

    def __init__(self, hook: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.hook = hook

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        saved = await super().save(record, lease)
        await self.hook()
        return saved


async def rejected(spill: SpillFile) -> tuple[SpillEntry, ...]:
    return await SpillFile(spill.rejected_path).entries()


async def replayed(spill: SpillFile, store: MemoryStore) -> Replayed:
    return await spill.replay(store, "replayer", TTL_S)


# --- several processes ---------------------------------------------------------------------------------------------


async def test_what_another_process_appended_during_a_replay_stays(tmp_path: Path) -> None:
    mine, others = SpillFile(tmp_path / "evaa.spill"), SpillFile(tmp_path / "evaa.spill")

    async def meanwhile() -> None:
        await others.append(make_record("s2"), Lease("s2", "b", 1))
        assert await replayed(others, MemoryStore()) == Replayed(rejected=2)  # shortens the file under our hands
        await others.append(make_record("s3"), Lease("s3", "b", 1))

    store = HookedStore(meanwhile)
    record, lease = await started(store)
    await mine.append(record, lease)
    assert await replayed(mine, store) == Replayed(saved=1)
    assert [entry.record.session_id for entry in await mine.entries()] == ["s3"]


async def test_processes_that_append_and_replay_at_once_lose_nothing(tmp_path: Path) -> None:
    store, files = MemoryStore(), [SpillFile(tmp_path / "evaa.spill") for _ in range(3)]
    sessions = [await started(store, f"s{n}") for n in range(30)]

    async def spill_and_replay(file: SpillFile, share: int) -> None:
        for record, lease in sessions[share::3]:
            await file.append(changed(record, "spilled"), lease)
            await replayed(file, store)

    async with trio.open_nursery() as nursery:
        for share, file in enumerate(files):
            nursery.start_soon(spill_and_replay, file, share)
    await replayed(files[0], store)
    assert [(await stored(store, f"s{n}")).messages for n in range(30)] == [('"spilled"',)] * 30
    assert not files[0].is_waiting


async def test_a_process_that_was_stopped_at_the_file_holds_up_nobodys_words(
    spill: SpillFile, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaa.storage.spill.LOCK_ATTEMPTS", 3)
    record, lease = await started(store)
    async with await trio.open_file(f"{spill.path}.lock", "ab") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        await spill.append(record, lease)
        with pytest.raises(TimeoutError, match=r"keeps .* locked"):
            await replayed(spill, store)
    assert len(await spill.entries()) == 1
    assert await replayed(spill, store) == Replayed(saved=1)
    assert not spill.is_waiting


# --- appending and reading ----------------------------------------------------------------------------------------


async def test_no_file_is_an_empty_file(spill: SpillFile, store: MemoryStore) -> None:
    assert await spill.entries() == ()
    assert await replayed(spill, store) == Replayed()
    assert not spill.path.exists()


async def test_entries_come_back_in_order(spill: SpillFile) -> None:
    record, lease = with_words(make_record(S1, ('{"a":"\\n"}',)), "Grüße \n\0 🎙"), Lease(S1, "a", 3)
    await spill.append(record, lease)
    await spill.append(make_record("s2"), None)
    assert await spill.entries() == (SpillEntry(record, lease), SpillEntry(make_record("s2"), None))


async def test_a_lone_surrogate_is_no_obstacle(spill: SpillFile) -> None:
    await spill.append(with_words(make_record(), "half \ud83d"), None)
    assert await spill.entries() == (SpillEntry(with_words(make_record(), "half \ufffd")),)


async def test_appending_cannot_be_cancelled(spill: SpillFile) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await spill.append(make_record(), None)
    assert len(await spill.entries()) == 1


async def test_only_its_owner_may_read_it(spill: SpillFile) -> None:
    await spill.append(make_record(), None)
    assert spill.path.stat().st_mode & 0o077 == 0


async def test_many_may_append_at_once(spill: SpillFile) -> None:
    async with trio.open_nursery() as nursery:
        for n in range(50):
            nursery.start_soon(spill.append, make_record(f"s{n}"), None)
    assert {entry.record.session_id for entry in await spill.entries()} == {f"s{n}" for n in range(50)}


async def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await SpillFile(tmp_path / "no" / "evaa.spill").append(make_record(), None)


# --- torn files ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(cut=st.floats(0, 1), garbage=st.binary(max_size=40))
async def test_a_torn_file_keeps_every_whole_line(cut: float, garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        spill, store = SpillFile(Path(directory, "evaa.spill")), MemoryStore()
        for n in range(4):
            await spill.append(make_record(f"s{n}"), None)
        whole = spill.path.read_bytes()
        spill.path.write_bytes(whole[: int(cut * len(whole))] + garbage)
        await spill.append(make_record("s4"), None)

        names = {line: f"s{n}" for n, line in enumerate(filter(None, whole.split(b"\n")))}
        lines = [line for line in spill.path.read_bytes().split(b"\n") if line]
        intact = [names[line.strip()] for line in lines if line.strip() in names] + ["s4"]
        assert [entry.record.session_id for entry in await spill.entries()] == intact

        torn = [line for line in lines[:-1] if line.strip() not in names]
        assert await replayed(spill, store) == Replayed(created=len(intact), torn=len(torn))
        for session_id in intact:
            assert await store.load(session_id) == make_record(session_id)
        aside = spill.rejected_path.read_bytes() if torn else b""
        assert [line for line in aside.split(b"\n") if line] == torn
        assert not spill.path.exists()


async def test_a_torn_last_line_is_set_aside(spill: SpillFile, store: MemoryStore) -> None:
    await spill.append(make_record(S1), None)
    await spill.append(make_record("s2"), None)
    spill.path.write_bytes(spill.path.read_bytes()[:-20])
    await spill.append(make_record("s3"), None)
    assert [entry.record.session_id for entry in await spill.entries()] == [S1, "s3"]
    assert await replayed(spill, store) == Replayed(created=2, torn=1)
    assert spill.rejected_path.read_bytes().startswith(b'\n{"record":{"sessionId":"s2"')


# --- replay -------------------------------------------------------------------------------------------------------


async def test_what_was_not_saved_is_saved(spill: SpillFile, store: MemoryStore) -> None:
    record, lease = await started(store)
    saved = await store.save(changed(record, "before"), lease)
    await spill.append(changed(saved, "unsaved"), lease)
    assert await replayed(spill, store) == Replayed(saved=1)
    assert await stored(store) == msgspec.structs.replace(changed(saved, "unsaved"), version=2)
    assert not spill.path.exists()
    assert not spill.rejected_path.exists()


async def test_what_was_never_created_is_created_and_left_free(spill: SpillFile, store: MemoryStore) -> None:
    await spill.append(make_record(), None)
    assert await replayed(spill, store) == Replayed(created=1)
    assert await stored(store) == make_record()
    await taken(store, "anybody", take_over=False)


async def test_the_newest_entry_of_a_session_counts(spill: SpillFile, store: MemoryStore) -> None:
    record, lease = await started(store)
    for mark in ("old", "newer", "newest"):
        await spill.append(changed(record, mark), lease)
        await spill.append(changed(make_record("s2"), mark), None)
    assert await replayed(spill, store) == Replayed(saved=1, created=1)
    assert (await stored(store)).messages == ('"newest"',)
    assert (await stored(store, "s2")).messages == ('"newest"',)


async def test_what_another_owner_overtook_is_set_aside(spill: SpillFile, store: MemoryStore) -> None:
    record, lease = await started(store)
    await spill.append(changed(record, "overtaken"), lease)
    theirs = await store.save(changed(record, "theirs"), await taken(store, "b"))
    assert await replayed(spill, store) == Replayed(rejected=1)
    assert await stored(store) == theirs
    assert await rejected(spill) == (SpillEntry(changed(record, "overtaken"), lease),)
    assert not spill.path.exists()


@pytest.mark.parametrize("later_ms", [0, 1])
async def test_what_a_newer_version_overtook_is_set_aside(spill: SpillFile, store: MemoryStore, later_ms: int) -> None:
    record, lease = await started(store)
    await spill.append(changed(record, "overtaken"), lease)
    newer = msgspec.structs.replace(changed(record, "newer"), updated_at_ms=record.updated_at_ms + later_ms)
    newer = await store.save(newer, lease)
    assert await replayed(spill, store) == Replayed(rejected=1)
    assert await stored(store) == newer
    assert await rejected(spill) == (SpillEntry(changed(record, "overtaken"), lease),)


async def test_an_older_state_of_the_same_owners_that_landed_late_is_overtaken(
    spill: SpillFile, store: MemoryStore
) -> None:
    record, lease = await started(store)
    newest = with_words(changed(record, "newest"), "the words")
    await spill.append(newest, lease)
    await store.save(changed(record, "in doubt"), lease)
    assert await replayed(spill, store) == Replayed(saved=1)
    assert await stored(store) == msgspec.structs.replace(newest, version=2)


async def test_a_session_that_another_created_is_set_aside(spill: SpillFile, store: MemoryStore) -> None:
    await spill.append(changed(make_record(), "mine"), None)
    await started(store)
    assert await replayed(spill, store) == Replayed(rejected=1)
    assert await stored(store) == make_record()
    assert len(await rejected(spill)) == 1


async def test_under_different_leases_none_stands_for_another(spill: SpillFile, store: MemoryStore) -> None:
    record, old = await started(store)
    new = await taken(store, "b")
    await spill.append(changed(record, "old"), old)
    await spill.append(changed(record, "new"), new)
    assert await replayed(spill, store) == Replayed(saved=1, rejected=1)
    assert (await stored(store)).messages == ('"new"',)
    assert await rejected(spill) == (SpillEntry(changed(record, "old"), old),)


async def test_rejections_gather(spill: SpillFile, store: MemoryStore) -> None:
    record, lease = await started(store)
    await taken(store, "b")
    for mark in ("one", "two"):
        await spill.append(changed(record, mark), lease)
        assert await replayed(spill, store) == Replayed(rejected=1)
    assert [entry.record.messages for entry in await rejected(spill)] == [('"one"',), ('"two"',)]


async def test_a_save_whose_answer_was_lost_is_no_conflict(spill: SpillFile, store: MemoryStore) -> None:
    record, lease = await started(store)
    await spill.append(changed(record, "saved"), lease)
    await spill.append(make_record("s2"), None)
    await store.save(changed(record, "saved"), lease)
    await started(store, "s2")
    assert await replayed(spill, store) == Replayed(saved=1, created=1)
    assert (await stored(store)).version == 1
    assert not spill.rejected_path.exists()


async def test_what_cannot_be_tried_stays(spill: SpillFile, store: MemoryStore) -> None:
    sessions = [await started(store, f"s{n}") for n in range(3)]
    for record, lease in sessions:
        await spill.append(changed(record, "unsaved"), lease)
    store.unavailable = True
    before = await spill.entries()
    assert await replayed(spill, store) == Replayed(kept=3)
    assert await spill.entries() == before
    store.unavailable = False
    assert await replayed(spill, store) == Replayed(saved=3)
    assert await spill.entries() == ()


async def test_a_store_that_goes_away_midway_keeps_the_rest(spill: SpillFile, store: MemoryStore) -> None:
    for n in range(3):
        await spill.append(make_record(f"s{n}"), None)
    store.fail_next(method="release")
    assert await replayed(spill, store) == Replayed(kept=3)
    store.fail_next(method="create")
    assert await replayed(spill, store) == Replayed(kept=3)
    assert await replayed(spill, store) == Replayed(created=3)


async def test_a_cancelled_replay_forgets_what_is_done(spill: SpillFile) -> None:
    scope = trio.CancelScope()

    async def cancel_after_two() -> None:
        if hooked.saves == 2:
            scope.cancel()

    hooked = HookedStore(cancel_after_two)
    for n in range(3):
        record, lease = await started(hooked, f"s{n}")
        await spill.append(changed(record, "unsaved"), lease)
    with scope:
        await replayed(spill, hooked)
    assert scope.cancelled_caught
    assert [entry.record.session_id for entry in await spill.entries()] == ["s2"]
    assert [(await stored(hooked, f"s{n}")).version for n in range(3)] == [1, 1, 0]
    assert await replayed(spill, hooked) == Replayed(saved=1)


async def test_what_is_appended_during_a_replay_stays(spill: SpillFile) -> None:
    store = HookedStore(partial(spill.append, make_record("late"), None))
    record, lease = await started(store)
    await spill.append(changed(record, "unsaved"), lease)
    assert await replayed(spill, store) == Replayed(saved=1)
    assert await spill.entries() == (SpillEntry(make_record("late")),)


async def test_into_sqlite_after_a_restart(spill: SpillFile, tmp_path: Path) -> None:
    store = await open_sqlite_store(tmp_path / "evaa.sqlite3")
    record, lease = await started(store)
    overtaken, old = await started(store, "s2")
    await store.close()
    for entry in ((changed(record, "unsaved"), lease), (changed(overtaken, "unsaved"), old), (make_record("s3"), None)):
        await spill.append(*entry)

    again = await open_sqlite_store(tmp_path / "evaa.sqlite3")
    await taken(again, "b", "s2")
    assert await SpillFile(spill.path).replay(again, "c", TTL_S) == Replayed(saved=1, created=1, rejected=1)
    found: list[SessionRecord] = [await stored(again, name) for name in (S1, "s2", "s3")]
    assert [it.messages for it in found] == [('"unsaved"',), (), ()]
    await again.close()
