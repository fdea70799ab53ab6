"""The turn engine where it starts: a new session, a resumed one, and after a crash of the agent."""

import msgspec

from evaa.documents.desk import WRITING
from evaa.interview.engine import TurnEngine
from protocols.frontend import ErrorFrame, Ready, Reply, TurnCancelled, TurnStarted
from protocols.messages import (
    Answered,
    Ask,
    DeltaTaken,
    ReplayAsked,
    ReplyPiece,
    ReplyTaken,
    ReplyWritten,
    Saved,
    Withdraw,
)
from protocols.records import SessionRecord
from tests.evaa.interviews import (
    answer,
    brief_of,
    converse,
    deliver,
    engine,
    frames,
    of_type,
    record,
    said,
    save_of,
    sent,
    tell,
)


def after(*words: str) -> SessionRecord:
    """A session in which this was said, each but the last answered."""
    subject = engine()
    for text in words[:-1]:
        converse(subject, text, answer(f"{text}?", text))
    subject.handle(said(words[-1], "last"))
    return subject.record


# --- greeting ---------------------------------------------------------------------------------------------------


def test_a_new_session_gets_the_first_opening_without_the_interviewer() -> None:
    effects = engine().greet(resumed=False, replay=False, now=5.0)
    ready, reply = frames(effects)
    assert isinstance(ready, Ready)
    assert isinstance(reply, Reply)
    assert (ready.resumed, ready.messages) == (False, msgspec.UNSET)
    assert (reply.turn, reply.response) == (0, "Opening 1?")
    assert len(effects) == 2


def test_a_resumed_session_gets_its_last_reply_again() -> None:
    subject = engine()
    converse(subject, "Invoices", answer("Which?"))
    ready, reply = frames(engine(subject.record).greet(resumed=True, replay=False, now=5.0))
    assert isinstance(ready, Ready)
    assert isinstance(reply, Reply)
    assert ready.resumed
    assert ready.stage is not None
    assert ready.stage.follow_ups_used == 1
    assert (reply.turn, reply.response) == (1, "Which?")


def test_what_the_writer_says_of_a_greeting_changes_nothing() -> None:
    subject = engine()
    subject.greet(resumed=False, replay=False, now=5.0)
    before = subject.record
    assert tell(subject, ReplyTaken(0), ReplyWritten(0, 5.1)) == []
    assert subject.record == before


def test_a_session_that_was_cut_off_gets_the_reply_that_it_is_owed() -> None:
    subject = engine(after("Invoices", "Every day"))
    effects = subject.greet(resumed=True, replay=False, now=5.0)
    ready, started = frames(effects)
    assert isinstance(ready, Ready)
    assert started == TurnStarted(turn=2, source="text", id="last")
    assert (brief_of(effects).turn, brief_of(effects).words) == (2, "Every day")
    (reply,) = sent(subject.handle(Answered(2, answer("How many?"), 5.5)), Reply)
    assert (reply.id, reply.timing.total_ms) == ("last", 500.0)
    tell(subject, ReplyTaken(2), ReplyWritten(2, 5.6))
    assert subject.record.interview.turns[1].outcome == "answered"


def test_an_owed_reply_that_acknowledges_need_not_wait_for_what_was_loaded_from_the_store() -> None:
    subject = engine(after("Invoices"), reply_acknowledges=True)
    subject.greet(resumed=True, replay=False, now=5.0)
    assert len(sent(subject.handle(Answered(1, answer("Which?"), 5.5)), Reply)) == 1


def test_a_word_after_the_end_is_owed_too() -> None:
    before = engine(record(3, stage_index=1))
    before.handle(said("One more thing"))
    effects = engine(before.record).greet(resumed=True, replay=False, now=5.0)
    assert of_type(effects, Ask) == []
    assert sent(effects, Reply)[0].response == WRITING


