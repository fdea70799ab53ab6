"""How the documents come about, piece by piece. Pure: what is there, and what was written, in; what is there now, out.

    stages (each on its own) ──▶ project ──▶ sections (each on its own) ──▶ a version

Every piece is stored as soon as it is there, so that after a crash only what is missing is asked for again. A piece
that cannot be had is named as missing. A correction starts the same way again, for the sections that it touches; where
one cannot be had, what stood there before stands, and what the user wanted is kept for the next correction.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from evaa.documents import identity
from evaa.documents.catalogue import BY_KEY, SECTIONS, TEXT, Column, SectionKind
from evaa.documents.checking import Checked, check, entries_of, question_about
from protocols.documents import Brd, Documents, Entry, Piece, Section, StageSummary, Summary
from protocols.records import SessionRecord, Stage, TurnRecord
from protocols.writing import DraftEntry, Job, Review, ReviewBrief, WritingBrief, Written

Step = Literal["summary", "brd"]
PROJECT = Job("project")
UNTITLED = "Business requirements"
UNDETERMINED = "und"
"""BCP 47's tag for a language that nobody has determined."""

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

NOT_READ = "What was said here was too long to be read in whole; what stands in its middle is not considered."

NOT_CHANGED = "The change could not be made; this is how it stood before. What was asked for:"
MAX_ASKED_CHARS = 300

MIN_TITLE_CHARS = 20
MAX_TITLE_CHARS = 80

_SUBJECT = r"(?:i|we|it|they|he|she|you|then|ich|wir|es|sie|er|dann)"
_CLAUSE_END = re.compile(
    rf"(?:,? (?:and|und)(?= {_SUBJECT}\b)|,? (?:so that|damit|sodass)\b|[,;:](?= )| [-\u2013\u2014](?= )|\u2014)",
    re.IGNORECASE,
)
_NEEDS_MORE = re.compile(
    r"\W*(?:(?:if|when|whenever|once|before|as soon as|wenn|falls|sobald|nachdem)\b|.*\b(?:and|or|und|oder)$)",
    re.IGNORECASE,
)
"""A condition, and what breaks off in the middle."""

_replace = msgspec.structs.replace


def begin(record: SessionRecord) -> Documents:
    """Return the documents of a session whose interview has just been completed."""
    turns = len(record.interview.turns)
    return Documents(up_to_turn=turns, read_up_to_turn=turns)


def outstanding(record: SessionRecord) -> tuple[Job, ...]:
    """Return what can be written now, in the order in which it is wanted; nothing once a version is whole."""
    documents = record.documents
    if documents is None or documents.is_finished:
        return ()
    if documents.summary is None:
        stages = [Job("stage", stage.stage_id) for stage in record.interview.stages]
        return tuple(job for job in stages if job.key not in documents.stages) or (PROJECT,)
    return tuple(Job("section", kind.key) for kind in SECTIONS if kind.key not in documents.sections)


def progress(record: SessionRecord) -> tuple[Step, int, int]:
    """Return the step in hand (`summary` or `brd`), how many pieces of it are done, and how many there are."""
    documents = record.documents or Documents()
    if documents.summary is None:
        return "summary", len(documents.stages), len(record.interview.stages) + 1
    return "brd", len(documents.sections), len(SECTIONS)


def brief(record: SessionRecord, job: Job) -> WritingBrief:
    """Return what the writer of a job is told: nothing that was said after the work began."""
    documents = record.documents or Documents()
    newest = documents.brd
    previous = newest.section(job.key) if newest is not None and job.task == "section" else None
    return WritingBrief(
        job=job,
        session_id=record.session_id,
        language=documents.summary.language if documents.summary is not None else "",
        interview=_replace(record.interview, turns=_considered(record)),
        summary=documents.summary,
        previous=previous,
        correction=_correction(documents, job.key),
    )


def piece(record: SessionRecord, job: Job, result: Written | str) -> Piece:
    """Return what a job came to, checked against what was said; `result` is a text where it cannot be had: the reason.

    `record` is the session as it was when the job was handed out. Slow where much was said: call it in a thread.
    """
    match job.task:
        case "stage":
            stage = next(stage for stage in record.interview.stages if stage.stage_id == job.key)
            return _stage_summary(record, stage, result)
        case "project":
            return _summary(record, result)
        case _:
            return _section(record, job.key, result)


def with_piece(documents: Documents, piece: Piece, model: str) -> Documents:
    """Return the documents with a piece more; `model` wrote it; empty if none did."""
    if model and model not in documents.written_by:
        documents = _replace(documents, written_by=(*documents.written_by, model))
    match piece:
        case StageSummary():
            return _replace(documents, stages={**documents.stages, piece.stage_id: piece})
        case Summary():
            return _replace(documents, summary=piece)
        case Section():
            return _replace(documents, sections={**documents.sections, piece.key: piece})


