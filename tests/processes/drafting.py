"""Interviews to their end, for tests of what is written then."""

import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import trio

from evaa.simulators.groq import Behaviour, GroqSimulator, interviewer
from tests.processes.client import Client
from tests.processes.daemon import ROOT

SESSION = "0123456789abcdef01234567"
ANSWERS = (
    "We type 40 invoices a day from e-mails into SAP by hand, and it takes Petra six hours of every working day.",
    "A new e-mail with a PDF in our Outlook inbox starts it, and it should run within ten minutes of its arrival.",
    "If the amount is above 500 euros, Anna from the finance team has to approve the invoice before it is booked.",
)


async def interview(client: Client) -> list[str]:
    """Answer until the last stage has closed; what was said."""
    said: list[str] = []
    await client.next("reply")
    while True:
        said.append(ANSWERS[len(said) % len(ANSWERS)])
        await client.send(type="text", text=said[-1])
        if ((await client.next("reply"))["nextStageData"] or {}).get("completed"):
            return said


async def run(folder: Path, *arguments: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
    """`python run.py` with the store of the daemon in `folder`, to its end."""
    path = str(folder / "evaa.sqlite3")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EVAA_SQLITE_PATH": path}
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    with trio.fail_after(30):
        return await trio.run_process(
            command, cwd=folder, env=env, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
        )


async def pieces_stored(folder: Path) -> int:
    """How many pieces of the session's documents would outlive the daemon."""
    documents = json.loads((await run(folder, "export", "sessions")).stdout).get("documents") or {}
    return sum(len(documents.get(part, ())) for part in ("stages", "sections")) + ("summary" in documents)


@asynccontextmanager
async def simulated_groq(*drafting: Behaviour, then: Behaviour) -> AsyncIterator[tuple[GroqSimulator, dict[str, str]]]:
    """The simulator on a port of its own, which outlives the daemon; and the settings that lead to it.

    It interviews at once; from its closing reply on it behaves as `drafting` says, and `then` for ever.
    """

    def answer(messages: Sequence[Any]) -> str:
        text = interviewer.answer(messages)
        status = interviewer.read_status(interviewer.newest_user_text(messages))
        if text.startswith("@next") and status is not None and not status.next_stage:
            simulator.script(*drafting)
            simulator.default = then
        return text

    simulator = GroqSimulator(brain=answer)
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(simulator.serve)
        yield simulator, {"EVAA_LLM": "groq", "GROQ_API_KEY": "a-key-that-is-no-secret", "GROQ_BASE_URL": url}
        nursery.cancel_scope.cancel()


def written_jobs(simulator: GroqSimulator) -> list[str]:
    """The pieces of the documents that were asked for, in their order: each by its form and its task."""
    bodies = [request.body for request in simulator.requests if request.method == "POST"]
    return [job_of(body) for body in bodies if "response_format" in body]


def job_of(body: dict[str, Any]) -> str:
    task = str(body["messages"][-1]["content"]).partition("\n[task]\n")[2]
    return f"{body['response_format']['json_schema']['name']}: {task}"
