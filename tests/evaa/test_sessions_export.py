"""`export sessions`: what it writes, what it does about trouble, and how it shows how far it is."""

from collections.abc import Awaitable, Callable
from functools import partial
from io import BytesIO, StringIO

import pytest

from evaa.commands import progress, sessions
from evaa.commands.sessions import LOADS_AT_ONCE, export_sessions, import_sessions
from evaa.storage.memory import MemoryStore, Method
from protocols.ports import StoreError
from protocols.records import SessionRecord
from tests.evaa.sessions_world import CountingStore, TroubledStore, fill, lines, many, session_id


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def err() -> StringIO:
    return StringIO()


async def test_all_sessions_are_written_in_the_order_of_their_ids(
    store: MemoryStore, err: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_IDS_A_PAGE", 7)  # 20 sessions are pages of 7, 7 and 6
    out = BytesIO()
    await fill(store, list(reversed(many(20))))
    assert await export_sessions(store, out, err) == 0
    assert out.getvalue() == lines(many(20))
    assert err.getvalue() == "Sessions: 20 exported\n"


async def test_an_empty_store_is_an_empty_file(store: MemoryStore, err: StringIO) -> None:
    out = BytesIO()
    assert await export_sessions(store, out, err) == 0
    assert (out.getvalue(), err.getvalue()) == (b"", "Sessions: 0 exported\n")


async def test_no_more_than_a_few_are_in_memory(err: StringIO) -> None:
    store = CountingStore()
    await fill(store, many(50))
    assert await export_sessions(store, BytesIO(), err) == 0
    assert store.most == LOADS_AT_ONCE


async def test_a_session_that_cannot_be_read_is_told_and_the_others_go_on(err: StringIO) -> None:
    store, out = TroubledStore(), BytesIO()
    await fill(store, many(4))
    store.unreadable[session_id(1)] = StoreError("what is stored cannot be read (ValidationError)")
    assert await export_sessions(store, out, err) == 1
    assert out.getvalue() == lines([*many(1), *many(4)[2:]])
    assert err.getvalue() == (
        f"{session_id(1)}: what is stored cannot be read (ValidationError)\nSessions: 3 exported, 1 could not be read\n"
    )


async def test_a_session_that_was_deleted_meanwhile_is_not_missed(err: StringIO) -> None:
    class Forgetful(MemoryStore):
        async def load(self, session_id: str) -> SessionRecord | None:
            return None

    forgetful = Forgetful()
    await fill(forgetful, many(2))
    assert await export_sessions(forgetful, BytesIO(), err) == 0
    assert err.getvalue() == "Sessions: 0 exported\n"


@pytest.mark.parametrize("method", ["list", "load"])
async def test_it_stops_where_the_store_is_away(store: MemoryStore, err: StringIO, method: Method) -> None:
    out = BytesIO()
    await fill(store, many(20))
    store.fail_next(method=method)
    assert await export_sessions(store, out, err) == 1
    assert lines(many(20)).startswith(out.getvalue())
    (sentence,) = err.getvalue().splitlines()
    exported = out.getvalue().count(b"\n")
    beginning = f"The export stopped after {exported} sessions" if method == "load" else "The sessions cannot be read"
    assert sentence == f"{beginning}: a failure that was asked for"


class Pipe(BytesIO):
    """Takes 50 bytes of what is written to it at a time, and once it has `room` bytes raises `error`."""

    def __init__(self, room: int, error: OSError) -> None:
        super().__init__()
        self._room = room
        self._error = error

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        if self.tell() >= self._room:
            raise self._error
        return super().write(data[:50])


async def test_a_pipe_takes_what_it_can(store: MemoryStore, err: StringIO) -> None:
    await fill(store, many(3))
    out = Pipe(10**9, BrokenPipeError())
    assert await export_sessions(store, out, err) == 0
    assert out.getvalue() == lines(many(3))


async def test_a_reader_that_goes_away_ends_it_quietly(store: MemoryStore, err: StringIO) -> None:
    await fill(store, many(3))
    assert await export_sessions(store, Pipe(100, BrokenPipeError()), err) == 1
    assert err.getvalue() == ""


async def test_a_full_disk_is_told(store: MemoryStore, err: StringIO) -> None:
    await fill(store, many(3))
    assert await export_sessions(store, Pipe(0, OSError(28, "No space left on device")), err) == 1
    assert err.getvalue() == "The export stopped after 0 sessions: they cannot be written (No space left on device)\n"


# --- how far it is ------------------------------------------------------------------------------------------------


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


async def test_without_a_terminal_a_line_comes_now_and_then(
    store: MemoryStore, err: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "TELL_EVERY", 4)
    await import_sessions(store, BytesIO(lines(many(9))), err)
    await export_sessions(store, BytesIO(), err)
    assert err.getvalue().splitlines() == [
        "Importing: 4 sessions so far",
        "Importing: 8 sessions so far",
        "Sessions: 9 imported, 0 replaced, 0 already there, 0 differing, 0 refused",
        "Exporting: 4 sessions so far",
        "Exporting: 8 sessions so far",
        "Sessions: 9 exported",
    ]


@pytest.mark.parametrize("command", ["export", "import"])
async def test_on_a_terminal_there_is_a_bar(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal, data = Terminal(), lines(many(9))
    run: Callable[[], Awaitable[int]]
    if command == "export":
        await fill(store, many(9))
        run = partial(export_sessions, store, BytesIO(), terminal)
    else:
        run = partial(import_sessions, store, BytesIO(data), terminal, total_bytes=len(data))
    assert await run() == 0
    assert "100%" in terminal.getvalue()
    assert "9 sessions" in terminal.getvalue()
    assert f"Sessions: 9 {command}ed" in terminal.getvalue().splitlines()[-1]


async def test_the_bar_is_left_to_the_other_end_of_a_pipe(store: MemoryStore) -> None:
    terminal = Terminal()
    assert await import_sessions(store, BytesIO(lines(many(9))), terminal) == 0
    assert "%" not in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1
