"""The turn engine after the interview: what counts as a confirmation, and of what."""

from evaa.documents.desk import LOOK_FIRST
from protocols.frontend import Completed
from protocols.messages import (
    InterruptAsked,
    ReplyTaken,
    ReplyWritten,
    Reviewed,
    Save,
    Saved,
)
from tests.evaa.finished_interview import (
    corrected,
    delivered,
    drafting_engine,
    finished_engine,
    finished_session,
    joined,
    meant,
    newest,
    question_of,
    received,
    replies,
    saved,
    spoken_meanwhile,
    write_all,
)
from tests.evaa.interviews import engine, of_type, said, sent, tell


def test_a_yes_said_before_the_version_was_there_does_not_confirm_it_on_reconnect() -> None:
    subject, _ = drafting_engine()
    subject.handle(said("Yes, fine"))  # while version 1 is in work; the client is gone before the reply
    alone = engine(subject.record)
    silent = question_of(write_all(alone, alone.attend_to_documents()))
    alone.handle(Reviewed(silent, None, 1.0))
    back = engine(alone.record)
    live = question_of(back.greet(resumed=True, replay=False, now=9.0))
    assert live.turn == 2
    assert replies(back.handle(meant(live, "confirm"))) == [LOOK_FIRST]
    tell(back, *delivered(2))
    assert newest(back).state == "draft"


def test_nobody_confirms_a_version_that_they_were_not_given() -> None:
    subject, effects = drafting_engine()
    effects = write_all(subject, effects)  # being saved: nothing has been handed over
    assert sent(effects, Completed) == []
    question = question_of(subject.handle(said("Yes, go on")))
    effects = subject.handle(meant(question, "confirm"))
    assert replies(effects) == [LOOK_FIRST]
    effects += tell(subject, *delivered(2))
    assert sent(effects, Completed) == []
    assert newest(subject).state == "draft"
    assert len(sent(saved(subject, effects), Completed)) == 1
    question = question_of(subject.handle(said("Yes, now I see it")))
    subject.handle(meant(question, "confirm"))
    tell(subject, *delivered(3))
    assert newest(subject).confirmed_in_turn == 3


def test_what_was_said_of_a_version_that_was_not_given_cannot_confirm_it_in_silence_either() -> None:
    subject, effects = drafting_engine()
    write_all(subject, effects)
    subject.handle(said("Yes, go on"))
    alone = engine(subject.record)
    alone.handle(meant(question_of(alone.attend_to_documents()), "confirm"))
    assert newest(alone).state == "draft"


def test_nor_the_next_version_before_they_were_given_it() -> None:
    subject = finished_engine()
    subject.handle(meant(question_of(subject.handle(said("50, not 40"))), "correct", "problem"))
    write_all(subject, tell(subject, *delivered(2)))
    assert replies(subject.handle(meant(question_of(subject.handle(said("Yes"))), "confirm"))) == [LOOK_FIRST]


def test_a_yes_from_before_confirms_nothing_though_something_is_said_after_it() -> None:
    subject, _ = spoken_meanwhile("Yes, all good")  # there is a silent look under way
    live = question_of(subject.handle(said("Thanks")))
    assert live.words == "Yes, all good\nThanks"
    assert replies(subject.handle(meant(live, "confirm"))) == [LOOK_FIRST]
    tell(subject, *delivered(3))
    assert newest(subject).state == "draft"


def test_nor_does_a_yes_that_waited_while_a_reply_was_leaving() -> None:
    subject, effects = drafting_engine()
    subject.handle(said("Hm"))
    subject.handle(ReplyTaken(2))  # "I am still writing" is leaving
    subject.handle(said("Yes, go on"))  # and this waits until it has left
    saved(subject, write_all(subject, effects))
    question = question_of(subject.handle(ReplyWritten(2, 2.0)))
    assert replies(subject.handle(meant(question, "confirm"))) == [LOOK_FIRST]


def test_nor_one_that_waited_while_the_version_was_given() -> None:
    subject, effects = drafting_engine()
    effects = write_all(subject, effects)  # being saved
    subject.handle(meant(question_of(subject.handle(said("Hm"))), "other"))
    subject.handle(ReplyTaken(2))
    subject.handle(said("Yes, go on"))  # waits
    assert len(sent(saved(subject, effects), Completed)) == 1
    question = question_of(subject.handle(ReplyWritten(2, 2.0)))
    assert question.words == "Yes, go on"
    assert replies(subject.handle(meant(question, "confirm"))) == [LOOK_FIRST]


