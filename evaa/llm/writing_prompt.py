"""What a model is told that writes the documents, or reads what the user says about them.

Static instructions come first, then the transcript and the summary, which are the same for every piece of a version,
and the task last: so the provider's prompt cache holds from one piece to the next. All that anybody said stands in
lines of JSON, so that none of it can pass for one of the markers, which are lines of their own.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from evaa.documents.catalogue import BY_KEY, Column
from evaa.llm.transcript import json_line, last_reply, transcript
from protocols.documents import Brd, Entry, Summary
from protocols.records import Interview
from protocols.writing import ReviewBrief, WritingBrief

Role = Literal["summary", "requirements", "review"]

VALUE_CHARS = (400, 160, 60, 20)
"""To what the document's texts are cut in a review, step by step, until it fits."""


class Message(msgspec.Struct, frozen=True):
    """What the model is told. `shortened`: not all that was said is in it; `cut` are the job's own turns among that."""

    text: str
    shortened: bool = False
    cut: tuple[int, ...] = ()


@cache
def instructions(role: Role) -> str:
    """The instructions of one role, the same for every session."""
    parts = (role,) if role == "review" else (role, "evidence")
    return "\n\n".join(_read(part) for part in parts)


def _read(name: str) -> str:
    return files("evaa.llm").joinpath(f"instructions/{name}.txt").read_text(encoding="utf-8").strip()


def job_message(brief: WritingBrief, max_chars: int) -> Message:
    """What is asked for a job; the transcript has about `max_chars` characters at most.

    The turns of a stage that is summarised come into it whole, as far as they fit.
    """
    own = _turns_of(brief.interview, brief.job.key) if brief.job.task == "stage" else ()
    said = transcript(brief.interview, max_chars, whole=own)
    lines = ["[transcript]", *said.lines]
    if brief.summary is not None:
        lines += ["[summary]", *_summary(brief.summary)]
    lines += ["[task]", *_task(brief), f"Language: {brief.language or 'the one that the user speaks'}"]
    return Message("\n".join(lines), said.shortened, tuple(turn for turn in own if turn in said.cut))


def review_message(brief: ReviewBrief, max_chars: int) -> Message:
    """What is asked about the user's words; the document has about `max_chars` characters at most."""
    earlier = [turn for turn in brief.interview.turns if turn.turn < brief.first_turn]
    user = json_line({"asked": last_reply(earlier), "said": brief.words})
    for value_chars in (max_chars, *VALUE_CHARS):
        lines = tuple(_document(brief.brd, value_chars))
        if sum(map(len, lines)) <= max_chars:
            break
    return Message("\n".join(["[document]", *lines, "[user]", user]), value_chars < max_chars)


# --- tasks --------------------------------------------------------------------------------------------------------


def _task(brief: WritingBrief) -> Iterator[str]:
    match brief.job.task:
        case "stage":
            yield from _stage_task(brief.interview, brief.job.key)
        case "project":
            yield (
                "Write what the whole project is: the list `project` with one entry, a paragraph of two to four"
                " sentences: who wants what automated, why, and what it shall do. The first sentence names the"
                " project in at most ten words, as a title would."
            )
        case "section":
            yield from _section_task(brief)


def _stage_task(interview: Interview, stage_id: str) -> Iterator[str]:
    stage = next(stage for stage in interview.stages if stage.stage_id == stage_id)
    turns = _turns_of(interview, stage_id)
    yield f'Summarise one stage of the interview: "{_one_line(stage.name)}". Its goal: {_one_line(stage.goal)}'
    yield f"It was talked about in these turns: {', '.join(map(str, turns)) or 'none'}."
    yield "Look for it in the other turns, too; leave out what belongs to other stages."
    yield "- established: what is known, one fact an entry."
    yield "- contradictions: where turns contradict each other on it, never settled; both turns, both sides."
    yield "- open: what the goal needs and nobody said, or what the user does not know; as a question."


def _turns_of(interview: Interview, stage_id: str) -> tuple[int, ...]:
    return tuple(turn.turn for turn in interview.turns if turn.stage_id == stage_id)


def _section_task(brief: WritingBrief) -> Iterator[str]:
    kind = BY_KEY[brief.job.key]
    yield f'Write the section "{kind.title}": the list `entries`.'
    yield kind.guidance
    yield "The fields of an entry:"
    yield from (f"- {column.key}: {_meaning(column)}" for column in kind.columns)
    previous = brief.previous.entries if brief.previous is not None else ()
    if previous:
        yield "The section as it stands, one entry a line:"
        yield from (json_line(_entry(entry)) for entry in previous)
        yield (
            "Write the whole section again. An entry that stays, changed or not, keeps its id, and as far as possible"
            " its words; a new entry has an empty id; leave out what no longer holds."
        )
    if brief.correction:
        yield "What the user wants changed in the document, in their words:"
        yield json_line({"said": brief.correction})
        yield "Change what these words ask for as far as it concerns this section, and nothing else."


def _meaning(column: Column) -> str:
    return column.meaning + (f"; one of: {', '.join(column.choices)}" if column.choices else "")


# --- what was written ---------------------------------------------------------------------------------------------


def _summary(summary: Summary) -> Iterator[str]:
    yield json_line({"project": _text(summary.project)})
    for stage in summary.stages:
        lists = {"established": stage.established, "contradictions": stage.contradictions, "open": stage.open}
        yield json_line(
            {"stage": stage.name} | {name: _statements(entries) for name, entries in lists.items() if entries}
        )


def _statements(entries: Sequence[Entry]) -> list[dict[str, object]]:
    return [{"text": _text(entry), "turns": entry.source_turns, "status": entry.status} for entry in entries]


def _text(entry: Entry) -> str:
    return "; ".join(filter(None, entry.fields.values()))


def _entry(entry: Entry) -> dict[str, object]:
    return {"id": entry.entry_id, "turns": entry.source_turns, "fields": entry.fields, "status": entry.status}


def _document(brd: Brd, value_chars: int) -> Iterator[str]:
    for section in brd.sections:
        title = BY_KEY[section.key].title if section.key in BY_KEY else section.key
        entries = [
            {"id": entry.entry_id} | {key: _cut(text, value_chars) for key, text in entry.fields.items() if text}
            for entry in section.entries
        ]
        yield json_line({"key": section.key, "title": title, "entries": entries})


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
