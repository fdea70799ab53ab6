"""Which question an answer answers, and what was left open."""

import pytest

from evaa.documents import answers, small_talk
from evaa.documents.questions import question_of, questions, sentences, shortened
from evaa.documents.topics import default_questions
from evaa.interview.stages import default_stages
from protocols.records import Interview, Outcome, TurnRecord
from tests.evaa.documents.interview import DONT_KNOW, invoices
from tests.evaa.interviews import stages

FIRST, SECOND = stages(3, 2)


def turn(number: int, text: str, reply: str = "", outcome: Outcome = "answered", stage: str = "") -> TurnRecord:
    return TurnRecord(number, stage or FIRST.stage_id, "text", text, 0, reply=reply, outcome=outcome)


def interview(*turns: TurnRecord, closed: int = 0) -> Interview:
    return Interview((FIRST, SECOND), stage_index=closed, turns=turns)


def test_every_answer_of_the_interview_has_the_question_that_it_answers() -> None:
    known = default_questions()
    topics = [known[answer.question] for answer in answers.said(invoices())]
    asked = [(stage, number) for stage in range(1, 9) for number in range(4)]
    assert topics == [topic for topic in asked if topic not in ((3, 2), (3, 3))]


def test_what_was_said_in_several_goes_is_one_answer() -> None:
    by_text = {answer.text: answer.turns for answer in answers.said(invoices())}
    assert by_text["About forty a day, so two hundred a week."] == (25, 26)
    assert by_text["In Outlook, in the shared mailbox invoices@hartmann-bad.example."] == (6, 7)


def test_an_answer_that_came_after_a_question_was_delivered_is_another() -> None:
    told = answers.said(interview(turn(1, "Invoices", "Good. Who types them? And", "interrupted"), turn(2, "Anna")))
    assert [(answer.question, answer.text) for answer in told] == [
        ("Opening 1?", "Invoices"),
        ("Who types them?", "Anna"),
    ]


def test_what_is_said_after_the_interview_is_no_answer() -> None:
    after = turn(2, "Looks good", "Thanks.", stage="x")
    assert [it.text for it in answers.said(interview(turn(1, "Invoices", "Follow-up 1.1?"), after))] == ["Invoices"]


@pytest.mark.parametrize(
    "words",
    [
        "I don't know.", "i do not know", "No idea, sorry", "Hmm, not sure yet.", "Skip it!", "Next.", "nothing else",
        "That's all.", "Keine Ahnung.", "Das weiß ich nicht", "Well, I really don't know.", "No.",
    ],
)  # fmt: skip
def test_somebody_at_a_loss_leaves_the_question_open(words: str) -> None:
    asked = interview(turn(1, "Invoices", "Who types them?"), turn(2, words, "Fine. Follow-up 1.1?"))
    assert [answer.text for answer in answers.said(asked)] == ["Invoices"]
    first = answers.open_questions(asked)[0]
    assert (first.question, first.turns) == ("Who types them?", (2,))


@pytest.mark.parametrize(
    ("question", "words", "in_context"),
    [
        ("Is it confidential?", "No.", "Is it confidential? No."),
        ("What goes wrong?", "Nothing", "What goes wrong? Nothing"),
        (
            "Who types?",
            "I don't know who, but Anna does the rest of it.",
            "I don't know who, but Anna does the rest of it.",
        ),
        ("When?", "Not sure, maybe at noon", "When? Not sure, maybe at noon"),
        ("", "Noon", "Noon"),
    ],
)
def test_a_no_is_an_answer_and_so_is_what_says_more(question: str, words: str, in_context: str) -> None:
    told = answers.said(interview(turn(1, "Invoices", f"Fine. {question}"), turn(2, words)))
    assert [answer.in_context for answer in told[1:]] == [in_context]


def test_what_was_never_asked_is_open_unless_the_stage_had_been_asked_enough() -> None:
    def never(found: Interview) -> list[str]:
        return [question.question for question in answers.open_in(found, FIRST)]

    asked = turn(1, "Invoices", "Fine. Follow-up 1.1?")
    rest = ["Follow-up 1.2?", "Follow-up 1.3?"]
    assert never(interview()) == ["Opening 1?"]
    assert never(interview(asked, turn(2, "Anna", "Opening 2?"))) == rest
    assert never(interview(asked, turn(2, "Anna", "Opening 2?"), closed=1)) == []
    assert never(interview(asked, turn(2, DONT_KNOW, "Opening 2?"), closed=1)) == ["Follow-up 1.1?", *rest]


def test_the_last_question_is_the_question_without_what_leads_up_to_it() -> None:
    assert (
        question_of("Got it. Let's start: what happens? And then who, e.g. Anna, does it?")
        == "And then who, e.g. Anna, does it?"
    )
    assert question_of("A rough guess will do: how many?") == "How many?"
    assert question_of("Thank you.") == ""
    assert len({question_of(it) for stage in default_stages() for it in (stage.opening, *stage.follow_ups)}) == 32
    assert "" not in default_questions()


def test_the_first_turn_answers_the_opening() -> None:
    assert questions([turn(1, "a"), turn(2, "b", "Why?"), turn(3, "c")], "Hello. Who?") == {
        1: "Who?",
        2: "Who?",
        3: "Why?",
    }


def test_sentences_end_where_they_end() -> None:
    assert sentences("Dr. Fox opens it at 3 p.m. sharp. Then, e.g., Anna types. Done!\n- 5.5 hours\n1. Open it\n") == [
        "Dr. Fox opens it at 3 p.m. sharp.", "Then, e.g., Anna types.", "Done!", "5.5 hours", "1. Open it",
    ]  # fmt: skip
    assert sentences("Monday - Friday, * and 3 - 5") == ["Monday - Friday, * and 3 - 5"]
    assert sentences("好。我们输入发票。") == ["好。", "我们输入发票。"]
    assert sentences(" \n ") == []


def test_what_is_shortened_ends_with_a_word() -> None:
    assert shortened("We type invoices. Always.", 40) == "We type invoices."
    assert shortened("We type invoices, all of them.", 19) == "We type invoices…"
    assert shortened("x" * 50, 10) == "xxxxxxxxx…"
    assert shortened("", 10) == ""


@pytest.mark.parametrize(
    ("words", "is_at_a_loss"),
    [
        ("I don't know that, sorry.", True),
        ("That I can't tell you.", True),
        ("I have nothing to add there.", True),
        ("Sorry, this I do not know.", True),
        ("I would have to ask somebody about that.", True),
        ("I am really not sure about that.", True),
        ("Maybe, I don't know.", True),
        ("I don't know the amount, but Anna does", False),
        ("I have nothing to add but the fee", False),
        ("I would have to ask Anna for 40 euros", False),
        ("I'm not sure it is 40", False),
    ],
)
def test_ordinary_ways_to_be_at_a_loss_are_no_statements(words: str, is_at_a_loss: bool) -> None:
    assert small_talk.is_at_a_loss(words) == is_at_a_loss
