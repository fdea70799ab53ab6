"""The documents of real processes: from the closing reply to the files, through corrections and `kill -9`."""

import base64
import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trio

from evaa.documents.catalogue import SECTIONS
from evaa.documents.n8n.checker import check_text
from evaa.simulators.groq import Behaviour
from tests.processes.client import Client, connected
from tests.processes.daemon import ROOT, running_daemon
from tests.processes.drafting import SESSION, interview, pieces_stored, run, simulated_groq, written_jobs

SCRIPTED = {"EVAA_LLM": "scripted"}
CORRECTION = "It is 50 invoices a day, not 40."
FORMATS = ("markdown", "html", "docx", "json", "n8n")
STAGES = 8
PIECES = STAGES + 1 + len(SECTIONS)
IN_FLIGHT = 4
"""How many pieces of a session are asked for at once."""


def address(url: str) -> str:
    return f"{url}?sessionId={SESSION}"


async def exports(client: Client) -> dict[str, bytes]:
    """The newest version in all formats."""
    files = {}
    for form in FORMATS:
        await client.send(type="export", format=form)
        frame = await client.next("exported")
        assert frame["format"] == form
        files[form] = base64.b64decode(frame["data"]) if form == "docx" else frame["data"].encode()
    return files


async def say(client: Client, text: str) -> dict[str, Any]:
    """Say something about the documents; what comes of them."""
    await client.send(type="text", text=text)
    await client.next("reply")
    return dict((await client.next("completed"))["brd"])


def check_files(files: dict[str, bytes]) -> None:
    """Each parses, and is what it should be."""
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs/brd.schema.json").read_text())).validate(
        json.loads(files["json"])
    )
    assert [problem for problem in check_text(files["n8n"]) if problem.level == "error"] == []
    with zipfile.ZipFile(io.BytesIO(files["docx"])) as docx:
        assert docx.testzip() is None
        assert b"invoices" in docx.read("word/document.xml")
    assert files["markdown"].startswith(b"# ")
    assert files["html"].lower().startswith(b"<!doctype html>")


async def test_an_interview_ends_in_documents_that_are_corrected_confirmed_and_written_out(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, **SCRIPTED) as daemon, connected(address(daemon.url)) as client:
        await interview(client)
        completed = await client.next("completed")
        first = await exports(client)
        check_files(first)
        assert json.loads(first["json"]) == completed["brd"] | {"summary": completed["summary"]}

        second = await say(client, CORRECTION)
        assert (second["version"], second["state"]) == (2, "draft")
        confirmed = await say(client, "Yes, that is right.")
        assert (confirmed["version"], confirmed["state"]) == (2, "confirmed")
        newest = await exports(client)
        check_files(newest)
        assert "50 invoices" in str(confirmed["sections"])

        for form in ("markdown", "html", "json", "n8n"):
            for version, files in (("1", first), ("2", newest)):
                written = await run(tmp_path, "brd", SESSION, "--format", form, "--version", version, "--output", "-")
                assert (written.returncode, written.stderr) == (0, b"")
                assert written.stdout == files[form]


async def test_the_command_writes_a_file_named_after_the_document_while_nobody_serves(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, **SCRIPTED) as daemon:
        async with connected(address(daemon.url)) as client:
            await interview(client)
            await client.next("completed")
        assert await daemon.stop() == 0
    written = await run(tmp_path, "brd", SESSION, "--format", "docx")
    name = f"BRD-{SESSION}-v1.docx"
    assert (written.returncode, written.stderr.decode()) == (0, f"Written: {name}\n")
    with zipfile.ZipFile(tmp_path / name) as docx:
        assert "word/document.xml" in docx.namelist()

    for arguments, status, sentence in (
        (("f" * 24,), 1, f"There is no session {'f' * 24}."),
        ((SESSION, "--version", "7"), 1, "There is no version 7; there are 1 to 1."),
        ((SESSION, "--format", "pdf"), 2, "run.py brd: error: argument --format: invalid choice: 'pdf'"),
        ((SESSION[:-1],), 2, "run.py brd: error: argument SESSION: sessionId must be a MongoDB ObjectId"),
    ):
        refused = await run(tmp_path, "brd", *arguments)
        assert (refused.returncode, refused.stdout) == (status, b"")
        assert refused.stderr.decode().splitlines()[-1].startswith(sentence)
        assert b"Traceback" not in refused.stderr


