"""The pieces of the documents: what a writer's answer becomes, and what becomes of all the pieces."""

import msgspec
import pytest

from evaa.documents import drafting
from evaa.documents.catalogue import BY_KEY, SECTIONS, TEXT
from evaa.documents.drafting import NOT_CHANGED, NOT_READ, UNTITLED
from protocols.documents import Brd, Documents, Entry, Section, StageSummary, Summary
from protocols.records import SessionRecord
from protocols.writing import DraftEntry, Job, Review, ReviewBrief, Written
from tests.evaa.writing_helpers import GOAL, SESSION_ID, STAGES, TRIGGER, interview, turn

WHY = "It could not be had."
SAID = "We type 40 invoices a day."
INVENTED = "The budget is 9,999,999 euros."
PROJECT = Job("project")


def session(documents: Documents | None = None) -> SessionRecord:
    return SessionRecord(SESSION_ID, interview(), 0, 0, documents=documents)


def claim(text: str, *turns: int, key: str = "", entry_id: str = "", status: str = "stated") -> DraftEntry:
    column = BY_KEY[key].columns[0].key if key else TEXT.key
    return msgspec.convert(
        {"fields": {column: text}, "source_turns": turns, "status": status, "entry_id": entry_id}, DraftEntry
    )


def written(**lists: tuple[DraftEntry, ...]) -> Written:
    return Written(lists, "model")


def section(record: SessionRecord, key: str, *drafts: DraftEntry) -> Section:
    piece = drafting.piece(record, Job("section", key), written(entries=drafts))
    assert isinstance(piece, Section)
    return piece


def summarised(project: str = SAID, *, upto: int = 3) -> Documents:
    stages = {stage.stage_id: StageSummary(stage.stage_id, stage.name) for stage in STAGES}
    summary = drafting.piece(
        session(Documents(stages=stages, up_to_turn=upto)), PROJECT, written(project=(claim(project, 1),))
    )
    assert isinstance(summary, Summary)
    return Documents(stages=stages, summary=summary, up_to_turn=upto, read_up_to_turn=upto)


def first_version(**sections: Section) -> Documents:
    """A version with these sections, the others empty."""
    return whole(summarised(), **sections)


def whole(documents: Documents, **sections: Section) -> Documents:
    everything = {kind.key: sections.get(kind.key, Section(kind.key)) for kind in SECTIONS}
    documents = msgspec.structs.replace(documents, sections=everything | documents.sections)
    finished = drafting.finished(session(documents), now_ms=7)
    assert finished is not None
    return finished


def brd_of(documents: Documents) -> Brd:
    assert documents.brd is not None
    return documents.brd


# --- pieces -------------------------------------------------------------------------------------------------------


def test_what_a_stage_came_to_is_numbered_and_what_nobody_said_is_kept_apart() -> None:
    piece = drafting.piece(
        session(),
        Job("stage", TRIGGER),
        written(
            established=(claim("An e-mail in Outlook.", 2), claim(INVENTED, 2)),
            contradictions=(claim("Once an e-mail, once a PDF.", 2, 3, status="inferred"),),
            open=(claim("Who reads it?", 3, status="inferred"),),
        ),
    )
    assert isinstance(piece, StageSummary)
    assert [entry.entry_id for entry in (*piece.established, *piece.contradictions, *piece.open, *piece.doubtful)] == [
        "S2-1",
        "S2-C-1",
        "S2-O-1",
        "S2-D-1",
    ]
    assert piece.doubtful[0].fields == {TEXT.key: INVENTED}


def test_what_was_too_long_to_be_read_stays_open() -> None:
    piece = drafting.piece(session(), Job("stage", TRIGGER), Written({}, "model", cut=(2, 3)))
    assert isinstance(piece, StageSummary)
    assert [(entry.fields[TEXT.key], entry.source_turns) for entry in piece.open] == [(NOT_READ, (2, 3))]


@pytest.mark.parametrize("job", [Job("stage", GOAL), Job("section", "risks")])
def test_what_cannot_be_had_says_why(job: Job) -> None:
    piece = drafting.piece(session(), job, WHY)
    assert isinstance(piece, StageSummary | Section)
    assert piece.missing == WHY


