"""What may stand as stated: nothing that was not said."""

import pytest

from evaa.documents.catalogue import BY_KEY, TEXT
from evaa.documents.checking import (
    MAX_ENTRIES,
    MAX_FIELD_CHARS,
    Checked,
    check,
    entries_of,
    is_said,
    question_about,
)
from protocols.documents import Entry, EntryStatus
from protocols.records import Outcome, TurnRecord
from protocols.writing import DraftEntry

SAID = "We type forty invoices a day by hand, and it takes Anna about three hours. They arrive in Outlook."


def turn(number: int, text: str, reply: str = "", outcome: Outcome = "answered") -> TurnRecord:
    return TurnRecord(number, "5e1a00000000000000000001", "text", text, 0, reply=reply, outcome=outcome)


def stated(text: str, *turns: int, status: EntryStatus = "stated") -> DraftEntry:
    return DraftEntry({"text": text}, turns or (1,), status)


def checked(*drafts: DraftEntry, said: str = SAID) -> Checked:
    return check(drafts, (TEXT,), (turn(1, said),))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("40 invoices are typed by hand each day.", SAID),
        ("Forty invoices a day are typed manually by hand.", SAID),
        ("Typing the invoices takes Anna 3 hours.", SAID),
        ("Anna's typing of invoices takes three hours.", SAID),
        ("The invoices arrive in outlook.", SAID),
        ("The limit is 5000 euros.", "the limit's 5,000 euros"),
        ("A loss of €500 a month", "we lose 500 euros each month, a real loss"),
        ("Bookings are finished by 3 pm.", "bookings must be finished by 3pm"),
        ("Bookings are finished by 15:00.", "bookings must be finished by 3 pm"),
        ("A follow-up e-mail is sent.", "we send a followup email"),
        ("A followup Email is sent.", "we send a follow up e-mail"),
        ("Approvals by the accounting team", "the accounting team approves"),
        ("Copies of each policy", "we copy each of the policies"),
        ("PDFs go to SharePoint.", "the pdf goes to Sharepoint"),
        ("Vierzig Rechnungen werden täglich eingetippt.", "Wir tippen 40 Rechnungen ein, täglich."),
        (
            "Die Rechnungen kommen per E-Mail in das Postfach der Buchhaltung.",
            "Rechnung kommt per Mail, Postfach Buchhaltung",
        ),
        ("Les factures sont saisies à la main.", "on saisit les factures à la main"),
        ("每天输入四十张发票", "我们每天手工输入四十张发票"),
        ("注文は毎日メールで届きます", "毎日、注文がメールで届く"),
        ("The n8n workflow reads the mailbox.", "n8n workflow should read the mailbox"),
        ("Invoice Entry Without Typing", "invoice entry without any typing"),
    ],
)
def test_a_retelling_with_the_same_figures_and_names_stands(statement: str, said: str) -> None:
    assert is_said(statement, said)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("50 invoices are typed by hand each day.", SAID),
        ("Fifty invoices are typed by hand each day.", SAID),
        ("Four invoices are typed by hand each day.", SAID),
        ("The invoices that Anna types go to SAP.", SAID),
        ("The invoices that are typed by hand arrive in Gmail.", SAID),
        ("The invoices are typed by Tom.", SAID),
        ("The finance department wants a cloud portal for its suppliers.", SAID),
        ("The limit is 35 hours.", "the limit is 3.5 hours"),
        ("The limit is 500 euros.", "the limit is 5,000 euros"),
        ("The limit is 5 euros.", "the limit is 50 euros"),
        ("Write to sales@acme.example about the order.", "write to sales about the order"),
        ("Die Rechnungen gehen an DATEV.", "Die Rechnungen gehen an den Steuerberater."),
        ("Der Vertrieb braucht eine neue Webseite.", "Wir tippen Rechnungen ein."),
        ("顧客は請求書を支払う", "毎日、注文がメールで届く"),
    ],
)
def test_what_was_not_said_does_not_stand(statement: str, said: str) -> None:
    assert not is_said(statement, said)


def test_the_turns_must_exist_and_be_named() -> None:
    statement = "Anna types invoices."
    result = checked(stated(statement, 7, 1, 1), stated(statement, 7), stated(statement, 7, status="inferred"))
    assert [draft.source_turns for draft in result.sound] == [(1,), ()]
    assert [draft.source_turns for draft in result.doubtful] == [()]


def test_only_the_named_turns_bear_a_statement_out() -> None:
    turns = (turn(1, "We type forty invoices."), turn(2, "Anna does."))
    one, two, both = (
        check([stated("The 40 invoices are typed by Anna.", *it)], (TEXT,), turns) for it in ((1,), (2,), (1, 2))
    )
    assert (len(one.doubtful), len(two.doubtful), len(both.sound)) == (1, 1, 1)


def test_a_role_that_was_named_in_another_turn_counts_half() -> None:
    turns = (
        turn(1, "The office manager is on holiday then, and the invoices wait."),
        turn(2, "Nobody else opens them."),
    )
    drafts = [stated("Nobody opens the invoices while the office manager is on holiday.", it) for it in (1, 2)]
    assert len(check(drafts, (TEXT,), turns).sound) == 2
    alone = stated("The manager is on holiday.", 2)
    assert check([alone], (TEXT,), turns).doubtful, "nothing of it comes from its turn"


def test_ids_of_other_entries_claim_nothing() -> None:
    draft = DraftEntry({"title": "Typing invoices", "covers": "FR-12, BR-7", "expected": "Forty a day"}, (1,), "stated")
    assert check([draft], BY_KEY["acceptanceTests"].columns, (turn(1, SAID),)).sound


