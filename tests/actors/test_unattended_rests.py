"""Sessions that nobody is connected to: for how long they are left alone, and what they keep from others."""

from collections.abc import Callable

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.unattended import LOOK_EVERY_S, MAX_AT_ONCE, MAX_REST_S
from actors.writing import WritingLimits
from evaa.documents.catalogue import SECTIONS
from evaa.interview.engine import TurnEngine
from protocols.messages import Wrote
from protocols.ports import StoreUnavailable
from protocols.records import Lease, SessionRecord
from protocols.writing import Job, Review, WriterFailed, WritingBrief, Written
from tests.actors.harness import OTHER_SESSION, SESSION, STAGES, Client, Evaa
from tests.actors.stores import WatchedStore
from tests.actors.test_documents import interviewed
from tests.actors.test_unattended import PIECES, complete, documents, left_behind, said
from tests.actors.writers import fails, never, plainly
from tests.computing import T

CORRECTION = Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")
OTHER = Review("other", "Thanks.", "fake")


@pytest.fixture
async def evaa(nursery: trio.Nursery, autojump_clock: MockClock) -> Evaa:
    """A process that looks for what nobody is there for."""
    process = Evaa(nursery)
    nursery.start_soon(process.server.finish_documents)
    return process


async def visit(evaa: Evaa, remark: str) -> Client:
    """The user comes, says something, and is gone before the answer."""
    client = await evaa.connect()
    await client.until("completed")
    evaa.writer.review_delay_s = 1.0
    await client.say(remark)
    await client.until("turnStarted")
    await client.leave()
    await evaa.gone()
    return client