def finished(record: SessionRecord, *, now_ms: int) -> Documents | None:
    """Return the documents with the new version, if all its pieces are there and it is not there yet."""
    documents = record.documents
    if documents is None or documents.summary is None or documents.is_finished:
        return None
    if any(kind.key not in documents.sections for kind in SECTIONS):
        return None
    brd = Brd(
        brd_id=f"BRD-{record.session_id}",
        version=len(documents.versions) + 1,
        session_id=record.session_id,
        title=_title(documents.summary),
        language=documents.summary.language or UNDETERMINED,
        created_at_ms=now_ms,
        up_to_turn=documents.up_to_turn,
        sections=_with_questions(documents),
        change=documents.change,
        written_by=documents.written_by,
    )
    return Documents(
        summary=documents.summary,
        versions=_with_version(documents, brd),
        up_to_turn=documents.up_to_turn,
        read_up_to_turn=documents.read_up_to_turn,
        answer=documents.answer,
    )


# --- review by the user -------------------------------------------------------------------------------------------


def corrected(documents: Documents, review: Review, brief: ReviewBrief) -> Documents:
    """Return the documents with the sections of a correction to be written anew; the others stay as they are.

    What was missing is tried again, too.
    """
    affected = tuple(key for key in dict.fromkeys(review.sections) if key in BY_KEY) or ("openQuestions",)
    kept = {it.key: it for it in brief.brd.sections if it.key not in affected and not it.missing}
    return _replace(
        documents,
        up_to_turn=len(brief.interview.turns),
        sections=kept,
        correction=brief.words,
        affected=affected,
        is_in_work=True,
        change=review.change or "corrected",
        written_by=brief.brd.written_by,
    )


def confirmed(documents: Documents, *, turn: int, now_ms: int) -> Documents:
    """Return the documents with the newest version confirmed by what was said in `turn`, and all that it states.

    The first confirmation counts.
    """
    newest = documents.versions[-1]
    if newest.state == "confirmed":
        return documents
    brd = _replace(
        newest,
        state="confirmed",
        confirmed_at_ms=now_ms,
        confirmed_in_turn=turn,
        sections=tuple(_replace(it, entries=tuple(map(_confirmed, it.entries))) for it in newest.sections),
    )
    before = documents.version(newest.version - 1)
    older = _replace(documents, versions=documents.versions[:-2] + ((before,) if before is not None else ()))
    return _replace(documents, versions=_with_version(older, brd))


def given(documents: Documents, *, after_turn: int) -> Documents:
    """Return the documents when the user is given the newest version, after this turn."""
    newest = documents.versions[-1]
    if newest.given_after_turn is not None:
        return documents
    return _replace(documents, versions=(*documents.versions[:-1], _replace(newest, given_after_turn=after_turn)))


def told(documents: Documents) -> Documents:
    """Return the documents when the user has the answer that was kept for them."""
    return _replace(documents, answer="")


def _with_version(documents: Documents, brd: Brd) -> tuple[Brd, ...]:
    """The versions with another, and the one before it reduced to what became something else."""
    if documents.brd is None:
        return (brd,)
    changed = [section for section in documents.brd.sections if section != brd.section(section.key)]
    changed = [_replace(section, unmade="") for section in changed]  # the newest has what is still to be done
    return (*documents.versions[:-1], _replace(documents.brd, sections=tuple(changed)), brd)


def _confirmed(entry: Entry) -> Entry:
    return _replace(entry, status="confirmed") if entry.status == "stated" else entry


# --- pieces -------------------------------------------------------------------------------------------------------


def _considered(record: SessionRecord) -> tuple[TurnRecord, ...]:
    return record.interview.turns[: record.documents.up_to_turn] if record.documents else record.interview.turns


def _correction(documents: Documents, key: str) -> str:
    """What the user wants changed in a section: that which could not be changed before, too."""
    unmade = documents.brd.section(key).unmade if documents.brd is not None else ""
    return "\n".join(filter(None, (unmade, documents.correction if key in documents.affected else "")))


def _stage_summary(record: SessionRecord, stage: Stage, result: Written | str) -> StageSummary:
    if isinstance(result, str):
        return StageSummary(stage.stage_id, stage.name, missing=result)
    order = stage.order
    established = _checked(record, result, "established")
    return StageSummary(
        stage.stage_id,
        stage.name,
        established=_numbered(f"S{order}", established.sound),
        contradictions=_numbered(f"S{order}-C", _checked(record, result, "contradictions").sound),
        open=_numbered(f"S{order}-O", (*_checked(record, result, "open").sound, *_not_read(result))),
        doubtful=_numbered(f"S{order}-D", established.doubtful),
    )


def _not_read(result: Written) -> Iterator[DraftEntry]:
    if result.cut:
        yield DraftEntry({TEXT.key: NOT_READ}, result.cut)


