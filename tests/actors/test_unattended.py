"""Sessions that nobody is connected to: finished in the background, whatever was said last, and whatever fails."""

import itertools
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from actors.unattended import LOOK_EVERY_S, MAX_AT_ONCE
from evaa.documents.desk import UNREAD
from protocols.documents import Documents
from protocols.ports import RecordTooLarge, StoreError, VersionConflict
from protocols.records import Interview, Outcome, SessionRecord, TurnRecord
from protocols.writing import Job, Review, WriterFailed, WritingBrief, Written
from tests.actors.harness import OTHER_SESSION, SESSION, STAGES, Evaa
from tests.actors.writers import never

PIECES = len(STAGES) + 1 + 22


@pytest.fixture
async def evaa(nursery: trio.Nursery, autojump_clock: MockClock) -> Evaa:
    """A process that looks for what nobody is there for."""
    process = Evaa(nursery)
    nursery.start_soon(process.server.finish_documents)
    return process


def said(number: int, text: str, outcome: Outcome, *, stage_id: str = "") -> TurnRecord:
    return TurnRecord(
        number, stage_id, "text", text, 0, reply="I see." if outcome == "answered" else "", outcome=outcome
    )


def complete(session_id: str = SESSION, *later: TurnRecord) -> SessionRecord:
    """A session whose interview is complete; `later` is what was said of its documents, which nobody has written."""
    turns = (said(1, "We type 40 invoices a day", "answered", stage_id=STAGES[-1].stage_id), *later)
    return SessionRecord(
        session_id,
        Interview(STAGES, stage_index=len(STAGES), turns=turns),
        0,
        0,
        documents=Documents(up_to_turn=1, read_up_to_turn=1),
    )


async def left_behind(evaa: Evaa, record: SessionRecord) -> None:
    """The session is in the store, and nobody's."""
    await evaa.store.release(await evaa.store.create(record, "who left", 60))


async def documents(evaa: Evaa, session_id: str = SESSION) -> Documents:
    written = (await evaa.record(session_id)).documents
    assert written is not None
    return written


async def test_what_nobody_is_there_for_is_written(evaa: Evaa, autojump_clock: MockClock) -> None:
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    assert (await documents(evaa)).is_finished
    assert len(evaa.writer.wrote) == PIECES
    assert await evaa.store.acquire(SESSION, "somebody else", 1.0, take_over=False) is not None  # it was let go


@pytest.mark.parametrize("outcome", ["answered", "pending", "superseded"])
async def test_what_was_said_last_is_considered_and_then_it_is_over(
    evaa: Evaa, autojump_clock: MockClock, outcome: Outcome
) -> None:
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    evaa.writer.review_delay_s = 1.0
    await left_behind(evaa, complete(SESSION, said(2, "No, 50 invoices a day", outcome)))
    await trio.sleep(2 * LOOK_EVERY_S)
    written = await documents(evaa)
    assert [brd.change for brd in written.versions] == ["", "50 instead of 40"]
    assert written.read_up_to_turn == 2
    assert await evaa.store.acquire(SESSION, "somebody else", 1.0, take_over=False) is not None


async def test_who_says_something_and_leaves_before_the_reply(evaa: Evaa, autojump_clock: MockClock) -> None:
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    client = await evaa.connect()
    await client.until("completed")
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")] * 2
    evaa.writer.review_delay_s = 1.0
    await client.say("No, 50 invoices a day")
    await client.until("turnStarted")
    await client.leave()
    await evaa.gone()
    await trio.sleep(2 * LOOK_EVERY_S)
    written = await documents(evaa)
    assert [brd.change for brd in written.versions] == ["", "50 instead of 40"]
    assert (await evaa.record()).status == "complete"