def test_a_project_that_says_more_than_was_said_is_a_conclusion() -> None:
    summary = summarised(f"{SAID} {INVENTED}").summary
    assert summary is not None
    assert (summary.project.status, summary.project.fields[TEXT.key]) == ("inferred", f"{SAID} {INVENTED}")


def test_only_what_is_considered_is_evidence() -> None:
    record = session(msgspec.structs.replace(summarised(), up_to_turn=1))
    assert section(record, "problem", claim("An e-mail in Outlook.", 2)).entries == ()


def test_who_wrote_it_is_named_once_each() -> None:
    documents = Documents()
    for model in ("one", "two", "one", ""):
        documents = drafting.with_piece(documents, Section("risks"), model)
    assert documents.written_by == ("one", "two")
    assert list(documents.sections) == ["risks"]


# --- a version ----------------------------------------------------------------------------------------------------


def test_there_is_no_version_while_a_section_is_outstanding() -> None:
    documents = msgspec.structs.replace(summarised(), sections={kind.key: Section(kind.key) for kind in SECTIONS[1:]})
    assert drafting.finished(session(documents), now_ms=7) is None
    assert [job.key for job in drafting.outstanding(session(documents))] == [SECTIONS[0].key]


def test_a_version_says_what_it_is() -> None:
    brd = brd_of(first_version())
    assert (brd.brd_id, brd.version, brd.state, brd.language) == (f"BRD-{SESSION_ID}", 1, "draft", "und")
    assert (brd.created_at_ms, brd.up_to_turn, brd.title) == (7, 3, "We type 40 invoices a day")
    assert [it.key for it in brd.sections] == [kind.key for kind in SECTIONS]


@pytest.mark.parametrize(
    ("told", "kept"), [("de-AT", "de-AT"), ("", "und"), ("German, I think", "und"), ("x" * 99, "und")]
)
def test_it_is_in_the_language_that_the_summary_names(told: str, kept: str) -> None:
    record = session(summarised())
    summary = drafting.piece(record, PROJECT, Written({"project": (claim(SAID, 1),)}, "model", language=told))
    assert brd_of(whole(drafting.with_piece(summarised(), summary, "model"))).language == kept
    record = session(drafting.with_piece(summarised(), summary, "model"))
    assert drafting.brief(record, Job("section", "risks")).language == ("" if kept == "und" else kept)


def test_without_a_project_it_is_called_what_it_is() -> None:
    assert brd_of(whole(summarised(""))).title == UNTITLED


def test_what_nobody_said_is_asked_and_asked_once() -> None:
    record = session(summarised())
    problem = section(record, "problem", claim(SAID, 1), claim(INVENTED, 1))
    again = section(record, "constraints", claim(INVENTED, 1))
    questions = section(record, "openQuestions", claim("Who pays?", 1, key="openQuestions", status="inferred"))
    brd = brd_of(first_version(problem=problem, constraints=again, openQuestions=questions))
    asked = [(entry.entry_id, entry.fields["question"]) for entry in brd.section("openQuestions").entries]
    assert asked == [
        ("OQ-1", "Who pays?"),
        ("OQ-2", f"Is this right? {INVENTED}"),
    ]
    assert [entry.fields["text"] for entry in brd.section("problem").entries] == [SAID]
    assert all(it.doubtful == () for it in brd.sections)


# --- the next version ---------------------------------------------------------------------------------------------


def test_a_correction_writes_what_it_touches_and_keeps_ids_and_all_else() -> None:
    record = session(summarised())
    documents = first_version(
        problem=section(record, "problem", claim(SAID, 1), claim("It takes six hours.", 1)),
        constraints=section(record, "constraints", claim("It takes six hours.", 1)),
    )
    newest = brd_of(documents)
    longer = interview(*session().interview.turns, turn(4, "50, not 40"))
    brief = ReviewBrief(session_id=SESSION_ID, turn=4, first_turn=4, words="50, not 40", interview=longer, brd=newest)
    review = Review("correct", "I see.", "model", ("problem", "nonsense"), "50 a day")
    documents = drafting.corrected(documents, review, brief)
    record = msgspec.structs.replace(session(documents), interview=longer)
    assert drafting.outstanding(record) == (Job("section", "problem"),)
    told = drafting.brief(record, Job("section", "problem"))
    assert (told.previous, told.correction) == (newest.section("problem"), "50, not 40")

    drafts = claim("It takes six hours.", 1), claim("We type 50 invoices a day.", 1, 4), claim("50, not 40", 4)
    changed = section(record, "problem", *drafts)
    assert [entry.entry_id for entry in changed.entries] == ["PR-2", "PR-1", "PR-3"]
    brd = brd_of(whole(drafting.with_piece(documents, changed, "model")))
    assert (brd.version, brd.change, brd.up_to_turn) == (2, "50 a day", 4)
    assert brd.section("constraints") == newest.section("constraints")


