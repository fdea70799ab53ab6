"""What tests of session stores need: records, leases, and calls made at the same time."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec
import trio

from protocols.documents import Brd, Documents, Entry, Section, StageSummary, Summary
from protocols.ports import SessionStore, StoreError
from protocols.records import Interview, Lease, SessionRecord, Stage, TurnRecord

T = TypeVar("T")
TTL_S = 60.0


def object_id(name: str) -> str:
    """The id that stands for a name in these tests: 24 hexadecimal digits, in the order of the names."""
    return f"{name.encode().hex()[:16]:0<16}{hashlib.sha256(name.encode()).hexdigest()[:8]}"


S1, S2, NOBODY = map(object_id, ("s1", "s2", "nobody"))


def make_stage(name_of_id: str = "trigger", order: int = 1, **changes: str) -> Stage:
    stage = Stage(object_id(name_of_id), "Trigger", "What starts it", "Know the trigger", order, "What starts it?")
    return msgspec.structs.replace(stage, **changes)


def make_record(session_id: str = S1, messages: tuple[str, ...] = (), **interview: object) -> SessionRecord:
    state = msgspec.structs.replace(Interview(stages=(make_stage(), make_stage("volume", 2))), **interview)
    return SessionRecord(session_id, state, created_at_ms=1_700_000_000_000, updated_at_ms=1, messages=messages)


def changed(record: SessionRecord, mark: str) -> SessionRecord:
    return msgspec.structs.replace(record, messages=(f'"{mark}"',))


def with_words(record: SessionRecord, text: str) -> SessionRecord:
    turn = TurnRecord(turn=1, stage_id=object_id("trigger"), source="text", text=text, said_at_ms=5)
    interview = msgspec.structs.replace(record.interview, turns=(turn,))
    return msgspec.structs.replace(record, interview=interview)


def some_documents() -> Documents:
    """Finished documents, with texts that are hard to store."""
    entry = Entry("FR-1", {"title": "$set a.b \0 世界 🎙", "given": ""}, (1,), "stated")
    stage = StageSummary(object_id("trigger"), "Trigger", (entry,), missing="")
    brd = Brd("BRD-1", 1, S1, "Title", "en", 5, 1, (Section("requirements", (entry,)), Section("data", missing="why")))
    summary = Summary(entry, (stage,), 1)
    return Documents(
        summary, (brd,), 1, {stage.stage_id: stage}, {"data": Section("data")}, "words", ("data",), "change", ("m",)
    )


async def started(store: SessionStore, session_id: str = S1, owner: str = "a") -> tuple[SessionRecord, Lease]:
    record = make_record(session_id)
    return record, await store.create(record, owner, TTL_S)


async def taken(store: SessionStore, owner: str, session_id: str = S1, *, take_over: bool = True) -> Lease:
    lease = await store.acquire(session_id, owner, TTL_S, take_over=take_over)
    assert lease is not None
    return lease


async def stored(store: SessionStore, session_id: str = S1) -> SessionRecord:
    record = await store.load(session_id)
    assert record is not None
    return record


async def at_once(calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T | StoreError]:
    """Make the calls at the same time; return what each returned or was refused with, in order."""
    results: dict[int, T | StoreError] = {}

    async def make(number: int, call: Callable[[], Awaitable[T]]) -> None:
        try:
            results[number] = await call()
        except StoreError as error:
            results[number] = error

    async with trio.open_nursery() as nursery:
        for number, call in enumerate(calls):
            nursery.start_soon(make, number, call)
    return [result for _, result in sorted(results.items())]
