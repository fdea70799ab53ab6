"""The BRD as JSON, and its schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from evaa.documents.catalogue import BY_KEY, SECTIONS
from evaa.documents.formats import json as brd_json
from evaa.documents.formats.schema import brd_schema
from protocols.documents import Brd, Entry, Section, Summary
from tests.evaa.documents.any_documents import BRDS, SUMMARIES
from tests.evaa.documents.example import BRD, CONFIRMED, SUMMARY

SCHEMA = Path(__file__).parents[3] / "docs" / "brd.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(brd_schema())


def loaded(brd: Brd, summary: Summary = SUMMARY) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(brd_json.render(brd, summary))
    return document


def test_the_published_schema_is_current() -> None:
    written = json.dumps(brd_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text("utf-8") == written, (
        "write it anew: python -m evaa.documents.formats.schema > docs/brd.schema.json"
    )


def test_the_schema_is_one_and_lets_nothing_else_in() -> None:
    jsonschema.Draft202012Validator.check_schema(brd_schema())

    def objects(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for inner in node.values():
                yield from objects(inner)

    found = list(objects(brd_schema()))
    assert len(found) == 6 + len(SECTIONS)
    assert all(it["additionalProperties"] is False for it in found)


@given(BRDS, SUMMARIES)
@settings(deadline=None, max_examples=50)
def test_whatever_is_rendered_follows_the_schema_and_says_what_was_written(brd: Brd, summary: Summary) -> None:
    data = brd_json.render(brd, summary)
    document = json.loads(data)
    VALIDATOR.validate(document)
    for section in brd.sections:
        kind = BY_KEY[section.key]
        for entry, found in zip(section.entries, document["sections"][section.key], strict=True):
            assert (tuple(found["sourceTurns"]), found["status"]) == (entry.source_turns, entry.status)
            for column in kind.columns:
                if not column.choices:
                    assert found[column.key] == whole(entry.fields[column.key])
    assert document["summary"]["project"]["text"] == whole(summary.project.fields["text"])
    assert brd_json.render(brd, summary) == data


def whole(text: str) -> str:
    """Half surrogates cannot be written; all else can."""
    return "".join("\ufffd" if 0xD800 <= ord(character) < 0xE000 else character for character in text)


def test_the_example_reads_as_it_should() -> None:
    document = loaded(CONFIRMED)
    VALIDATOR.validate(document)
    assert list(document) == [
        "schema", "brdId", "version", "sessionId", "title", "language", "createdAtMs", "upToTurn", "state",
        "confirmedAtMs", "confirmedInTurn", "change", "writtenBy", "summary", "sections", "missing",
    ]  # fmt: skip
    assert list(document["sections"]) == [kind.key for kind in SECTIONS]
    assert document["sections"]["objectives"][0] == {
        "id": "OBJ-1",
        "objective": "Invoices that are typed in by hand",
        "baseline": "about 40 a week",
        "target": "fewer than 5 a week",
        "sourceTurns": [1, 22],
        "status": "stated",
    }
    assert document["missing"] == {"risks": "The model did not answer in time, three times in a row."}
    assert (document["state"], document["confirmedInTurn"]) == ("confirmed", 25)
    assert (loaded(BRD)["confirmedInTurn"], loaded(BRD)["confirmedAtMs"]) == (None, None)
    assert document["summary"]["stages"][4]["contradictions"][0]["id"] == "S5-C-1"
    assert document["summary"]["stages"][2]["doubtful"][0]["text"] == "The courier drives on Mondays."


def test_a_value_that_is_no_longer_a_choice_is_left_empty() -> None:
    entry = Entry("FR-1", {"title": "a", "priority": "Urgent"})
    brd = Brd("BRD-1", 1, "5e1a", "t", "en", 0, 0, (Section("requirements", (entry,)),))
    assert loaded(brd)["sections"]["requirements"][0]["priority"] == ""


def test_what_is_not_seen_is_spelled_out() -> None:
    text = "a\u202eb\u2066c\ufeffd\u200be\u2028f\x7fg\x00h 👩\u200d⚕️ שלום"
    brd = Brd("BRD-1", 1, "5e1a", text, "en", 0, 0, ())
    data = brd_json.render(brd, SUMMARY).decode()
    assert r"a\u202eb\u2066c\ufeffd\u200be\u2028f\u007fg\u0000h 👩" + "\u200d⚕️ שלום" in data
    assert json.loads(data)["title"] == text


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.key)
def test_no_column_takes_the_name_of_a_field_that_every_entry_has(kind: Any) -> None:
    keys = [column.key for column in kind.columns]
    assert not {"id", "sourceTurns", "status"} & set(keys)
    assert len(keys) == len(set(keys))