async def test_what_cannot_be_understood_now_is_asked_about_again_later(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.reviews = [WriterFailed("429", passing=True, retry_after_s=600.0)]
    await left_behind(evaa, complete(SESSION, said(2, "No, 50 invoices a day", "answered")))
    await trio.sleep(600)
    assert len((await documents(evaa)).versions) == 1
    assert await evaa.store.acquire(SESSION, "somebody else", 1.0, take_over=False) is not None  # let go meanwhile
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    await trio.sleep(60)
    assert len((await documents(evaa)).versions) == 2


async def test_what_nobody_can_understand_is_not_asked_about_for_ever(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.reviews = [WriterFailed("no usable answer", passing=False)]
    await left_behind(evaa, complete(SESSION, said(2, "Hm", "pending")))
    await trio.sleep(86_400)
    assert len(evaa.writer.asked) == 1
    client = await evaa.connect()
    assert (await client.reply())["response"] == UNREAD


async def test_what_was_said_last_may_say_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.reviews = [Review("other", "Thanks.", "fake")]
    await left_behind(evaa, complete(SESSION, said(2, "Thanks", "answered")))
    await trio.sleep(2 * LOOK_EVERY_S)
    assert len((await documents(evaa)).versions) == 1
    assert await evaa.store.acquire(SESSION, "somebody else", 1.0, take_over=False) is not None


async def test_who_comes_back_gets_the_reply_that_they_are_owed(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    await left_behind(evaa, complete(SESSION, said(2, "No, 50 invoices a day", "pending")))
    await trio.sleep(2 * LOOK_EVERY_S)
    client = await evaa.connect()
    assert (await client.reply())["response"] == "Changed."
    assert (await client.until("completed"))[-1]["brd"]["version"] == 2


async def test_what_a_process_spilled_is_brought_in_first(evaa: Evaa, autojump_clock: MockClock) -> None:
    lease = await evaa.store.create(complete(), "who died", 0.0)
    await evaa.spill.append(complete(SESSION, said(2, "No, 50 invoices a day", "answered")), lease)
    evaa.writer.reviews = [Review("other", "Thanks.", "fake")]
    await trio.sleep(60)
    assert [turn.text for turn in (await evaa.record()).interview.turns][-1] == "No, 50 invoices a day"
    assert evaa.spill.rejected == []
    assert (await documents(evaa)).read_up_to_turn == 2


async def test_so_many_at_once_and_no_more(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 100.0
    for number in range(MAX_AT_ONCE + 2):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(LOOK_EVERY_S + 50)
    assert len(evaa.writer.begun) == MAX_AT_ONCE * len(STAGES)
    await trio.sleep(2_000)
    assert len(evaa.writer.wrote) == (MAX_AT_ONCE + 2) * PIECES


# --- what cannot be finished --------------------------------------------------------------------------------------


async def test_one_that_fails_is_not_paid_for_again_and_hinders_nobody(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.spill.is_dead = True
    evaa.store.errors = [ZeroDivisionError()] * 1_000
    await left_behind(evaa, complete())
    await trio.sleep(7_200)
    begun = len(evaa.writer.begun)
    assert begun > 0
    await trio.sleep(80_000)
    assert len(evaa.writer.begun) == begun
    evaa.store.errors = []
    await left_behind(evaa, complete(OTHER_SESSION))
    await trio.sleep(2 * LOOK_EVERY_S)
    assert (await documents(evaa, OTHER_SESSION)).is_finished


async def test_one_that_no_store_can_hold_is_spilled_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    await left_behind(evaa, complete())
    evaa.store.errors = [RecordTooLarge("too large")] * 1_000
    await trio.sleep(80_000)
    assert len(evaa.spill.spilled_at) == 1
    assert Counter(evaa.writer.begun).most_common(1)[0][1] == 1


async def test_one_that_loses_its_save_is_tried_again_ever_later(evaa: Evaa, autojump_clock: MockClock) -> None:
    tell, begun = trio.open_memory_channel[float](100)

    async def note(brief: WritingBrief) -> Written:
        tell.send_nowait(trio.current_time())
        return await never(brief)

    evaa.writer.manners = {Job("stage", STAGES[0].stage_id): [note] * 100}
    await left_behind(evaa, complete())
    times = []
    for _ in range(6):
        times.append(await begun.receive())
        lease = await evaa.store.acquire(SESSION, "another process", 60)  # takes it, and gives up
        assert lease is not None
        await trio.sleep(LOOK_EVERY_S)
        await evaa.store.release(lease)
    waits = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]


@pytest.mark.parametrize("error", [StoreError("it is odd"), VersionConflict("it is odd"), ZeroDivisionError()])
async def test_a_store_that_answers_oddly_does_not_end_the_looking(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    find, calls = evaa.store.unfinished, 0

    async def unfinished(limit: int) -> tuple[str, ...]:
        nonlocal calls
        calls += 1
        if calls <= 3:
            raise error
        return await find(limit)

    monkeypatch.setattr(evaa.store, "unfinished", unfinished)
    await left_behind(evaa, complete())
    await trio.sleep(5 * LOOK_EVERY_S)
    assert (await documents(evaa)).is_finished