def test_a_conclusion_may_say_anything_and_confirming_is_the_users() -> None:
    result = checked(stated("It will cost 9,000 euros.", status="inferred"), stated("Nonsense.", status="confirmed"))
    assert [draft.status for draft in result.sound] == ["inferred", "inferred"]


# --- the question that a turn answers -----------------------------------------------------------------------------


def answered(question: str, answer: str, statement: str) -> bool:
    turns = (turn(1, "Hello.", question), turn(2, answer))
    return bool(check([stated(statement, 2)], (TEXT,), turns).sound)


@pytest.mark.parametrize(
    ("question", "answer", "statement"),
    [
        ("How many invoices do you type in a week?", "Forty.", "40 invoices are typed in a week."),
        ("Is any of this confidential?", "Yes.", "Some of this is confidential."),
        ("Got it. Shall the limit be 5,000 euros?", "Yes, exactly.", "The limit is 5,000 euros."),
        ("How do the files leave DATEV?", "By hand.", "Files leave DATEV by hand."),
        ("Who approves it?", "Anna", "Who approves it? Anna"),
        ("Is 500 right?", "No, 5,000", "Is 500 right? No, 5,000"),
    ],
)
def test_a_short_answer_is_understood_from_its_question(question: str, answer: str, statement: str) -> None:
    assert answered(question, answer, statement)


@pytest.mark.parametrize(
    ("question", "answer", "statement"),
    [
        ("Shall the limit be 5,000 euros?", "Rather 3,000.", "The limit is 5,000 euros."),
        ("Do the files go to DATEV?", "No.", "The files go to DATEV."),
        ("How many invoices are there?", "Forty.", "Suppliers send complaints."),
    ],
)
def test_a_question_alone_states_nothing(question: str, answer: str, statement: str) -> None:
    assert not answered(question, answer, statement)


def test_the_first_turn_answers_the_opening() -> None:
    draft = stated("40 invoices are typed in a week.")
    turns = (turn(1, "Forty."),)
    assert check([draft], (TEXT,), turns).doubtful
    assert check([draft], (TEXT,), turns, "Welcome! How many invoices do you type in a week?").sound


def test_a_reply_that_was_cut_short_leaves_the_question_before_it_open() -> None:
    turns = (
        turn(1, "Hello.", "How many invoices do you type in a week?"),
        turn(2, "Well", "I see, an", "interrupted"),
        turn(3, "forty"),
    )
    assert check([stated("40 invoices are typed in a week.", 3)], (TEXT,), turns).sound


# --- columns ------------------------------------------------------------------------------------------------------


def test_choices_are_one_of_those_that_there_are_or_empty() -> None:
    columns = BY_KEY["data"].columns
    drafts = [DraftEntry({"field": "IBAN", "personal": value}) for value in (" YES ", "maybe", "")]
    result = check(drafts, columns, ())
    assert [draft.fields["personal"] for draft in result.sound] == ["yes", "", ""]
    assert all(list(draft.fields) == [column.key for column in columns] for draft in result.sound)


def test_what_is_only_classified_or_says_nothing_is_dropped() -> None:
    columns = BY_KEY["data"].columns
    empty = (
        {"personal": "yes"},
        {"field": " \n"},
        {"other": "words"},
        {"field": "-"},
        {"field": "N/A", "example": "TBD."},
    )
    assert check([DraftEntry(fields) for fields in empty], columns, ()) == Checked((), ())


def test_a_name_in_another_column_has_to_be_said_too() -> None:
    columns = BY_KEY["integrations"].columns
    drafts = [
        DraftEntry({"system": it, "purpose": "where invoices arrive"}, (1,), "stated") for it in ("Outlook", "SAP")
    ]
    result = check(drafts, columns, (turn(1, SAID),))
    assert [draft.fields["system"] for draft in result.sound] == ["Outlook"]
    assert [draft.fields["system"] for draft in result.doubtful] == ["SAP"]


def test_there_is_an_end_to_entries_and_to_fields() -> None:
    empty = [DraftEntry({"text": ""})] * MAX_ENTRIES
    result = checked(*empty, *[stated("word " * 2_000, status="inferred")] * (MAX_ENTRIES + 1))
    assert len(result.sound) == MAX_ENTRIES
    assert {len(draft.fields["text"]) for draft in result.sound} <= {MAX_FIELD_CHARS, MAX_FIELD_CHARS - 1}


def test_a_doubt_becomes_a_question_about_the_words_alone() -> None:
    draft = DraftEntry({"title": "Pay twice", "priority": "Must", "then": "It pays twice."}, (3,), "stated")
    question = question_about(BY_KEY["requirements"], draft)
    assert question.fields["question"] == "Is this right? Pay twice; It pays twice."
    assert "“Functional requirements”" in question.fields["reason"]
    assert (question.source_turns, question.status) == ((3,), "inferred")


def test_a_question_about_very_many_words_fits_its_field() -> None:
    draft = DraftEntry({"title": "x" * MAX_FIELD_CHARS, "then": "y" * MAX_FIELD_CHARS})
    assert len(question_about(BY_KEY["requirements"], draft).fields["question"]) == MAX_FIELD_CHARS


def test_drafts_become_entries_under_their_ids() -> None:
    (entry,) = entries_of([stated("Words.")], ["FR-1"])
    assert entry == Entry("FR-1", {"text": "Words."}, (1,), "stated")