async def test_who_often_comes_and_goes_is_looked_after_as_soon_each_time(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    for number in range(1, 8):
        evaa.writer.reviews = [OTHER, OTHER]
        await visit(evaa, f"Remark {number}")
        left_at = trio.current_time()
        await trio.sleep_until(left_at + 2 * LOOK_EVERY_S)
        assert (await evaa.record()).status == "complete"


async def test_a_session_that_failed_and_whose_user_came_is_looked_after_again(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.spill.is_dead = True
    evaa.store.errors = [ZeroDivisionError()] * 1_000
    await left_behind(evaa, complete())
    await trio.sleep(600)
    evaa.store.errors = []
    begun = len(evaa.writer.begun)
    await trio.sleep(6_000)
    assert len(evaa.writer.begun) == begun
    evaa.writer.reviews = [CORRECTION, CORRECTION]
    await visit(evaa, "No, 50 invoices a day")
    await trio.sleep(60)
    assert (await evaa.record()).status == "complete"
    assert len((await documents(evaa)).versions) == 2


async def test_a_provider_that_says_come_back_tomorrow_holds_up_no_other_session(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.writer.manners = {Job("project"): [fails(passing=True, retry_after_s=86_400.0)] * MAX_AT_ONCE}
    for number in range(MAX_AT_ONCE):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(60)
    await left_behind(evaa, complete(OTHER_SESSION))
    await trio.sleep(2 * LOOK_EVERY_S)
    assert (await documents(evaa, OTHER_SESSION)).is_finished


async def test_what_can_only_be_had_later_is_had_later_and_paid_for_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("section", "risks"): [fails(passing=True, retry_after_s=1_800.0)]}
    await left_behind(evaa, complete())
    await trio.sleep(1_800)
    assert len(evaa.writer.begun) == len(evaa.writer.wrote) + 1 == PIECES  # all else is there, and nobody asks
    assert not (await documents(evaa)).is_finished
    await trio.sleep(2 * LOOK_EVERY_S)
    brd = (await documents(evaa)).brd
    assert brd is not None
    assert [section.key for section in brd.sections if section.missing] == []
    assert len(evaa.writer.wrote) == len(set(evaa.writer.wrote))


async def test_of_several_pieces_that_can_be_had_later_the_last_says_when(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    async def sooner(brief: WritingBrief) -> Written:
        await trio.sleep(1.0)
        raise WriterFailed("429", passing=True, retry_after_s=100.0)

    evaa.writer.manners = {
        Job("section", "risks"): [fails(passing=True, retry_after_s=1_800.0)],
        Job("section", "glossary"): [sooner],
    }
    await left_behind(evaa, complete())
    await trio.sleep(1_800)
    assert evaa.writer.begun.count(Job("section", "glossary")) == 1
    await trio.sleep(3 * LOOK_EVERY_S)
    assert (await documents(evaa)).is_finished


async def test_what_is_away_for_long_is_asked_for_at_least_once_an_hour(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("project"): [fails(passing=True, retry_after_s=86_400.0)]}
    await left_behind(evaa, complete())
    await trio.sleep(MAX_REST_S + 3 * LOOK_EVERY_S)
    assert (await documents(evaa)).is_finished


async def test_an_outage_makes_no_empty_document_where_nobody_waits_for_it(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    outage: list[WriterFailed] = []

    async def away(brief: object) -> None:
        outage.append(WriterFailed("503", passing=True))
        raise outage[-1]

    evaa.writer.manners = {Job("project"): [away] * 3_000}  # type: ignore[list-item]
    await left_behind(evaa, complete())
    await trio.sleep(12 * MAX_REST_S)
    assert 12 * 50 <= len(outage) <= 20 * 60  # some fifty in twenty minutes, and then ever longer nothing
    evaa.writer.manners = {}
    await trio.sleep(MAX_REST_S + 1_800)
    written = await documents(evaa)
    assert written.is_finished
    assert written.summary is not None
    assert written.summary.project.source_turns == (1,)


class SlowStore(WatchedStore):
    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        await trio.sleep(1.5)
        return await super().save(record, lease)


async def test_a_slow_store_does_not_end_a_correction_in_the_middle(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa = Evaa(nursery, store=SlowStore())
    nursery.start_soon(evaa.server.finish_documents)
    evaa.writer.reviews = [CORRECTION]
    evaa.writer.delay_s = 4.0
    await left_behind(evaa, complete(SESSION, said(2, "No, 50 invoices a day", "answered")))
    await trio.sleep(600)
    assert len((await documents(evaa)).versions) == 2
    assert evaa.writer.begun.count(Job("section", "problem")) == 2  # one a version
    assert evaa.spill.spilled_at == []


async def test_who_took_it_in_the_same_instant_keeps_it(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa = Evaa(nursery)
    lease = await evaa.store.create(complete(), "another process", 600)

    async def unfinished(limit: int) -> tuple[str, ...]:
        return (SESSION,)  # it was free when it was looked for

    monkeypatch.setattr(evaa.store, "unfinished", unfinished)
    nursery.start_soon(evaa.server.finish_documents)
    await trio.sleep(2 * LOOK_EVERY_S)
    assert evaa.writer.begun == []
    await evaa.store.renew(lease, 600)  # it is still theirs


async def test_those_that_rest_hide_nobody(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("project"): [fails(passing=True, retry_after_s=86_400.0)] * 100}
    for number in range(2 * MAX_AT_ONCE):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(120)
    evaa.writer.manners = {}
    last_changed = msgspec.structs.replace(complete(OTHER_SESSION), updated_at_ms=2**50)
    await left_behind(evaa, last_changed)  # so the last that is looked for
    await trio.sleep(2 * LOOK_EVERY_S)
    assert (await documents(evaa, OTHER_SESSION)).is_finished


async def test_others_may_begin_while_some_rest_but_not_too_many(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("project"): [fails(passing=True, retry_after_s=86_400.0)] * 3}
    for number in range(3):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(120)
    assert evaa.writer.manners == {Job("project"): []}
    begun = len(evaa.writer.begun)
    evaa.writer.manners = {Job("stage", STAGES[0].stage_id): [never] * 100}
    for number in range(10, 13 + MAX_AT_ONCE):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(60)
    assert len(evaa.writer.begun) - begun == MAX_AT_ONCE * len(STAGES)


async def test_who_comes_and_goes_elsewhere_is_looked_after_as_soon_each_time(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    for number in range(2, 10):
        evaa.writer.reviews = [OTHER]
        lease = await evaa.store.acquire(SESSION, "another process", 60)
        assert lease is not None
        record = await evaa.record()
        turns = (*record.interview.turns, said(number, "A remark", "answered"))
        interview = msgspec.structs.replace(record.interview, turns=turns)
        await evaa.store.save(msgspec.structs.replace(record, interview=interview), lease)
        await evaa.store.release(lease)
        await trio.sleep(2 * LOOK_EVERY_S)
        assert (await evaa.record()).status == "complete"


async def test_what_can_never_be_had_is_named_as_missing(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {job: [fails(passing=False)] for job in (Job("project"), Job("section", "risks"))}
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    brd = (await documents(evaa)).brd
    assert brd is not None
    assert [section.key for section in brd.sections if section.missing] == ["risks"]
    assert len(evaa.store.released) == 2  # who left it behind, and one attempt


async def test_where_nothing_can_be_kept_it_is_tried_ever_later_but_not_never(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.spill.is_dead = True
    await left_behind(evaa, complete())
    evaa.store.errors = [StoreUnavailable("away")] * 10_000
    await trio.sleep(12 * MAX_REST_S)
    assert 18 <= evaa.writer.begun.count(Job("project")) <= 22  # ten in the first hour and a half, then each hour


async def test_those_that_were_tried_already_keep_nobody_waiting(evaa: Evaa, autojump_clock: MockClock) -> None:
    async def in_trouble(brief: WritingBrief) -> Written:
        if brief.session_id != OTHER_SESSION:
            raise WriterFailed("429", passing=True, retry_after_s=61.0)
        return plainly(brief)

    evaa.writer.manners = {Job("stage", STAGES[0].stage_id): [in_trouble] * 1_000}
    evaa.writer.delay_s = 600.0
    for number in range(2 * MAX_AT_ONCE):  # while one half is tried, the rest of the other half is over
        await left_behind(evaa, complete(f"{number:024x}"))
    await left_behind(evaa, msgspec.structs.replace(complete(OTHER_SESSION), updated_at_ms=2**50))
    await trio.sleep(3 * 600 + 6 * LOOK_EVERY_S)
    assert (await documents(evaa, OTHER_SESSION)).stages != {}


async def test_whoever_is_there_is_left_alone(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa = Evaa(nursery)

    async def unfinished(limit: int) -> tuple[str, ...]:
        return (SESSION,)  # it was nobody's when it was looked for

    monkeypatch.setattr(evaa.store, "unfinished", unfinished)
    evaa.writer.delay_s = 100.0
    client = await interviewed(evaa)
    nursery.start_soon(evaa.server.finish_documents)
    await trio.sleep(10 * LOOK_EVERY_S)
    await evaa.server.drain()
    assert trio.current_time() == 10 * LOOK_EVERY_S  # the server knows of the client
    assert await client.close_code() == 1001


async def test_an_outage_of_others_keeps_nobody_waiting_for_long(evaa: Evaa, autojump_clock: MockClock) -> None:
    async def away(brief: WritingBrief) -> Written:
        if brief.session_id != OTHER_SESSION:
            raise WriterFailed("503", passing=True)
        return plainly(brief)

    evaa.writer.manners = {Job("section", kind.key): [away] * 10_000 for kind in SECTIONS}
    for number in range(MAX_AT_ONCE):
        await left_behind(evaa, complete(f"{number:024x}"))
    await trio.sleep(60)
    await left_behind(evaa, complete(OTHER_SESSION))
    await trio.sleep(WritingLimits().patience_s + 2 * LOOK_EVERY_S)
    assert (await documents(evaa, OTHER_SESSION)).is_finished


async def test_what_was_refused_is_kept_though_something_else_is_put_off(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    one = trio.CapacityLimiter(1)

    async def compute(work: Callable[[], T]) -> T:
        async with one:
            with trio.CancelScope(shield=True):  # as with a thread, only the wait can be cancelled
                await trio.sleep(1.0)
            return work()

    async def refused(brief: WritingBrief) -> Written:
        nursery.start_soon(compute, lambda: None)  # somebody else's piece is being checked
        await trio.sleep(0.5)
        raise WriterFailed("refused", passing=False)

    evaa = Evaa(nursery, compute=compute)
    nursery.start_soon(evaa.server.finish_documents)
    evaa.writer.manners = {
        Job("section", "risks"): [fails(passing=True, retry_after_s=1_800.0)] * 3,
        Job("section", "glossary"): [refused] * 100,
    }
    await left_behind(evaa, complete())
    await trio.sleep(4 * MAX_REST_S)
    assert evaa.writer.begun.count(Job("section", "glossary")) == 1


async def test_an_actor_that_fails_again_and_again_however_slowly_is_given_up(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: TurnEngine, wrote: Wrote) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TurnEngine, "_on_wrote", failing)
    evaa.writer.delay_s = 4.0  # so slowly that there are never four restarts within ten seconds
    await left_behind(evaa, complete())
    await trio.sleep(86_400)
    assert evaa.writer.begun.count(Job("stage", STAGES[0].stage_id)) == 1 + 3
