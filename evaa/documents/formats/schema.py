"""The JSON Schema (draft 2020-12) of a BRD as JSON, as `docs/brd.schema.json` publishes it.

`python -m evaa.documents.formats.schema > docs/brd.schema.json` writes that anew.
"""

import sys

import msgspec

from evaa.documents.catalogue import SECTIONS, TEXT, Column, SectionKind
from evaa.documents.formats.composing import MEANINGS
from evaa.documents.formats.json import SCHEMA_ID, Json

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TURN: Json = {"type": "integer", "minimum": 1}
_STATEMENTS: Json = {"type": "array", "items": {"$ref": "#/$defs/statement"}}


def brd_schema() -> Json:
    """Return the schema, made from the catalogue."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Business requirements document",
        "description": "One version of the business requirements document that EVAA writes from an interview.",
        **_record({
            "schema": {"const": SCHEMA_ID},
            "brdId": _described(_TEXT, "The same in every version."),
            "version": {"type": "integer", "minimum": 1},
            "sessionId": _described(_TEXT, "The interview that it comes from."),
            "title": _TEXT,
            "language": _described(_TEXT, "The BCP 47 tag of the language of the texts."),
            "createdAtMs": _described({"type": "integer"}, "Milliseconds since the Unix epoch."),
            "upToTurn": _described(_COUNT, "The last turn of the interview that it considers."),
            "state": {"enum": ["draft", "confirmed"]},
            "confirmedAtMs": {"type": ["integer", "null"]},
            "confirmedInTurn": _described(
                {"type": ["integer", "null"]}, "The turn in which the user confirmed this version."
            ),
            "change": _described(_TEXT, "What is new in this version, in words."),
            "writtenBy": _described({"type": "array", "items": _TEXT}, "The models that wrote it."),
            "summary": {"$ref": "#/$defs/summary"},
            "sections": _described(
                _record({kind.key: _section(kind) for kind in SECTIONS}), "Each section's statements, by its key."
            ),
            "missing": {
                "type": "object",
                "description": "Why a section, or a change of it, is missing, by the section's key.",
                "properties": {kind.key: _TEXT for kind in SECTIONS},
                "additionalProperties": False,
            },
        }),
        "$defs": {
            "status": {"enum": list(MEANINGS), "description": _meanings()},
            "sourceTurns": {
                "type": "array",
                "description": "The numbers of the user's turns that the statement comes from.",
                "items": _TURN,
            },
            "statement": _entry((TEXT,)),
            "summary": _record({
                "upToTurn": _COUNT,
                "project": {"$ref": "#/$defs/statement"},
                "stages": {"type": "array", "items": {"$ref": "#/$defs/stage"}},
            }),
            "stage": _record({
                "stageId": _TEXT,
                "name": _TEXT,
                "established": _STATEMENTS,
                "contradictions": _STATEMENTS,
                "open": _STATEMENTS,
                "doubtful": _described(_STATEMENTS, "Called stated by the writer, but not borne out by what was said."),
                "missing": _described(_TEXT, "Why this stage could not be summed up; empty if it was."),
            }),
        },
    }  # fmt: skip


def _record(properties: dict[str, Json]) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description}


def _section(kind: SectionKind) -> Json:
    return {"type": "array", "title": kind.title, "description": kind.guidance, "items": _entry(kind.columns)}


def _entry(columns: tuple[Column, ...]) -> Json:
    return _record({
        "id": _TEXT,
        **{column.key: _field(column) for column in columns},
        "sourceTurns": {"$ref": "#/$defs/sourceTurns"},
        "status": {"$ref": "#/$defs/status"},
    })  # fmt: skip


def _field(column: Column) -> Json:
    values: Json = {"enum": [*column.choices, ""]} if column.choices else _TEXT
    return {**values, "title": column.label, "description": column.meaning}


def _meanings() -> str:
    return " ".join(f"{status}: {meaning}" for status, meaning in MEANINGS.items())


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(brd_schema()), indent=2).decode() + "\n")
