"""`import sessions`, over stores in memory and in a file, and streams of the test's own."""

import tempfile
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.commands import sessions
from evaa.commands.sessions import LINES_AT_ONCE, export_sessions, import_sessions
from evaa.storage.memory import MemoryStore, Method
from evaa.storage.sqlite import open_sqlite_store
from protocols.ports import LeaseLost, RecordTooLarge, StoreError
from protocols.records import SessionRecord
from tests.contracts.examples import S1, TTL_S, changed, make_record, stored, taken, with_words
from tests.evaa.session_records import records
from tests.evaa.sessions_world import WORDS, CountingStore, TroubledStore, contents, fill, lines, many, session_id


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def err() -> Iterator[StringIO]:
    """What is said; never a user's words."""
    said = StringIO()
    yield said
    assert WORDS not in said.getvalue()


def summary(**counts: int) -> str:
    names = ("imported", "replaced", "already there", "differing", "refused")
    return "Sessions: " + ", ".join(f"{counts.get(name.replace(' ', '_'), 0)} {name}" for name in names) + "\n"


async def test_sessions_are_created_and_free(store: MemoryStore, err: StringIO) -> None:
    assert await import_sessions(store, BytesIO(lines(many(20))), err) == 0
    assert await contents(store) == many(20)
    await taken(store, "a server", session_id(3), take_over=False)
    assert err.getvalue() == summary(imported=20)


async def test_an_import_that_was_broken_off_can_be_run_again(store: MemoryStore, err: StringIO) -> None:
    whole = lines(many(5))
    torn = whole[:-20]
    assert await import_sessions(store, BytesIO(torn), err) == 1
    assert await import_sessions(store, BytesIO(whole), err) == 0
    assert err.getvalue() == (
        "line 5: no JSON: Input data was truncated\n"
        + summary(imported=4, refused=1)
        + summary(imported=1, already_there=4)
    )
    assert await contents(store) == many(5)


async def test_the_version_makes_no_difference(store: MemoryStore, err: StringIO) -> None:
    lease = await store.create(make_record(), "a server", TTL_S)
    saved = await store.save(make_record(), lease)
    source = BytesIO(lines([msgspec.structs.replace(saved, version=41)]))
    assert await import_sessions(store, source, err, replaces=True) == 0
    assert await stored(store) == saved
    await store.renew(lease, TTL_S)  # nobody took it over
    assert err.getvalue() == summary(already_there=1)


async def test_a_session_that_differs_is_told_and_not_touched(store: MemoryStore, err: StringIO) -> None:
    lease = await store.create(make_record(), "a server", TTL_S)
    source = BytesIO(lines([changed(with_words(make_record(), WORDS), "mark")]))
    assert await import_sessions(store, source, err) == 1
    assert await stored(store) == make_record()
    await store.renew(lease, TTL_S)
    assert err.getvalue() == (
        f"{S1}: not the same as there in turns, messages (turns: 0 there, 1 here)\n" + summary(differing=1)
    )


async def test_replacing_takes_the_session_over(store: MemoryStore, err: StringIO) -> None:
    lease = await store.create(make_record(), "a server", TTL_S)
    saved = await store.save(changed(make_record(), "one"), lease)
    newer = with_words(make_record(), WORDS)
    assert await import_sessions(store, BytesIO(lines([newer])), err, replaces=True) == 0
    assert await stored(store) == msgspec.structs.replace(newer, version=saved.version + 1)
    assert await store.overtaken([lease]) == {S1}  # so the server closes the connection
    with pytest.raises(LeaseLost):
        await store.save(saved, lease)
    await taken(store, "another server", take_over=False)
    assert err.getvalue() == summary(replaced=1)


async def test_lines_that_are_no_sessions_are_told_with_their_numbers(store: MemoryStore, err: StringIO) -> None:
    good = many(2)
    bad = b'{"sessionId":"short"}\n' + WORDS.encode() + b"\n\r\n"
    assert await import_sessions(store, BytesIO(lines(good[:1]) + bad + lines(good[1:])), err) == 1
    assert await contents(store) == good
    said = err.getvalue().splitlines(keepends=True)
    assert sorted(said[:-1]) == [
        "line 2: no session: Object missing required field `interview`\n",
        "line 3: no JSON: JSON is malformed: invalid character (byte 4)\n",
    ]
    assert said[-1] == summary(imported=2, refused=2)


