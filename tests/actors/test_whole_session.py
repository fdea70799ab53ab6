"""A session from its first stage to its last, in both dialects; how it is bound, resumed and replayed."""

import pytest
import trio
from trio.testing import MockClock

from evaa.documents.desk import WRITING
from evaa.interview.exchange import exchange
from evaa.interview.views import GOODBYE
from evaa.llm.scripted import ScriptedInterviewer
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OPENING, OTHER_SESSION, SECOND_OPENING, SESSION, Evaa
from tests.actors.interviewers import fails, says
from tests.actors.stores import Said

SECOND_STAGE = {
    "stageId": "b" * 24,
    "name": "Trigger",
    "description": "what starts it",
    "goal": "know the trigger",
    "order": 2,
    "totalStages": 2,
}
THE_END = {"completed": True, "status": "drafting"}
OPENING_FRAME = {"response": OPENING, "nextStage": False, "nextStageData": None}


async def test_a_typed_session_from_the_first_stage_to_the_last(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says(1.5, "Which ", 0.5, "ones?"), says("Good. ", SECOND_OPENING, closes=True), says("When?"))
    evaa.writer.delay_s = 1_000
    client = await evaa.connect()

    ready, opening = await client.expect("ready", "reply")
    assert (ready["sessionId"], ready["resumed"], ready["status"]) == (SESSION, False, "interviewing")
    assert (ready["stage"]["name"], ready["stage"]["followUpsUsed"]) == ("Goal", 0)
    assert ready["stages"][1] == SECOND_STAGE | {"followUpsUsed": 0, "maxFollowUps": 1}
    assert "messages" not in ready
    assert (opening["turn"], opening["response"], opening["nextStage"]) == (0, OPENING, False)

    await client.say("Invoices", "x1")
    started, first, second, reply = await client.expect("turnStarted", "delta", "delta", "reply")
    assert (started["turn"], started["source"], started["id"]) == (1, "text", "x1")
    assert [(first["text"], first.at), (second["text"], second.at)] == [("Which ", 1.5), ("ones?", 2.0)]
    assert (reply["turn"], reply["response"], reply["id"]) == (1, "Which ones?", "x1")
    assert (reply["nextStage"], reply["nextStageData"]) == (False, None)
    assert reply["timing"] == {"sttMs": None, "firstTokenMs": 1500.0, "totalMs": 2000.0, "overheadMs": 0.0}

    closing = await client.ask("The paid ones")
    assert (closing["response"], closing["nextStage"]) == (f"Good. {SECOND_OPENING}", True)
    assert closing["nextStageData"] == SECOND_STAGE
    assert not (await client.ask("A mail"))["nextStage"]
    end = await client.ask("Every day")
    assert (end["nextStage"], end["nextStageData"]) == (True, THE_END)
    assert end["response"] == f"4: Every day\n\n{GOODBYE}"
    assert (await client.ask("And?"))["response"] == WRITING

    await client.leave()
    await evaa.gone()
    record = await evaa.record()
    assert [turn.outcome for turn in record.interview.turns] == ["answered"] * 5
    assert record.status == "drafting"
    assert record.messages[:3] == (*exchange("", OPENING), *exchange("Invoices", "Which ones?"))