def test_nor_one_between_two_versions() -> None:
    subject, effects = drafting_engine()
    first = write_all(subject, effects)  # being saved, for long
    subject.handle(meant(question_of(subject.handle(said("50, not 40"))), "correct", "problem"))
    write_all(subject, tell(subject, *delivered(2)))
    assert len(sent(saved(subject, first), Completed)) == 1  # the first; the second is being saved
    question = question_of(subject.handle(said("Yes, fine")))
    assert (question.brd.version, question.words) == (2, "Yes, fine")
    assert replies(subject.handle(meant(question, "confirm"))) == [LOOK_FIRST]


def test_nor_one_that_was_said_before_the_version_was_sent() -> None:
    subject, effects = drafting_engine()
    effects = write_all(subject, effects)
    effects = tell(subject, Saved(of_type(effects, Save)[-1].revision, 0.01))
    assert len(sent(effects, Completed)) == 1  # it is on its way, as far as the network lets it
    question = question_of(subject.handle(said("Yes, go on")))
    assert replies(subject.handle(meant(question, "confirm"))) == [LOOK_FIRST]
    received(subject, effects)
    tell(subject, *delivered(2))
    question = question_of(subject.handle(said("Yes, now I have it")))
    assert replies(subject.handle(meant(question, "confirm"))) == ["I see: confirm."]


def test_what_came_with_the_connection_counts_once() -> None:
    subject = joined(finished_session(), said_already=1)
    corrected(subject, 2, "50, not 40", "problem")
    question = question_of(subject.handle(said("Yes")))
    assert replies(subject.handle(meant(question, "confirm"))) == ["I see: confirm."]


def test_nor_one_that_came_before_the_version_though_together_with_the_connection() -> None:
    subject, _ = drafting_engine()
    alone = engine(subject.record)
    write_all(alone, alone.attend_to_documents())
    back = joined(alone.record, said_already=1)
    question = question_of(back.handle(said("Yes, go on")))
    assert replies(back.handle(meant(question, "confirm"))) == [LOOK_FIRST]
    tell(back, *delivered(2))
    again = joined(back.record, said_already=1)  # once they have it, their words may come with a connection
    question = question_of(again.handle(said("Yes, that is right")))
    assert replies(again.handle(meant(question, "confirm"))) == ["I see: confirm."]


def test_nor_one_that_was_interrupted_with_what_is_said_next() -> None:
    subject = finished_engine()
    subject.handle(meant(question_of(subject.handle(said("Yes, fine"))), "confirm"))
    subject.handle(InterruptAsked())
    live = question_of(subject.handle(said("Hm, thanks")))
    assert live.words == "Yes, fine\nHm, thanks"
    assert replies(subject.handle(meant(live, "confirm"))) == [LOOK_FIRST]


def test_who_says_yes_while_the_confirmation_is_being_saved_had_the_version() -> None:
    subject = finished_engine()
    subject.handle(meant(question_of(subject.handle(said("Yes"))), "confirm"))
    tell(subject, *delivered(2))
    effects = subject.handle(meant(question_of(subject.handle(said("Yes, really"))), "confirm"))
    assert replies(effects) == ["I see: confirm."]


def test_who_confirms_again_has_confirmed_once() -> None:
    subject = finished_engine()
    news: list[Completed] = []
    for turn, words in ((2, "Yes"), (3, "Yes, all good")):
        question = question_of(subject.handle(said(words)))
        effects = subject.handle(meant(question, "confirm"))
        effects += tell(subject, *delivered(turn))
        news += sent(effects + saved(subject, effects), Completed)
    assert newest(subject).confirmed_in_turn == 2
    assert len(news) == 1


def test_a_confirmation_that_was_interrupted_does_not_confirm() -> None:
    subject = finished_engine()
    question = question_of(subject.handle(said("Yes, fine")))
    subject.handle(meant(question, "confirm"))
    silent = question_of(subject.handle(InterruptAsked()))
    subject.handle(meant(silent, "confirm"))
    assert newest(subject).state == "draft"
    question = question_of(subject.handle(said("Yes, it is fine")))
    assert question.words == "Yes, it is fine"
    subject.handle(meant(question, "confirm"))
    tell(subject, *delivered(3))
    assert newest(subject).state == "confirmed"
