"""The turn engine, rule by rule: a turn's life, interruptions, the store, and what is said at the start and the end."""

from evaa.documents.desk import WRITING
from evaa.interview.engine import NOT_ACKNOWLEDGED
from evaa.interview.exchange import exchange
from evaa.interview.views import GOODBYE
from protocols.frontend import Completion, Delta, ErrorFrame, Reply, StageData, TurnCancelled, TurnStarted, WarningFrame
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
    Save,
    Saved,
    Send,
    StoreTroubled,
    TurnCompleted,
    Withdraw,
)
from tests.evaa.interviews import (
    WALL_MS,
    answer,
    brief_of,
    converse,
    deliver,
    engine,
    frames,
    joined_deltas,
    of_type,
    record,
    said,
    save_of,
    sent,
    tell,
)

# --- a turn that goes well --------------------------------------------------------------------------------------


def test_the_interviewer_is_asked_before_the_words_are_saved() -> None:
    subject = engine()
    ask, save = subject.handle(said("Invoices"))
    assert isinstance(ask, Ask)
    assert isinstance(save, Save)
    assert (ask.brief.turn, ask.brief.words) == (1, "Invoices")
    assert (save.revision, save.record) == (1, subject.record)
    assert [(turn.text, turn.outcome) for turn in save.record.interview.turns] == [("Invoices", "pending")]
    assert save.record.updated_at_ms == WALL_MS + 1


def test_a_turn_is_acknowledged_only_when_its_words_are_durable() -> None:
    subject = engine()
    saved = save_of(subject.handle(said("Invoices", "a1")))
    assert frames(subject.handle(Saved(saved.revision - 1, 0.01))) == []
    assert frames(subject.handle(Saved(saved.revision, 0.01))) == [TurnStarted(turn=1, source="text", id="a1")]
    assert subject.handle(Saved(saved.revision, 0.01)) == []


def test_a_later_save_acknowledges_all_the_turns_that_it_contains_in_order() -> None:
    subject = engine()
    tell(subject, said("one"), said("two"))
    effects = subject.handle(Saved(subject.revision, 0.01))
    assert [frame.turn for frame in sent(effects, TurnStarted)] == [1, 2]


def test_deltas_and_the_reply_do_not_wait_for_the_store() -> None:
    subject = engine()
    subject.handle(said("Invoices"))
    assert frames(subject.handle(ReplyPiece(1, "Which", 0.2))) == [Delta(turn=1, text="Which")]
    (reply,) = sent(subject.handle(Answered(1, answer("Which?"), 0.5)), Reply)
    assert (reply.turn, reply.response, reply.next_stage, reply.next_stage_data) == (1, "Which?", False, None)


def test_a_delivered_reply_is_remembered_saved_and_told_to_the_log() -> None:
    subject = engine()
    subject.handle(said("Invoices"))
    before = subject.record
    effects = deliver(subject, answer("Which?", "Invoices", source="email"), turn=1)
    save = save_of(effects)
    assert save.record.messages == (*before.messages, *exchange("Invoices", "Which?", facts={"source": "email"}))
    assert (save.record.interview.turns[0].reply, save.record.interview.turns[0].outcome) == ("Which?", "answered")
    assert save.record.interview.facts == {f"{1:024x}": {"source": "email"}}
    assert save.record.interview.follow_ups_used == 1
    assert len(of_type(effects, TurnCompleted)) == 1
    assert subject.idle


def test_nothing_is_remembered_of_a_reply_before_it_is_written() -> None:
    subject = engine()
    subject.handle(said("Invoices"))
    before = subject.record
    assert of_type(tell(subject, Answered(1, answer("Which?"), 0.5), ReplyTaken(1)), Save) == []
    assert subject.record == before
    assert not subject.idle