async def test_a_plain_session_from_the_first_stage_to_the_last(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(
        says("Which ", 1.0, "ones?"), says("Good. ", SECOND_OPENING, closes=True), says("When?"), says("Fine.")
    )
    evaa.writer.delay_s = 1_000
    client = await evaa.connect(dialect=PLAIN)
    for text in ("Invoices", "The paid ones", "A mail", "Every day", "And?"):
        await client.reply()
        await client.say(text)
    last = await client.reply()
    assert last == {"response": WRITING, "nextStage": False, "nextStageData": None}
    await client.leave()
    assert await evaa.memory() == [
        Said("Invoices", "Which ones?", "answered"),
        Said("The paid ones", f"Good. {SECOND_OPENING}", "answered"),
        Said("A mail", "When?", "answered"),
        Said("Every day", f"Fine.\n\n{GOODBYE}", "answered"),
        Said("And?", WRITING, "answered"),
    ]


async def test_the_plain_dialect_says_whole_replies_and_nothing_else(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("a", 1.0, "b"), says("c", closes=True))
    client = await evaa.connect(dialect=PLAIN)
    assert await client.expect("reply") == [OPENING_FRAME]
    await client.say("one")
    assert await client.expect("reply") == [{"response": "ab", "nextStage": False, "nextStageData": None}]
    await client.say("two")
    assert await client.expect("reply") == [{"response": "c", "nextStage": True, "nextStageData": SECOND_STAGE}]
    await client.nothing_for(60)


async def test_seq_grows_by_one(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect()
    for text in ("one", "two", "three"):
        await client.ask(text)
        await client.send(type="ping", t=text)
    await client.leave()
    frames = [*client.passed, *await client.rest()]
    numbers = [frame["seq"] for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("dialect", [None, PLAIN, TYPED_JSON])
async def test_the_subprotocol_that_was_offered_is_answered(
    evaa: Evaa, autojump_clock: MockClock, dialect: str | None
) -> None:
    client = await evaa.connect(dialect=dialect)
    assert client.websocket.subprotocol == dialect
    assert (await client.receive()).get("type") == ("ready" if dialect == TYPED_JSON else None)


async def test_the_scripted_interviewer_leads_through_all_stages(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa = Evaa(nursery, interviewer=ScriptedInterviewer())
    client = await evaa.join()
    assert (await client.ask("Invoices"))["response"] == "Got it. Why?"
    assert (await client.ask("They are late"))["response"] == f"Understood. {SECOND_OPENING}"
    assert (await client.ask("A mail"))["nextStageData"] == THE_END
    record = await evaa.record()
    assert record.interview.facts["a" * 24] == {OPENING: "Invoices", "Why?": "They are late"}


# --- binding ------------------------------------------------------------------------------------------------------


async def test_a_typed_client_may_be_bound_by_its_first_frame(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    await client.nothing_for(30)
    await client.send(type="start", sessionId=SESSION.upper())
    ready, opening = await client.expect("ready", "reply")
    assert (ready["sessionId"], opening["turn"]) == (SESSION, 0)


async def test_a_plain_client_may_be_bound_by_its_first_frame_which_may_carry_a_text(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.connect(session_id=None, dialect=PLAIN)
    await client.say("Invoices")
    first, second = await client.expect("reply", "reply")
    assert (first["response"], second["response"]) == (OPENING, "1: Invoices")


async def test_a_plain_frame_with_nothing_in_it_binds(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None, dialect=PLAIN)
    await client.send(audioChunk=None, textPrompt=None, sessionId=SESSION)
    assert await client.expect("reply") == [OPENING_FRAME]
    await client.send(audioChunk=None, textPrompt=None, sessionId=SESSION)
    await client.nothing_for(5)


async def test_two_sessions_know_nothing_of_each_other(evaa: Evaa, autojump_clock: MockClock) -> None:
    one, other = await evaa.join(), await evaa.join(OTHER_SESSION)
    await one.ask("mine")
    await other.ask("yours")
    assert await evaa.memory(SESSION) == [Said("mine", "1: mine", "answered")]
    assert await evaa.memory(OTHER_SESSION) == [Said("yours", "1: yours", "answered")]


# --- resume and replay --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_resumed_session_gets_the_last_reply_again(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    client = await evaa.join(dialect=dialect)
    before = await client.ask("Invoices")
    await client.leave()
    again = await evaa.connect(dialect=dialect)
    if dialect == TYPED_JSON:
        (ready,) = await again.expect("ready")
        assert (ready["resumed"], ready["stage"]["followUpsUsed"]) == (True, 1)
    after = await again.reply()
    assert after["response"] == before["response"] == "1: Invoices"
    assert len(evaa.interviewer.briefs) == 1
    assert (await again.ask("go on"))["response"] == "2: go on"


async def test_a_reply_that_closed_a_stage_is_given_again_with_the_stage(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("On.", closes=True))
    client = await evaa.join()
    before = await client.ask("Invoices", "x")
    await client.leave()
    after = (await (await evaa.connect()).until("reply"))[-1]
    for key in ("turn", "response", "nextStage", "nextStageData", "id"):
        assert after[key] == before[key]


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_reply_that_is_owed_is_given_on_resume(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    evaa.interviewer.will(says("Half a", 100.0, " reply"))
    client = await evaa.join(dialect=dialect)
    await client.say("Invoices")
    await trio.sleep(1)
    await client.leave()
    await evaa.gone()
    assert await evaa.memory() == [Said("Invoices", "", "pending")]
    again = await evaa.connect(dialect=dialect)
    reply = await again.reply()
    assert [frame.kind for frame in again.passed][:2] == (
        ["ready", "turnStarted"] if dialect == TYPED_JSON else ["reply"]
    )
    assert reply["response"] == "1: Invoices"
    await again.nothing_for(200)
    assert await evaa.memory() == [Said("Invoices", "1: Invoices", "answered")]


async def test_a_replay_has_everything_that_was_said_and_delivered(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(says("Whole."), says("Half", 100.0, " of it"), says("End."))
    client = await evaa.join()
    await client.ask("one")
    await client.say("two")
    await client.until("delta")
    await client.ask("three")
    await client.leave()
    again = await evaa.connect(session_id=None)
    await again.send(type="start", sessionId=SESSION, replay=True)
    (ready,) = await again.expect("ready")
    assert ready["messages"] == [
        {"role": "assistant", "text": OPENING, "turn": 0},
        {"role": "user", "text": "one", "turn": 1},
        {"role": "assistant", "text": "Whole.", "turn": 1},
        {"role": "user", "text": "two", "turn": 2},
        {"role": "assistant", "text": "Half", "turn": 2, "interrupted": True},
        {"role": "user", "text": "three", "turn": 3},
        {"role": "assistant", "text": "End.", "turn": 3},
    ]


async def test_a_client_that_is_bound_by_the_url_may_ask_for_the_replay_later(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    await client.ask("one")
    await client.send(type="start", replay=True)
    (ready,) = (await client.until("ready"))[-1:]
    assert [line["text"] for line in ready["messages"]] == [OPENING, "one", "1: one"]
    await client.send(type="start", sessionId=SESSION)
    assert "messages" not in (await client.until("ready"))[-1]


async def test_an_interviewer_that_cannot_answer_leaves_the_reply_owed(evaa: Evaa, autojump_clock: MockClock) -> None:
    evaa.interviewer.will(fails("Some words", 2.0))
    client = await evaa.join()
    await client.say("one")
    frames = await client.until("error")
    assert [frame.kind for frame in frames if frame.kind != "turnStarted"] == ["delta", "turnCancelled", "error"]
    assert (frames[-1]["code"], frames[-1]["retryable"], frames[-1].at) == ("agent_unavailable", True, 2.0)
    await client.ask("two")
    assert evaa.interviewer.briefs[-1].words == "one\ntwo"
    assert await evaa.memory() == [Said("one", "", "superseded"), Said("two", "2: one\ntwo", "answered")]
