"""The turn engine after the interview: files, corrections, and answers."""

import msgspec
import pytest

from evaa.documents.desk import IN_SILENCE, LOOK_FIRST, UNREAD, WRITING
from evaa.documents.drafting import NOT_CHANGED
from evaa.interview.engine import TurnEngine
from evaa.llm.writing_prompt import review_message
from protocols.documents import Section
from protocols.frontend import Completed, ErrorFrame, Ready, Reply
from protocols.messages import (
    DeltaTaken,
    ExportAsked,
    InterruptAsked,
    Render,
    Requested,
    Reviewed,
    TurnCompleted,
    Write,
)
from protocols.ports import Usage
from protocols.records import SessionRecord
from protocols.writing import Intent
from tests.evaa.finished_interview import (
    NOT_HAD,
    corrected,
    delivered,
    drafting_engine,
    finished_engine,
    finished_session,
    meant,
    newest,
    question_of,
    replies,
    saved,
    spoken_meanwhile,
    write_all,
    wrote,
)
from tests.evaa.interviews import engine, of_type, said, sent, tell

# --- files --------------------------------------------------------------------------------------------------------


def test_no_file_is_made_of_a_version_that_is_not_durable() -> None:
    subject, effects = drafting_engine()
    effects = write_all(subject, effects)
    assert sent(effects, Completed) == []
    refused = subject.handle(ExportAsked("markdown"))
    assert of_type(refused, Render) == []
    assert [error.code for error in sent(refused, ErrorFrame)] == ["not_complete"]
    saved(subject, effects)
    (task,) = of_type(subject.handle(ExportAsked("markdown")), Render)
    assert task.brd.version == newest(subject).version == 1


def test_until_the_next_version_is_durable_files_are_made_of_the_one_before() -> None:
    subject = finished_engine()
    first = newest(subject)
    subject.handle(meant(question_of(subject.handle(said("50, not 40"))), "correct", "problem"))
    effects = write_all(subject, tell(subject, *delivered(2)))
    (task,) = of_type(subject.handle(ExportAsked("docx")), Render)
    assert (task.brd.version, task.brd.sections) == (1, first.sections)
    saved(subject, effects)
    (task,) = of_type(subject.handle(ExportAsked("docx")), Render)
    assert task.brd.version == 2


def test_after_a_crash_who_had_the_version_may_confirm_it() -> None:
    subject = engine(finished_engine().record, revision=40)
    subject.resume_after_crash(now=0.0)
    question = question_of(subject.handle(said("Yes, it is right")))
    assert replies(subject.handle(meant(question, "confirm"))) == ["I see: confirm."]


def test_after_a_crash_a_file_waits_for_what_may_not_be_durable() -> None:
    subject = engine(finished_session(), revision=40)
    effects = subject.resume_after_crash(now=0.0)
    assert of_type(subject.handle(ExportAsked("html")), Render) == []
    saved(subject, effects)
    assert len(of_type(subject.handle(ExportAsked("html")), Render)) == 1


# --- corrections --------------------------------------------------------------------------------------------------


def test_what_is_said_meanwhile_is_not_told_to_the_writers_of_this_version() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))
    tell(subject, *delivered(2))
    (stage,) = of_type(effects, Write)
    (project,) = of_type(subject.handle(wrote(stage)), Write)
    sections = of_type(subject.handle(wrote(project)), Write)
    assert {len(task.brief.interview.turns) for task in sections} == {1}


def test_a_section_whose_correction_fails_is_not_lost() -> None:
    subject = finished_engine()
    before = newest(subject).section("problem")
    assert before.entries
    corrected(subject, 2, "50, not 40", "problem", failing="problem")
    after = newest(subject).section("problem")
    assert (newest(subject).version, after.entries) == (2, before.entries)
    assert after.missing == f"{NOT_CHANGED} 50, not 40"


def test_a_correction_that_failed_is_made_with_the_next() -> None:
    subject = finished_engine()
    before = newest(subject).section("problem")
    corrected(subject, 2, "50, not 40", "problem", failing="problem")
    begun = corrected(subject, 3, "The owner is Anna", "stakeholders", failing="problem")
    tasks = {task.brief.job.key: task.brief for task in of_type(begun, Write)}
    assert tasks.keys() == {"problem", "stakeholders"}
    previous = tasks["problem"].previous
    assert previous is not None
    assert previous.entries == before.entries
    assert tasks["problem"].correction == "50, not 40"
    assert tasks["stakeholders"].correction == "The owner is Anna"
    begun = corrected(subject, 4, "and weekly", "problem")
    assert of_type(begun, Write)[0].brief.correction == "50, not 40\nand weekly"
    assert (newest(subject).section("problem").missing, newest(subject).section("problem").unmade) == ("", "")


