"""A reply that is cut short: what the client saw of it is what memory holds, and nothing comes afterwards."""

import pytest
import trio
from trio.testing import MockClock

from evaa.interview.exchange import exchange
from protocols.dialects import PLAIN
from protocols.ports import Answer, AnswerSink, TurnBrief
from tests.actors.harness import Client, Evaa
from tests.actors.interviewers import says
from tests.actors.stores import Said

WORDS = ["One ", "two ", "three ", "four ", "five."]
A_WORD_A_SECOND = [step for word in WORDS for step in (1.0, word)]


def seen(client: Client, turn: int) -> str:
    """What the client has of the turn's deltas by now."""
    return "".join(frame["text"] for frame in client.waiting if frame.kind == "delta" and frame["turn"] == turn)


@pytest.mark.parametrize("seconds_per_write", [0.0, 0.3, 0.7, 1.3])
@pytest.mark.parametrize("at", [0.5, 1.0, 1.4, 2.1, 2.9, 3.6, 4.99])
@pytest.mark.parametrize("how", ["interrupt", "text"])
async def test_memory_holds_what_the_client_saw(
    evaa: Evaa, autojump_clock: MockClock, at: float, seconds_per_write: float, how: str
) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND), says(100.0, "never"))
    client = await evaa.join()
    client.wire.seconds_per_write = seconds_per_write
    await client.say("one")
    await trio.sleep(at)
    if how == "text":
        await client.say("two")
    else:
        await client.send(type="interrupt")
    await trio.sleep(20)
    delivered = seen(client, 1)
    first, *_ = await evaa.memory()
    assert first.reply == delivered
    outcome = "superseded" if how == "text" and not delivered else "interrupted"
    assert first.outcome == outcome


async def test_an_interrupt_keeps_what_was_said(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND))
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(2.5)
    await client.send(type="interrupt")
    cancelled = (await client.until("turnCancelled"))[-1]
    assert (cancelled["turn"], cancelled["reason"], cancelled.at) == (1, "interrupted", 2.5)
    await client.nothing_for(60)
    assert evaa.interviewer.cancelled == 1
    record = await evaa.record()
    assert record.messages[1:] == exchange("one", "One two ")
    assert record.interview.follow_ups_used == 0


async def test_the_next_utterance_is_answered_by_itself_and_the_interviewer_knows(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND))
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(2.5)
    assert (await client.ask("two"))["response"] == "2: two"
    brief = evaa.interviewer.briefs[-1]
    assert (brief.words, brief.interrupted) == ("two", True)
    assert await evaa.memory() == [Said("one", "One two ", "interrupted"), Said("two", "2: two", "answered")]


async def test_an_utterance_before_anything_was_delivered_joins_the_last(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND))
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(0.5)
    await client.say("two")
    frames = await client.until("reply")
    assert [frame["reason"] for frame in frames if frame.kind == "turnCancelled"] == ["superseded"]
    brief = evaa.interviewer.briefs[-1]
    assert (brief.words, brief.interrupted) == ("one\ntwo", False)
    assert await evaa.memory() == [Said("one", "", "superseded"), Said("two", "2: one\ntwo", "answered")]


async def test_in_the_plain_dialect_nothing_is_delivered_before_the_whole(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND))
    client = await evaa.join(dialect=PLAIN)
    await client.say("one")
    await trio.sleep(4.5)
    await client.say("two")
    assert [frame["response"] for frame in await client.expect("reply")] == ["2: one\ntwo"]
    await client.nothing_for(60)
    assert await evaa.memory() == [Said("one", "", "superseded"), Said("two", "2: one\ntwo", "answered")]


async def test_an_interrupt_before_anything_was_delivered_owes_no_reply(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(*A_WORD_A_SECOND))
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(0.5)
    await client.send(type="interrupt")
    await client.until("turnCancelled")
    await client.leave()
    again = await evaa.join()
    await again.nothing_for(60)
    assert (await again.ask("two"))["response"] == "2: one\ntwo"
    assert await evaa.memory() == [Said("one", "", "interrupted"), Said("two", "2: one\ntwo", "answered")]


async def test_an_interrupt_of_nothing_is_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await client.send(type="interrupt")
    await client.ask("one")
    await client.send(type="interrupt")
    await client.nothing_for(60)
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_a_reply_that_is_leaving_cannot_be_interrupted(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("All of it."))
    client = await evaa.join()
    client.wire.seconds_per_write = 1.0
    await client.say("one")
    await client.expect("delta")
    await client.send(type="interrupt")
    await trio.sleep(10)
    assert await evaa.memory() == [Said("one", "All of it.", "answered")]


async def test_an_interviewer_that_talks_on_after_it_was_cancelled_is_not_heard(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    async def stubborn(brief: TurnBrief, sink: AnswerSink) -> Answer:
        sink.text("Heard. ")
        try:
            await trio.sleep(100)
        finally:
            sink.text("Not heard.")
            sink.restarted("Not heard either")
            sink.received()
        raise AssertionError

    evaa.interviewer.will(stubborn)
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(1)
    await client.send(type="interrupt")
    await trio.sleep(1)
    kinds = {frame.kind: frame for frame in client.waiting}
    assert set(kinds) == {"turnStarted", "delta", "turnCancelled"}
    assert kinds["delta"]["text"] == "Heard. "
    assert await evaa.memory() == [Said("one", "Heard. ", "interrupted")]


async def test_an_answer_that_comes_in_spite_of_the_cancellation_is_not_taken(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    async def shielded(brief: TurnBrief, sink: AnswerSink) -> Answer:
        with trio.CancelScope(shield=True) as shield:
            answer = await says(5.0, "Too late.")(brief, sink)
        assert not shield.cancelled_caught
        return answer

    evaa.interviewer.will(shielded)
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(1)
    await client.ask("two")
    await trio.sleep(60)
    assert await evaa.memory() == [Said("one", "", "superseded"), Said("two", "2: one\ntwo", "answered")]
    assert not [frame for frame in client.waiting if frame.kind in ("delta", "reply")]
