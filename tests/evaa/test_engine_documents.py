"""The turn engine after the interview: documents in work, and what the user says of them."""

import msgspec
import pytest

from evaa.documents.catalogue import SECTIONS
from evaa.documents.desk import IN_SILENCE, TAKEN_IN, UNREAD, WRITING
from protocols.frontend import Completed, Progress, Reply
from protocols.messages import AskAbout, InterruptAsked, Reviewed, Save, Saved, StopAsking, StoreTroubled, Write
from protocols.writing import Job
from tests.evaa.finished_interview import (
    NOT_HAD,
    delivered,
    drafting_engine,
    finished_engine,
    finished_session,
    meant,
    newest,
    question_of,
    received,
    saved,
    write_all,
    wrote,
)
from tests.evaa.interviews import engine, of_type, said, sent, tell

# --- whole documents are told when they are durable ---------------------------------------------------------------


def test_whole_documents_are_handed_over_once_they_are_durable() -> None:
    subject, effects = drafting_engine()
    effects = write_all(subject, effects)
    assert sent(effects, Completed) == []
    *_, before, last = of_type(effects, Save)
    assert sent(subject.handle(Saved(before.revision, 0.01)), Completed) == []
    effects = subject.handle(Saved(last.revision, 0.01))
    (completed,) = sent(effects, Completed)
    assert completed.brd["version"] == 1
    assert last.record.documents is not None
    assert last.record.documents.is_finished
    (given,) = of_type(received(subject, effects), Save)
    assert given.record.documents is not None
    assert given.record.documents.versions[-1].given_after_turn == 1


def test_while_the_store_is_away_they_are_handed_over_all_the_same() -> None:
    subject, effects = drafting_engine()
    write_all(subject, effects)
    assert len(sent(subject.handle(StoreTroubled()), Completed)) == 1


def test_what_is_told_after_them_waits_for_them() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))
    tell(subject, *delivered(2))
    effects = write_all(subject, effects)
    effects += subject.handle(meant(question_of(effects), "correct", "problem"))
    assert [frame.done for frame in sent(effects, Progress)][-1] == len(SECTIONS) - 1  # of the first version
    told = saved(subject, effects)
    assert [type(frame) for frame in (*sent(told, Completed), *sent(told, Progress))] == [Completed, Progress]


def test_a_restarted_agent_hands_over_what_its_predecessor_may_have_kept() -> None:
    subject = engine(finished_session(), revision=40)
    effects = subject.resume_after_crash(now=0.0)
    assert sent(effects, Completed) == []
    assert len(sent(saved(subject, effects), Completed)) == 1


# --- what the user says takes effect with the reply -----------------------------------------------------------------


def test_a_correction_takes_effect_when_its_reply_is_delivered() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    effects = subject.handle(meant(question, "correct", "problem"))
    assert [reply.response for reply in sent(effects, Reply)] == ["I see: correct."]
    assert of_type(effects, Write) == []
    (task,) = of_type(tell(subject, *delivered(2)), Write)
    assert (task.brief.job, task.brief.correction) == (Job("section", "problem"), "50, not 40")
    assert subject.record.status == "drafting"


def test_a_confirmation_names_the_turn_in_which_the_user_confirmed() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Yes")))
    subject.handle(meant(question, "confirm"))
    assert newest(subject).state == "draft"
    tell(subject, *delivered(2))
    brd = newest(subject)
    assert (brd.state, brd.version, brd.confirmed_in_turn) == ("confirmed", 1, 2)


def test_who_speaks_on_before_the_reply_is_out_is_asked_about_both() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Yes, that is right")))
    subject.handle(meant(question, "confirm"))
    effects = subject.handle(said("no, wait: 50"))
    assert question_of(effects).words == "Yes, that is right\nno, wait: 50"
    assert newest(subject).state == "draft"


def test_a_correction_whose_reply_was_interrupted_is_considered_in_silence() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    subject.handle(meant(question, "correct", "problem"))
    question = question_of(subject.handle(InterruptAsked()))
    assert (question.turn, question.words) == (IN_SILENCE, "50, not 40")
    (task,) = of_type(subject.handle(meant(question, "correct", "problem")), Write)
    assert task.brief.job == Job("section", "problem")


def test_after_a_crash_before_the_reply_was_out_it_is_asked_again_and_answered() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    subject.handle(meant(question, "correct", "problem"))
    back = engine(subject.record)
    effects = back.greet(resumed=True, replay=False, now=9.0)
    assert question_of(effects) == question
    effects = back.handle(meant(question, "correct", "problem"))
    assert [reply.response for reply in sent(effects, Reply)] == ["I see: correct."]


def test_nobody_can_tell_what_was_meant() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    effects = subject.handle(Reviewed(question, None, 1.0))
    assert [reply.response for reply in sent(effects, Reply)] == [UNREAD]
    silent = question_of(tell(subject, *delivered(2)))  # once more, without keeping anybody waiting
    assert (silent.turn, silent.words) == (IN_SILENCE, "50, not 40")
    assert of_type(subject.handle(Reviewed(silent, None, 2.0)), AskAbout) == []  # not for ever
    again = question_of(subject.handle(said("I mean 50")))
    assert again.words == "50, not 40\nI mean 50"


