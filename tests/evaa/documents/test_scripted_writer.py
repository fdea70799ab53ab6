"""The writer without a model: a whole BRD of the user's own words."""

import msgspec
import pytest

from evaa.documents import answers
from evaa.documents.catalogue import BY_KEY, SECTIONS, TEXT
from evaa.documents.checking import MAX_ENTRIES, check
from evaa.documents.scripted_writer import ASKED_IN_VAIN, NEEDED, NEVER_ASKED
from evaa.interview.stages import default_stages
from evaa.llm.scripted_writer import ScriptedWriter
from protocols.records import Interview
from protocols.writing import DocumentWriter, Job, WritingBrief
from tests.computing import at_once
from tests.evaa.documents.brd_text import SESSION_ID, brd, lists, section, summaries, texts
from tests.evaa.documents.interview import DONT_KNOW, invoices

INTERVIEW = invoices()


def test_the_fixture_is_an_interview_as_eventful_as_real_ones() -> None:
    assert [turn.turn for turn in INTERVIEW.turns] == list(range(1, 34))
    assert {turn.outcome for turn in INTERVIEW.turns} == {"answered", "superseded", "interrupted"}
    assert DONT_KNOW in [turn.text for turn in INTERVIEW.turns]
    assert INTERVIEW.stage is None, "it is complete"


async def test_it_is_a_writer_that_names_itself() -> None:
    writer: DocumentWriter = ScriptedWriter(at_once)
    brief = WritingBrief(job=Job("project"), session_id=SESSION_ID, language="en", interview=INTERVIEW)
    written = await writer.write(brief)
    assert (writer.name, written.model, written.usage.output_tokens) == ("scripted", "scripted", 0)


# --- the summary --------------------------------------------------------------------------------------------------


def test_a_stage_establishes_what_was_answered_in_it() -> None:
    stage = INTERVIEW.stages[6]
    written = lists(INTERVIEW, Job("stage", stage.stage_id))
    assert texts(written["established"]) == [
        "About forty a day, so two hundred a week.",
        "At the end of the quarter it is twice as much.",
        "How long one case takes by hand: Four to five minutes.",
        "Bookings have to be finished by 6 pm.",
    ]
    assert [entry.source_turns for entry in written["established"]] == [(25, 26), (27,), (28,), (29,)]
    assert written["contradictions"] == written["open"] == ()


def test_a_long_answer_is_established_sentence_by_sentence() -> None:
    written = lists(INTERVIEW, Job("stage", INTERVIEW.stages[2].stage_id))
    assert texts(written["established"])[:2] == [
        "First Anna opens the mailbox and downloads the PDF.",
        "Then she checks whether the supplier exists in DATEV.",
    ]
    assert len(written["established"]) == 6


def test_what_nobody_knew_or_asked_is_open() -> None:
    stage = INTERVIEW.stages[2]
    open_ = lists(INTERVIEW, Job("stage", stage.stage_id))["open"]
    assert [entry.fields["text"] for entry in open_] == [
        f"{stage.follow_ups[1]} {ASKED_IN_VAIN}",
        f"{stage.follow_ups[2]} {NEVER_ASKED}",
    ]
    assert [(entry.source_turns, entry.status) for entry in open_] == [((12,), "inferred"), ((), "inferred")]


def test_the_project_is_what_was_answered_first() -> None:
    (project,) = lists(INTERVIEW, Job("project"))["project"]
    assert project.fields["text"].startswith("We are a plumbing wholesaler, and we would like supplier invoices")
    assert project.fields["text"].endswith("every invoice is booked within one working day.")
    assert (project.source_turns, project.status) == ((1, 2, 3, 4), "stated")


# --- the sections -------------------------------------------------------------------------------------------------


def test_every_section_has_what_was_said_about_it() -> None:
    empty = [key for key, entries in brd(INTERVIEW).items() if not entries]
    assert empty == ["scopeOut", "assumptions"], "nobody said anything of these"


def test_the_summary_says_what_a_success_is_about() -> None:
    summary = texts(section(INTERVIEW, "executiveSummary"))
    assert summary[-1].startswith("How to tell that it is a success: Nobody has typed an invoice for a month")
    plain = [
        msgspec.structs.replace(turn, text="It is a success if nobody types invoices.") if turn.turn == 30 else turn
        for turn in INTERVIEW.turns
    ]
    again = section(msgspec.structs.replace(INTERVIEW, turns=tuple(plain)), "executiveSummary")
    assert texts(again)[-1] == "It is a success if nobody types invoices."


def test_a_rule_without_a_condition_stands_among_the_rules_alone() -> None:
    rule = "Credit notes are booked with a minus."
    assert rule in texts(section(INTERVIEW, "businessRules"), "rule")
    assert rule not in [entry.fields["title"] for entry in section(INTERVIEW, "requirements")]


def test_the_solution_begins_with_the_trigger_and_follows_the_steps() -> None:
    solution = section(INTERVIEW, "solution")
    assert [(entry.fields["kind"], entry.fields["system"]) for entry in solution] == [
        ("trigger", "Outlook"),
        ("read", ""),
        ("decision", "DATEV"),
        ("write", "DATEV"),
        ("approval", ""),
        ("write", "SharePoint"),
    ]
    assert {entry.status for entry in solution} == {"inferred"}, "what is done today need not be what will be done"


