"""What a user says of the documents: corrections, confirmations, questions, and what nobody understands."""

import trio
from trio.testing import MockClock

from actors.unattended import LOOK_EVERY_S
from actors.writing import WritingLimits
from evaa.documents.catalogue import SECTIONS
from evaa.documents.desk import UNREAD
from protocols.dialects import PLAIN
from protocols.writing import Review, WriterFailed
from tests.actors.harness import SESSION, Evaa
from tests.actors.test_documents import interviewed, newest, watched
from tests.actors.test_unattended import complete, left_behind


async def test_a_correction_makes_a_new_version(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.reviews = [Review("correct", "I changed the figure.", "fake", ("problem", "data"), "50, not 40")]
    evaa.writer.delay_s = 1.0
    reply = await client.ask("It is 50 invoices")
    assert (reply["response"], reply.at) == ("I changed the figure.", 0.0)
    second = (await client.until("completed"))[-1]
    assert (second["brd"]["version"], second["brd"]["change"]) == (2, "50, not 40")
    documents = (await evaa.record()).documents
    assert documents is not None
    first, changed = documents.version(1), documents.version(2)
    assert first is not None
    assert changed is not None
    assert [kind.key for kind in SECTIONS if first.section(kind.key) != changed.section(kind.key)] == [
        "problem",
        "data",
    ]
    assert first.section("problem").entries[0].entry_id == "PR-1"


async def test_a_confirmation_makes_the_draft_a_confirmed_version(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.reviews = [Review("confirm", "It is confirmed.", "fake")]
    await client.ask("Yes, that is right")
    assert (await client.until("completed"))[-1]["brd"]["state"] == "confirmed"
    brd = await newest(evaa)
    assert (brd.version, brd.state, brd.confirmed_in_turn) == (1, "confirmed", 3)
    assert brd.section("problem").entries[0].status == "confirmed"


async def test_a_question_changes_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.reviews = [Review("other", "You are welcome.", "fake")]
    assert (await client.ask("Thanks!"))["response"] == "You are welcome."
    await client.nothing_for(60)
    assert (await newest(evaa)).state == "draft"
    assert len(evaa.writer.asked) == 1


async def test_a_review_that_fails_is_said(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    assert (await client.ask("It is 50"))["response"] == UNREAD
    assert (await newest(evaa)).version == 1


async def test_who_waits_for_the_answer_to_a_remark_does_not_wait_for_ever(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.review_delay_s = WritingLimits().review_s + 10.0
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    assert (await client.ask("It is 50"))["response"] == UNREAD
    assert trio.current_time() == WritingLimits().review_s
    assert (await client.until("completed"))[-1]["brd"]["version"] == 2  # it was looked at once more


async def test_a_silent_look_waits_out_what_passes(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.ask("No, 50 invoices a day")  # it will be looked at
    correction = Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")
    evaa.writer.reviews = [WriterFailed("429", passing=True, retry_after_s=5.0), correction]
    await client.until("completed")
    assert (await client.until("completed"))[-1]["brd"]["version"] == 2
    assert trio.current_time() == 8 + 5 + 1  # the first version, the wait, the correction


async def test_where_nobody_waits_an_answer_may_take_longer(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.ask("No, 50 invoices a day")
    evaa.writer.review_delay_s = WritingLimits().review_s + 1.0
    evaa.writer.reviews = [Review("correct", "Changed.", "fake", ("problem",), "50 instead of 40")]
    await client.until("completed")
    assert (await client.until("completed"))[-1]["brd"]["version"] == 2
    assert len(evaa.writer.asked) == 1


async def test_a_silent_look_that_hangs_is_given_up(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.ask("No, 50 invoices a day")
    evaa.writer.review_delay_s = 1e6
    await client.until("completed")
    await watched(client, WritingLimits().answer_s)
    assert (await client.until("warning"))[-1]["message"] == UNREAD
    assert (await evaa.record()).status == "complete"


async def test_the_answer_to_a_remark_says_what_it_took(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.reviews = [Review("other", "Thanks.", "fake")]
    evaa.writer.review_delay_s = 2.0
    timing = (await client.ask("Good"))["timing"]
    assert (timing["totalMs"], timing["overheadMs"]) == (2000.0, 0.0)


async def test_what_nobody_can_understand_is_said(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    await client.ask("Hm")
    evaa.writer.reviews = [WriterFailed("no usable answer", passing=False)]
    frames = await client.until("warning")
    assert "completed" in [frame.kind for frame in frames]
    assert (frames[-1]["code"], frames[-1]["message"]) == ("agent_unavailable", UNREAD)


async def test_speaking_on_joins_both_corrections(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await interviewed(evaa)
    await client.until("completed")
    evaa.writer.reviews = [Review("other", "Both.", "fake")]
    evaa.writer.review_delay_s = 1.0
    await client.say("It is 50")
    await client.say("and weekly")
    assert (await client.reply())["response"] == "Both."
    assert evaa.writer.asked[-1].words == "It is 50\nand weekly"


async def test_what_comes_with_the_connection_cannot_confirm_what_the_connection_brings(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    nursery.start_soon(evaa.server.finish_documents)
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)  # the first version is written while nobody is there
    evaa.writer.reviews = [Review("confirm", "It is confirmed.", "fake")] * 2
    client = await evaa.connect(None, PLAIN)
    await client.send(textPrompt="Yes, go on", sessionId=SESSION)
    await trio.sleep(1)
    assert (await newest(evaa)).state == "draft"
    await client.leave()
    await evaa.gone()
    again = await evaa.connect(None, PLAIN)
    await again.send(textPrompt="Yes, that is right", sessionId=SESSION)
    await trio.sleep(1)
    assert (await newest(evaa)).state == "confirmed"


async def test_who_binds_without_words_has_the_version_that_comes(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    nursery.start_soon(evaa.server.finish_documents)
    await left_behind(evaa, complete())
    await trio.sleep(2 * LOOK_EVERY_S)
    client = await evaa.connect(None, PLAIN)
    await client.send(textPrompt="", sessionId=SESSION)
    await trio.sleep(1)
    evaa.writer.reviews = [Review("confirm", "It is confirmed.", "fake")]
    await client.send(textPrompt="Yes, that is right")
    await trio.sleep(1)
    assert (await newest(evaa)).state == "confirmed"


async def test_what_never_left_cannot_be_confirmed(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.writer.delay_s = 1.0
    client = await interviewed(evaa)
    client.wire.stall()  # nothing gets through to them any more
    await trio.sleep(30)
    await evaa.gone()
    assert not any(frame.kind == "completed" for frame in client.everything)
    evaa.writer.reviews = [Review("confirm", "It is confirmed.", "fake")]
    back = await evaa.connect(None, PLAIN)
    await back.send(textPrompt="Yes, go on", sessionId=SESSION)
    await trio.sleep(20)
    assert (await newest(evaa)).state == "draft"