def test_the_reply_carries_the_clients_id_and_where_the_time_went() -> None:
    subject = engine()
    subject.handle(said("Invoices", "a1", at=10.0))
    tell(subject, Requested(1, 10.01), ReplyPiece(1, "Which?", 10.3), ReplyReceived(1, 10.5))
    (reply,) = sent(subject.handle(Answered(1, answer("Which?"), 10.52)), Reply)
    assert reply.id == "a1"
    assert (reply.timing.stt_ms, reply.timing.first_token_ms, reply.timing.total_ms) == (None, 300.0, 520.0)
    assert reply.timing.overhead_ms == 30.0


def test_the_log_is_told_the_time_until_the_reply_was_written() -> None:
    subject = engine()
    effects = subject.handle(said("Invoices", at=10.0))
    subject.handle(Saved(save_of(effects).revision, 0.02))
    tell(subject, Requested(1, 10.01), ReplyPiece(1, "Which?", 10.3), ReplyReceived(1, 10.5))
    tell(subject, Answered(1, answer("Which?"), 10.52), ReplyTaken(1))
    (completed,) = of_type(subject.handle(ReplyWritten(1, 10.6)), TurnCompleted)
    assert (completed.first_token_ms, completed.total_ms, completed.overhead_ms) == (300.0, 600.0, 110.0)
    assert (completed.store_ms, completed.stage, completed.closed_stage) == (20.0, 1, False)


def test_a_turn_of_which_the_provider_told_nothing_is_all_overhead() -> None:
    subject = engine()
    subject.handle(said("Invoices", at=10.0))
    (reply,) = sent(subject.handle(Answered(1, answer("Which?"), 10.25)), Reply)
    assert (reply.timing.first_token_ms, reply.timing.overhead_ms) == (None, 250.0)


def test_what_a_failing_provider_took_is_not_evaas_overhead() -> None:
    subject = engine()
    subject.handle(said("Invoices", at=10.0))
    tell(subject, Requested(1, 10.01), ReplyPiece(1, "Wh", 10.2), ReplyRestarted(1, "another takes its place"))
    subject.handle(ReplyPiece(1, "Which?", 14.0))
    (reply,) = sent(subject.handle(Answered(1, answer("Which?"), 14.02)), Reply)
    assert (reply.timing.total_ms, reply.timing.overhead_ms) == (4_020.0, 30.0)


# --- the plain dialect: the reply is the acknowledgement --------------------------------------------------------


def test_a_reply_that_acknowledges_waits_until_the_words_are_durable() -> None:
    subject = engine(reply_acknowledges=True)
    saved = save_of(subject.handle(said("Invoices")))
    assert sent(subject.handle(Answered(1, answer("Which?"), 0.5)), Reply) == []
    assert sent(subject.handle(Saved(saved.revision - 1, 0.01)), Reply) == []
    (reply,) = sent(subject.handle(Saved(saved.revision, 0.01)), Reply)
    assert reply.response == "Which?"
    assert sent(subject.handle(Saved(saved.revision, 0.01)), Reply) == []


def test_a_reply_that_acknowledges_goes_at_once_where_the_words_are_durable_already() -> None:
    subject = engine(reply_acknowledges=True)
    subject.handle(Saved(save_of(subject.handle(said("Invoices"))).revision, 0.01))
    assert len(sent(subject.handle(Answered(1, answer("Which?"), 0.5)), Reply)) == 1


def test_while_the_store_is_away_replies_go_on_behind_a_word_of_warning() -> None:
    subject = engine(reply_acknowledges=True)
    tell(subject, said("Invoices"), Answered(1, answer("Which?"), 0.5))
    error, reply = frames(subject.handle(StoreTroubled()))
    assert error == ErrorFrame(code="storage_unavailable", message=NOT_ACKNOWLEDGED, retryable=True)
    assert isinstance(reply, Reply)
    tell(subject, ReplyTaken(1), ReplyWritten(1, 0.6), said("More"))
    assert len(sent(subject.handle(Answered(2, answer("And?"), 0.9)), Reply)) == 1