def test_a_confirmation_confirms_what_was_stated_and_nothing_else() -> None:
    record = session(summarised())
    claims = claim(SAID, 1), claim("Somebody is unhappy.", 1, status="inferred")
    documents = first_version(problem=section(record, "problem", *claims))
    brd = brd_of(drafting.confirmed(documents, turn=5, now_ms=9))
    assert (brd.state, brd.version, brd.confirmed_in_turn, brd.confirmed_at_ms) == ("confirmed", 1, 5, 9)
    assert [entry.status for entry in brd.section("problem").entries] == ["confirmed", "inferred"]


def correction(documents: Documents, number: int, key: str) -> Documents:
    """The next version, with another text in one section."""
    brief = ReviewBrief(
        session_id=SESSION_ID, turn=3, first_turn=3, words="...", interview=interview(), brd=brd_of(documents)
    )
    documents = drafting.corrected(documents, Review("correct", "I see.", "model", (key,), "changed"), brief)
    text = f"We type {number} invoices a day."
    entry = Entry("PR-1", {TEXT.key: text}, (1,), "stated")
    return whole(drafting.with_piece(documents, Section(key, (entry,)), f"model {number}"))


def test_every_version_can_be_had_in_whole() -> None:
    """Each of them is as it was when it was the newest, though it is not stored so."""
    documents, seen = first_version(problem=section(session(summarised()), "problem", claim(SAID, 1))), list[Brd]()
    for number, key in enumerate(("problem", "constraints", "problem", "risks"), 50):
        seen.append(brd_of(documents))
        documents = correction(documents, number, key)
    seen.append(brd_of(documents))
    documents = drafting.confirmed(documents, turn=9, now_ms=9)
    assert [documents.version(it.version) for it in seen[:-1]] == seen[:-1]
    assert documents.version(5) == brd_of(documents)
    assert documents.version(6) is None
    documents = correction(documents, 99, "problem")
    assert [documents.version(it.version) for it in seen[:-1]] == seen[:-1]
    states = [version.state for number in range(1, 7) if (version := documents.version(number))]
    assert states == ["draft", "draft", "draft", "draft", "confirmed", "draft"]


def test_a_correction_adds_to_a_session_what_it_changed_and_no_more() -> None:
    long = Section("constraints", (Entry("CO-1", {TEXT.key: "x" * 50_000}, (1,), "inferred"),))
    documents = first_version(constraints=long)
    size = len(msgspec.json.encode(documents))
    for number in range(20):
        documents = correction(documents, number, "problem")
    assert len(msgspec.json.encode(documents)) < size + 20 * 1_000


def test_a_corrected_version_names_who_wrote_what_stayed() -> None:
    documents = correction(correction(first_version(), 1, "problem"), 2, "risks")
    assert brd_of(documents).written_by == ("model 1", "model 2")


def test_of_a_long_correction_that_failed_the_beginning_is_shown_and_all_is_kept() -> None:
    documents = first_version(problem=section(session(summarised()), "problem", claim(SAID, 1)))
    words = "x" * 20_000
    documents = msgspec.structs.replace(documents, correction=words, affected=("problem",), is_in_work=True)
    piece = drafting.piece(session(documents), Job("section", "problem"), WHY)
    assert isinstance(piece, Section)
    assert piece.missing == f"{NOT_CHANGED} {'x' * 300}…"
    assert piece.unmade == words


def test_a_section_that_nobody_wanted_changed_was_not_failed_to_be_changed() -> None:
    documents = first_version(problem=section(session(summarised()), "problem", claim(SAID, 1)))
    documents = msgspec.structs.replace(documents, correction="x", affected=("risks",), is_in_work=True)
    piece = drafting.piece(session(documents), Job("section", "problem"), WHY)
    assert isinstance(piece, Section)
    assert (piece.missing, piece.unmade) == (WHY, "")
    assert piece.entries == brd_of(documents).section("problem").entries