async def test_piped_lines_are_an_interview_with_its_correction_and_its_confirmation(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, **SCRIPTED) as daemon:
        async with connected(f"{daemon.url}?sessionId={'f' * 24}") as client:
            answers = await interview(client)
        lines = "\n".join((*answers, CORRECTION, "Yes, that is right.", "")).encode()
        talk = ("talk", "--url", daemon.url, "--session", SESSION)
        talked = await run(tmp_path, *talk, stdin=lines)
        resumed = await run(tmp_path, *talk)
    assert (talked.returncode, talked.stderr) == (0, b"")
    shown = talked.stdout.decode().splitlines()
    assert [line for line in shown if "being written" in line] == [
        "Your requirements document is being written.",
        "A new version of your requirements document is being written.",
    ]
    assert [line.partition(":")[0] for line in shown if line.startswith("Version")] == [
        "Version 1, draft",
        "Version 2, draft",
        "Version 2, confirmed",
    ]
    assert sum(line.startswith("Statements: ") for line in shown) == 3
    assert not any(" of 22" in line for line in shown)
    assert (resumed.returncode, resumed.stderr) == (0, b"")
    assert resumed.stdout.decode().splitlines()[-5:] == shown[-5:]


async def test_there_is_no_brd_before_the_interview_is_complete(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, **SCRIPTED) as daemon, connected(address(daemon.url)) as client:
        await client.next("reply")
        await client.send(type="export", format="docx")
        assert (await client.next("error"))["code"] == "not_complete"
        refused = await run(tmp_path, "brd", SESSION)
    assert (refused.returncode, refused.stderr) == (1, b"There is no BRD of this session yet: it is interviewing.\n")


async def test_the_plain_dialect_gets_one_frame_with_the_documents(tmp_path: Path) -> None:
    async with (
        running_daemon(tmp_path, **SCRIPTED) as daemon,
        connected(address(daemon.url), "evaa.v1.json") as client,
    ):
        frame = await client.receive()
        while not (frame["nextStageData"] or {}).get("completed"):
            await client.send(textPrompt=CORRECTION, sessionId=SESSION)
            frame = await client.receive()
        assert frame["nextStageData"] == {"completed": True, "status": "drafting"}
        frame = await client.receive()
        assert (frame["response"], frame["nextStage"]) == ("", True)
        data = frame["nextStageData"]
        assert (data["completed"], data["status"], data["brd"]["version"]) == (True, "complete", 1)
        assert len(data["summary"]["stages"]) == STAGES


async def test_with_simulate_the_documents_are_written_too(tmp_path: Path) -> None:
    async with running_daemon(tmp_path, "--simulate") as daemon, connected(address(daemon.url)) as client:
        await interview(client)
        completed = await client.next("completed")
        assert (completed["brd"]["version"], completed["brd"]["missing"]) == (1, {})
        assert "openai/gpt-oss" in completed["brd"]["writtenBy"][0]
        check_files(await exports(client))


@pytest.mark.parametrize("stored", [3, STAGES + 1 + 10])
async def test_after_kill_9_only_what_was_in_flight_is_asked_for_again(tmp_path: Path, stored: int) -> None:
    async with simulated_groq(*[Behaviour()] * stored, then=Behaviour(hang="headers")) as (simulator, groq):
        async with running_daemon(tmp_path, **groq) as daemon, connected(address(daemon.url)) as client:
            await interview(client)
            with trio.fail_after(20):
                while await pieces_stored(tmp_path) < stored:
                    pass
            asked = written_jobs(simulator)
            await daemon.kill()
        assert len(asked) == stored + IN_FLIGHT
        simulator.reset()
        async with running_daemon(tmp_path, **groq) as daemon, connected(address(daemon.url)) as client:
            completed = await client.next("completed")
            assert (completed["brd"]["version"], completed["brd"]["missing"]) == (1, {})
            asked_again = written_jobs(simulator)
    assert Counter(asked) & Counter(asked_again) == Counter(asked[-IN_FLIGHT:])
    assert len(set(asked + asked_again)) == PIECES == len(asked) + len(asked_again) - IN_FLIGHT


async def test_who_leaves_after_the_closing_reply_finds_the_documents_written(tmp_path: Path) -> None:
    async with (
        simulated_groq(then=Behaviour(hang="headers")) as (simulator, groq),
        running_daemon(tmp_path, **groq) as daemon,
    ):
        async with connected(address(daemon.url)) as client:
            await interview(client)
            refused = await run(tmp_path, "brd", SESSION)
            simulator.reset()
        assert (refused.returncode, refused.stderr) == (1, b"There is no BRD of this session yet: it is drafting.\n")
        with trio.fail_after(40):
            while (written := await run(tmp_path, "brd", SESSION, "--output", "-")).returncode == 1:
                pass
        assert b"invoices" in written.stdout
        asked = Counter(written_jobs(simulator))
        assert (len(asked), max(asked.values()) <= 2) == (PIECES, True)
        assert await daemon.stop() == 0