def test_the_warning_comes_once_until_the_store_is_back() -> None:
    subject = engine(reply_acknowledges=True)
    subject.handle(said("Invoices"))
    assert len(frames(tell(subject, StoreTroubled(), StoreTroubled()))) == 1
    tell(subject, Saved(1, 0.01), Answered(1, answer("Which?"), 0.5), ReplyTaken(1), ReplyWritten(1, 0.6), said("More"))
    assert sent(subject.handle(Answered(2, answer("And?"), 0.9)), Reply) == []
    assert [type(frame) for frame in frames(subject.handle(StoreTroubled()))] == [ErrorFrame, Reply]


def test_a_reply_that_waits_for_the_store_can_be_cut_short() -> None:
    subject = engine(reply_acknowledges=True)
    tell(subject, said("one"), Answered(1, answer("Which?"), 0.5))
    assert brief_of(subject.handle(said("two"))).words == "one\ntwo"
    assert sent(subject.handle(Saved(subject.revision, 0.01)), Reply) == []


def test_after_the_end_too_a_reply_that_acknowledges_waits_for_the_store() -> None:
    subject = engine(record(0, stage_index=1), reply_acknowledges=True)
    effects = subject.handle(said("One more thing"))
    assert sent(effects, Reply) == []
    assert len(sent(subject.handle(Saved(save_of(effects).revision, 0.01)), Reply)) == 1


# --- stages -----------------------------------------------------------------------------------------------------


def test_a_reply_that_goes_on_says_which_stage_begins() -> None:
    subject = engine(record(3, 2))
    subject.handle(said("Invoices"))
    (reply,) = sent(subject.handle(Answered(1, answer("On to the trigger", wants_next=True), 0.5)), Reply)
    assert reply.response == "On to the trigger"
    assert reply.next_stage
    assert isinstance(reply.next_stage_data, StageData)
    assert (reply.next_stage_data.name, reply.next_stage_data.total_stages) == ("Stage 2", 2)


def test_a_spent_stage_closes_against_the_models_will_with_the_next_opening() -> None:
    subject = engine(record(0, 3))
    effects = tell(subject, said("Invoices"), ReplyPiece(1, "What else?", 0.2))
    effects += subject.handle(Answered(1, answer("What else?", "Invoices", wants_next=False, a="1"), 0.5))
    (reply,) = sent(effects, Reply)
    assert reply.response == "What else?\n\nOpening 2?" == joined_deltas(effects, 1)
    assert reply.next_stage
    tell(subject, ReplyTaken(1), ReplyWritten(1, 0.6))
    assert subject.record.interview.stage_index == 1
    assert subject.record.messages[1:] == exchange("Invoices", reply.response, closes=True, facts={"a": "1"})
    assert subject.record.interview.facts == {f"{1:024x}": {"a": "1"}}


def test_the_last_stage_closes_against_the_models_will_with_a_goodbye() -> None:
    subject = engine(record(0))
    effects = tell(subject, said("Invoices"), ReplyPiece(1, "What else?", 0.2))
    effects += subject.handle(Answered(1, answer("What else?"), 0.5))
    (reply,) = sent(effects, Reply)
    assert reply.response == f"What else?\n\n{GOODBYE}" == joined_deltas(effects, 1)
    assert reply.next_stage_data == Completion(status="drafting")


def test_a_stage_that_the_model_closes_itself_needs_no_addition() -> None:
    subject = engine(record(0))
    effects = tell(subject, said("Invoices"), ReplyPiece(1, "Thank you", 0.2))
    effects += subject.handle(Answered(1, answer("Thank you", wants_next=True), 0.5))
    assert sent(effects, Reply)[0].response == "Thank you" == joined_deltas(effects, 1)


def test_the_log_is_told_which_stage_a_reply_closed() -> None:
    subject = engine(record(0, 3))
    (completed,) = of_type(converse(subject, "Invoices", answer("What else?")), TurnCompleted)
    assert (completed.stage, completed.closed_stage) == (1, True)
    (completed,) = of_type(converse(subject, "An email", answer("Which?")), TurnCompleted)
    assert (completed.stage, completed.closed_stage) == (2, False)


