"""Spoken turns through a whole session, from what was recognised to what the client gets and the store keeps."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from protocols.dialects import PLAIN
from protocols.messages import Message, PartlyHeard, ProbablySaid, SpokeOn
from tests.actors.harness import SESSION, Client, Evaa
from tests.actors.interviewers import says
from tests.actors.stores import Said
from tests.evaa.interviews import spoken


async def hear(evaa: Evaa, *messages: Message) -> None:
    """Recognise this."""
    for message in messages:
        await evaa.server._live[SESSION]._to_agent.send(message)
    await trio.testing.wait_all_tasks_blocked()


def in_short(client: Client) -> list[tuple[object, ...]]:
    """The frames that came since the last time."""
    keys = {"transcript": ("turn", "text", "final"), "delta": ("turn", "text"), "reply": ("turn", "response")}
    return [(frame.kind, *(frame[key] for key in keys.get(frame.kind, ("turn",)))) for frame in client.waiting]


async def test_a_spoken_turn_with_a_reply_prepared_ahead(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.interviewer.will(says(0.3, "Which?"))
    began = trio.current_time()
    await hear(evaa, PartlyHeard("Invo"))
    await hear(evaa, PartlyHeard("Invoices"), ProbablySaid("Invoices", began))
    await trio.sleep(0.5)
    assert in_short(client) == [("transcript", 1, "Invo", False), ("transcript", 1, "Invoices", False)]
    assert (await evaa.record()).interview.turns == ()
    await hear(evaa, spoken("Invoices", at=trio.current_time(), stt_ms=300.0))
    frames = in_short(client)
    assert sorted(frames[1:]) == [("delta", 1, "Which?"), ("reply", 1, "Which?"), ("turnStarted", 1)]
    assert frames[0] == ("transcript", 1, "Invoices", True)
    reply = next(frame for frame in client.everything if frame.kind == "reply" and frame["turn"] == 1)
    assert reply.at == began + 0.5
    assert reply["timing"] == {"sttMs": 300.0, "firstTokenMs": 0.0, "totalMs": 0.0, "overheadMs": 0.0}
    assert await evaa.memory() == [Said("Invoices", "Which?", "answered")]


async def test_who_speaks_on_gets_the_reply_to_all_of_it(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    evaa.interviewer.will(says("Too early"))
    await hear(evaa, ProbablySaid("Invoices", 0.0))
    await hear(evaa, SpokeOn(), PartlyHeard("Invoices every"), spoken("Invoices every day"))
    assert (await client.reply())["response"] == "1: Invoices every day"
    assert "Too early" not in str(client.everything)
    assert await evaa.memory() == [Said("Invoices every day", "1: Invoices every day", "answered")]


async def test_the_plain_dialect_gets_the_reply_and_nothing_else(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    await hear(evaa, PartlyHeard("Invo"), ProbablySaid("Invoices", 0.0))
    await hear(evaa, spoken("Invoices"))
    assert [frame["response"] for frame in client.waiting] == ["1: Invoices"]


@pytest.mark.parametrize("ahead", [False, True])
async def test_last_words_are_kept_and_answered_on_resume(evaa: Evaa, autojump_clock: MockClock, ahead: bool) -> None:
    client = await evaa.join()
    evaa.interviewer.will(says(9.0, "Never"))
    if ahead:
        await hear(evaa, ProbablySaid("last words", 0.0))
    session = evaa.server._live[SESSION]
    session._to_agent.send_nowait(spoken("last words"))
    await client.leave()
    await evaa.gone()
    assert await evaa.memory() == [Said("last words", "", "pending")]
    again = await evaa.connect()
    assert (await again.until_turn(1))["response"] == "1: last words"
