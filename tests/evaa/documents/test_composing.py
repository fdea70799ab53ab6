"""What a reader gets to see, whatever the format."""

from collections.abc import Iterator

import msgspec
import pytest

from evaa.documents.catalogue import BY_KEY, SECTIONS, TEXT
from evaa.documents.formats.composing import compose
from evaa.documents.formats.outline import Facts, Grid, Legend, Note, Part, Quotes, Statement, Statements
from protocols.documents import Brd, Entry, Section, StageSummary, Summary
from tests.evaa.documents.example import BRD, CONFIRMED, SUMMARY, TURNS

DOCUMENT = compose(BRD, SUMMARY, TURNS)
EMPTY = Brd("BRD-1", 1, "5e1a", "", "xx yy", 0, 0, ())
NOTHING = Summary(Entry("P-1", {TEXT.key: ""}), (), 0)


def front(title: str, document: Brd = BRD) -> Part | None:
    return next((part for part in compose(document, SUMMARY).front if part.title == title), None)


def facts(part: Part | None) -> dict[str, str]:
    assert part is not None
    assert isinstance(part.blocks[0], Facts)
    return dict(part.blocks[0].rows)


def section(key: str, document: Brd = BRD) -> Part:
    return next(part for part in compose(document, SUMMARY).parts if part.anchor == f"section-{key}")


def statements(part: Part) -> Iterator[Statement]:
    for block in part.blocks:
        if isinstance(block, Statements):
            yield from block.rows
    for inner in part.parts:
        yield from statements(inner)


def test_the_front_page_names_the_version() -> None:
    assert facts(front("")) == {
        "Document": "BRD-5e1a0000000000000000beef",
        "Version": "2",
        "State": "Draft, not confirmed by the user yet",
        "Date": "2026-11-30 00:53 UTC",
        "Session": "5e1a0000000000000000beef",
        "Language": "English",
        "Covers": "the interview up to turn 25",
        "What changed": "Invoices over 2,000 euros are approved by Dr. Okafor rather than by the office manager.",
        "Written by": "openai/gpt-oss-20b, openai/gpt-oss-120b",
    }
    assert facts(front("", CONFIRMED))["State"] == "Confirmed by the user in turn 25, 2026-11-30 01:03 UTC"
    assert facts(front("", EMPTY))["What changed"] == "First version"


def test_what_has_to_be_settled_is_counted() -> None:
    assert facts(front("To be settled")) == {
        "Open questions": "5, in section 18",
        "Contradictions": "2, in the summary of the interview",
        "Inferred": "9 statements, marked as such",
    }
    one = msgspec.structs.replace(EMPTY, sections=(Section("scopeIn", (Entry("IN-1", {"text": "a"}),)),))
    assert facts(front("To be settled", one))["Inferred"] == "1 statement, marked as such"
    nothing = compose(EMPTY, NOTHING).front[1]
    assert set(facts(nothing).values()) == {"none"}


def test_how_much_is_stated_inferred_and_confirmed_is_told() -> None:
    part = front("How sure each statement is")
    assert part is not None
    assert isinstance(part.blocks[0], Legend)
    assert [(row.status, row.amount) for row in part.blocks[0].rows] == [
        ("stated", "68 of 77"), ("inferred", "9 of 77"), ("confirmed", "0 of 77"),
    ]  # fmt: skip


def test_a_question_is_no_statement() -> None:
    questions = (Section("openQuestions", (Entry("OQ-1", {"question": "Why?"}), Entry("OQ-2", {"question": "Who?"}))),)
    brd = msgspec.structs.replace(EMPTY, sections=questions)
    assert facts(front("To be settled", brd)) == {
        "Open questions": "2, in section 18",
        "Contradictions": "2, in the summary of the interview",
        "Inferred": "none",
    }
    legend = front("How sure each statement is", brd)
    assert legend is not None
    assert isinstance(legend.blocks[0], Legend)
    assert {row.amount for row in legend.blocks[0].rows} == {"0 of 0"}


def test_what_is_missing_is_named_with_its_reason_and_only_then() -> None:
    part = front("Missing")
    assert part is not None
    assert part.blocks == (
        Grid(
            ("Part", "Reason"),
            (
                ("Summary of the interview: Volume and limits", "The model could not be reached."),
                ("20 Risks", "The model did not answer in time, three times in a row."),
            ),
        ),
    )
    assert section("risks").blocks == (
        Note("Missing: The model did not answer in time, three times in a row.", is_missing=True),
    )
    assert "Missing" not in [part.title for part in compose(EMPTY, NOTHING).front]