def test_a_replay_has_the_conversation_so_far() -> None:
    subject = engine(after("Invoices", "Every day"))
    ready = frames(subject.greet(resumed=True, replay=True, now=5.0))[0]
    assert isinstance(ready, Ready)
    assert ready.messages is not msgspec.UNSET
    assert [line.text for line in ready.messages] == ["Opening 1?", "Invoices", "Invoices?", "Every day"]


def test_a_replay_can_be_asked_for_at_any_time() -> None:
    subject = engine(after("Invoices"))
    (without,) = sent(subject.handle(ReplayAsked(replay=False)), Ready)
    (ready,) = sent(subject.handle(ReplayAsked(replay=True)), Ready)
    assert without.messages is msgspec.UNSET
    assert ready.messages is not msgspec.UNSET
    assert [line.role for line in ready.messages] == ["assistant", "user"]


# --- after a crash of the agent ---------------------------------------------------------------------------------


def restarted(dead: TurnEngine) -> TurnEngine:
    return engine(dead.record, revision=dead.revision)


def test_after_a_crash_the_owed_reply_is_asked_for_again() -> None:
    dead = engine()
    tell(dead, said("Invoices"), ReplyPiece(1, "Half", 0.2), DeltaTaken(1, "Half"))
    subject = restarted(dead)
    effects = subject.resume_after_crash(now=5.0)
    assert effects[0] == Withdraw(1)
    assert sent(effects, TurnCancelled) == [TurnCancelled(turn=1, reason="superseded")]
    assert brief_of(effects).words == "Invoices"
    (error,) = sent(effects, ErrorFrame)
    assert (error.code, error.retryable) == ("internal", True)
    deliver(subject, answer("Which?"), turn=1)
    assert subject.record.interview.turns[0].reply == "Which?"


def test_after_a_crash_without_an_owed_reply_the_client_is_told() -> None:
    dead = engine()
    converse(dead, "Invoices", answer("Which?"))
    effects = restarted(dead).resume_after_crash(now=5.0)
    assert [type(frame) for frame in frames(effects)] == [ErrorFrame]
    assert of_type(effects, Ask) == []


def test_what_the_writer_still_says_of_the_dead_engines_reply_is_ignored() -> None:
    dead = engine()
    tell(dead, said("Invoices"), Answered(1, answer("Old?"), 0.5), ReplyTaken(1))
    subject = restarted(dead)
    subject.resume_after_crash(now=5.0)
    assert subject.handle(ReplyWritten(1, 5.1)) == []
    subject.handle(Answered(1, answer("New?"), 5.2))
    assert subject.handle(ReplyWritten(1, 5.3)) == []
    tell(subject, ReplyTaken(1), ReplyWritten(1, 5.4))
    assert subject.record.interview.turns[0].reply == "New?"


def test_after_a_crash_a_turn_is_acknowledged_only_when_it_is_durable() -> None:
    dead = engine()
    dead.handle(said("Invoices", "a1"))
    subject = restarted(dead)
    effects = subject.resume_after_crash(now=5.0)
    assert sent(effects, TurnStarted) == []
    assert subject.handle(said("Invoices", "a1")) == []
    assert frames(subject.handle(Saved(save_of(effects).revision, 0.01))) == [
        TurnStarted(turn=1, source="text", id="a1")
    ]


def test_after_a_crash_an_older_turn_that_comes_again_is_acknowledged_only_when_it_is_durable() -> None:
    dead = engine()
    dead.handle(said("Invoices", "a1"))
    deliver(dead, answer("Which?"), turn=1)  # the store was away all the time
    subject = restarted(dead)
    effects = subject.resume_after_crash(now=5.0)
    assert sent(subject.handle(said("Invoices", "a1")), TurnStarted) == []
    effects = subject.handle(Saved(save_of(effects).revision, 0.01))
    assert frames(effects) == [TurnStarted(turn=1, source="text", id="a1")]
    assert len(sent(subject.handle(said("Invoices", "a1")), Reply)) == 1
