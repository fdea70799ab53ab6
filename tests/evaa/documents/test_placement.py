"""Where answers go."""

import pytest

from evaa.documents.answers import Answer
from evaa.documents.catalogue import BY_KEY, SECTIONS
from evaa.documents.placement import ELSEWHERE, PLACES, Place, kind_of, places_of, topic_of
from evaa.documents.systems import mentioned, names_in
from evaa.documents.topics import LABELS, default_questions
from evaa.documents.words import Vocabulary, is_content, words
from evaa.interview.stages import default_stages
from protocols.records import Stage

QUESTIONS = {topic: question for question, topic in default_questions().items()}
EVERY = [(topic, place) for topic, places in PLACES.items() for place in places]


def stage(name: str) -> Stage:
    return Stage("5e1a0000000000000000ffff", name, "", "", 1, "Why?")


def test_every_default_question_has_its_places() -> None:
    assert sorted(PLACES) == sorted(QUESTIONS) == [(stage, number) for stage in range(1, 9) for number in range(4)]


@pytest.mark.parametrize(("topic", "place"), EVERY)
def test_places_are_columns_that_there_are(topic: tuple[int, int], place: Place) -> None:
    columns = {column.key: column for column in BY_KEY[place.section].columns}
    assert {place.column, *place.labels} <= set(columns)
    assert all(choice in columns[key].choices for key, choice in place.choices.items())
    assert not columns[place.column].choices
    assert all(not columns[key].choices for key in place.labels)


@pytest.mark.parametrize(("topic", "place"), EVERY)
def test_labels_are_words_of_the_question(topic: tuple[int, int], place: Place) -> None:
    """Otherwise they would say something that nobody said."""
    question = Vocabulary(QUESTIONS[topic])
    said = [word for label in place.labels.values() for word in words(label) if is_content(word)]
    assert [word for word in said if not question.holds(word)] == []


@pytest.mark.parametrize(("topic", "label"), LABELS.items())
def test_a_short_answer_stands_behind_words_of_its_question(topic: tuple[int, int], label: str) -> None:
    question = Vocabulary(QUESTIONS[topic])
    assert [word for word in words(label) if is_content(word) and not question.holds(word)] == []
    answer = Answer(default_stages()[topic[0] - 1], "By Anna.", (1,), QUESTIONS[topic])
    assert answer.in_context == f"{label}: By Anna."


def test_every_default_question_has_its_words() -> None:
    assert sorted(LABELS) == sorted(QUESTIONS)


def test_the_questions_feed_all_sections_but_those_that_nobody_is_asked_for() -> None:
    fed = {place.section for places in PLACES.values() for place in places} | {"executiveSummary", "solution"}
    assert {kind.key for kind in SECTIONS} - fed == {"scopeOut", "assumptions", "openQuestions", "glossary"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Project overview", 1), ("Triggers", 2), ("Today's steps", 3), ("Systems", 4), ("Data and rules", 5),
        ("Errors and approvals", 6), ("Volume", 7), ("Success criteria", 8), ("Ablauf heute", 3), ("Daten", 5),
        ("Allergies", 0),
    ],
)  # fmt: skip
def test_a_stage_of_another_set_is_like_a_default_one_by_its_name(name: str, kind: int) -> None:
    assert kind_of(stage(name)) == kind


def test_default_stages_are_known_by_their_id_and_by_their_names() -> None:
    assert [kind_of(it) for it in default_stages()] == list(range(1, 9))
    assert [kind_of(stage(it.name)) for it in default_stages()] == list(range(1, 9))


@pytest.mark.parametrize(
    ("position", "question", "topic"),
    [
        (1, "Who would use it?", (1, 2)), (1, "What is slow?", (1, 1)), (4, "Who manages the accounts?", (4, 2)),
        (5, "Is that personal data?", (5, 3)), (6, "Does anybody approve that?", (6, 2)), (7, "Any peaks?", (7, 1)),
        (8, "What's the deadline?", (8, 1)), (3, "And next?", (3, 0)),
    ],
)  # fmt: skip
def test_a_question_of_a_models_own_is_like_a_known_one(position: int, question: str, topic: tuple[int, int]) -> None:
    assert topic_of(Answer(default_stages()[position - 1], "Words", (1,), question)) == topic


def test_what_nothing_fits_is_in_scope() -> None:
    assert places_of(Answer(stage("Allergies"), "Nuts", (1,), "Which?")) == ELSEWHERE


def test_whoever_speaks_of_privacy_gives_no_example() -> None:
    data = default_stages()[4]
    (place,) = places_of(Answer(data, "The salary is confidential.", (1,), QUESTIONS[5, 2]))
    assert (place.section, place.column, place.labels) == ("data", "field", {})
    (place,) = places_of(Answer(data, "Muster GmbH, 1,190 euros.", (1,), QUESTIONS[5, 2]))
    assert place.column == "example"


def test_a_bare_no_goes_to_one_place() -> None:
    question = QUESTIONS[6, 2]
    assert len(places_of(Answer(default_stages()[5], "No.", (1,), question))) == 1
    assert len(places_of(Answer(default_stages()[5], "Anna approves.", (1,), question))) == 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Outlook, DATEV and a list in Excel.", ["Outlook", "DATEV", "Excel"]),
        ("we use google sheets and slack", ["google", "slack"]),
        ("The leads are in Google Sheets, and Fritz ERP has the rest.", ["Google Sheets", "Fritz ERP"]),
        ("DATEV. It is DATEV, on a Monday.", ["DATEV"]),
        ("Die Rechnungen liegen in SharePoint und im Postfach.", ["SharePoint"]),
        ("Nothing at all.", []),
        ("We keep the PDFs, URLs and CSVs in DATEV, IDs and QR codes, too.", ["DATEV"]),
        ("It is Mr Aydin, and Frau Holm, who use Werbas.", ["Werbas"]),
        ("The director has the final word, we zoom in.", []),
        ("The quote is in Word, the calendar in Microsoft 365.", ["Word", "Microsoft 365"]),
    ],
)
def test_names_of_systems_are_found(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_a_name_is_mentioned_as_a_whole_word() -> None:
    assert mentioned("we save it in outlook", ["Outlook", "IT", "DATEV"]) == ["Outlook"]
    assert mentioned("she has the final word", ["Word"]) == []