def test_every_section_of_the_catalogue_is_there_in_its_order_and_numbered() -> None:
    for document in (DOCUMENT, compose(EMPTY, NOTHING)):
        sections = [part for part in document.parts if part.number]
        assert [part.title for part in sections] == [kind.title for kind in SECTIONS]
        assert [part.number for part in sections] == [str(number) for number in range(1, 23)]


def test_an_empty_section_says_so() -> None:
    assert section("glossary").blocks == (Note("Nothing was said about this."),)
    assert section("openQuestions", EMPTY).blocks == (Note("No question is open."),)


def test_a_missing_section_still_shows_what_it_has() -> None:
    brd = msgspec.structs.replace(BRD, sections=(msgspec.structs.replace(BRD.section("data"), missing="cut off"),))
    note, block = section("data", brd).blocks
    assert note == Note("Missing: cut off", is_missing=True)
    assert isinstance(block, Statements)


def test_every_statement_is_there_once_with_its_status_and_its_turns() -> None:
    shown = [(it.entry_id, it.status, it.turns) for part in DOCUMENT.parts for it in statements(part)]
    entries = [entry for section in BRD.sections for entry in section.entries]
    assert len(shown) == len(set(shown))
    assert {(it.entry_id, it.status, it.source_turns) for it in entries} <= set(shown)


def test_a_statement_tells_what_it_rests_on() -> None:
    first, *_ = statements(section("executiveSummary"))
    assert first.basis == "stated, turns\u00a01, 2"
    assert Statement("A-1", "inferred", (), ()).basis == "inferred"
    assert Statement("A-1", "confirmed", (7,), ()).basis == "confirmed, turn\u00a07"


def test_open_questions_and_contradictions_are_marked_as_open() -> None:
    (block,) = section("openQuestions").blocks
    assert isinstance(block, Statements)
    assert block.is_open
    marked = {
        group.title: group.blocks[0].is_open
        for stage in DOCUMENT.parts[0].parts for group in stage.parts if isinstance(group.blocks[0], Statements)
    }  # fmt: skip
    assert marked == {
        "Established": False,
        "Contradictions": True,
        "Open": True,
        "Not borne out by what was said": True,
    }


def test_what_is_not_borne_out_is_not_shown_as_stated() -> None:
    doubtful = next(it for it in statements(DOCUMENT.parts[0]) if it.entry_id == "S3-D-1")
    assert doubtful.status == "inferred"


def only(key: str, *entries: Entry) -> tuple[Note | Statements, ...]:
    """What is shown of a section that has these entries."""
    blocks = section(key, msgspec.structs.replace(EMPTY, sections=(Section(key, entries),))).blocks
    return tuple(block for block in blocks if isinstance(block, Note | Statements))


def cards(key: str, *entries: Entry) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """The headlines and details of a section's cards."""
    block = only(key, *entries)[0]
    assert isinstance(block, Statements)
    return [(row.texts[0], row.details) for row in block.rows]


def test_columns_are_those_of_the_catalogue_whatever_an_entry_holds() -> None:
    odd = Entry("OBJ-1", {"target": "5", "unheard": "of"})
    full = Entry("OBJ-2", {"baseline": "3"})
    (block,) = only("objectives", odd, full)
    assert isinstance(block, Statements)
    assert block.labels == tuple(column.label for column in BY_KEY["objectives"].columns)
    assert [row.texts for row in block.rows] == [("", "", "5"), ("", "3", "")]


def test_a_column_that_nobody_fills_in_is_left_out_and_named_once() -> None:
    entries = (Entry("IT-1", {"system": "A", "limits": "x"}), Entry("IT-2", {"system": "B", "owner": " \u202e\n"}))
    block, note = only("integrations", *entries)
    assert isinstance(block, Statements)
    assert block.labels == ("System", "Limits")
    assert [row.texts for row in block.rows] == [("A", "x"), ("B", "")]
    assert note == Note("Nothing was said about: purpose, owner, authentication.")


