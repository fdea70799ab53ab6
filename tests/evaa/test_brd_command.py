"""`python run.py brd`: a stored version as a file, or one sentence that says why not."""

import io
from argparse import Namespace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from evaa.commands.brd import write_brd
from evaa.documents.export import Form, render
from evaa.storage.memory import MemoryStore
from protocols.documents import Documents
from protocols.ports import SessionStore, StoreError
from protocols.records import SessionRecord
from tests.contracts.examples import NOBODY, S1, TTL_S, make_record
from tests.evaa.documents.example import BRD, SUMMARY, TURNS

FIRST, NEWER = (msgspec.structs.replace(BRD, version=number) for number in (1, 2))
DOCUMENTS = Documents(summary=SUMMARY, versions=(FIRST, NEWER))
UNREADABLE = f"session {S1} cannot be read: its documents are not what they should be"


async def a_store(documents: Documents | None = DOCUMENTS) -> MemoryStore:
    store = MemoryStore()
    await store.create(msgspec.structs.replace(make_record(turns=TURNS), documents=documents), "a server", TTL_S)
    return store


async def written(store: SessionStore, session: str = S1, **options: Any) -> tuple[int, bytes, str]:
    """The status, and what was written to standard output and to standard error."""
    out, err = io.BytesIO(), io.StringIO()
    arguments = {"session": session, "format": "markdown", "version": None, "output": "-"} | options
    status = await write_brd(store, Namespace(**arguments), out, err)
    return status, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("form", ["markdown", "html", "json", "n8n", "docx"])
async def test_the_newest_version_goes_to_standard_output_as_it_is(form: Form) -> None:
    expected = render(NEWER, SUMMARY, TURNS, form).data
    assert await written(await a_store(), format=form) == (0, expected, "")


async def test_an_older_version_can_be_had() -> None:
    expected = render(FIRST, SUMMARY, TURNS, "json").data
    assert await written(await a_store(), format="json", version=1) == (0, expected, "")


async def test_without_a_name_the_file_is_named_after_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = render(NEWER, SUMMARY, TURNS, "docx")
    assert await written(await a_store(), format="docx", output=None) == (0, b"", f"Written: {file.filename}\n")
    assert (tmp_path / file.filename).read_bytes() == file.data


async def test_it_can_be_written_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "über.md"
    path.write_text("what was there before")
    assert await written(await a_store(), output=str(path)) == (0, b"", f"Written: {path}\n")
    assert path.read_bytes() == render(NEWER, SUMMARY, TURNS, "markdown").data


async def test_an_unknown_session() -> None:
    assert await written(await a_store(), NOBODY) == (1, b"", f"There is no session {NOBODY}.\n")


@pytest.mark.parametrize("documents", [None, Documents(summary=SUMMARY)])
async def test_a_session_without_a_version(documents: Documents | None) -> None:
    sentence = "There is no BRD of this session yet: it is interviewing.\n"
    assert await written(await a_store(documents)) == (1, b"", sentence)


@pytest.mark.parametrize("version", [-1, 0, 7])
async def test_an_unknown_version(version: int) -> None:
    sentence = f"There is no version {version}; there are 1 to 2.\n"
    assert await written(await a_store(), version=version) == (1, b"", sentence)


async def test_a_session_that_cannot_be_read(tmp_path: Path) -> None:
    class SpoiltStore(MemoryStore):
        async def load(self, session_id: str) -> SessionRecord | None:
            raise StoreError(UNREADABLE)

    path = tmp_path / "brd.md"
    assert await written(SpoiltStore(), output=str(path)) == (1, b"", f"{UNREADABLE}\n")
    assert not path.exists()


async def test_a_store_that_is_away() -> None:
    store = await a_store()
    store.unavailable = True
    status, out, err = await written(store)
    assert (status, out, err.count("\n")) == (1, b"", 1)


@pytest.mark.parametrize("where", [".", "nowhere/brd.md"])
async def test_a_file_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    path = tmp_path / where
    status, out, err = await written(await a_store(), output=str(path))
    assert (status, out, err.count("\n")) == (1, b"", 1)
    assert err.startswith(f"{path} cannot be written: ")


@pytest.mark.parametrize(("error", "said"), [(BrokenPipeError(), ""), (OSError(28, "No space left"), "No space left")])
async def test_standard_output_that_takes_no_more(error: OSError, said: str) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise error

    err = io.StringIO()
    arguments = Namespace(session=S1, format="markdown", version=None, output="-")
    assert await write_brd(await a_store(), arguments, Full(), err) == 1
    assert err.getvalue() == (f"Standard output cannot be written: {said}\n" if said else "")


async def test_it_can_be_cancelled_while_it_loads() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await written(await a_store())
    assert scope.cancelled_caught
