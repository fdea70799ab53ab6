"""What is said of the finished documents, and corrections word for word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.documents import identity
from evaa.documents.catalogue import BY_KEY, SECTIONS
from evaa.documents.checking import check, entries_of
from evaa.documents.scripted_review import CONFIRMED, PLEASE_CONFIRM, Replacement, replacement_in, review
from protocols.documents import Brd, Entry, Section
from protocols.records import Interview, TurnRecord
from protocols.writing import Review, ReviewBrief
from tests.evaa.documents.brd_text import SESSION_ID, section
from tests.evaa.documents.interview import invoices

INTERVIEW = invoices()


def document(interview: Interview) -> Brd:
    """The document as it is kept: checked, with ids."""
    sections = []
    for kind in SECTIONS:
        sound = check(section(interview, kind.key), kind.columns, interview.turns).sound
        sections.append(Section(kind.key, entries_of(sound, identity.assign(kind.prefix, sound, (), ()))))
    return Brd("BRD-1", 1, SESSION_ID, "Invoices", "en", 0, len(interview.turns), tuple(sections))


BRD = document(INTERVIEW)


def said(words: str) -> Interview:
    """The interview with a turn after it."""
    turns = (*INTERVIEW.turns, TurnRecord(34, "", "text", words, 0))
    return Interview(INTERVIEW.stages, stage_index=len(INTERVIEW.stages), turns=turns)


def reviewed(words: str) -> Review:
    brief = ReviewBrief(session_id=SESSION_ID, turn=34, first_turn=34, words=words, interview=said(words), brd=BRD)
    return review(brief)


@pytest.mark.parametrize(
    "words",
    [
        "Yes", "yes.", "Confirmed!", "I confirm.", "I hereby confirm the document.", "Looks good",
        "That looks good to me.", "Looks good, thanks!", "That's correct", "Correct.",
        "approved", "I approve it.", "Everything is fine.", "OK",
        "Thank you, looks great.", "All good", "Perfect", "Ja, passt.", "Ja", "Stimmt so.", "Freigegeben", "oui",
    ],
)  # fmt: skip
def test_plain_words_confirm(words: str) -> None:
    assert reviewed(words) == Review("confirm", CONFIRMED, "scripted")


@pytest.mark.parametrize(
    "words",
    [
        "Yes, but the limit is 6,000 euros, not 5,000.", "That's not correct, Tom does not type.",
        "No, that is Anna's job.",
        "Looks good except for the mailbox", "Please add that credit notes are approved too.", "The budget is wrong.",
        "Ja, aber Anna fehlt.", "You forgot the reminders", "Can you change 5,000 to 6,000?",
        "Anna types the invoice number with Tom",
    ],
)  # fmt: skip
def test_a_reserve_or_a_change_corrects(words: str) -> None:
    review = reviewed(words)
    assert (review.intent, review.model) == ("correct", "scripted")
    assert set(review.sections) <= set(BY_KEY)
    assert review.sections
    assert review.change
    assert review.reply.endswith(PLEASE_CONFIRM)


@pytest.mark.parametrize(
    "words",
    [
        "Thanks!",
        "What happens now?",
        "Is that correct?",
        "Hello",
        "",
        "I will look at it tomorrow.",
        "That is not correct.",
        "no",
    ],
)
def test_anything_else_changes_nothing_and_is_answered(words: str) -> None:
    review = reviewed(words)
    assert (review.intent, review.sections, review.change) == ("other", (), "")
    assert "for example" in review.reply


def test_a_correction_names_every_section_with_the_old_value() -> None:
    review = reviewed("The limit is 6,000 euros, not 5000.")
    assert set(review.sections) == {"businessRules", "requirements", "currentProcess", "solution", "stakeholders"}
    assert review.change == "“5000” becomes “6,000”"
    assert "Business rules and exceptions" in review.reply


def test_a_correction_of_what_is_nowhere_goes_where_most_of_its_words_are() -> None:
    assert reviewed("Actually the invoice waits for Tom if the supplier is unknown.").sections == ("requirements",)
    assert reviewed("You forgot xylophones").sections == ("requirements",)


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("the budget is 5,000, not 500", "500", "5,000"),
        ("The budget is €5,000 and not €500.", "€500", "€5,000"),
        ("it takes 10 minutes, not 5", "5", "10"),
        ("not 500 but 5,000", "500", "5,000"),
        ("Anna instead of Tom", "Tom", "Anna"),
        ("It goes to Fritz ERP, not DATEV.", "DATEV", "Fritz ERP"),
        ("change 500 to 5,000", "500", "5,000"),
        ("Can you replace Tom with Eve?", "Tom", "Eve"),
        ('"net amount" instead of "gross amount"', "gross amount", "net amount"),
        ("6.000 statt 5.000", "5.000", "6.000"),
        ("nicht Tom, sondern Eva", "Tom", "Eva"),
    ],
)
def test_two_values_are_found_where_both_are_named(words: str, old: str, new: str) -> None:
    assert replacement_in(words) == Replacement(old, new)


@pytest.mark.parametrize(
    "words",
    [
        "the accounting team, not sales", "not 500", "the budget is 5,000", "5, not 6, and 7, not 8", "Tom, not 5",
        "Anna does not type", "",
    ],
)  # fmt: skip
def test_anything_less_plain_is_not_guessed_at(words: str) -> None:
    assert replacement_in(words) is None


def revised(key: str, words: str) -> list[Entry]:
    drafts = section(said(words), key, previous=BRD.section(key), said=words)
    result = check(drafts, BY_KEY[key].columns, said(words).turns)
    assert result.doubtful == ()
    ids = identity.assign(BY_KEY[key].prefix, result.sound, BRD.section(key).entries, ())
    return list(entries_of(result.sound, ids))


def test_a_value_is_replaced_and_nothing_else_changes() -> None:
    before, after = BRD.section("constraints").entries, revised("constraints", "The budget is 9,000 euros, not 8000.")
    assert [entry.entry_id for entry in after] == [entry.entry_id for entry in before]
    assert after[:-1] == list(before[:-1])
    assert after[-1].fields == {"text": "The budget is 9,000 euros, and invoices have to be kept for ten years."}
    assert (after[-1].source_turns, after[-1].status) == ((32, 34), "stated")


def test_a_name_is_replaced_in_whole_words() -> None:
    after = revised("stakeholders", "Eve instead of Tom")
    assert after[0].fields["role"] == "The accounting team, mostly Anna and Eve, and our tax adviser."


def test_what_is_not_a_replacement_is_added_in_the_users_words() -> None:
    words = "Please add that the budget has to be spent this year."
    *before, added = revised("constraints", words)
    assert before == list(BRD.section("constraints").entries)
    assert added == Entry("CO-5", {"text": words}, (34,), "stated")


def test_a_card_that_is_added_is_headed() -> None:
    words = "You forgot this: duplicates have to be found by their number. They are marked red."
    added = revised("requirements", words)[-1]
    assert added.fields["then"] == words
    assert added.fields["title"] == "You forgot this: duplicates have to be found by their number."


def test_a_replacement_that_is_not_in_a_section_is_noted_there() -> None:
    assert revised("glossary", "77 instead of 66")[-1].fields == {"term": "77 instead of 66", "meaning": ""}


def test_what_was_confirmed_is_only_stated_again() -> None:
    kept = Section("constraints", (Entry("CO-1", {"text": "The budget is 8,000 euros."}, (32,), "confirmed"),))
    drafts = section(said("More."), "constraints", previous=kept, said="More.")
    assert [(draft.entry_id, draft.status) for draft in drafts] == [("CO-1", "stated"), ("", "stated")]


def test_a_section_that_could_not_be_written_is_written_now() -> None:
    missing = Section("constraints", missing="The model did not answer.")
    assert section(said("x"), "constraints", previous=missing, said="x")[:-1] == section(INTERVIEW, "constraints")


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("5,00 noteANa.?!€“”'but yes ja", max_size=60))
def test_any_words_are_understood_somehow_and_can_be_applied(words: str) -> None:
    review = reviewed(words)
    assert review.reply
    for key in review.sections:
        drafts = section(said(words), key, previous=BRD.section(key), said=words)
        assert check(drafts, BY_KEY[key].columns, said(words).turns).doubtful == ()


@pytest.mark.parametrize("words", ["yes " * 5_000, "9" * 20_000, "!" * 20_000, "No" + "!" * 20_000, "A, not " * 2_500])
def test_very_long_words_are_understood_within_the_time_limit_of_a_test(words: str) -> None:
    assert reviewed(words).reply
