"""Frames that come twice, too early, or after a reconnect: nothing happens twice."""

import pytest
import trio
from trio.testing import MockClock

from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import SESSION, Evaa
from tests.actors.interviewers import fails, says
from tests.actors.stores import Said


async def test_the_same_id_again_after_the_reply(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    first = await client.ask("one", "x")
    await client.say("one", "x")
    started, again = await client.expect("turnStarted", "reply")
    assert (started["turn"], started["id"]) == (1, "x")
    assert (again["turn"], again["response"], again["id"]) == (1, first["response"], "x")
    assert len(evaa.interviewer.briefs) == 1
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_the_same_id_again_in_mid_reply(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("Half", 5.0, " of it"))
    client = await evaa.join()
    await client.say("one", "x")
    await trio.sleep(1)
    await client.say("one", "x")
    frames = await client.until("reply")
    assert [frame.kind for frame in frames].count("turnCancelled") == 0
    assert (frames[-1]["response"], frames[-1].at) == ("Half of it", 5.0)
    assert await evaa.memory() == [Said("one", "Half of it", "answered")]


async def test_the_same_id_again_before_it_is_durable_is_acknowledged_once(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    evaa.store.delay_s = 2.0
    await client.say("one", "x")
    await client.say("one", "x")
    await client.say("one", "x")
    await trio.sleep(10)
    started = [frame for frame in client.waiting if frame.kind == "turnStarted"]
    assert [(frame["id"], frame.at) for frame in started] == [("x", 2.0)]


async def test_the_same_id_again_after_a_reconnect(evaa: Evaa, autojump_clock: MockClock) -> None:
    first = await (client := await evaa.join()).ask("one", "x")
    await client.leave()
    client = await evaa.join()
    assert (await client.ask("one", "x"))["response"] == first["response"]
    assert len(evaa.interviewer.briefs) == 1
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_the_same_id_again_after_a_reconnect_while_its_reply_is_owed(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    evaa.interviewer.will(says("Never", 100.0, " said"), says("Now", 5.0, " it is"))
    client = await evaa.join()
    await client.say("one", "x")
    await client.until("turnStarted")
    newer = await evaa.connect()
    await newer.until("ready")
    await newer.say("one", "x")
    assert (await newer.reply())["response"] == "Now it is"
    await newer.nothing_for(200)
    assert await evaa.memory() == [Said("one", "Now it is", "answered")]


async def test_the_same_id_again_after_nobody_could_answer_asks_again(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(fails(2.0))
    client = await evaa.join()
    await client.say("one", "x")
    await client.error()
    assert (await client.ask("one", "x"))["response"] == "1: one"
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_without_an_id_the_same_text_is_said_twice(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    await client.ask("one")
    await client.ask("one")
    assert [said.text for said in await evaa.memory()] == ["one", "one"]


async def test_a_text_before_start_on_a_connection_bound_by_the_url(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await client.ask("one")
    await client.send(type="start", sessionId=SESSION)
    (ready,) = await client.expect("ready")
    assert not ready["resumed"], "the session is as new as when the connection was bound to it"
    assert (await client.ask("two"))["turn"] == 2


async def test_a_text_before_start_on_a_connection_that_is_not_bound(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    await client.say("one", "x")
    await client.send(type="start", sessionId=SESSION)
    await client.say("one", "x")
    frames = await client.until("ready")
    assert [frame.kind for frame in frames] == ["error", "ready"]
    assert (await client.until_turn(1))["response"] == "1: one"
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_start_twice_tells_twice_where_the_session_stands(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    await client.send(type="start", sessionId=SESSION)
    await client.send(type="start", sessionId=SESSION, replay=True)
    first, opening, second = await client.expect("ready", "reply", "ready")
    assert "messages" not in first
    assert [line["text"] for line in second["messages"]] == [opening["response"]]
    await client.nothing_for(5)


@pytest.mark.parametrize("count", [2, 20])
async def test_texts_in_one_breath_are_answered_together(evaa: Evaa, autojump_clock: MockClock, count: int) -> None:
    evaa.interviewer.will(*[says(1.0, "late")] * (count - 1))
    client = await evaa.join()
    for number in range(count):
        await client.say(str(number), f"n{number}")
    reply = await client.reply()
    words = "\n".join(str(number) for number in range(count))
    assert (reply["turn"], reply["response"]) == (count, f"{count}: {words}")
    memory = await evaa.memory()
    assert [said.text for said in memory] == [str(number) for number in range(count)]
    assert [said.outcome for said in memory] == ["superseded"] * (count - 1) + ["answered"]
    acknowledged = [frame["id"] for frame in [*client.passed, *client.waiting] if frame.kind == "turnStarted"]
    assert acknowledged == [f"n{number}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 30])
async def test_texts_just_before_a_good_bye_are_kept(evaa: Evaa, autojump_clock: MockClock, count: int) -> None:
    client = await evaa.join()
    for number in range(count):
        await client.say(str(number), f"n{number}")
    await client.leave()
    await evaa.gone()
    assert [said.text for said in await evaa.memory()] == [str(number) for number in range(count)]


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_reply_that_was_on_its_way_at_the_good_bye_is_committed(
    evaa: Evaa, autojump_clock: MockClock, dialect: str
) -> None:
    client = await evaa.join(dialect=dialect)
    client.wire.seconds_per_write = 0.5
    await client.say("one")
    await trio.sleep(0.6 if dialect == TYPED_JSON else 0.1)
    await client.leave()
    await evaa.gone()
    assert await evaa.memory() == [Said("one", "1: one", "answered")]
