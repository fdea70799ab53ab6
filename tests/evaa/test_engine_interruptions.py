"""The turn engine when things cross: interruptions, utterances that wait or come twice, and what comes too late."""

import pytest

from evaa.interview.exchange import exchange
from protocols.frontend import ErrorFrame, Reply, StageData, TurnCancelled, TurnStarted
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    DeltaTaken,
    InterruptAsked,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    ReplyWritten,
    Requested,
    Saved,
    Send,
    StopAsking,
    Withdraw,
)
from tests.evaa.interviews import (
    answer,
    brief_of,
    deliver,
    engine,
    frames,
    of_type,
    said,
    save_of,
    sent,
    tell,
)

# --- cut short --------------------------------------------------------------------------------------------------


def test_an_utterance_before_anything_was_delivered_joins_the_words_into_one_turn() -> None:
    subject = engine()
    tell(subject, said("Invoices"), ReplyPiece(1, "Which", 0.2))
    effects = subject.handle(said("every day"))
    assert effects[:3] == [
        StopAsking(1),
        Withdraw(1),
        Send(TurnCancelled(turn=1, reason="superseded")),
    ]
    brief = brief_of(effects)
    assert (brief.turn, brief.words, brief.interrupted) == (2, "Invoices\nevery day", False)
    assert brief.history == exchange("", "Opening 1?")
    assert [turn.outcome for turn in save_of(effects).record.interview.turns] == ["superseded", "pending"]


def test_an_utterance_after_a_part_was_delivered_keeps_that_part_as_interrupted() -> None:
    subject = engine()
    tell(subject, said("Invoices"), ReplyPiece(1, "Which ones ", 0.2), ReplyPiece(1, "do you", 0.3))
    subject.handle(DeltaTaken(1, "Which ones "))
    effects = subject.handle(said("every day"))
    assert sent(effects, TurnCancelled) == [TurnCancelled(turn=1, reason="interrupted")]
    brief = brief_of(effects)
    assert (brief.turn, brief.words, brief.interrupted) == (2, "every day", True)
    assert brief.history[1:] == exchange("Invoices", "Which ones ")
    first = subject.record.interview.turns[0]
    assert (first.reply, first.outcome) == ("Which ones ", "interrupted")
    assert subject.record.interview.follow_ups_used == 0


def test_a_reply_that_waits_for_the_writer_can_still_be_withdrawn() -> None:
    subject = engine()
    tell(subject, said("Invoices"), Answered(1, answer("Which?", wants_next=True), 0.5))
    effects = subject.handle(said("every day"))
    assert Withdraw(1) in effects
    assert brief_of(effects).words == "Invoices\nevery day"
    assert subject.record.interview.stage_index == 0


def test_an_interrupt_keeps_what_was_delivered_and_asks_nothing() -> None:
    subject = engine()
    tell(subject, said("Invoices"), ReplyPiece(1, "Which", 0.2), DeltaTaken(1, "Which"))
    effects = subject.handle(InterruptAsked())
    assert effects[:3] == [StopAsking(1), Withdraw(1), Send(TurnCancelled(turn=1, reason="interrupted"))]
    assert save_of(effects).record.interview.turns[0].reply == "Which"
    assert of_type(effects, Ask) == []
    assert subject.idle


def test_the_words_of_a_turn_interrupted_before_anything_was_delivered_are_answered_with_the_next() -> None:
    subject = engine()
    effects = tell(subject, said("Invoices"), InterruptAsked())
    assert sent(effects, TurnCancelled) == [TurnCancelled(turn=1, reason="interrupted")]
    assert subject.record.messages == exchange("", "Opening 1?")
    assert brief_of(subject.handle(said("every day"))).words == "Invoices\nevery day"


def test_an_interrupt_without_a_turn_or_while_the_reply_leaves_changes_nothing() -> None:
    subject = engine()
    assert subject.handle(InterruptAsked()) == []
    tell(subject, said("Invoices"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1))
    assert subject.handle(InterruptAsked()) == []
    subject.handle(ReplyWritten(1, 0.6))
    assert subject.record.interview.turns[0].outcome == "answered"


# --- while the reply is leaving ---------------------------------------------------------------------------------


def test_an_utterance_while_the_reply_is_leaving_waits_for_it_to_be_written() -> None:
    subject = engine()
    tell(subject, said("Invoices"), Answered(1, answer("Which?", "Invoices"), 0.5), ReplyTaken(1))
    assert subject.handle(said("the paper ones", "b")) == []
    assert not subject.idle
    brief = brief_of(subject.handle(ReplyWritten(1, 0.6)))
    assert (brief.turn, brief.words, brief.follow_ups_used) == (2, "the paper ones", 1)
    assert brief.history[1:] == exchange("Invoices", "Which?")


