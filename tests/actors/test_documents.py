"""From the closing reply to the documents: written in the background, once each, whoever comes and goes."""

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from actors.unattended import LOOK_EVERY_S
from actors.writing import NOT_HAD, WritingLimits
from evaa.documents.catalogue import SECTIONS, TEXT
from evaa.documents.desk import WRITING
from evaa.documents.n8n import workflow
from evaa.documents.n8n.problems import Problem
from protocols.dialects import PLAIN, TYPED_JSON
from protocols.documents import Brd
from protocols.writing import DraftEntry, Job, Review, WriterFailed, WritingBrief, Written
from tests.actors.harness import STAGES, Client, Evaa
from tests.actors.interviewers import says
from tests.actors.writers import fails, never
from tests.computing import T

JOBS = {
    *(Job("stage", stage.stage_id) for stage in STAGES),
    Job("project"),
    *(Job("section", kind.key) for kind in SECTIONS),
}


async def interviewed(evaa: Evaa, dialect: str = TYPED_JSON) -> Client:
    """A client whose last stage has just closed."""
    evaa.interviewer.will(says("Good.", closes=True), says("Thank you.", closes=True))
    client = await evaa.join(dialect=dialect)
    await client.ask("We type 40 invoices a day", "a")
    closing = await client.ask("A mail starts it", "b")
    assert closing["nextStageData"] == {"completed": True, "status": "drafting"}
    return client


async def newest(evaa: Evaa) -> Brd:
    documents = (await evaa.record()).documents
    assert documents is not None
    assert documents.brd is not None
    return documents.brd