def _summary(record: SessionRecord, result: Written | str) -> Summary:
    documents = record.documents or begin(record)
    stages = tuple(documents.stages[stage.stage_id] for stage in record.interview.stages)
    project: tuple[Entry, ...] = ()
    language = ""
    if not isinstance(result, str):
        language = result.language if _LANGUAGE_TAG.fullmatch(result.language) else ""
        checked = _checked(record, result, "project")
        # A paragraph is a retelling: where it says more than was said, it says so as a conclusion.
        doubtful = tuple(_replace(draft, status="inferred") for draft in checked.doubtful)
        project = _numbered("P", (*checked.sound, *doubtful)[:1])
    return Summary(project[0] if project else Entry("P-1", {TEXT.key: ""}), stages, documents.up_to_turn, language)


def _section(record: SessionRecord, key: str, result: Written | str) -> Section:
    documents = record.documents or begin(record)
    versions = documents.versions
    previous = versions[-1].section(key).entries if versions else ()
    if isinstance(result, str):
        unmade = _correction(documents, key)
        return Section(key, previous, _not_changed(unmade) if previous and unmade else result, unmade=unmade)
    kind = BY_KEY[key]
    checked = _checked(record, result, "entries", kind.columns)
    used = [entry.entry_id for brd in versions for entry in brd.section(key).entries]
    ids = identity.assign(kind.prefix, checked.sound, previous, used)
    return Section(key, entries_of(checked.sound, ids), doubtful=_numbered(f"{kind.prefix}-D", checked.doubtful))


def _not_changed(unmade: str) -> str:
    asked = unmade if len(unmade) <= MAX_ASKED_CHARS else f"{unmade[:MAX_ASKED_CHARS]}…"
    return f"{NOT_CHANGED} {asked}"


def _checked(record: SessionRecord, result: Written, name: str, columns: Sequence[Column] = (TEXT,)) -> Checked:
    opening = record.interview.stages[0].opening
    return check(result.lists.get(name, ()), columns, _considered(record), opening)


def _numbered(prefix: str, drafts: Sequence[DraftEntry]) -> tuple[Entry, ...]:
    return entries_of(drafts, [f"{prefix}-{number}" for number in range(1, len(drafts) + 1)])


# --- the whole ----------------------------------------------------------------------------------------------------


def _title(summary: Summary) -> str:
    text = summary.project.fields.get(TEXT.key, "").strip()
    first, _, second = text.partition(". ")
    sentence = (first if len(first) >= MIN_TITLE_CHARS else f"{first}. {second.partition('. ')[0]}").strip(". ")
    if not sentence:
        return UNTITLED
    return sentence if len(sentence) <= MAX_TITLE_CHARS else _shortened(sentence)


def _shortened(sentence: str) -> str:
    """The sentence up to the last clause that fits, before a list, or else cut after a word."""
    begin, fitting = 0, list[int]()
    for found in _CLAUSE_END.finditer(sentence[: MAX_TITLE_CHARS + 1]):
        if found.start() >= MIN_TITLE_CHARS and not _NEEDS_MORE.match(sentence[begin : found.start()]):
            fitting.append(found.start())
        begin = found.end()
    if fitting:
        end = next((end for end in fitting if sentence[end] == ":"), fitting[-1])
        return sentence[:end].rstrip(" -\u2013\u2014")
    return sentence[: MAX_TITLE_CHARS - 1].rsplit(" ", 1)[0] + "…"


def _with_questions(documents: Documents) -> tuple[Section, ...]:
    """The sections in their order, with what is doubtful in any of them moved among the open questions."""
    kind = BY_KEY["openQuestions"]
    doubts: dict[str, DraftEntry] = {}  # what is claimed in two sections is asked once
    for it in SECTIONS:
        for entry in documents.sections[it.key].doubtful:
            doubt = question_about(it, DraftEntry(entry.fields, entry.source_turns))
            doubts.setdefault(_question(doubt.fields), doubt)
    questions = documents.sections[kind.key]
    known = {_question(entry.fields) for entry in questions.entries}
    fresh = [doubt for question, doubt in doubts.items() if question not in known]
    used = [entry.entry_id for brd in documents.versions for entry in brd.section(kind.key).entries]
    ids = identity.assign(kind.prefix, fresh, (), [*used, *_ids(questions.entries)])
    extended = _replace(questions, entries=(*questions.entries, *entries_of(fresh, ids)), doubtful=())
    return tuple(extended if it.key == kind.key else _settled(documents, it) for it in SECTIONS)


def _settled(documents: Documents, kind: SectionKind) -> Section:
    return _replace(documents.sections[kind.key], doubtful=())


def _question(fields: dict[str, str]) -> str:
    return fields.get("question", "")


def _ids(entries: Iterable[Entry]) -> list[str]:
    return [entry.entry_id for entry in entries]