def without(key: str) -> TurnEngine:
    """A client is at a version in which nothing was said in one section."""
    record = finished_session()
    assert record.documents is not None
    assert record.documents.brd is not None
    brd = record.documents.brd
    sections = tuple(Section(it.key) if it.key == key else it for it in brd.sections)
    brd = msgspec.structs.replace(brd, sections=sections)
    documents = msgspec.structs.replace(record.documents, versions=(brd,))
    subject = engine(msgspec.structs.replace(record, documents=documents))
    subject.greet(resumed=True, replay=False, now=0.0)
    return subject


def test_what_could_not_be_added_to_an_empty_section_is_added_with_the_next_correction() -> None:
    subject = without("risks")
    corrected(subject, 2, "The mailbox may be full", "risks", failing="risks")
    assert newest(subject).section("risks").missing == NOT_HAD
    begun = corrected(subject, 3, "The owner is Anna", "stakeholders")
    tasks = {task.brief.job.key: task.brief for task in of_type(begun, Write)}
    assert tasks["risks"].correction == "The mailbox may be full"


def test_corrections_that_fail_again_and_again_add_their_words_and_no_more() -> None:
    subject, sizes = finished_engine(), []
    for turn in range(2, 34):
        corrected(subject, turn, f"{'x' * 1_000}{turn}", "problem", failing="problem")
        sizes.append(len(msgspec.json.encode(subject.record.documents)))
    assert sizes[31] - sizes[15] < 1.2 * (sizes[16] - sizes[0])


def test_what_is_missing_is_not_told_of_corrections_of_something_else() -> None:
    subject, effects = drafting_engine()
    saved(subject, write_all(subject, effects, failing="risks"))
    begun = corrected(subject, 2, "The owner is Anna", "stakeholders", failing="risks")
    assert {task.brief.job.key: task.brief.correction for task in of_type(begun, Write)} == {
        "risks": "",
        "stakeholders": "The owner is Anna",
    }
    assert newest(subject).section("risks").unmade == ""


# --- answers ------------------------------------------------------------------------------------------------------


def considered_in_absence() -> SessionRecord:
    """The user asked something of the documents and was gone; the answer is "I see: other."."""
    subject = finished_engine()
    subject.handle(said("Who owns the mailbox?"))
    alone = engine(subject.record)
    alone.handle(meant(question_of(alone.attend_to_documents()), "other"))
    return alone.record


def test_a_question_that_was_looked_at_unattended_is_answered_on_reconnect() -> None:
    subject = finished_engine()
    subject.handle(said("Who owns the mailbox?"))  # and the connection is lost
    alone = engine(subject.record)
    alone.handle(meant(question_of(alone.attend_to_documents()), "other"))
    back = engine(alone.record)
    assert replies(back.greet(resumed=True, replay=False, now=9.0)) == ["I see: other."]


@pytest.mark.parametrize(("intent", "answer"), [(None, UNREAD), ("other", "I see: other."), ("confirm", LOOK_FIRST)])
def test_who_was_put_off_and_left_finds_the_answer(intent: Intent | None, answer: str) -> None:
    subject, _ = drafting_engine()
    subject.handle(said("No, 50 a day"))
    tell(subject, *delivered(2))  # "I am still writing, and will look at it then"
    alone = engine(subject.record)
    question = question_of(write_all(alone, alone.attend_to_documents()))
    alone.handle(meant(question, intent) if intent else Reviewed(question, None, 1.0, may_pass=False))
    assert alone.record.status == "complete"
    back = engine(alone.record)
    effects = back.greet(resumed=True, replay=True, now=9.0)
    assert replies(effects) == [f"{WRITING}\n\n{answer}"]
    (ready,) = sent(effects, Ready)
    assert ready.messages
    assert ready.messages[-1].text == f"{WRITING}\n\n{answer}"
    assert replies(engine(back.record).greet(resumed=True, replay=False, now=9.0)) == [f"{WRITING}\n\n{answer}"]


def test_who_has_had_the_answer_is_not_given_it_again() -> None:
    back = engine(considered_in_absence())
    back.greet(resumed=True, replay=False, now=9.0)
    tell(back, *delivered(2))
    assert replies(engine(back.record).greet(resumed=True, replay=False, now=9.0)) == ["I see: other."]


@pytest.mark.parametrize(("intent", "answer"), [(None, UNREAD), ("other", "I see: other.")])
def test_what_was_said_in_a_reply_is_not_said_again(intent: Intent | None, answer: str) -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Who owns the mailbox?")))
    subject.handle(meant(question, intent) if intent else Reviewed(question, None, 1.0, may_pass=False))
    tell(subject, *delivered(2))
    assert replies(engine(subject.record).greet(resumed=True, replay=False, now=9.0)) == [answer]


