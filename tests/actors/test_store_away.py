"""The store is away for a while, or for ever: the talk goes on, and the client knows what is safe."""

import pytest
import trio
from trio.testing import MockClock

from evaa.interview.acknowledgements import MAX_UNSAVED
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import Evaa, error_code
from tests.actors.interviewers import says
from tests.actors.stores import Said


async def test_the_talk_goes_on_and_the_client_is_told_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    for number in (1, 2, 3):
        await client.say(f"word {number}", f"w{number}")
        await client.until_turn(number)
        await trio.sleep(5)
    evaa.store.unavailable = False
    await trio.sleep(10)
    assert client.heard("error") == ["storage_unavailable"]
    assert client.heard("turnStarted") == ["w1", "w2", "w3"]
    assert all(frame.at >= 15.0 for frame in client.everything if frame.kind == "turnStarted")
    assert [said.outcome for said in await evaa.memory()] == ["answered"] * 3
    assert len(evaa.store.saved) == 1  # the newest state contains the others


async def test_the_client_is_told_again_when_it_is_away_again(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    for number in (1, 2):
        evaa.store.unavailable = True
        await client.say(f"word {number}")
        await trio.sleep(5)
        evaa.store.unavailable = False
        await trio.sleep(10)
    assert client.heard("error") == ["storage_unavailable"] * 2


async def test_in_the_plain_dialect_the_warning_comes_before_a_reply_that_is_not_safe(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join(dialect=PLAIN)
    evaa.store.unavailable = True
    await client.say("one")
    error, reply = await client.expect("error", "reply")
    assert (error_code(error), error["error"]["retryable"]) == ("storage_unavailable", True)
    assert (reply["response"], reply.at) == ("1: one", 0.0)


async def test_in_the_plain_dialect_a_reply_waits_for_a_slow_store(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    evaa.store.delay_s = 1.9
    await client.say("one")
    assert (await client.reply()).at == 1.9
    assert client.heard("error") == []


async def test_in_the_plain_dialect_a_reply_waits_no_longer_than_until_the_client_is_told(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join(dialect=PLAIN)
    evaa.store.delay_s = 9.0
    await client.say("one")
    error, reply = await client.expect("error", "reply")
    assert (error_code(error), error.at, reply.at) == ("storage_unavailable", 2.0, 2.0)


async def test_a_save_that_hangs_is_told_before_its_outcome_is_known(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.delay_s = 9.0
    await client.say("one", "x")
    _, _, error, started = await client.expect("delta", "reply", "error", "turnStarted")
    assert (error_code(error), error.at) == ("storage_unavailable", 2.0)
    assert (started["id"], started.at) == ("x", 9.0)


async def test_while_the_store_is_away_only_so_much_is_kept(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    for number in range(1, MAX_UNSAVED + 1):
        await client.say(f"word {number}", f"w{number}")
        await client.until("reply")
    await client.say("too much", "w")
    assert error_code((await client.until("error"))[-1]) == "storage_unavailable"
    evaa.store.unavailable = False
    await trio.sleep(10)
    assert client.heard("turnStarted") == [f"w{number}" for number in range(1, MAX_UNSAVED + 1)]
    await client.ask("again", "w")
    assert [said.text for said in await evaa.memory()][MAX_UNSAVED:] == ["again"]


async def test_in_the_typed_dialect_nothing_waits_for_a_slow_store_but_the_acknowledgement(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    evaa.store.delay_s = 1.9
    await client.say("one")
    delta, reply, started = await client.expect("delta", "reply", "turnStarted")
    assert (delta.at, reply.at, started.at) == (0.0, 0.0, 1.9)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_store_that_never_comes_back_leaves_it_all_to_the_spill(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery, dialect: str
) -> None:
    client = await evaa.join(dialect=dialect)
    await client.ask("one")
    evaa.store.unavailable = True
    await client.say("two")
    await client.until("reply")
    await client.say("three")
    await client.until("reply")
    await client.leave()
    await evaa.gone()
    ((record, _),) = evaa.spill.kept
    assert [turn.text for turn in record.interview.turns] == ["one", "two", "three"]

    evaa.store.unavailable = False
    successor = Evaa(nursery, store=evaa.store, spill=evaa.spill, owner="the next process")
    again = await successor.join(dialect=dialect)
    assert [said.outcome for said in await successor.memory()] == ["answered"] * 3
    assert (await again.ask("four"))["response"].startswith("4: four")
    assert evaa.spill.kept == []


async def test_what_was_spilled_never_replaces_what_another_process_wrote_since(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("spilled")
    await client.until("reply")
    await client.leave()
    await evaa.gone()
    evaa.store.unavailable = False

    other = Evaa(nursery, store=evaa.store, owner="another process")  # it knows nothing of the spill
    elsewhere = await other.join()
    await elsewhere.ask("newer")
    await elsewhere.leave()
    await other.gone()
    await evaa.join()
    assert await evaa.memory() == [Said("newer", "1: newer", "answered")]
    assert [record.interview.turns[0].text for record in evaa.spill.rejected] == ["spilled"]


async def test_an_interrupt_while_the_store_is_away(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("Half", 100.0, " of it"))
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one", "x")
    await trio.sleep(1)
    await client.send(type="interrupt")
    await trio.sleep(1)
    evaa.store.unavailable = False
    assert (await client.until("turnStarted"))[-1]["id"] == "x"
    assert await evaa.memory() == [Said("one", "Half", "interrupted")]


async def test_a_store_that_fails_now_and_then_is_not_noticed_but_for_the_warning(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    for number in range(1, 8):
        evaa.store.fail_next(number % 3, "save")
        await client.ask(f"word {number}", f"w{number}")
        await trio.sleep(3)
    assert client.heard("turnStarted") == [f"w{number}" for number in range(1, 8)]
    assert set(client.heard("error")) == {"storage_unavailable"}
    assert [said.text for said in await evaa.memory()] == [f"word {number}" for number in range(1, 8)]


async def test_a_renewal_that_fails_costs_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.fail_next(2, "renew")
    await trio.sleep(12)
    assert (await client.ask("one"))["response"] == "1: one"
    assert client.heard("error") == []


async def test_a_release_that_fails_costs_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.store.fail_next(1, "release")
    await client.leave()
    await evaa.gone()
    assert trio.current_time() == 0.0
    await evaa.join()


async def test_a_store_that_is_away_is_not_waited_for_to_release_the_lease(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    evaa.store.unavailable = True
    await client.say("one")
    await client.until("reply")
    await client.leave()
    await evaa.gone()
    assert evaa.store.tried_to_release == 0
