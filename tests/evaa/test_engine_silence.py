"""The turn engine after the interview: what is looked at in silence, and when nothing is left to be done."""

import msgspec
import pytest

from evaa.documents.desk import TAKEN_IN, UNREAD
from protocols.frontend import Completed, WarningFrame
from protocols.messages import (
    AskAbout,
    Reviewed,
    Saved,
    Settled,
    Write,
)
from tests.evaa.finished_interview import (
    delivered,
    drafting_engine,
    finished_engine,
    meant,
    question_of,
    replies,
    saved,
    spoken_meanwhile,
    write_all,
)
from tests.evaa.interviews import engine, of_type, said, sent, tell

# --- looking in silence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["other", "confirm"])
def test_a_silent_look_that_changes_nothing_is_no_news(answer: str) -> None:
    subject, effects = spoken_meanwhile("Thanks")
    assert len(sent(effects, Completed)) == 1
    effects = subject.handle(meant(question_of(effects), "other" if answer == "other" else "confirm"))
    assert sent(effects + saved(subject, effects), Completed) == []


def test_what_passes_is_said_and_kept_for_later() -> None:
    subject, effects = spoken_meanwhile("Hm")
    effects = subject.handle(Reviewed(question_of(effects), None, 1.0, may_pass=True))
    assert [warning.message for warning in sent(effects, WarningFrame)] == [UNREAD]
    assert of_type(effects, AskAbout) == []
    assert subject.record.status == "drafting"
    assert question_of(subject.handle(said("50, not 40"))).words == "Hm\n50, not 40"


def test_what_nobody_can_understand_is_given_up_and_the_user_told_so() -> None:
    subject, effects = spoken_meanwhile("Hm")
    effects = subject.handle(Reviewed(question_of(effects), None, 1.0, may_pass=False))
    assert [warning.message for warning in sent(effects, WarningFrame)] == [UNREAD]
    assert of_type(effects, AskAbout) == []
    assert subject.record.status == "complete"
    assert question_of(subject.handle(said("Well"))).words == "Well"


def test_what_nobody_could_understand_does_not_spoil_what_is_said_next() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Hm")))
    assert replies(subject.handle(Reviewed(question, None, 1.0, may_pass=False))) == [UNREAD]
    effects = tell(subject, *delivered(2))
    assert (of_type(effects, AskAbout), sent(effects, WarningFrame)) == ([], [])  # they were told in the reply
    assert question_of(subject.handle(said("Yes, it is right"))).words == "Yes, it is right"


def test_who_comes_back_for_the_answer_is_told_that_nobody_understood() -> None:
    subject = finished_engine()
    subject.handle(said("Hm"))
    alone = engine(subject.record)
    alone.handle(Reviewed(question_of(alone.attend_to_documents()), None, 1.0, may_pass=False))
    back = engine(alone.record)
    assert replies(back.greet(resumed=True, replay=False, now=9.0)) == [UNREAD]


# --- when nothing is left to be done ------------------------------------------------------------------------------


def test_it_is_settled_when_all_is_written_read_and_durable() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))
    alone = engine(subject.record)
    effects = write_all(alone, alone.attend_to_documents())
    assert of_type(effects + saved(alone, effects), Settled) == []
    effects = alone.handle(meant(question_of(effects), "correct", "problem"))
    assert of_type(effects + saved(alone, effects), Settled) == []
    effects = write_all(alone, effects)
    assert of_type(effects, Settled) == []  # it is not durable yet
    assert len(of_type(saved(alone, effects), Settled)) == 1
    assert alone.record.status == "complete"


def test_what_was_read_has_to_be_durable_too() -> None:
    subject = finished_engine()
    subject.handle(said("Thanks"))
    alone = engine(subject.record)
    effects = alone.handle(meant(question_of(alone.attend_to_documents()), "other"))
    assert of_type(effects, Settled) == []
    assert len(of_type(saved(alone, effects), Settled)) == 1


def test_it_is_not_settled_while_a_turn_is_live() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("50, not 40"))  # its reply is not out yet
    effects = write_all(subject, effects)
    assert of_type(effects + saved(subject, effects), Settled) == []


def test_who_comes_back_for_an_answer_without_words_gets_some() -> None:
    subject = finished_engine()
    subject.handle(said("Hm"))
    alone = engine(subject.record)
    question = question_of(alone.attend_to_documents())
    review = meant(question, "other").review
    assert review is not None
    effects = alone.handle(Reviewed(question, msgspec.structs.replace(review, reply=" "), 1.0))
    tell(alone, Saved(alone.revision, 0.0))
    assert of_type(effects, Write) == []
    assert replies(engine(alone.record).greet(resumed=True, replay=False, now=9.0)) == [TAKEN_IN]
