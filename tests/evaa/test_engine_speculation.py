"""A reply prepared ahead: nothing of it shows before its words are heard, and nothing of it remains if they are not."""

from collections.abc import Sequence

import pytest

from evaa.interview.speculation import SpeculatingEngine
from protocols.frontend import (
    Delta,
    Ready,
    Reply,
    Timing,
    Transcript,
    TurnCancelled,
    TurnStarted,
    WarningFrame,
)
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    InterruptAsked,
    Message,
    PartlyHeard,
    ProbablySaid,
    ReplayAsked,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    ReplyWritten,
    Requested,
    Save,
    Saved,
    SpeculationEnded,
    SpokeOn,
    StopAsking,
    StoreTroubled,
    TurnCompleted,
)
from tests.evaa.interviews import (
    answer,
    brief_of,
    deliver,
    engine,
    frames,
    joined_deltas,
    of_type,
    record,
    said,
    save_of,
    sent,
    spoken,
    tell,
)

DROPPED = [StopAsking(1), SpeculationEnded(used=False, ahead_ms=0.0)]
WORK = (
    Requested(1, 10.01),
    ReplyPiece(1, "Which ", 10.2),
    ReplyPiece(1, "ones?", 10.3),
    ReplyReceived(1, 10.35),
    Answered(1, answer("Which ones?"), 10.4),
)


def speculating(reply_acknowledges: bool = False, **changes: object) -> SpeculatingEngine:
    return SpeculatingEngine(engine(record(3, 3, **changes), reply_acknowledges=reply_acknowledges))


def prepared(*reports: Message) -> SpeculatingEngine:
    """An engine that has begun to prepare a reply to "Invoices" at 10.0, with these reports."""
    subject = speculating()
    tell(subject, ProbablySaid("Invoices", 10.0), *reports)
    return subject


# --- ahead ------------------------------------------------------------------------------------------------------


def test_the_interviewer_is_asked_ahead_what_it_would_be_asked_later() -> None:
    subject, later = speculating(), engine()
    (ask,) = subject.handle(ProbablySaid("Invoices", 10.0))
    assert isinstance(ask, Ask)
    assert ask.brief == brief_of(later.handle(spoken("Invoices")))


def test_nothing_shows_or_lasts_before_the_words_are_heard() -> None:
    inner = engine()
    subject = SpeculatingEngine(inner)
    before = inner.record
    subject.handle(ProbablySaid("Invoices", 10.0))
    assert tell(subject, *WORK) == []
    assert tell(subject, *WORK[:2], ReplyRestarted(1, "another model"), WORK[-1]) == []
    assert (inner.record, inner.revision, inner.idle) == (before, 0, True)


def test_words_that_join_an_utterance_whose_answer_failed_are_asked_together() -> None:
    subject = speculating()
    tell(subject, said("Invoices"), AnswerFailed(1, "later"))
    brief = brief_of(subject.handle(ProbablySaid("by mail", 10.0)))
    assert (brief.turn, brief.words) == (2, "Invoices\nby mail")
    assert of_type(subject.handle(spoken("by mail")), SpeculationEnded)[0].used


@pytest.mark.parametrize("phase", ["asking", "replying", "leaving"])
def test_while_a_turn_is_live_nothing_is_prepared(phase: str) -> None:
    subject = speculating()
    messages: Sequence[Message] = (said("one"), Answered(1, answer("Which?"), 0.5), ReplyTaken(1))
    tell(subject, *messages[: ["asking", "replying", "leaving"].index(phase) + 1])
    assert subject.handle(ProbablySaid("two", 10.0)) == []
    assert subject.handle(SpokeOn()) == []


def test_after_the_last_stage_nothing_is_prepared() -> None:
    assert speculating(stage_index=2).handle(ProbablySaid("Bye", 10.0)) == []


def test_the_same_words_again_are_not_asked_again() -> None:
    subject = prepared(*WORK)
    assert subject.handle(ProbablySaid("Invoices", 10.6)) == []
    assert len(sent(subject.handle(spoken("Invoices", at=11.0)), Reply)) == 1


def test_for_one_utterance_the_interviewer_is_asked_ahead_a_few_times_only() -> None:
    subject = speculating()
    stories = [subject.handle(ProbablySaid(f"Invoices {number}", 10.0)) for number in range(5)]
    assert [len(of_type(story, Ask)) for story in stories] == [1, 1, 1, 0, 0]
    assert len(of_type(subject.handle(spoken("Invoices 4")), Ask)) == 1
    deliver(subject, answer("Which?"), turn=1)
    assert len(of_type(subject.handle(ProbablySaid("Those", 20.0)), Ask)) == 1


