"""Sessions move from one store to another through one pipe; either end of it may end early."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from evaa.asyncio_bridge import open_bridge
from evaa.storage.plugins import StoreChoice, open_store
from protocols.ports import SessionStore
from tests.contracts.examples import make_record
from tests.evaa.sessions_world import contents, fill, many, session_id
from tests.processes.daemon import ROOT

PLAIN_SESSIONS = many(40)
DIFFICULT = make_record(
    session_id(40), ('{"a":"\\u00fc \\ud83d 世界"}', '{"$.":null}'), facts={"b" * 24: {"$a.b\0": "nul \0"}}
)
EXPORTED = "Sessions: 41 exported\n"

Place = dict[str, str]
"""The environment that chooses a store."""


def sqlite(folder: Path) -> Place:
    return {"EVAA_SQLITE_PATH": str(folder / "evaa.sqlite3")}


def mongodb(uri: str, database: str) -> Place:
    return {"MONGODB_URI": uri, "EVAA_MONGODB_DATABASE": database}


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[SessionStore]:
    """The store, in this process."""
    choice = StoreChoice(
        plugin="auto",
        mongodb_uri=place.get("MONGODB_URI", ""),
        mongodb_database=place.get("EVAA_MONGODB_DATABASE", ""),
        sqlite_path=place.get("EVAA_SQLITE_PATH", ""),
    )
    async with open_bridge() as bridge, open_store(bridge, choice) as store:
        yield store


def start(
    *words: str, folder: Path, place: Place, stdin: int | None = None, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """`python run.py` with these words, in an empty folder: no `.env` is to be found."""
    (folder / "empty").mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **place}
    command = [sys.executable, str(ROOT / "run.py"), *words]
    return subprocess.Popen(command, cwd=folder / "empty", env=env, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)


def pipe(source: Place, target: Place, folder: Path) -> str:
    """`export sessions | import sessions`; what import said. Both must end with status 0."""
    exporting = start("export", "sessions", folder=folder, place=source, stdout=subprocess.PIPE)
    assert exporting.stdout is not None
    importing = start("import", "sessions", folder=folder, place=target, stdin=exporting.stdout.fileno())
    exporting.stdout.close()
    said, exported = [ends(process).decode() for process in (importing, exporting)]
    assert exported == EXPORTED
    assert (exporting.returncode, importing.returncode) == (0, 0), said
    return said


def ends(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the end of the process; what it said."""
    with process:
        return process.communicate(timeout=50)[1]


async def test_from_sqlite_to_mongodb_and_back(tmp_path: Path, mongo_uri: str, mongo_database: str) -> None:
    (tmp_path / "back").mkdir()
    file, database, back = sqlite(tmp_path), mongodb(mongo_uri, mongo_database), sqlite(tmp_path / "back")
    async with opened(file) as store:
        await fill(store, [*PLAIN_SESSIONS, DIFFICULT])
        originals = await contents(store)

    said = pipe(file, database, tmp_path)
    assert said == "Sessions: 41 imported, 0 replaced, 0 already there, 0 differing, 0 refused\n"
    async with opened(database) as store:
        assert await contents(store) == originals

    said = pipe(file, database, tmp_path)
    assert said == "Sessions: 0 imported, 0 replaced, 41 already there, 0 differing, 0 refused\n"

    pipe(database, back, tmp_path)
    async with opened(back) as store:
        assert await contents(store) == originals


async def test_a_reader_that_goes_away_ends_the_export_quietly(tmp_path: Path) -> None:
    async with opened(sqlite(tmp_path)) as store:
        await fill(store, PLAIN_SESSIONS)
    exporting = start("export", "sessions", folder=tmp_path, place=sqlite(tmp_path), stdout=subprocess.PIPE)
    assert exporting.stdout is not None
    exporting.stdout.close()
    assert ends(exporting) == b""
    assert exporting.returncode == 1


def test_ctrl_c_ends_an_import_that_waits_for_its_input(tmp_path: Path) -> None:
    importing = start("import", "sessions", folder=tmp_path, place=sqlite(tmp_path), stdin=subprocess.PIPE)
    assert importing.stdin is not None
    assert importing.stderr is not None
    importing.stdin.write(b"{}\n")
    importing.stdin.flush()
    assert importing.stderr.readline().startswith(b"line 1: no session: ")
    importing.send_signal(signal.SIGINT)
    assert importing.wait(timeout=20) == 130
    assert ends(importing) == b""
