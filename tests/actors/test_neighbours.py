"""One session's trouble is its own: others neither wait for it nor hear of it."""

import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from actors.agent import Agent
from tests.actors.harness import OTHER_SESSION, SESSION, Client, Evaa
from tests.actors.interviewers import fails, says


async def does_not_read(client: Client) -> None:
    client.wire.stall()
    for number in range(300):
        await client.send(type="ping", t=number)


async def is_dead(client: Client) -> None:
    client.wire.cut()


async def hangs_up(client: Client) -> None:
    await client.wire.hang_up()


async def talks_nonsense(client: Client) -> None:
    for _ in range(10):
        await client.send_raw("{")


async def breaks_the_protocol(client: Client) -> None:
    await client.wire.far_end.send_all(b"\xff" * 100)


async def sends_a_flood(client: Client) -> None:
    with contextlib.suppress(ConnectionClosed):  # it may be closed for it
        for number in range(1_000):
            await client.say(f"flood {number}")


async def sends_too_much(client: Client) -> None:
    await client.send_raw("x" * 2_000_000)


async def reads_slowly(client: Client) -> None:
    client.wire.seconds_per_write = 3.0
    await client.say("slowly")


TROUBLES = [
    does_not_read,
    is_dead,
    hangs_up,
    talks_nonsense,
    breaks_the_protocol,
    sends_a_flood,
    sends_too_much,
    reads_slowly,
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(trouble.__name__))
async def test_a_troubled_client(
    evaa: Evaa, autojump_clock: MockClock, trouble: Callable[[Client], Awaitable[None]]
) -> None:
    neighbour = await evaa.join(OTHER_SESSION)
    troubled = await evaa.join(SESSION)
    await trouble(troubled)
    for number in range(1, 6):
        evaa.interviewer.plans.clear()
        reply = await neighbour.ask(f"word {number}")
        assert (reply["turn"], reply.at) == (number, trio.current_time())
        await trio.sleep(7)
    assert neighbour.closed_at is None
    assert neighbour.heard("error") == []
    assert all(said.outcome == "answered" for said in await evaa.memory(OTHER_SESSION))


async def test_replies_are_on_time_beside_a_slow_interviewer(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(100.0, "late"), says(1.0, "on time"))
    slow, quick = await evaa.join(), await evaa.join(OTHER_SESSION)
    await slow.say("one")
    await trio.sleep(0.5)
    assert (await quick.ask("one")).at == 1.5
    assert (await slow.reply()).at == 100.0


async def test_a_session_that_fails_beyond_its_budget(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = await evaa.join(OTHER_SESSION)
    evaa.interviewer.will(says(2.0, "undisturbed"), *[fails(error=RuntimeError("a bug"))] * 4)
    await neighbour.say("one")
    await trio.sleep(0.5)
    broken = await evaa.join()
    await broken.say("one")
    assert await broken.close_code() == 1011
    reply = await neighbour.reply()
    assert (reply["response"], reply.at) == ("undisturbed", 2.0)


async def test_a_session_that_cannot_even_be_loaded(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = await evaa.join(OTHER_SESSION)
    load = evaa.store.load

    async def broken(session_id: str) -> object:
        if session_id == SESSION:
            raise ValueError("garbage in the store")
        return await load(session_id)

    await (await evaa.join()).leave()
    monkeypatch.setattr(evaa.store, "load", broken)
    client = await evaa.connect()
    assert await client.close_code() == 1011
    assert (await neighbour.ask("one"))["response"] == "1: one"
    monkeypatch.undo()
    await evaa.join()


async def test_a_bug_in_one_agent(evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = await evaa.join(OTHER_SESSION)
    run = Agent.run

    async def broken(agent: Agent) -> None:
        if agent._slot.latest.record.session_id == SESSION:
            raise RuntimeError("a bug")
        await run(agent)

    monkeypatch.setattr(Agent, "run", broken)
    client = await evaa.connect()
    assert await client.close_code() == 1011
    assert (await neighbour.ask("one"))["response"] == "1: one"
    assert neighbour.heard("error") == []
