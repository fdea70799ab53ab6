"""The agent's hands at the documents, alone."""

import msgspec
import pytest

from actors.writing import NO_FILE, Writing, WritingLimits
from protocols.frontend import ErrorFrame, Exported
from protocols.messages import Render
from tests.actors.writers import FakeWriter
from tests.computing import at_once
from tests.evaa.finished_interview import finished_session


async def test_a_bug_of_a_format_costs_the_file_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("actors.writing.render", buggy)
    record = finished_session()
    assert record.documents is not None
    assert record.documents.brd is not None
    writing = Writing(FakeWriter(), WritingLimits(), record.session_id, at_once)
    error = await writing.export(Render(record, record.documents.brd, "html"))
    assert isinstance(error, ErrorFrame)
    assert (error.code, error.message) == ("internal", NO_FILE)


async def test_a_file_is_made_of_the_version_that_was_asked_for() -> None:
    record = finished_session()
    documents = record.documents
    assert documents is not None
    assert documents.brd is not None
    first, second = documents.brd, msgspec.structs.replace(documents.brd, version=2)
    record = msgspec.structs.replace(record, documents=msgspec.structs.replace(documents, versions=(first, second)))
    writing = Writing(FakeWriter(), WritingLimits(), record.session_id, at_once)
    file = await writing.export(Render(record, first, "json"))
    assert isinstance(file, Exported)
    assert msgspec.json.decode(file.data)["version"] == 1