def test_other_words_begin_anew() -> None:
    subject = prepared(*WORK)
    effects = subject.handle(ProbablySaid("Invoices by mail", 10.6))
    assert effects[:2] == DROPPED
    assert brief_of(effects).words == "Invoices by mail"
    tell(subject, ReplyPiece(1, "By mail", 10.8))
    effects = subject.handle(spoken("Invoices by mail", at=11.0))
    assert joined_deltas(effects, 1) == "By mail"
    assert of_type(effects, SpeculationEnded) == [SpeculationEnded(used=True, ahead_ms=400.0)]


# --- used -------------------------------------------------------------------------------------------------------


def test_a_reply_that_is_whole_already_follows_at_once() -> None:
    inner = engine()
    subject = SpeculatingEngine(inner)
    tell(subject, ProbablySaid("Invoices", 10.0), *WORK)
    effects = subject.handle(spoken("Invoices", at=11.0, stt_ms=310.0))
    assert of_type(effects, Ask) == []
    assert of_type(effects, StopAsking) == []
    transcript, *deltas, reply = frames(effects)
    assert transcript == Transcript(text="Invoices", final=True, turn=1)
    assert deltas == [Delta(turn=1, text="Which "), Delta(turn=1, text="ones?")]
    assert isinstance(reply, Reply)
    assert (reply.turn, reply.response) == (1, "Which ones?")
    saved = save_of(effects)
    assert [(turn.text, turn.source, turn.outcome) for turn in saved.record.interview.turns] == [
        ("Invoices", "voice", "pending")
    ]
    assert sent(subject.handle(Saved(saved.revision, 0.01)), TurnStarted) == [TurnStarted(turn=1, source="voice")]
    tell(subject, ReplyTaken(1), ReplyWritten(1, 11.1))
    assert inner.record.interview.turns[0].reply == "Which ones?"
    assert inner.idle


def test_a_reply_that_is_under_way_goes_on_as_if_it_had_begun_now() -> None:
    subject = prepared(*WORK[:2])
    effects = subject.handle(spoken("Invoices", at=10.25))
    assert of_type(effects, Ask) == []
    assert joined_deltas(effects, 1) == "Which "
    effects = tell(subject, *WORK[2:])
    assert joined_deltas(effects, 1) == "ones?"
    (reply,) = sent(effects, Reply)
    assert reply.response == "Which ones?"


def test_where_nothing_had_come_yet_the_turn_is_just_not_asked_again() -> None:
    subject = prepared()
    effects = subject.handle(spoken("Invoices", at=10.25))
    assert of_type(effects, Ask) == []
    assert len(sent(tell(subject, *WORK), Reply)) == 1


def test_once_it_is_used_a_turn_is_cut_short_like_any_other() -> None:
    subject = prepared(*WORK)
    subject.handle(spoken("Invoices", at=11.0))
    effects = subject.handle(spoken("every day", at=11.1))
    assert StopAsking(1) in effects
    assert sent(effects, TurnCancelled) == [TurnCancelled(turn=1, reason="superseded")]
    assert of_type(effects, SpeculationEnded) == []
    assert brief_of(effects).words == "Invoices\nevery day"


def test_what_was_reported_before_the_words_were_heard_took_no_time() -> None:
    subject = prepared(*WORK)
    effects = subject.handle(spoken("Invoices", at=11.0, stt_ms=310.0))
    (reply,) = sent(effects, Reply)
    assert reply.timing == Timing(stt_ms=310.0, first_token_ms=0.0, total_ms=0.0, overhead_ms=0.0)
    assert of_type(effects, SpeculationEnded) == [SpeculationEnded(used=True, ahead_ms=1_000.0)]
    (completed,) = of_type(tell(subject, ReplyTaken(1), ReplyWritten(1, 11.05)), TurnCompleted)
    assert (completed.first_token_ms, completed.total_ms, completed.overhead_ms) == (0.0, 50.0, 50.0)


def test_what_was_reported_afterwards_took_the_time_since_the_words_were_heard() -> None:
    subject = prepared(*WORK[:1])
    effects = subject.handle(spoken("Invoices", at=10.15))
    effects += tell(subject, *WORK[1:])
    (reply,) = sent(effects, Reply)
    assert (reply.timing.first_token_ms, reply.timing.total_ms, reply.timing.overhead_ms) == (50.0, 250.0, 50.0)


def test_words_that_are_heard_no_later_than_they_were_probable_had_no_start() -> None:
    subject = prepared()
    (ended,) = of_type(subject.handle(spoken("Invoices", at=9.9)), SpeculationEnded)
    assert ended == SpeculationEnded(used=True, ahead_ms=0.0)


