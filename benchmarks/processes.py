"""Contestants as processes of their own: how they are started, and what they use. Linux only."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def process(*command: str, env: Mapping[str, str] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A child process and the first line that it prints; the rest is read and thrown away."""
    child = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        while '"event"' in line and "server.listening" not in line:
            line = child.stdout.readline()
        with _reader_of(child):
            yield child, line.strip()
            child.terminate()
            child.wait(20)
    finally:
        child.kill()
        child.wait()


@contextmanager
def _reader_of(child: subprocess.Popen[str]) -> Iterator[None]:
    """A process that reads what the child prints, so that the child never waits for that, up to its very end."""
    reader = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        reader.kill()
        reader.wait()


@contextmanager
def contestant(
    name: str, provider: str, recogniser: str | None = None, env: Mapping[str, str] | None = None
) -> Iterator[tuple[int, str]]:
    """Start a contestant; its process id and its WebSocket's URL.

    EVAA asks the model at `provider` and, if there is one, has `recogniser` (a URL, too) hear its users; `env` is
    what it is told besides. Any other contestant is a module of this package, and `provider` its only argument.
    """
    if name != "evaa":
        with process("-m", f"benchmarks.{name}", provider) as (child, line):
            yield child.pid, json.loads(line)["url"]
        return
    with tempfile.TemporaryDirectory() as folder:
        told = {
            "EVAA_PORT": "0",
            "EVAA_LLM": "groq",
            "GROQ_API_KEY": "x",
            "GROQ_BASE_URL": provider,
            "EVAA_STORE": "sqlite",
            "EVAA_SQLITE_PATH": f"{folder}/evaa.sqlite3",
            "EVAA_SPILL_PATH": f"{folder}/spill",
            "EVAA_LOG_FORMAT": "json",
            **_hearing(recogniser),
            **(env or {}),
        }
        with process("run.py", env=told) as (child, line):
            yield child.pid, json.loads(line)["url"]


def _hearing(recogniser: str | None) -> dict[str, str]:
    if recogniser is None:
        return {"EVAA_STT": "none"}
    return {
        "EVAA_STT": "deepgram",
        "DEEPGRAM_API_KEY": "x",
        "EVAA_DEEPGRAM_URL": recogniser,
        "EVAA_DEEPGRAM_MODEL": "flux-general-en",
    }


def cpu_s(pid: int) -> float:
    """Process time so far, user and system, of all threads that there are and were."""
    return time.clock_gettime(~pid << 3 | 2)  # the kernel's name for that process's CPU clock, finer than /proc's ticks


def rss_kb(pid: int) -> int:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def allow_many_sockets() -> None:
    """Raise this process's bound on open files, and so its children's, as far as it may be raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> str:
    """The values' p50, p95 and p99."""
    return " / ".join(f"{percentile(values, share):.1f}" for share in (0.5, 0.95, 0.99)) if values else "-"
