"""`python run.py health` as a probe runs it: another process, which tells by its exit status."""

import os
import sys
from pathlib import Path

import trio

from tests.processes.daemon import ROOT, running_daemon


async def probe(folder: Path, port: int) -> tuple[int, str]:
    """Run the command with the daemon's settings; its exit status, and what it said."""
    env = {**os.environ, "EVAA_PORT": str(port), "EVAA_HOST": "127.0.0.1"}
    command = [sys.executable, str(ROOT / "run.py"), "health"]
    done = await trio.run_process(command, cwd=folder, env=env, check=False, capture_stdout=True, capture_stderr=True)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode()


async def test_the_exit_status_tells(tmp_path: Path) -> None:
    async with running_daemon(tmp_path) as daemon:
        port = daemon.log[-1]["port"]
        assert await probe(tmp_path, port) == (0, "")
        assert await daemon.stop() == 0
    assert not any(line["event"].startswith(("session.", "connection.")) for line in daemon.log)
    status, said = await probe(tmp_path, port)
    assert status == 1
    assert said.startswith(f"Nothing listens at 127.0.0.1:{port}/ws: ")
    assert said.count("\n") == 1