def test_a_reply_that_acknowledges_still_waits_for_the_store() -> None:
    subject = speculating(reply_acknowledges=True)
    tell(subject, ProbablySaid("Invoices", 10.0), *WORK)
    effects = subject.handle(spoken("Invoices", at=11.0))
    assert sent(effects, Reply) == []
    assert len(sent(subject.handle(Saved(save_of(effects).revision, 0.01)), Reply)) == 1


def test_a_reply_that_began_anew_shows_only_what_came_then_behind_a_warning() -> None:
    subject = prepared(*WORK[:2], ReplyRestarted(1, "another model"), ReplyPiece(1, "Whole", 10.4))
    effects = subject.handle(spoken("Invoices", at=11.0))
    assert joined_deltas(effects, 1) == "Whole"
    assert sent(effects, WarningFrame) == [
        WarningFrame(code="agent_unavailable", message="another model", retryable=True)
    ]
    assert sent(effects, TurnCancelled) == []


# --- thrown away ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progress", range(len(WORK) + 1))
def test_who_speaks_on_leaves_nothing_behind(progress: int) -> None:
    inner = engine()
    subject = SpeculatingEngine(inner)
    before = inner.record
    tell(subject, ProbablySaid("Invoices", 10.0), *WORK[:progress])
    assert subject.handle(SpokeOn()) == DROPPED
    assert (inner.record, inner.revision) == (before, 0)
    effects = subject.handle(spoken("Invoices every day", at=12.0))
    assert brief_of(effects).words == "Invoices every day"
    assert joined_deltas(effects, 1) == ""


@pytest.mark.parametrize(
    "message", [spoken("Invoices."), said("Invoices"), said("Hello", "a1")], ids=["spoken", "same, typed", "typed"]
)
def test_other_words_throw_it_away_before_they_are_asked(message: Message) -> None:
    subject = prepared(*WORK)
    effects = subject.handle(message)
    assert effects[:2] == DROPPED
    assert brief_of(effects).turn == 1
    assert sent(effects, Delta) == []
    assert len(of_type(effects, Save)) == 1
    reply = answer("Something else?")
    assert [reply.response for reply in sent(deliver(subject, reply, turn=1), Reply)] == ["Something else?"]


def test_a_text_sent_again_throws_it_away_too() -> None:
    subject = speculating()
    tell(subject, said("one", "a1"), AnswerFailed(1, "later"))
    tell(subject, ProbablySaid("two", 10.0))
    effects = subject.handle(said("one", "a1"))
    assert effects[0] == StopAsking(2)
    assert brief_of(effects).turn == 1


def test_an_interrupt_throws_it_away_and_does_nothing_else() -> None:
    subject = prepared(*WORK)
    assert subject.handle(InterruptAsked()) == DROPPED
    assert brief_of(subject.handle(spoken("Invoices", at=11.0))).words == "Invoices"


@pytest.mark.parametrize("failure", [AnswerFailed(1, "later"), Answered(1, answer(""), 10.4)], ids=["failed", "empty"])
def test_an_answer_that_fails_ahead_is_asked_again_when_it_counts(failure: Message) -> None:
    subject = prepared(*WORK[:2])
    assert subject.handle(failure) == DROPPED
    effects = subject.handle(spoken("Invoices", at=11.0))
    assert brief_of(effects).words == "Invoices"
    assert [type(frame) for frame in frames(effects)] == [Transcript]
    assert len(sent(tell(subject, *WORK), Reply)) == 1


def test_it_ends_once() -> None:
    subject = prepared(*WORK)
    subject.handle(SpokeOn())
    assert tell(subject, SpokeOn(), InterruptAsked()) == []


# --- whoever asks meanwhile -------------------------------------------------------------------------------------


def test_whatever_else_happens_is_as_if_nothing_were_prepared() -> None:
    subject, other = prepared(*WORK), speculating()
    messages = [
        ReplayAsked(True),
        PartlyHeard("Invo"),
        Saved(0, 0.01),
        StoreTroubled(),
        ReplyPiece(7, "of another turn", 10.0),
        ReplyTaken(1),
        ReplyWritten(1, 10.0),
    ]
    for message in messages:
        assert subject.handle(message) == other.handle(message)
    (ready,) = sent(subject.handle(ReplayAsked(True)), Ready)
    assert [line.text for line in ready.messages or ()] == ["Opening 1?"]
    assert len(sent(subject.handle(spoken("Invoices", at=11.0)), Reply)) == 1


def test_it_shows_where_it_stands() -> None:
    subject = speculating()
    assert repr(subject).startswith("<SpeculatingEngine nothing ahead of <TurnEngine interviewing stage 1 no turn")
    subject.handle(ProbablySaid("Invoices", 10.0))
    assert repr(subject).startswith("<SpeculatingEngine turn 1 ahead of <TurnEngine")