def test_a_reply_without_words_is_still_a_reply() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    review = meant(question, "other").review
    assert review is not None
    effects = subject.handle(Reviewed(question, type(review)("other", " \n", "fake"), 1.0))
    assert [reply.response for reply in sent(effects, Reply)] == [TAKEN_IN]


# --- what is said while a version is in work ------------------------------------------------------------------------


def test_what_is_said_meanwhile_is_considered_in_silence_and_cannot_confirm() -> None:
    subject, effects = drafting_engine()
    assert [reply.response for reply in sent(subject.handle(said("Yes, fine")), Reply)] == [WRITING]
    tell(subject, *delivered(2))
    question = question_of(write_all(subject, effects))
    assert (question.turn, question.words, question.brd.version) == (IN_SILENCE, "Yes, fine", 1)
    subject.handle(meant(question, "confirm"))
    assert newest(subject).state == "draft"
    assert of_type(subject.handle(said("And now?")), AskAbout)[0].brief.words == "And now?"


def test_who_leaves_before_the_reply_has_confirmed_what_they_saw() -> None:
    subject = finished_engine()
    subject.handle(said("Yes, that is right"))
    assert subject.record.status == "drafting"
    alone = engine(subject.record)
    question = question_of(alone.attend_to_documents())
    alone.handle(meant(question, "confirm"))
    brd = newest(alone)
    assert (brd.state, brd.version, brd.confirmed_in_turn, alone.record.status) == ("confirmed", 1, 2, "complete")


def test_a_live_question_takes_the_silent_ones_place() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))
    tell(subject, *delivered(2))
    silent = question_of(write_all(subject, effects))
    effects = subject.handle(said("and weekly"))
    assert [stop.turn for stop in of_type(effects, StopAsking)] == [IN_SILENCE]
    live = question_of(effects)
    assert (silent.turn, live.turn, live.words) == (IN_SILENCE, 3, "50, not 40\nand weekly")


def test_while_a_turn_is_live_nobody_asks_in_silence() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))  # its reply is not out yet
    effects = write_all(subject, effects)
    assert of_type(effects, AskAbout) == []
    assert question_of(tell(subject, *delivered(2))).words == "50, not 40"


def test_without_a_client_even_words_that_are_owed_a_reply_are_considered() -> None:
    subject, _ = drafting_engine()
    subject.handle(said("50, not 40"))  # and the client is gone
    alone = engine(subject.record)
    effects = write_all(alone, alone.attend_to_documents())
    assert question_of(effects).words == "50, not 40"
    alone.handle(meant(question_of(effects), "correct", "problem"))
    back = engine(alone.record)
    assert [reply.response for reply in sent(back.greet(resumed=True, replay=False, now=9.0), Reply)] == [
        "I see: correct."
    ]


def test_what_was_meant_of_an_older_version_is_asked_anew() -> None:
    subject = finished_engine()
    old = question_of(subject.handle(said("50, not 40")))
    subject.handle(meant(old, "correct", "problem"))
    effects = write_all(subject, tell(subject, *delivered(2)))
    assert newest(subject).version == 2
    saved(subject, effects)
    subject.handle(said("and weekly"))
    stale = msgspec.structs.replace(old, turn=3)
    subject.handle(meant(stale, "confirm"))
    question = question_of(tell(subject, *delivered(3)))
    assert (question.words, question.brd.version) == ("and weekly", 2)
    assert newest(subject).state == "draft"


def test_each_version_may_be_spoken_of_while_it_is_in_work() -> None:
    subject, effects = drafting_engine()
    for turn, words in ((2, "50, not 40"), (3, "and weekly")):
        subject.handle(said(words))
        tell(subject, *delivered(turn))
        question = question_of(write_all(subject, effects))
        assert question.words == words
        effects = subject.handle(meant(question, "correct", "problem"))
    write_all(subject, effects)
    assert newest(subject).version == 3


# --- corrections ----------------------------------------------------------------------------------------------------


def test_what_could_not_be_had_is_tried_again_with_a_correction() -> None:
    subject, effects = drafting_engine()
    write_all(subject, effects, failing="risks")
    assert newest(subject).section("risks").missing == NOT_HAD
    question = question_of(subject.handle(said("50, not 40")))
    subject.handle(meant(question, "correct", "problem"))
    effects = tell(subject, *delivered(2))
    assert {task.brief.job.key for task in of_type(effects, Write)} == {"problem", "risks"}


@pytest.mark.parametrize("sections", [(), ("nonsense",)])
def test_a_correction_of_nothing_in_particular_becomes_a_question(sections: tuple[str, ...]) -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Something is wrong")))
    subject.handle(meant(question, "correct", *sections))
    (task,) = of_type(tell(subject, *delivered(2)), Write)
    assert task.brief.job == Job("section", "openQuestions")


def test_a_job_that_was_done_already_changes_nothing() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("50, not 40")))
    subject.handle(meant(question, "correct", "problem"))
    (task,) = of_type(tell(subject, *delivered(2)), Write)
    done = wrote(task)
    subject.handle(done)
    before = subject.record
    assert subject.handle(done) == []
    assert subject.record == before