def test_an_answer_outlasts_what_is_said_while_the_next_version_is_in_work() -> None:
    subject, effects = spoken_meanwhile("50, not 40")
    subject.handle(meant(question_of(effects), "correct", "problem"))
    assert replies(subject.handle(said("and weekly"))) == [WRITING]
    tell(subject, *delivered(3))
    back = engine(subject.record)
    assert replies(back.greet(resumed=True, replay=False, now=9.0)) == [f"{WRITING}\n\nI see: correct."]


def test_who_speaks_on_before_they_have_the_answer_gets_both() -> None:
    subject, effects = spoken_meanwhile("Who owns the mailbox?")
    subject.handle(meant(question_of(effects), "other"))
    question = question_of(subject.handle(said("Thanks, it is right")))
    assert replies(subject.handle(meant(question, "confirm"))) == ["I see: other.\n\nI see: confirm."]
    tell(subject, *delivered(3))
    question = question_of(subject.handle(said("Bye")))
    assert replies(subject.handle(meant(question, "other"))) == ["I see: other."]


def test_who_looked_is_not_told_to_look() -> None:
    subject, effects = spoken_meanwhile("Yes, all good")
    subject.handle(meant(question_of(effects), "confirm"))
    question = question_of(subject.handle(said("Yes, now I have looked")))
    assert replies(subject.handle(meant(question, "confirm"))) == ["I see: confirm."]


def test_who_was_warned_is_not_told_again() -> None:
    subject, effects = spoken_meanwhile("Hm")
    subject.handle(Reviewed(question_of(effects), None, 1.0, may_pass=False))
    question = question_of(subject.handle(said("50, not 40")))
    assert replies(subject.handle(meant(question, "correct", "problem"))) == ["I see: correct."]


def test_what_was_interrupted_before_it_was_answered_is_answered_on_reconnect() -> None:
    subject = finished_engine()
    subject.handle(said("Who owns the mailbox?"))
    subject.handle(meant(question_of(subject.handle(InterruptAsked())), "other"))
    assert replies(engine(subject.record).greet(resumed=True, replay=False, now=9.0)) == ["I see: other."]


def test_an_answer_that_was_out_when_it_was_interrupted_is_told_once() -> None:
    back = engine(considered_in_absence())
    back.greet(resumed=True, replay=False, now=9.0)
    tell(back, DeltaTaken(2, "I see: other."), InterruptAsked())
    assert replies(engine(back.record).greet(resumed=True, replay=False, now=9.0)) == ["I see: other."]


def test_no_reply_is_made_up_where_none_was_given() -> None:
    subject = finished_engine()
    subject.handle(meant(question_of(subject.handle(said("Who owns the mailbox?"))), "other"))
    record = subject.record
    assert record.documents is not None
    *before, last = record.interview.turns
    turns = (*before, msgspec.structs.replace(last, outcome="superseded"))
    interview = msgspec.structs.replace(record.interview, turns=turns)
    documents = msgspec.structs.replace(record.documents, answer="Anna does.", read_up_to_turn=2)
    back = engine(msgspec.structs.replace(record, interview=interview, documents=documents))
    assert replies(back.greet(resumed=True, replay=False, now=9.0)) == [before[-1].reply]


def test_an_answer_is_given_once() -> None:
    back = engine(considered_in_absence())
    back.greet(resumed=True, replay=False, now=9.0)
    tell(back, *delivered(2))
    begun = corrected(back, 3, "50, not 40", "problem")
    assert len(of_type(begun, Write)) == 1
    back.handle(meant(question_of(back.handle(said("and weekly"))), "correct", "problem"))
    tell(back, *delivered(4))
    assert replies(back.handle(said("and now?"))) == [WRITING]


def test_the_reply_says_how_long_the_user_waited_and_the_log_what_it_cost() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Yes")))
    subject.handle(Requested(2, 0.5))
    review = meant(question, "confirm").review
    assert review is not None
    review = msgspec.structs.replace(review, usage=Usage(900, 30, 700))
    (reply,) = sent(subject.handle(Reviewed(question, review, 5.0)), Reply)
    assert (reply.timing.total_ms, reply.timing.first_token_ms, reply.timing.overhead_ms) == (5000.0, 5000.0, 500.0)
    (done,) = of_type(tell(subject, *delivered(2)), TurnCompleted)
    assert (done.input_tokens, done.output_tokens, done.cached_tokens) == (900, 30, 700)


def test_in_silence_too_the_model_is_told_what_the_user_was_asked() -> None:
    subject = finished_engine()
    subject.handle(meant(question_of(subject.handle(said("What is it about?"))), "other"))
    tell(subject, *delivered(2))
    subject.handle(said("Yes"))  # and the client is gone
    alone = engine(subject.record)
    silent = question_of(alone.attend_to_documents())
    assert (silent.turn, silent.words) == (IN_SILENCE, "Yes")
    assert '"asked":"I see: other."' in review_message(silent, 60_000).text
