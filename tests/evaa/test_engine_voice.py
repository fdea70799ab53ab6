"""The turn engine and the spoken word: transcripts, their numbers, and the time that recognition took."""

import pytest

from evaa.interview.engine import MAX_WAITING
from protocols.frontend import ErrorFrame, Reply, Transcript, TurnCancelled, TurnStarted
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    InterruptAsked,
    PartlyHeard,
    ReplyPiece,
    ReplyTaken,
    ReplyWritten,
    Saved,
    Send,
    TurnCompleted,
)
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
    spoken,
    tell,
)


def partial(text: str, turn: int) -> Transcript:
    return Transcript(text=text, final=False, turn=turn)


def final(text: str, turn: int) -> Transcript:
    return Transcript(text=text, final=True, turn=turn)


# --- what was heard is shown ------------------------------------------------------------------------------------


def test_a_partial_is_shown_under_the_number_that_the_utterance_will_have() -> None:
    subject = engine()
    before = subject.record
    assert subject.handle(PartlyHeard("Invo")) == [Send(partial("Invo", 1))]
    assert (subject.record, subject.revision, subject.idle) == (before, 0, True)
    converse(subject, "Invoices", answer("Which?"))
    assert subject.handle(PartlyHeard("By")) == [Send(partial("By", 2))]


def test_while_a_turn_is_live_a_partial_has_the_next_number() -> None:
    subject = engine()
    subject.handle(spoken("Invoices"))
    assert subject.handle(PartlyHeard("every")) == [Send(partial("every", 2))]


def test_a_partial_that_came_to_nothing_vanishes() -> None:
    assert engine().handle(PartlyHeard("")) == [Send(partial("", 1))]


def test_a_spoken_utterance_is_shown_whole_and_then_a_turn_like_any_other() -> None:
    subject, typed = engine(), engine()
    show, *rest = subject.handle(spoken("Invoices"))
    assert show == Send(final("Invoices", 1))
    assert [type(effect) for effect in rest] == [type(effect) for effect in typed.handle(said("Invoices"))]
    assert brief_of(rest).words == "Invoices"
    (turn,) = save_of(rest).record.interview.turns
    assert (turn.turn, turn.text, turn.source, turn.client_id) == (1, "Invoices", "voice", None)
    assert frames(subject.handle(Saved(subject.revision, 0.01))) == [TurnStarted(turn=1, source="voice")]


def test_a_typed_utterance_has_no_transcript() -> None:
    assert sent(engine().handle(said("Invoices")), Transcript) == []


@pytest.mark.parametrize("is_over", [False, True])
def test_the_transcript_of_an_utterance_that_joins_another_has_the_new_turns_number(is_over: bool) -> None:
    subject = engine(record(0, stage_index=1) if is_over else None)
    subject.handle(spoken("Invoices"))
    effects = subject.handle(spoken("every day"))
    assert sent(effects, Transcript) == [final("every day", 2)]
    assert sent(effects, TurnCancelled) == [TurnCancelled(turn=1, reason="superseded")]
    assert [turn.text for turn in subject.record.interview.turns] == ["Invoices", "every day"]


def test_after_the_end_what_is_said_is_shown_too() -> None:
    effects = engine(record(0, stage_index=1)).handle(spoken("One more thing"))
    assert of_type(effects, Ask) == []
    assert sent(effects, Transcript) == [final("One more thing", 1)]


# --- while a reply is leaving -----------------------------------------------------------------------------------


def test_what_is_said_while_a_reply_is_leaving_is_shown_at_once_under_the_number_it_will_have() -> None:
    subject = engine()
    tell(subject, spoken("one"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1))
    assert subject.handle(PartlyHeard("tw")) == [Send(partial("tw", 2))]
    assert subject.handle(spoken("two")) == [Send(final("two", 2))]
    assert subject.handle(PartlyHeard("thr")) == [Send(partial("thr", 3))]
    assert subject.handle(said("three", "a3")) == []
    assert subject.handle(spoken("four")) == [Send(final("four", 4))]
    effects = subject.handle(ReplyWritten(1, 0.6))
    assert sent(effects, Transcript) == []
    started = sent(subject.handle(Saved(subject.revision, 0.01)), TurnStarted)
    assert [(frame.turn, frame.source) for frame in started][-3:] == [(2, "voice"), (3, "text"), (4, "voice")]
    assert [turn.text for turn in subject.record.interview.turns] == ["one", "two", "three", "four"]


def test_what_is_refused_is_not_shown_as_heard() -> None:
    subject = engine()
    tell(subject, spoken("one"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1))
    tell(subject, *[spoken("more")] * MAX_WAITING)
    (error,) = frames(subject.handle(spoken("too much")))
    assert isinstance(error, ErrorFrame)
    assert error.code == "rate_limited"


def test_what_waits_at_the_end_of_the_connection_is_kept_and_owed() -> None:
    subject = engine()
    tell(subject, spoken("one"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1), spoken("two"), said("three", "a3"))
    effects = subject.conclude()
    assert of_type(effects, Ask) == []
    turns = subject.record.interview.turns
    assert [(turn.text, turn.outcome) for turn in turns] == [
        ("one", "superseded"),
        ("two", "superseded"),
        ("three", "pending"),
    ]
    resumed = engine(subject.record)
    assert brief_of(resumed.greet(resumed=True, replay=False, now=0.0)).words == "one\ntwo\nthree"


def test_where_nothing_waits_the_end_of_the_connection_changes_nothing() -> None:
    subject = engine()
    subject.handle(spoken("one"))
    before = subject.record
    assert subject.conclude() == []
    assert subject.record == before


# --- time -------------------------------------------------------------------------------------------------------


def test_the_reply_and_the_log_are_told_how_long_recognition_took() -> None:
    subject = engine()
    tell(subject, spoken("Invoices", at=10.0, stt_ms=310.5), ReplyPiece(1, "Which?", 10.2))
    effects = deliver(subject, answer("Which?"), turn=1, at=10.5)
    (reply,) = sent(effects, Reply)
    (completed,) = of_type(effects, TurnCompleted)
    assert reply.timing.stt_ms == completed.stt_ms == 310.5
    assert (reply.timing.first_token_ms, reply.timing.total_ms) == (200.0, 500.0)
    assert completed.source == "voice"


def test_a_typed_turn_and_one_that_is_resumed_tell_of_no_recognition() -> None:
    subject = engine()
    effects = converse(subject, "Invoices", answer("Which?"))
    effects += tell(subject, spoken("By mail", stt_ms=300.0), AnswerFailed(2, "later"))
    resumed = engine(subject.record)
    resumed.greet(resumed=True, replay=False, now=0.0)
    effects += deliver(resumed, answer("And?"), turn=2)
    assert [completed.stt_ms for completed in of_type(effects, TurnCompleted)] == [None, None]


def test_an_interrupt_between_partial_and_final_takes_nothing_from_the_utterance() -> None:
    subject = engine()
    tell(subject, PartlyHeard("Invo"), InterruptAsked())
    assert sent(subject.handle(spoken("Invoices")), Transcript) == [final("Invoices", 1)]