def test_several_that_waited_become_one_turn_in_their_order() -> None:
    subject = engine()
    tell(subject, said("Invoices"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1), said("a"), said("b"), said("c"))
    effects = subject.handle(ReplyWritten(1, 0.6))
    assert of_type(effects, Ask)[-1].brief.words == "a\nb\nc"
    assert [stop.turn for stop in of_type(effects, StopAsking)] == [2, 3]
    assert [turn.outcome for turn in subject.record.interview.turns[1:]] == ["superseded", "superseded", "pending"]


def test_the_seventeenth_that_would_wait_is_refused() -> None:
    subject = engine()
    tell(subject, said("Invoices"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1))
    assert [subject.handle(said(f"{number}")) for number in range(16)] == [[]] * 16
    (error,) = frames(subject.handle(said("too many")))
    assert isinstance(error, ErrorFrame)
    assert (error.code, error.retryable) == ("rate_limited", True)
    subject.handle(ReplyWritten(1, 0.6))
    assert [turn.text for turn in subject.record.interview.turns] == ["Invoices", *(str(n) for n in range(16))]


# --- the same text again ----------------------------------------------------------------------------------------


def test_a_text_that_comes_again_before_it_is_durable_is_acknowledged_once() -> None:
    subject = engine()
    saved = save_of(subject.handle(said("Invoices", "a1")))
    assert subject.handle(said("Invoices", "a1")) == []
    assert len(frames(subject.handle(Saved(saved.revision, 0.01)))) == 1


def test_a_text_that_comes_again_while_it_is_answered_is_only_acknowledged_again() -> None:
    subject = engine()
    subject.handle(Saved(save_of(subject.handle(said("Invoices", "a1"))).revision, 0.01))
    assert subject.handle(said("Invoices", "a1")) == [Send(TurnStarted(turn=1, source="text", id="a1"))]


def test_a_text_that_comes_again_after_its_reply_gets_the_same_reply() -> None:
    subject = engine()
    subject.handle(Saved(save_of(subject.handle(said("Invoices", "a1"))).revision, 0.01))
    deliver(subject, answer("Next", wants_next=True), turn=1)
    started, reply = frames(subject.handle(said("Invoices", "a1")))
    assert started == TurnStarted(turn=1, source="text", id="a1")
    assert isinstance(reply, Reply)
    assert (reply.turn, reply.response, reply.id, reply.next_stage) == (1, "Next", "a1", True)
    assert isinstance(reply.next_stage_data, StageData)
    assert len(subject.record.interview.turns) == 1


def test_a_text_that_comes_again_while_it_waits_is_the_same_text() -> None:
    subject = engine()
    tell(subject, said("Invoices"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1), said("paper", "b"))
    assert subject.handle(said("paper", "b")) == []
    subject.handle(ReplyWritten(1, 0.6))
    assert [turn.text for turn in subject.record.interview.turns] == ["Invoices", "paper"]


def test_the_same_words_without_an_id_are_another_utterance() -> None:
    subject = engine()
    tell(subject, said("yes"), said("yes"))
    assert len(subject.record.interview.turns) == 2


# --- what belongs to a turn that is over ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late",
    [
        ReplyPiece(1, "late", 0.9),
        DeltaTaken(1, "late"),
        Requested(1, 0.9),
        ReplyReceived(1, 0.9),
        ReplyRestarted(1, "late"),
        Answered(1, answer("late"), 0.9),
        AnswerFailed(1, "late"),
        ReplyTaken(1),
        ReplyWritten(1, 0.9),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_comes_late_of_a_turn_that_was_cut_short_is_ignored(late: Answered) -> None:
    subject = engine()
    tell(subject, said("one"), said("two"))
    before = subject.record
    assert subject.handle(late) == []
    assert subject.record == before
    deliver(subject, answer("Which?"), turn=2)
    assert subject.record.interview.turns[1].reply == "Which?"


def test_an_answer_is_taken_once_and_pieces_after_it_are_ignored() -> None:
    subject = engine()
    tell(subject, said("one"), Answered(1, answer("Which?"), 0.5))
    late = (ReplyPiece(1, "late", 0.6), Answered(1, answer("Other"), 0.6), ReplyRestarted(1, "late"))
    assert tell(subject, *late) == []
    tell(subject, ReplyTaken(1), ReplyWritten(1, 0.7))
    assert subject.record.interview.turns[0].reply == "Which?"


def test_only_a_reply_that_the_writer_took_is_written() -> None:
    subject = engine()
    tell(subject, said("one"), Answered(1, answer("Which?"), 0.5))
    assert subject.handle(ReplyWritten(1, 0.6)) == []
    assert tell(subject, said("two"))[0] == StopAsking(1)


def test_a_reply_is_taken_only_after_it_was_sent() -> None:
    subject = engine()
    tell(subject, said("one"), ReplyTaken(1))
    assert len(sent(subject.handle(Answered(1, answer("Which?"), 0.5)), Reply)) == 1