async def test_a_line_that_is_too_long_is_told(
    store: MemoryStore, err: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_LINE_BYTES", 2**20)
    source = BytesIO(b"[" * (2**20 + 1) + b"\n" + lines(many(1)))
    assert await import_sessions(store, source, err) == 1
    assert err.getvalue() == "line 1: longer than 1 MiB\n" + summary(imported=1, refused=1)


async def test_what_the_store_refuses_is_told_of_that_session(err: StringIO) -> None:
    store = TroubledStore()
    store.refused[session_id(1)] = RecordTooLarge("a session may have 128 MiB at most")
    store.unreadable[session_id(2)] = StoreError("what is stored cannot be read (ValidationError)")
    assert await import_sessions(store, BytesIO(lines(many(4))), err) == 1
    assert await store.session_ids() == (session_id(0), session_id(3))
    assert sorted(err.getvalue().splitlines(keepends=True)) == [
        summary(imported=2, refused=2),
        f"line 2: {session_id(1)}: a session may have 128 MiB at most\n",
        f"line 3: {session_id(2)}: what is stored cannot be read (ValidationError)\n",
    ]


async def test_a_session_that_cannot_be_replaced_is_free_again(err: StringIO) -> None:
    store = TroubledStore()
    await fill(store, many(1))
    store.refused[session_id(0)] = RecordTooLarge("too large")
    source = BytesIO(lines([make_record(session_id(0))]))
    assert await import_sessions(store, source, err, replaces=True) == 1
    assert await contents(store) == many(1)
    await taken(store, "a server", session_id(0), take_over=False)


@pytest.mark.parametrize("method", ["load", "create", "release"])
async def test_it_stops_where_the_store_is_away_and_goes_on(store: MemoryStore, err: StringIO, method: Method) -> None:
    await fill(store, many(10))
    store.fail_next(method=method)
    assert await import_sessions(store, BytesIO(lines(many(100))), err) == 1
    stopped, so_far = err.getvalue().splitlines()
    assert stopped == "The import stopped: a failure that was asked for. The same command goes on from here. So far:"
    assert so_far.startswith("Sessions: ")
    assert await store.count_sessions() < 100
    assert await import_sessions(store, BytesIO(lines(many(100))), err) == 0
    assert await contents(store) == many(100)


async def test_a_source_that_fails_is_told(store: MemoryStore, err: StringIO) -> None:
    class Failing(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    assert await import_sessions(store, Failing(), err) == 1
    assert "what is to be imported cannot be read ([Errno 5] Input/output error)" in err.getvalue()


async def test_a_session_that_comes_twice_is_there_once(store: MemoryStore, err: StringIO) -> None:
    assert await import_sessions(store, BytesIO(lines(many(1) * 30)), err) == 0
    assert err.getvalue() == summary(imported=1, already_there=29)


async def test_no_more_than_a_few_are_under_way(err: StringIO) -> None:
    store = CountingStore()
    assert await import_sessions(store, BytesIO(lines(many(50))), err) == 0
    assert store.most == LINES_AT_ONCE


async def test_nothing_is_imported_of_nothing(store: MemoryStore, err: StringIO) -> None:
    assert await import_sessions(store, BytesIO(), err) == 0
    assert err.getvalue() == summary()


# --- there and back -----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(some=st.lists(records(), max_size=5, unique_by=lambda it: it.session_id))
async def test_any_sessions_come_through_a_sqlite_file_unchanged(some: list[SessionRecord]) -> None:
    err, memory, back, first, second = StringIO(), MemoryStore(), MemoryStore(), BytesIO(), BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        sqlite = await open_sqlite_store(Path(folder, "evaa.sqlite3"))
        await fill(memory, some)
        assert await export_sessions(memory, first, err) == 0
        assert await import_sessions(sqlite, BytesIO(first.getvalue()), err) == 0
        assert await import_sessions(sqlite, BytesIO(first.getvalue()), err) == 0  # already there
        assert await export_sessions(sqlite, second, err) == 0
        await sqlite.close()
    assert await import_sessions(back, BytesIO(second.getvalue()), err) == 0
    assert await contents(back) == await contents(memory)
