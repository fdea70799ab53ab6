"""From a BRD to its outline: the one place that decides what a reader gets to see."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from evaa.documents.catalogue import SECTIONS, TEXT, Column, SectionKind
from evaa.documents.formats import languages
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
_OLDER = "This is what the interview came to, up to turn {turn}. What was corrected later stands in the sections below."
_CUT_OFF = "…"
_MAX_HEADLINE_CHARS = 240
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
        parts=(_summary(brd, summary), *_sections(brd), *appendix),
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
        "Language": languages.named(brd.language),
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
        ("Inferred", f"{inferred} statement{'s' * (inferred > 1)}, marked as such" if inferred else "none"),
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
    """What is said of the project: questions say nothing."""
    return [entry for kind in SECTIONS if kind.key != QUESTIONS_KEY for entry in brd.section(kind.key).entries]


# --- summary ------------------------------------------------------------------------------------------------------


def _summary(brd: Brd, summary: Summary) -> Part:
    has_project = bool(shown(summary.project.fields.get(TEXT.key, "")))
    project = _texts("prose", [summary.project]) if has_project else Note("There is no summary of the project.", True)
    stages = tuple(_stage(stage, number) for number, stage in enumerate(summary.stages, 1))
    is_older = brd.up_to_turn > summary.up_to_turn
    notes = (Note(_OLDER.format(turn=summary.up_to_turn)),) if is_older else ()
    return Part(SUMMARY_TITLE, (*notes, project), stages, anchor="summary")


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
    if not section.entries:
        return (_absence(section.missing, _NOTHING_OPEN if is_open else _NOTHING_SAID),)
    said = _said(kind, section)
    unsaid = [column.label for column in kind.columns if column not in said]
    make = _card if kind.layout == "cards" else _row
    rows = tuple(make(entry, said) for entry in section.entries)
    labels = tuple(column.label for column in said)
    return (
        *((_absence(section.missing),) if section.missing else ()),
        Statements(kind.layout, labels, rows, is_open=is_open),
        *((_silence(unsaid),) if unsaid else ()),
    )


def _said(kind: SectionKind, section: Section) -> list[Column]:
    """The columns that some entry fills in, and the headline."""
    first, *others = kind.columns
    return [first, *(it for it in others if any(shown(entry.fields.get(it.key, "")) for entry in section.entries))]


def _silence(labels: Iterable[str]) -> Note:
    """The columns that are left out, since nobody fills them in, once for the whole section."""
    return Note(f"Nothing was said about: {', '.join(label[:1].lower() + label[1:] for label in labels)}.")


def _absence(reason: str, otherwise: str = _NOTHING_SAID) -> Note:
    return Note(f"Missing: {line(reason) or 'no reason is known.'}", is_missing=True) if reason else Note(otherwise)


def _texts(layout: Literal["prose", "list"], entries: Sequence[Entry], *, is_open: bool = False) -> Statements:
    return Statements(layout, (TEXT.label,), tuple(_row(entry, [TEXT]) for entry in entries), is_open=is_open)


def _row(entry: Entry, columns: Iterable[Column]) -> Statement:
    texts = tuple(shown(entry.fields.get(column.key, "")) for column in columns)
    return Statement(line(entry.entry_id), entry.status, entry.source_turns, texts)


def _card(entry: Entry, columns: Sequence[Column]) -> Statement:
    """A statement with the details that it has. One that only says the headline again is left out."""
    row = _row(entry, columns)
    headline = _headline(*row.texts)
    pairs = zip(columns[1:], row.texts[1:], strict=True)
    details = tuple((it.label, text) for it, text in pairs if text and _bare(text) != _bare(headline))
    return msgspec.structs.replace(row, texts=(headline,), details=details)


def _headline(title: str, *details: str) -> str:
    """The title; where it is the beginning of a detail, cut off, the whole of that if it is not too long."""
    start = title.removesuffix(_CUT_OFF).rstrip()
    whole = [it for it in details if it.startswith(start) and len(it) <= _MAX_HEADLINE_CHARS]
    return whole[0] if start and title.endswith(_CUT_OFF) and whole else title


def _bare(text: str) -> str:
    return text.rstrip(" .").casefold()


# --- appendix -----------------------------------------------------------------------------------------------------


def _quotes(brd: Brd, summary: Summary, turns: Sequence[TurnRecord]) -> tuple[Quote, ...]:
    of_stages = [
        entry
        for stage in summary.stages
        for entry in (*stage.established, *stage.contradictions, *stage.open, *stage.doubtful)
    ]
    of_sections = [entry for kind in SECTIONS for entry in brd.section(kind.key).entries]
    cited = {turn for entry in (summary.project, *of_stages, *of_sections) for turn in entry.source_turns}
    return tuple(Quote(turn.turn, shown(turn.text)) for turn in turns if turn.turn in cited)