def test_after_the_end_the_user_gets_a_word_without_the_interviewer() -> None:
    subject = engine(record(3))
    converse(subject, "Invoices", answer("Goodbye", "Invoices", wants_next=True))
    assert subject.record.status == "drafting"
    effects = subject.handle(said("One more thing"))
    assert of_type(effects, Ask) == []
    (reply,) = sent(effects, Reply)
    assert reply.response == WRITING == joined_deltas(effects, 2)
    assert (reply.next_stage, reply.next_stage_data) == (False, None)
    tell(subject, ReplyTaken(2), ReplyWritten(2, 0.5))
    assert (subject.record.interview.turns[1].reply, subject.record.interview.stage_index) == (WRITING, 1)
    assert subject.record.messages[-2:] == exchange("One more thing", WRITING)


# --- answers that begin anew, or fail ---------------------------------------------------------------------------


def test_an_answer_that_begins_anew_voids_what_was_shown() -> None:
    subject = engine()
    tell(subject, said("one"), ReplyPiece(1, "Half", 0.2), DeltaTaken(1, "Half"))
    withdraw, cancelled, warning = subject.handle(ReplyRestarted(1, "another model"))
    assert withdraw == Withdraw(1)
    assert cancelled == Send(TurnCancelled(turn=1, reason="superseded"))
    assert warning == Send(WarningFrame(code="agent_unavailable", message="another model", retryable=True))
    tell(subject, ReplyPiece(1, "Whole", 0.4), DeltaTaken(1, "Whole"), InterruptAsked())
    assert subject.record.interview.turns[0].reply == "Whole"


def test_an_answer_that_begins_anew_before_anything_was_shown_voids_nothing() -> None:
    subject = engine()
    tell(subject, said("one"), ReplyPiece(1, "Half", 0.2))
    effects = subject.handle(ReplyRestarted(1, "another model"))
    assert sent(effects, TurnCancelled) == []
    assert Withdraw(1) in effects


def test_a_reply_that_failed_stays_owed() -> None:
    subject = engine()
    tell(subject, said("one"), ReplyPiece(1, "Half", 0.2), DeltaTaken(1, "Half"))
    effects = subject.handle(AnswerFailed(1, "try later"))
    assert effects == [
        Withdraw(1),
        Send(TurnCancelled(turn=1, reason="superseded")),
        Send(ErrorFrame(code="agent_unavailable", message="try later", retryable=True)),
    ]
    assert subject.idle
    assert subject.record.interview.turns[0].outcome == "pending"
    assert subject.record.interview.turns[0].reply == ""


def test_the_next_utterance_asks_again_for_a_reply_that_failed() -> None:
    subject = engine()
    tell(subject, said("one"), AnswerFailed(1, "try later"))
    effects = subject.handle(said("two"))
    assert brief_of(effects).words == "one\ntwo"
    assert [turn.outcome for turn in save_of(effects).record.interview.turns] == ["superseded", "pending"]


def test_the_same_text_again_asks_again_for_a_reply_that_failed() -> None:
    subject = engine()
    subject.handle(Saved(save_of(subject.handle(said("one", "a1"))).revision, 0.01))
    subject.handle(AnswerFailed(1, "try later"))
    effects = subject.handle(said("one", "a1"))
    assert (brief_of(effects).turn, brief_of(effects).words) == (1, "one")
    assert frames(effects) == [TurnStarted(turn=1, source="text", id="a1")]
    assert len(subject.record.interview.turns) == 1


def test_the_engine_shows_where_it_stands() -> None:
    subject = engine()
    assert repr(subject) == "<TurnEngine interviewing stage 1 no turn revision 0>"
    subject.handle(said("one"))
    assert repr(subject) == "<TurnEngine interviewing stage 1 turn 1 asking revision 1>"
