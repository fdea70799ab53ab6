"""What the user corrects in the middle of the interview: certain, in doubt, or no correction at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.documents import answers
from evaa.documents.answers import Answer
from evaa.documents.catalogue import BY_KEY, TEXT
from evaa.documents.checking import check
from evaa.documents.corrections import Contradiction, Settled, settled
from evaa.documents.scripted_writer import BOTH_SAID
from evaa.documents.taking_back import core
from evaa.documents.topics import Topic, default_questions
from evaa.interview.stages import default_stages
from protocols.records import Interview, TurnRecord
from protocols.writing import Job
from tests.evaa.documents.brd_text import brd, lists, section, texts

QUESTIONS = {topic: question for question, topic in default_questions().items()}
PAIN, OUTCOME, STEPS, RULES, EXAMPLE, VOLUME, PEAK, EFFORT = (
    (1, 1), (1, 3), (3, 0), (5, 1), (5, 2), (7, 0), (7, 1), (7, 2),
)  # fmt: skip


def answer(turn: int, topic: Topic, text: str) -> Answer:
    return Answer(default_stages()[topic[0] - 1], text, (turn,), QUESTIONS[topic])


def told(*said: tuple[Topic, str]) -> Settled:
    return settled([answer(turn, topic, text) for turn, (topic, text) in enumerate(said, start=1)])


def stands(result: Settled) -> list[tuple[Topic, str, tuple[int, ...]]]:
    return [(default_questions()[it.question], it.text, it.turns) for it in result.answers]


@pytest.mark.parametrize(
    ("first", "correction", "now"),
    [
        ("40 a week.", "Actually it is 60, not 40.", "60 a week."),
        ("40 orders a week.", "It's 60 a week, not 40.", "60 orders a week."),
        ("We order about 55 parts a day.", "Sorry, that was wrong: we order about 35 parts a day.",
         "We order about 35 parts a day."),
        ("We have 1,200 results a day.", "I have to correct myself: it is 1,400 results a day, 1,200 was last year.",
         "It is 1,400 results a day, 1,200 was last year."),
        ("About 40 orders a week.", "I was wrong. It is 60 orders a week.", "About 60 orders a week."),
        ("It should start at 17:00 every day.", "No, sorry, it should start at 16:00 every day, since the shift ends.",
         "It should start at 16:00 every day, since the shift ends."),
        ("350", "Sorry, 300 cases in a normal week.", "300"),
        ("About 20 boxes leave the house each day.", "I looked that up, 30 boxes leave the house, in fact.",
         "About 30 boxes leave the house each day."),
        ("Wir haben 120 Aufträge pro Woche.", "Entschuldigung, das stimmt nicht: es sind 150 Aufträge pro Woche.",
         "Wir haben 150 Aufträge pro Woche."),
        ("Wir haben 120 Aufträge pro Woche.", "Nein, nicht 120, sondern 150.", "Wir haben 150 Aufträge pro Woche."),
    ],
)  # fmt: skip
def test_a_certain_value_takes_the_place_of_the_old_one(first: str, correction: str, now: str) -> None:
    result = told((VOLUME, first), (PEAK, correction))
    assert stands(result) == [(VOLUME, now, (1, 2))]
    assert result.contradictions == ()
    assert result.passed_over == {(2,)}


def test_what_a_correction_says_besides_is_kept_beside_the_new_value() -> None:
    rule = "If the price differs by more than 2 percent from the order, Anna waits."
    result = told(
        (RULES, rule), (EXAMPLE, "That has changed: it may differ by 5 percent from the order since January.")
    )
    text = f"{rule.replace('2', '5')} It may differ by 5 percent from the order since January."
    assert stands(result) == [(RULES, text, (1, 2))]


def test_only_the_statement_that_is_corrected_has_both_turns() -> None:
    result = told(
        (RULES, "We like rules. Above 5,000 euros Mr. Keller approves. Credit notes are booked with a minus."),
        (EXAMPLE, "I was wrong: Mr. Keller approves above 6,000 euros. An example is Muster GmbH."),
    )
    assert stands(result) == [
        (RULES, "We like rules.", (1,)),
        (RULES, "Above 6,000 euros Mr. Keller approves.", (1, 2)),
        (RULES, "Credit notes are booked with a minus.", (1,)),
        (EXAMPLE, "An example is Muster GmbH.", (2,)),
    ]
    assert result.passed_over == frozenset(), "the question was answered, too"


def test_what_was_said_twice_is_corrected_twice() -> None:
    rule = "Mr. Keller approves above 5,000 euros."
    result = told((RULES, f"{rule} Yes, {rule}"), (EXAMPLE, "Sorry, Mr. Keller approves above 6,000 euros, not 5,000."))
    assert " ".join(it.text for it in result.answers) == f"{rule} Yes, {rule}".replace("5,000", "6,000")


@pytest.mark.parametrize(
    ("first", "correction"),
    [
        ("We have 260 visits a week.", "Wait, with the new school it is 290 visits a week."),
        ("Anna types the invoices into DATEV.", "Sorry, Petra types the invoices, not Anna."),
        ("Anna types the invoices into DATEV.", "Sorry, invoices are approved by Petra, not Anna."),
        ("Orders from Norway go to customs.", "That was wrong, orders from Norway go straight to the warehouse."),
        ("About forty a week.", "Sorry, it's 60 a week, not 40."),
    ],
)
def test_in_doubt_both_stand_together_and_contradict_each_other(first: str, correction: str) -> None:
    result = told((VOLUME, first), (PEAK, correction))
    assert stands(result) == [(VOLUME, f"{first} {correction}", (1, 2))]
    assert result.contradictions == (Contradiction(default_stages()[6], first, (1,), correction, (2,)),)


def test_a_value_that_was_said_of_two_things_is_in_doubt() -> None:
    said = (VOLUME, "40 a week."), (EFFORT, "40 minutes.")
    assert told(*said, (PEAK, "Actually it is 60, not 40.")).contradictions[0].earlier == "40 minutes."
    assert stands(told(*said, (PEAK, "Actually it is 60 a week, not 40.")))[0] == (VOLUME, "60 a week.", (1, 3))


def test_what_else_has_the_old_value_is_asked_about() -> None:
    step, limit = "If it is above 1,000 euros, Anna sends it to Mr. Wolf.", "Mr. Wolf has 1,000 orders a week."
    rule, correction = "Mr. Wolf approves above 1,000 euros.", "I was wrong: Mr. Wolf approves above 2,000 euros."
    result = told((STEPS, step), (PAIN, limit), (RULES, rule), (EXAMPLE, correction))
    assert [it.text for it in result.answers] == [step, limit, rule.replace("1,000", "2,000")]
    assert [(it.earlier, it.later, it.turns) for it in result.contradictions] == [(step, correction, (1, 4))]


@pytest.mark.parametrize(
    ("asked", "first", "later"),
    [
        (PEAK, "We get 350 invoices a week.", "Actually, in December we get 500 invoices a week."),
        (PEAK, "We get 350 invoices a week.", "Sorry, in December we get 500 invoices a week."),
        (PEAK, "We get 350 invoices a week.", "No, sorry, it is 350 invoices a week."),
        (PEAK, "We get 350 invoices a week.", "Sorry, we also get 500 invoices a week."),
        (PEAK, "We get 350 invoices a week.", "Actually, we also get 500 invoices a week on paper."),
        (PEAK, "The report leaves at 17:00.", "Sorry, a case takes 45 minutes."),
        (OUTCOME, "A refund takes 6 days.", "A refund takes 2 days instead of 6."),
        (EXAMPLE, "A refund takes 6 days.", "At the fair a refund takes 2 days instead of 6."),
        (OUTCOME, "A refund takes 6 days.", "It should take 2 days, not 6."),
        (OUTCOME, "A refund takes 6 days.", "A refund takes 2 days, not 6."),
        (OUTCOME, "A refund takes 6 days.", "Actually a refund takes 2 days."),
        (EXAMPLE, "A refund takes 6 days.", "Actually a refund should take 2 days."),
        (OUTCOME, "Customers wait 6 days for a refund.", "Customers no longer wait 6 days for a refund."),
        (EXAMPLE, "Anna types the invoices into DATEV.", "Mr Keller approves the invoices, not Anna."),
        (EXAMPLE, "The limit is 40 euros.", "The budget is 60, not 40."),
        (EXAMPLE, "I wait for the PDF, then I book it.", "Wait for the PDF, then book it."),
        (PEAK, "About 40 orders a week.", "Sorry about the noise, the orders come every week at 10."),
        (EXAMPLE, "We book invoices.", "I was wrong there."),
    ],
)  # fmt: skip
def test_what_may_be_no_correction_changes_nothing(asked: Topic, first: str, later: str) -> None:
    result = told((PAIN, first), (asked, later))
    assert stands(result) == [(PAIN, first, (1,)), (asked, later, (2,))]
    assert (result.contradictions, result.passed_over) == ((), frozenset())


def test_a_story_corrects_nothing() -> None:
    story = " ".join(["Sorry, it is 60 a week, not 40."] * 13)
    assert len(told((VOLUME, "40 a week."), (STEPS, story)).answers) == 2


def test_the_words_that_take_something_back_are_left_out_of_what_stands() -> None:
    assert core("Sorry, that has changed: it is 5 since May.") == "It is 5 since May."
    assert core("Actually it is 5, please note that instead.") == "It is 5."
    assert core("No reading is above 5, sorry.") == "No reading is above 5."
    assert core("Sorry, I was wrong.") == "Sorry, I was wrong.".rpartition(", ")[2].capitalize()


# --- in the documents ---------------------------------------------------------------------------------------------


SAID = st.lists(
    st.sampled_from(
        [
            "40 orders a week.", "Actually it is 60, not 40.", "Sorry, that was wrong: we get 60 orders a week.",
            "No, wait, it is 40 a week, not 60, and Anna types them.", "Anna types orders into DATEV.",
            "I was wrong.", "Sorry.",
            "Sorry, Petra types orders, not Anna.", "It has changed: 5 percent of the orders are typed by Anna.",
            "Nein, nicht 40, sondern 1.200,50.", "Above 60 euros Anna asks. I am not sure. Actually above 40 euros.",
        ]
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(SAID.map(" ".join), min_size=1, max_size=4))
def test_whatever_is_corrected_all_that_is_stated_stands(said: list[str]) -> None:
    written = interview(*said)
    for key, entries in brd(written).items():
        result = check(entries, BY_KEY[key].columns, written.turns)
        assert (result.doubtful, len(result.sound)) == ((), len(entries))
    stage = lists(written, Job("stage", default_stages()[6].stage_id))
    assert all(check(entries, (TEXT,), written.turns).doubtful == () for entries in stage.values())
    assert len(stage["contradictions"]) == len(answers.contradictions(written))


def test_a_hostile_interview_is_settled_within_the_time_limit_of_a_test() -> None:
    words = " ".join(f"Sorry, it is {number} a week, not {number + 1}." for number in range(12))
    assert told(*[(VOLUME, words)] * 200, (STEPS, "I was wrong. " * 2_000)).answers


def interview(*said: str) -> Interview:
    """Answers to the questions of the stage about volume, in their order."""
    stages = default_stages()
    stage = stages[6]
    asked = [*stage.follow_ups, stages[7].opening]
    before = TurnRecord(
        1, stages[5].stage_id, "text", "Nothing goes wrong.", 0, reply=stage.opening, outcome="answered"
    )
    turns = [
        TurnRecord(number, stage.stage_id, "text", text, 0, reply=asked[number - 2], outcome="answered")
        for number, text in enumerate(said, start=2)
    ]
    return Interview(stages, stage_index=7, turns=(before, *turns))


def test_a_certain_correction_is_filed_where_it_belongs_and_stands() -> None:
    written = interview("We get 350 invoices a week.", "Sorry, that was wrong: we get 250 invoices a week.")
    document = brd(written)
    (quality,) = document["nonFunctional"]
    assert quality.fields == {"quality": "Cases in a normal week", "requirement": "We get 250 invoices a week."}
    assert quality.source_turns == (2, 3)
    assert all("350" not in value for entries in document.values() for it in entries for value in it.fields.values())
    assert check((quality,), BY_KEY["nonFunctional"].columns, written.turns).sound
    passed_over = [it.question for it in answers.open_questions(written)]
    assert default_stages()[6].follow_ups[0] in passed_over, "it was asked, and something else was said"


def test_a_doubtful_correction_is_a_contradiction_and_a_question() -> None:
    written = interview("We get 350 invoices a week.", "Wait, with the new shop we get 450 invoices a week.")
    stage = lists(written, Job("stage", default_stages()[6].stage_id))
    both = "“We get 350 invoices a week.” (turn 2), or “Wait, with the new shop we get 450 invoices a week.” (turn 3)"
    assert texts(stage["contradictions"]) == [both]
    assert check(stage["contradictions"], (TEXT,), written.turns).sound
    question = section(written, "openQuestions")[0]
    assert question.fields == {"question": f"Which of these holds: {both}?", "reason": BOTH_SAID}
    assert question.source_turns == (2, 3)
    assert texts(section(written, "nonFunctional"), "requirement") == [
        "We get 350 invoices a week. Wait, with the new shop we get 450 invoices a week."
    ]