def test_the_headline_of_a_table_stays_even_if_it_is_empty() -> None:
    block, note = only("nonFunctional", Entry("NFR-1", {}))
    assert isinstance(block, Statements)
    assert (block.labels, block.rows[0].texts) == (("Quality",), ("",))
    assert note == Note("Nothing was said about: requirement.")


def test_a_card_has_the_details_that_were_said_and_no_others() -> None:
    first = Entry("FR-1", {"title": "Read", "then": "It is read", "when": "\t"})
    second = Entry("FR-2", {"title": "Stop", "when": "Twice"})
    assert cards("requirements", first, second) == [
        ("Read", (("Then", "It is read"),)),
        ("Stop", (("When", "Twice"),)),
    ]
    assert only("requirements", first, second)[1:] == (Note("Nothing was said about: priority, given."),)


def test_a_card_does_not_say_its_headline_again() -> None:
    twice = Entry("FR-1", {"title": "Stop it", "given": "A", "then": "stop it."})
    assert cards("requirements", twice) == [("Stop it", (("Given", "A"),))]
    assert only("requirements", twice)[1:] == (Note("Nothing was said about: priority, when."),)


@pytest.mark.parametrize(
    ("title", "then", "headline", "details"),
    [
        ("Read the invoices and…", "Read the invoices and book them", "Read the invoices and book them", ()),
        ("Read the …", "Read the invoices", "Read the invoices", ()),
        ("Read…", "Read " * 100, "Read…", ("Read " * 100).strip()),
        ("Read…", "Write", "Read…", "Write"),
        ("…", "Write", "…", "Write"),
        ("Read", "Read it", "Read", "Read it"),
    ],
)
def test_a_headline_that_was_cut_off_is_whole_again(
    title: str, then: str, headline: str, details: str | tuple[()]
) -> None:
    expected = (("Then", details),) if details else ()
    assert cards("requirements", Entry("FR-1", {"title": title, "then": then})) == [(headline, expected)]


def test_a_summary_without_anything_says_so() -> None:
    stage = StageSummary("a", "Trigger")
    part = compose(EMPTY, Summary(NOTHING.project, (stage,), 0)).parts[0]
    assert part.blocks == (Note("There is no summary of the project.", is_missing=True),)
    assert part.parts[0].blocks == (Note("Nothing was said about this."),)


@pytest.mark.parametrize(("up_to_turn", "notes"), [(0, 0), (25, 1)])
def test_a_summary_that_is_older_than_the_document_says_so(up_to_turn: int, notes: int) -> None:
    brd = msgspec.structs.replace(BRD, up_to_turn=up_to_turn)
    summary = msgspec.structs.replace(SUMMARY, up_to_turn=min(up_to_turn, 24))
    part = next(part for part in compose(brd, summary).parts if part.anchor == "summary")
    told = [block.text for block in part.blocks if isinstance(block, Note)]
    assert len(told) == notes
    assert all("up to turn 24." in text for text in told)


def test_the_appendix_has_the_turns_that_are_cited_and_no_others() -> None:
    appendix = DOCUMENT.parts[-1]
    assert isinstance(appendix.blocks[0], Quotes)
    assert [quote.turn for quote in appendix.blocks[0].rows] == list(range(1, 25))  # “Yes, that's it.” is not
    assert DOCUMENT.quoted == frozenset(range(1, 25))
    assert compose(BRD, SUMMARY).parts[-1].title == "Glossary"


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "English"), ("DE", "German"), ("de-AT", "German (de-AT)"), ("zh-Hant", "Chinese (zh-Hant)"),
        ("tlh", "tlh"), ("und", "the user's own"), ("x <b>", "x <b>"),
    ],
)  # fmt: skip
def test_the_header_names_the_language_in_english(tag: str, name: str) -> None:
    (facts,) = compose(msgspec.structs.replace(EMPTY, language=tag), NOTHING).front[0].blocks
    assert isinstance(facts, Facts)
    assert dict(facts.rows)["Language"] == name


def test_a_language_that_is_no_tag_is_unknown() -> None:
    assert compose(EMPTY, NOTHING).language == "und"
    assert compose(msgspec.structs.replace(EMPTY, language="de-AT"), NOTHING).language == "de-AT"


def test_the_example_shows_every_section_or_says_why_not() -> None:
    silent = [kind.key for kind in SECTIONS if not BRD.section(kind.key).entries]
    assert silent == ["risks", "glossary"]