async def test_the_documents_follow_the_closing_reply(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    frames = await client.until("completed")
    steps = [(frame["step"], frame["done"], frame["total"]) for frame in frames if frame.kind == "progress"]
    assert steps[:4] == [("summary", 0, 3), ("summary", 1, 3), ("summary", 2, 3), ("brd", 0, 22)]
    assert steps[4:] == [("brd", done, 22) for done in range(1, 22)]
    assert frames[-1]["brd"]["version"] == 1
    assert Counter(evaa.writer.wrote) == Counter(JOBS)
    assert trio.current_time() == 1 + 1 + 6  # the stages, the project, 22 sections by four
    assert [section.key for section in (await newest(evaa)).sections] == [kind.key for kind in SECTIONS]


async def test_in_the_plain_dialect_one_frame_says_that_they_are_ready(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa, PLAIN)
    frame = await client.receive()
    assert (frame["response"], frame["nextStage"]) == ("", True)
    assert (frame["nextStageData"]["completed"], frame["nextStageData"]["status"]) == (True, "complete")
    assert {"summary", "brd"} < set(frame["nextStageData"])


async def test_what_is_said_while_they_are_written_is_answered_at_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 5.0
    client = await interviewed(evaa)
    assert (await client.ask("And invoices from abroad"))["response"] == WRITING
    assert trio.current_time() == 0.0


async def test_what_was_said_meanwhile_is_looked_at_afterwards(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.ask("No, 50 invoices a day")
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    await client.until("completed")
    again = (await client.until("completed"))[-1]
    assert (again["brd"]["version"], again["brd"]["change"]) == (2, "50 instead of 40")
    assert [brief.words for brief in evaa.writer.asked] == ["No, 50 invoices a day"]
    assert evaa.writer.wrote.count(Job("section", "problem")) == 2
    assert evaa.writer.wrote.count(Job("section", "risks")) == 1


async def test_a_crash_in_the_middle_pays_for_nothing_twice(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.until("progress")
    await trio.sleep(4.5)
    done = list(evaa.writer.wrote)
    assert 0 < len(done) < len(JOBS)
    evaa.die()
    successor = await evaa.reborn()
    successor.writer.delay_s = 1.0
    again = await successor.connect()
    await again.until("completed")
    assert Counter(done) + Counter(successor.writer.wrote) == Counter(JOBS)


async def test_who_leaves_has_them_written_all_the_same(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    nursery.start_soon(evaa.server.finish_documents)
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await trio.sleep(2.5)
    await client.leave()
    await evaa.gone()
    await trio.sleep(LOOK_EVERY_S + 10)
    assert (await newest(evaa)).version == 1
    assert set(evaa.writer.wrote) == JOBS
    back = await evaa.connect()
    assert (await back.until("completed"))[-1]["brd"]["version"] == 1
    assert len(evaa.writer.wrote) == len(JOBS)


async def test_who_comes_back_meanwhile_takes_over(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    nursery.start_soon(evaa.server.finish_documents)
    evaa.writer.delay_s = 3.0
    client = await interviewed(evaa)
    await client.leave()
    await evaa.gone()
    await trio.sleep(LOOK_EVERY_S + 4)
    back = await evaa.connect()
    frames = await back.until("completed")
    assert [frame.kind for frame in frames[:2]] == ["ready", "reply"]
    assert Counter(evaa.writer.wrote) == Counter(JOBS)


async def test_another_process_leaves_it_to_its_owner(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    other = Evaa(nursery, store=evaa.store, owner="another process")
    nursery.start_soon(other.server.finish_documents)
    evaa.writer.delay_s = 4.0
    client = await interviewed(evaa)
    await client.until("completed")
    assert other.writer.begun == []


# --- a writer in trouble ------------------------------------------------------------------------------------------


async def test_what_passes_is_waited_for(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("section", "risks"): [fails(passing=True, retry_after_s=20.0)] * 2}
    client = await interviewed(evaa)
    await client.until("completed")
    assert trio.current_time() == 40.0
    assert (await newest(evaa)).section("risks").missing == ""


async def test_so_many_pieces_are_written_at_once_and_no_more(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 100.0
    await interviewed(evaa)
    await trio.sleep(250)  # the stages and the project are done
    assert len(evaa.writer.begun) == len(STAGES) + 1 + WritingLimits().at_once


async def test_the_waits_grow_and_then_it_is_given_up(evaa: Evaa, autojump_clock: MockClock) -> None:
    limits = WritingLimits()
    tell, tried = trio.open_memory_channel[float](1_000)

    async def away(brief: WritingBrief) -> Written:
        tell.send_nowait(trio.current_time())
        raise WriterFailed("503", passing=True)

    evaa.writer.manners = {Job("section", "risks"): [away] * 1_000}
    client = await interviewed(evaa)
    await watched(client, limits.patience_s)
    await client.until("completed")
    assert (await newest(evaa)).section("risks").missing == NOT_HAD
    tell.close()
    times = [time async for time in tried]
    assert times[-1] == limits.patience_s
    waits = [later - sooner for sooner, later in itertools.pairwise(times)][:-1]  # the last ends with the patience
    for wait, back_off_s in itertools.zip_longest(waits, [1.0, 2.0, 4.0, 8.0, 16.0], fillvalue=30.0):
        assert back_off_s / 2 <= wait <= back_off_s


async def test_who_watches_does_not_wait_for_long_though_the_provider_says_so(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.writer.manners = {Job("section", "risks"): [fails(passing=True, retry_after_s=3_600.0)] * 1_000}
    client = await interviewed(evaa)
    await watched(client, WritingLimits().patience_s)
    await client.until("completed")
    assert (await newest(evaa)).section("risks").missing == NOT_HAD
    assert evaa.writer.begun.count(Job("section", "risks")) == 2


async def test_in_an_outage_all_pieces_are_waited_for_at_the_same_time(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("section", kind.key): [fails(passing=True)] * 1_000 for kind in SECTIONS}
    client = await interviewed(evaa)
    await watched(client, WritingLimits().patience_s)
    await client.until("completed")
    assert trio.current_time() == WritingLimits().patience_s
    assert all(section.missing == NOT_HAD for section in (await newest(evaa)).sections)


async def test_a_writer_that_hangs_costs_the_piece(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.manners = {Job("section", "risks"): [never]}
    client = await interviewed(evaa)
    await watched(client, WritingLimits().answer_s)
    await client.until("completed")
    assert [section.key for section in (await newest(evaa)).sections if section.missing] == ["risks"]


async def watched(client: Client, seconds: float) -> None:
    """The user is there for so long, and does something before their connection counts as idle."""
    for _ in range(4):
        await trio.sleep(seconds / 4)
        await client.send(type="interrupt")


@pytest.mark.parametrize("job", [Job("stage", STAGES[0].stage_id), Job("project"), Job("section", "risks")])
async def test_a_bug_of_a_writer_costs_the_piece_and_no_more(evaa: Evaa, autojump_clock: MockClock, job: Job) -> None:
    async def bug(brief: WritingBrief) -> Written:
        await trio.sleep(4.0)  # so slow that a supervisor would restart its actor for ever
        raise ZeroDivisionError

    evaa.writer.manners = {job: [bug] * 1_000}
    client = await interviewed(evaa)
    await client.until("completed")
    assert evaa.writer.begun.count(job) == 1
    assert [it.key for it in (await newest(evaa)).sections if it.missing] == (
        [job.key] if job.task == "section" else []
    )


async def test_what_the_check_cannot_cope_with_is_missing(evaa: Evaa, autojump_clock: MockClock) -> None:
    async def odd(brief: WritingBrief) -> Written:
        return Written({"entries": 7}, "fake")  # type: ignore[dict-item]

    evaa.writer.manners = {Job("section", "risks"): [odd]}
    client = await interviewed(evaa)
    await client.until("completed")
    assert (await newest(evaa)).section("risks").missing == NOT_HAD


@pytest.mark.parametrize("job", [Job("stage", STAGES[0].stage_id), Job("project"), Job("section", "risks")])
async def test_what_cannot_be_had_is_named_as_missing(evaa: Evaa, autojump_clock: MockClock, job: Job) -> None:
    evaa.writer.manners = {job: [fails(passing=False)]}
    client = await interviewed(evaa)
    completed = (await client.until("completed"))[-1]
    brd = await newest(evaa)
    assert [section.key for section in brd.sections if section.missing] == ([job.key] if job.task == "section" else [])
    assert completed["brd"]["version"] == 1


async def test_an_unsaid_statement_becomes_a_question(evaa: Evaa, autojump_clock: MockClock) -> None:
    async def invented(brief: WritingBrief) -> Written:
        return Written({"entries": (DraftEntry({TEXT.key: "The budget is 9,999 euros."}, (1,), "stated"),)}, "fake")

    evaa.writer.manners = {Job("section", "problem"): [invented]}
    client = await interviewed(evaa)
    await client.until("completed")
    brd = await newest(evaa)
    assert brd.section("problem").entries == ()
    questions = [entry.fields["question"] for entry in brd.section("openQuestions").entries]
    assert "Is this right? The budget is 9,999 euros." in questions


# --- files --------------------------------------------------------------------------------------------------------


async def test_there_is_no_file_before_there_is_a_brd(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed_slowly(evaa)
    await client.send(type="export", format="markdown")
    assert await client.error() == "not_complete"


async def test_a_file_that_cannot_be_made_costs_the_session_nothing(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    monkeypatch.setattr(
        workflow, "check", lambda made: (Problem("odd", "error", "run", "a node", "it is odd", "even"),)
    )
    await client.send(type="export", format="n8n")
    assert await client.error() == "internal"
    await client.send(type="export", format="markdown")
    assert (await client.until("exported"))[-1]["format"] == "markdown"
    assert client.closed_at is None


async def interviewed_slowly(evaa: Evaa) -> Client:
    evaa.writer.delay_s = 1_000.0
    return await interviewed(evaa)


async def test_a_drain_leaves_what_is_finished_unattended_to_others(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    nursery.start_soon(evaa.server.finish_documents)
    evaa.writer.delay_s = 4.0
    client = await interviewed(evaa)
    await client.leave()
    await evaa.gone()
    await trio.sleep(LOOK_EVERY_S + 5)
    done = list(evaa.writer.wrote)
    assert 0 < len(done) < len(JOBS)
    await evaa.server.drain()
    begun = len(evaa.writer.begun)
    other = Evaa(nursery, store=evaa.store, owner="another process")
    nursery.start_soon(other.server.finish_documents)
    await trio.sleep(2 * LOOK_EVERY_S)
    assert len(evaa.writer.begun) == begun
    assert Counter(done) + Counter(other.writer.wrote) == Counter(JOBS)


async def test_a_drain_leaves_the_rest_to_others(evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    evaa.writer.manners = {Job("section", "risks"): [never]}
    client = await interviewed(evaa)
    await trio.sleep(1)
    await evaa.server.drain()
    assert trio.current_time() == 1.0
    assert await client.close_code() == 1001
    other = Evaa(nursery, store=evaa.store, owner="another process")
    nursery.start_soon(other.server.finish_documents)
    await trio.sleep(LOOK_EVERY_S)
    assert other.writer.wrote == [Job("section", "risks")]
    assert (await newest(evaa)).version == 1


async def test_what_is_being_checked_when_the_server_goes_away_is_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async def compute(work: Callable[[], T]) -> T:
        with trio.CancelScope(shield=True):  # a thread cannot be stopped
            await trio.sleep(1.0)
        return work()

    evaa = Evaa(nursery, compute=compute)
    await interviewed(evaa)
    await trio.sleep(0.5)
    await evaa.server.drain()
    documents = (await evaa.record()).documents
    assert documents is not None
    assert set(documents.stages) == {stage.stage_id for stage in STAGES}
    assert [job.task for job in evaa.writer.begun] == ["stage"] * len(STAGES)
