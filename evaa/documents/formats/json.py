"""JSON: a version as data, and the schema that it follows. Both come from the catalogue.

Texts are as they were written, every character of them; only half surrogates, which UTF-8 does not have, are replaced.
Characters that nobody sees, or that turn the reading direction around, are spelled as escapes.
"""

import re
from collections.abc import Iterable

import msgspec

from evaa.documents.catalogue import SECTIONS, TEXT, Column
from protocols.documents import Brd, Entry, StageSummary, Summary

SCHEMA_ID = "urn:evaa:brd:1"

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")

Json = dict[str, object]


def render(brd: Brd, summary: Summary) -> bytes:
    """Return one version as a JSON document that follows `schema.brd_schema`. The same version gives the same bytes."""
    text = msgspec.json.format(msgspec.json.encode(document(brd, summary)), indent=2).decode()
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n"


def document(brd: Brd, summary: Summary) -> Json:
    """Return the same as plain data."""
    return {
        "schema": SCHEMA_ID,
        "brdId": _text(brd.brd_id),
        "version": brd.version,
        "sessionId": _text(brd.session_id),
        "title": _text(brd.title),
        "language": _text(brd.language),
        "createdAtMs": brd.created_at_ms,
        "upToTurn": brd.up_to_turn,
        "state": brd.state,
        "confirmedAtMs": brd.confirmed_at_ms,
        "confirmedInTurn": brd.confirmed_in_turn,
        "change": _text(brd.change),
        "writtenBy": [_text(name) for name in brd.written_by],
        "summary": _summary(summary),
        "sections": {kind.key: _entries(brd.section(kind.key).entries, kind.columns) for kind in SECTIONS},
        "missing": {kind.key: _text(why) for kind in SECTIONS if (why := brd.section(kind.key).missing)},
    }


def _summary(summary: Summary) -> Json:
    return {
        "upToTurn": summary.up_to_turn,
        "project": _entry(summary.project, (TEXT,)),
        "stages": [_stage(stage) for stage in summary.stages],
    }


def _stage(stage: StageSummary) -> Json:
    return {
        "stageId": _text(stage.stage_id),
        "name": _text(stage.name),
        "established": _entries(stage.established, (TEXT,)),
        "contradictions": _entries(stage.contradictions, (TEXT,)),
        "open": _entries(stage.open, (TEXT,)),
        "doubtful": _entries(stage.doubtful, (TEXT,)),
        "missing": _text(stage.missing),
    }


def _entries(entries: Iterable[Entry], columns: Iterable[Column]) -> list[Json]:
    columns = tuple(columns)
    return [_entry(entry, columns) for entry in entries]


def _entry(entry: Entry, columns: Iterable[Column]) -> Json:
    fields = {column.key: _value(entry.fields.get(column.key, ""), column) for column in columns}
    return {
        "id": _text(entry.entry_id),
        **fields,
        "sourceTurns": list(entry.source_turns),
        "status": entry.status,
    }


def _value(text: str, column: Column) -> str:
    """The text of a field. One that offers choices has one of them, or nothing: a version may be older than they."""
    return "" if column.choices and text not in column.choices else _text(text)


def _text(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)
