"""From a BRD to its outline: the one place that decides what a reader gets to see."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from evaa.documents.catalogue import SECTIONS, TEXT, SectionKind
from evaa.documents.formats.outline import (
    Document,
    Facts,
    Grid,
    Legend,
    Measure,
    Note,
    Part,
    Quote,
    Quotes,
    Statement,
    Statements,
)
from evaa.documents.formats.text import line, shown
from protocols.documents import Brd, Entry, EntryStatus, Section, StageSummary, Summary
from protocols.records import TurnRecord

SUBTITLE = "Business requirements document"
SUMMARY_TITLE = "Summary of the interview"
QUESTIONS_KEY = "openQuestions"

MEANINGS: dict[EntryStatus, str] = {
    "stated": "The user said so, in the turns that are named.",
    "inferred": "Concluded by the writer from what was said; to be checked.",
    "confirmed": "The user said so, and confirmed it with this version.",
}
_NOTHING_SAID = "Nothing was said about this."
_NOTHING_OPEN = "No question is open."
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def compose(brd: Brd, summary: Summary, turns: Sequence[TurnRecord] = ()) -> Document:
    """Return the outline of one version. Of `turns`, those that it cites are appended in their own words."""
    quotes = _quotes(brd, summary, turns)
    appendix = (Part("Appendix: what was said", (Quotes(quotes),), anchor="turns"),) if quotes else ()
    return Document(
        title=line(brd.title) or SUBTITLE,
        subtitle=SUBTITLE,
        reference=line(f"{brd.brd_id}, version {brd.version}"),
        language=brd.language if _LANGUAGE_TAG.fullmatch(brd.language) else "und",
        created_at_ms=brd.created_at_ms,
        front=_front(brd, summary),
        parts=(_summary(summary), *_sections(brd), *appendix),
        quoted=frozenset(quote.turn for quote in quotes),
    )


# --- front page ---------------------------------------------------------------------------------------------------


def _front(brd: Brd, summary: Summary) -> tuple[Part, ...]:
    missing = _missing(brd, summary)
    return (
        Part("", (_facts(brd),)),
        Part("To be settled", (_to_settle(brd, summary),)),
        *((Part("Missing", (Grid(("Part", "Reason"), missing),)),) if missing else ()),
        Part("How sure each statement is", (_legend(brd),)),
    )


def _facts(brd: Brd) -> Facts:
    rows = {
        "Document": brd.brd_id,
        "Version": str(brd.version),
        "State": _state(brd),
        "Date": _moment(brd.created_at_ms),
        "Session": brd.session_id,
        "Language": "the user's own" if brd.language == "und" else brd.language,
        "Covers": f"the interview up to turn {brd.up_to_turn}",
        "What changed": line(brd.change) or ("First version" if brd.version == 1 else ""),
        "Written by": ", ".join(brd.written_by),
    }
    return Facts(tuple((label, text) for label, value in rows.items() if (text := line(value))))


def _state(brd: Brd) -> str:
    if brd.state == "draft":
        return "Draft, not confirmed by the user yet"
    turn = f" in turn {brd.confirmed_in_turn}" if brd.confirmed_in_turn is not None else ""
    when = f", {_moment(brd.confirmed_at_ms)}" if brd.confirmed_at_ms is not None else ""
    return f"Confirmed by the user{turn}{when}"


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _to_settle(brd: Brd, summary: Summary) -> Facts:
    questions = len(brd.section(QUESTIONS_KEY).entries)
    contradictions = sum(len(stage.contradictions) for stage in summary.stages)
    inferred = sum(entry.status == "inferred" for entry in _statements(brd))
    number = next(number for number, kind in enumerate(SECTIONS, 1) if kind.key == QUESTIONS_KEY)
    return Facts((
        ("Open questions", f"{questions}, in section {number}" if questions else "none"),
        ("Contradictions", f"{contradictions}, in the summary of the interview" if contradictions else "none"),
        ("Inferred", f"{inferred} statements, marked as such" if inferred else "none"),
    ))  # fmt: skip


def _missing(brd: Brd, summary: Summary) -> tuple[tuple[str, str], ...]:
    stages = [(f"{SUMMARY_TITLE}: {stage.name}", stage.missing) for stage in summary.stages]
    sections = [(f"{number} {kind.title}", brd.section(kind.key).missing) for number, kind in enumerate(SECTIONS, 1)]
    return tuple((line(part), line(reason)) for part, reason in (*stages, *sections) if reason)


def _legend(brd: Brd) -> Legend:
    entries = _statements(brd)
    counts = Counter(entry.status for entry in entries)
    return Legend(tuple(
        Measure(status, meaning, f"{counts[status]} of {len(entries)}") for status, meaning in MEANINGS.items()
    ))  # fmt: skip


def _statements(brd: Brd) -> list[Entry]:
    return [entry for kind in SECTIONS for entry in brd.section(kind.key).entries]


# --- summary ------------------------------------------------------------------------------------------------------


def _summary(summary: Summary) -> Part:
    has_project = bool(shown(summary.project.fields.get(TEXT.key, "")))
    project = _texts("prose", [summary.project]) if has_project else Note("There is no summary of the project.", True)
    stages = tuple(_stage(stage, number) for number, stage in enumerate(summary.stages, 1))
    return Part(SUMMARY_TITLE, (project,), stages, anchor="summary")


def _stage(stage: StageSummary, number: int) -> Part:
    groups = [
        _group("Established", stage.established),
        _group("Contradictions", stage.contradictions, is_open=True),
        _group("Open", stage.open, is_open=True),
        _group("Not borne out by what was said", _as_inferred(stage.doubtful), is_open=True),
    ]
    notes = (_absence(stage.missing),) if stage.missing or not any(groups) else ()
    return Part(line(stage.name), notes, tuple(filter(None, groups)), anchor=f"stage-{number}")


def _group(title: str, entries: Sequence[Entry], *, is_open: bool = False) -> Part | None:
    return Part(title, (_texts("list", entries, is_open=is_open),)) if entries else None


def _as_inferred(entries: Iterable[Entry]) -> list[Entry]:
    """What the writer called stated and is not borne out is at most an inference."""
    return [Entry(entry.entry_id, entry.fields, entry.source_turns, "inferred") for entry in entries]


# --- sections -----------------------------------------------------------------------------------------------------


def _sections(brd: Brd) -> Iterable[Part]:
    for number, kind in enumerate(SECTIONS, 1):
        yield Part(kind.title, _blocks(kind, brd.section(kind.key)), anchor=f"section-{kind.key}", number=str(number))


def _blocks(kind: SectionKind, section: Section) -> tuple[Note | Statements, ...]:
    is_open = kind.key == QUESTIONS_KEY
    notes = (_absence(section.missing, _NOTHING_OPEN if is_open else _NOTHING_SAID),)
    labels = tuple(column.label for column in kind.columns)
    keys = [column.key for column in kind.columns]
    rows = tuple(_statement(entry, keys) for entry in section.entries)
    found = (Statements(kind.layout, labels, rows, is_open=is_open),) if rows else ()
    return (*(notes if section.missing or not rows else ()), *found)


def _absence(reason: str, otherwise: str = _NOTHING_SAID) -> Note:
    return Note(f"Missing: {line(reason) or 'no reason is known.'}", is_missing=True) if reason else Note(otherwise)


def _texts(layout: str, entries: Sequence[Entry], *, is_open: bool = False) -> Statements:
    rows = tuple(_statement(entry, [TEXT.key]) for entry in entries)
    return Statements("prose" if layout == "prose" else "list", (TEXT.label,), rows, is_open=is_open)


def _statement(entry: Entry, keys: Sequence[str]) -> Statement:
    texts = tuple(shown(entry.fields.get(key, "")) for key in keys)
    return Statement(line(entry.entry_id), entry.status, entry.source_turns, texts)


# --- appendix -----------------------------------------------------------------------------------------------------


def _quotes(brd: Brd, summary: Summary, turns: Sequence[TurnRecord]) -> tuple[Quote, ...]:
    of_stages = [
        entry
        for stage in summary.stages
        for entry in (*stage.established, *stage.contradictions, *stage.open, *stage.doubtful)
    ]
    cited = {turn for entry in (summary.project, *of_stages, *_statements(brd)) for turn in entry.source_turns}
    return tuple(Quote(turn.turn, shown(turn.text)) for turn in turns if turn.turn in cited)
