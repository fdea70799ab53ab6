"""A real EVAA process for tests: started, asked where it listens, stopped or killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = ("EVAA_", "GROQ_", "DEEPGRAM_", "MONGODB_")


class Daemon:
    """`python run.py` in a folder of its own. `log` holds the lines that it has logged so far, decoded."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.url = ""
        self._rest = b""

    async def logged(self, event: str) -> dict[str, Any]:
        """Read the log up to the next `event`. Fails if the process ends before."""
        while (line := await self._next_line()) is not None:
            if line["event"] == event:
                return line
        raise AssertionError(f"the process ended without {event}; it logged {self.log}")

    async def read_to_end(self) -> None:
        """Read what it still logs until it ends."""
        while await self._next_line() is not None:
            pass

    async def kill(self) -> None:
        """SIGKILL: no cleanup whatever."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, then wait for the end; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        await self.read_to_end()
        return await self.process.wait()

    async def _next_line(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            data = await self.process.stdout.receive_some(65_536)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        self.log.append(json.loads(line))
        return self.log[-1]


@asynccontextmanager
async def running_daemon(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Daemon]:
    """A daemon that listens, with its files in `folder`; killed at the end of the block if it still runs."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)},
        "PYTHONPATH": str(ROOT),
        "EVAA_PORT": "0",
        "EVAA_LOG_FORMAT": "json",
        "EVAA_SQLITE_PATH": str(folder / "evaa.sqlite3"),
        "EVAA_SPILL_PATH": str(folder / "spill.jsonl"),
        **environment,
    }
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    process = await trio.lowlevel.open_process(command, cwd=folder, env=env, stdout=subprocess.PIPE)
    daemon = Daemon(process)
    try:
        daemon.url = (await daemon.logged("server.listening"))["url"]
        yield daemon
    finally:
        with trio.CancelScope(shield=True):
            await daemon.kill()
            assert process.stdout is not None
            await process.stdout.aclose()