def test_a_rule_is_a_requirement_of_its_own() -> None:
    cards = {entry.fields["title"]: entry.fields for entry in section(INTERVIEW, "requirements")}
    rule = "If the supplier is not in the list, the invoice waits for Anna."
    assert cards[rule] == {
        "title": rule,
        "when": "The supplier is not in the list",
        "then": "The invoice waits for Anna.",
    }
    assert cards["What has to happen"]["when"] == "An email with a PDF arrives in our invoice mailbox."
    assert not {key for fields in cards.values() for key in fields} & {"priority"}


def test_short_answers_stand_in_context() -> None:
    risks, nfr = section(INTERVIEW, "risks"), section(INTERVIEW, "nonFunctional")
    assert texts(risks, "risk") == ["Paying the same invoice twice."], "a risk says what it is"
    assert "By when to have it running: By the first of October." in texts(section(INTERVIEW, "constraints"))
    turns = [
        msgspec.structs.replace(turn, text="None.") if turn.text.startswith("Paying") else turn
        for turn in INTERVIEW.turns
    ]
    no_risk = msgspec.structs.replace(INTERVIEW, turns=tuple(turns))
    assert texts(section(no_risk, "risks"), "risk") == ["The worst thing by mistake: None."], "but none says nothing"
    assert texts(section(INTERVIEW, "futureProcess"))[0] == "An email with a PDF arrives in our invoice mailbox."
    assert nfr[0].fields == {
        "quality": "How soon the automation should have started",
        "requirement": "Within ten minutes.",
    }


def test_a_no_is_told_once_and_classified() -> None:
    rows = [entry.fields for entry in section(INTERVIEW, "data")]
    assert rows[-1] == {"personal": "no", "field": "Personal or confidential information", "meaning": "No."}
    assert {row["personal"] for row in rows[:-1]} == {"unknown"}


def test_open_questions_are_the_interviews_and_the_builders() -> None:
    questions = texts(section(INTERVIEW, "openQuestions"), "question")
    stage = INTERVIEW.stages[2]
    assert questions[:2] == list(stage.follow_ups[1:])
    needed = [question for question, _, _ in NEEDED]
    assert questions[2:] == [it for it in needed if "kept" not in it], "retention was told"


def test_abbreviations_are_explained_only_by_the_user() -> None:
    assert [entry.fields for entry in section(INTERVIEW, "glossary")] == [{"term": "VAT", "meaning": "value added tax"}]


def test_every_statement_of_the_interview_stands() -> None:
    for key, entries in brd(INTERVIEW).items():
        result = check(entries, BY_KEY[key].columns, INTERVIEW.turns)
        assert result.doubtful == ()
        assert len(result.sound) == len(entries)
    for lists_ in summaries(INTERVIEW):
        assert all(check(entries, (TEXT,), INTERVIEW.turns).doubtful == () for entries in lists_.values())


# --- what is not there --------------------------------------------------------------------------------------------


def test_an_empty_interview_leaves_questions_only() -> None:
    empty = Interview(default_stages())
    written = brd(empty)
    questions = written.pop("openQuestions")
    assert all(entries == () for entries in written.values())
    assert len(questions) == len(default_stages()) + len(NEEDED)
    assert all(not entry.source_turns for entry in questions)
    assert [entries for lists_ in summaries(empty) for name, entries in lists_.items() if name != "open"] == [()] * 17


def test_a_stage_that_there_is_not_comes_to_nothing() -> None:
    assert lists(INTERVIEW, Job("stage", "5e1a0000000000000000ffff")) == {
        "established": (),
        "contradictions": (),
        "open": (),
    }


def test_sections_are_all_of_the_catalogues_columns() -> None:
    for kind in SECTIONS:
        columns = {column.key for column in kind.columns}
        assert all(set(entry.fields) <= columns for entry in section(INTERVIEW, kind.key))


# --- much, and odd ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        " ".join(f"We type invoice {number} by hand." for number in range(650)),
        "word " * 4_000,
        "x" * 20_000,
        "9" * 20_000,
        " ".join(f"a{number}. " for number in range(2_700)),
        "".join(f"我们每天输入发票{number}。" for number in range(1_600)),
    ],
)
def test_twenty_thousand_characters_are_all_there(words: str) -> None:
    turns = tuple(msgspec.structs.replace(turn, text=words) for turn in INTERVIEW.turns[:4])
    said = msgspec.structs.replace(INTERVIEW, turns=turns, stage_index=1)
    for key, entries in brd(said).items():
        result = check(entries, BY_KEY[key].columns, turns)
        assert len(entries) <= MAX_ENTRIES
        assert (result.doubtful, len(result.sound)) == ((), len(entries))
    for key in ("problem", "objectives"):
        kept = "".join("".join(entry.fields.values()) for entry in section(said, key))
        assert "".join(kept.split()) == "".join(words.split())


def test_statuses_are_those_of_a_writer() -> None:
    statuses = {entry.status for entries in brd(INTERVIEW).values() for entry in entries}
    assert statuses == {"stated", "inferred"}


def test_what_was_said_is_all_answers_of_the_fixture() -> None:
    assert len(answers.said(INTERVIEW)) == 30
