"""The server goes away, or a session is cancelled, while somebody speaks: what was said until then is stored, once."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.agent import Agent
from actors.server import ServerLimits
from evaa.simulators.deepgram import Fault
from evaa.simulators.deepgram.ear import ClockEar
from protocols.dialects import PLAIN
from protocols.messages import Said as UserSaid
from protocols.speech import Final, Partial
from tests.actors.deepgram_world import PROTOCOLS, DeepgramWorld, Protocol, library, plan
from tests.actors.harness import SESSION, Client, Evaa, raises_once
from tests.actors.interviewers import says
from tests.actors.speech import FakeStt, pcm
from tests.actors.stores import Said

PCM = {"container": "raw", "codec": "linear16", "sampleRate": 8_000}
TEXT = library()["a_dental.webm"].text


async def speaking(evaa: Evaa, stt: FakeStt, *heard: str) -> Client:
    """A client in mid-utterance, of which this was heard so far."""
    client = await evaa.join()
    await client.send(type="start", sessionId=SESSION, audio=PCM)
    await client.send_raw(pcm(0.1))
    await trio.testing.wait_all_tasks_blocked()
    stt.last.tell(*map(Partial, heard))
    await trio.testing.wait_all_tasks_blocked()
    return client


def farewells(client: Client) -> int:
    return sum(frame.kind == "goingAway" for frame in client.everything)


# --- drain ------------------------------------------------------------------------------------------------------


async def test_what_was_heard_in_part_is_finalised_before_the_server_goes(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await speaking(evaa, stt, "and good")
    stt.last.finishes_stream = False
    await evaa.server.drain()
    assert trio.current_time() == 2.0
    assert await client.close_code() == 1001
    assert await evaa.memory() == [Said("and good", "", "pending")]
    assert (stt.open, farewells(client)) == ([], 1)


@pytest.mark.parametrize("result_delay_s", [0.0, 0.5])
@pytest.mark.parametrize("until_s", [1.5, 3.0, 4.5, 5.5])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_recording_is_broken_off_by_a_drain(
    protocol: Protocol, until_s: float, result_delay_s: float, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = DeepgramWorld(nursery, protocol, ear=ClockEar)
    world.simulator.default = Fault(result_delay_s=result_delay_s)
    client = await world.evaa.join()
    for at_s, chunk in plan("a_dental.webm"):
        if at_s > until_s:
            break
        await trio.sleep_until(at_s)
        await client.send_raw(chunk)
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    await world.evaa.server.drain()
    assert trio.current_time() - began <= 2.0
    assert await client.close_code() == 1001
    stored = " ".join(await world.turns())
    assert stored
    assert TEXT.startswith(stored)
    assert stored.split() == [final for said in world.connections[-1].finals for final in said.text.split()]


async def test_words_that_become_final_after_a_live_turn_has_ended_are_kept(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    evaa.interviewer.will(says(1.0, "Which?"))
    client = await speaking(evaa, stt, "Invoices")
    stt.last.tell(Final("Invoices.", None, "model"), Partial("and reminders"))
    await trio.testing.wait_all_tasks_blocked()
    await evaa.server.drain()
    assert await client.close_code() == 1001
    assert await evaa.memory() == [Said("Invoices.", "Which?", "answered"), Said("and reminders", "", "pending")]


# --- an agent that is restarted while the session drains --------------------------------------------------------


async def test_an_agent_that_is_restarted_goes_on_draining(
    evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaa.interviewer.will(says(1.0, "Never", 2.0), says(3.0, "Which?"))
    client = await evaa.join()
    await client.say("one")
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(evaa.server.drain)
    await trio.sleep(0.5)
    monkeypatch.setattr(Agent, "handle", raises_once(RuntimeError("a bug"), Agent.handle))
    await client.send(type="interrupt")
    assert await client.close_code() == 1001
    assert client.closed_at == pytest.approx(0.5 + 0.1 + 3.0)
    assert farewells(client) == 1
    assert await evaa.memory() == [Said("one", "Which?", "answered")]


async def test_an_idle_agent_that_fails_at_the_word_to_drain_ends_all_the_same(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await evaa.join()
    monkeypatch.setattr(Agent, "handle", raises_once(RuntimeError("a bug"), Agent.handle))
    await evaa.server.drain()
    assert trio.current_time() == 0.1
    assert await client.close_code() == 1001
    assert farewells(client) == 1


@pytest.mark.parametrize("after_s", [0.0, 0.05])
async def test_a_drain_while_the_agent_waits_for_its_restart_is_told_once(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, after_s: float
) -> None:
    client = await evaa.join()
    monkeypatch.setattr(Agent, "handle", raises_once(RuntimeError("a bug"), Agent.handle))
    await client.say("lost")
    await trio.testing.wait_all_tasks_blocked()
    await trio.sleep(after_s)
    await evaa.server.drain()
    assert trio.current_time() == 0.1
    assert await client.close_code() == 1001
    assert farewells(client) == 1


async def test_going_away_comes_after_ready(evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    older = await evaa.join()
    older.wire.cut()
    newer = await evaa.connect()
    await evaa.server.drain()
    assert [frame.kind for frame in await newer.rest()] == ["ready", "reply", "goingAway"]


async def test_the_plain_dialect_has_no_such_word(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    await evaa.server.drain()
    assert await client.rest() == []


# --- cancelled --------------------------------------------------------------------------------------------------


async def test_a_cancelled_session_keeps_what_was_heard_and_what_waited(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await speaking(evaa, stt, "and good")
    session = evaa.server._live[SESSION]
    session._to_agent.send_nowait(UserSaid(text="typed", source="text", at=0.0))
    client.wire.scope.cancel()
    assert await client.close_code() == 1001
    assert client.closed_at == 0.0
    assert [said.text for said in await evaa.memory()] == ["typed", "and good"]
    assert (stt.open, evaa.spill.kept) == ([], [])


async def test_a_save_that_is_under_way_when_the_session_is_cancelled_is_not_the_last(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await speaking(evaa, stt, "and good")
    evaa.store.delay_s = 0.5
    await client.say("typed")
    await trio.sleep(0.25)
    client.wire.scope.cancel()
    await evaa.gone()
    assert [said.text for said in await evaa.memory()] == ["typed", "and good"]
    assert evaa.spill.kept == []


async def test_a_session_whose_drain_is_overdue_keeps_what_was_said(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt, limits=ServerLimits(drain_s=1.0, end_s=1.0))
    client = await speaking(evaa, stt, "and good")
    stt.last.finishes_stream = False
    evaa.interviewer.will(says(100.0, "Never."))
    await client.say("typed")
    await evaa.server.drain()
    # 1 s for turns, 1 s for ends, and the client's farewell; the recogniser would have had another second
    assert trio.current_time() == 1.0 + 1.0 + 1.0
    assert [said.text for said in await evaa.memory()] == ["typed", "and good"]


async def test_a_session_that_is_cancelled_in_a_store_failure_spills_what_was_said(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await speaking(evaa, stt, "and good")
    evaa.store.unavailable = True
    client.wire.scope.cancel()
    await evaa.gone()
    assert trio.current_time() == 2.0 + 1.0  # the store's bound, and the client's farewell
    (record,) = [record for record, _ in evaa.spill.kept]
    assert [turn.text for turn in record.interview.turns] == ["and good"]
