"""Whether a slow store makes turns slow: EVAA on a quick store, and on the same store half a second late.

The scripted interviewer answers at once, so what is measured is EVAA's own time: a wait for the store would be seen.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import aiohttp

from benchmarks.mongodb import fresh_mongodb
from benchmarks.processes import contestant, percentile, process
from benchmarks.slow_store import DELAY_S
from benchmarks.turns import WORDS
from protocols.dialects import PLAIN, TYPED_JSON

HEADING = """
From an utterance on, with a quick store and with one that takes {delay_ms:.0f} ms more; {sessions} sessions, scripted
interviewer; p50 / p95 in ms, behind it the p50's ratio to the quick store's

| store | first delta | | reply | | `turnStarted` (durable) | |
|---|---|---|---|---|---|---|"""

SESSIONS = 20
PAUSE_S = 2.5 * DELAY_S
"""Longer than the two saves of a turn take, so that each utterance finds the store idle."""


@dataclass
class Figures:
    """From the utterance on, in milliseconds, by what came; the plain dialect has nothing but replies."""

    delta: list[float] = field(default_factory=list)
    reply: list[float] = field(default_factory=list)
    turnStarted: list[float] = field(default_factory=list)


def print_table(*, quick: bool) -> None:
    """Run quick and slow stores in turns, and print what their users saw."""
    rounds, turns = (1, 2) if quick else (3, 5)
    print(HEADING.format(delay_ms=DELAY_S * 1000, sessions=SESSIONS))
    with ExitStack() as stack:
        pairs = [stack.enter_context(sqlite_servers())]
        if (servers := stack.enter_context(mongodb_servers())) is not None:
            pairs.append(servers)
        for pair in pairs:
            print_rows(pair, TYPED_JSON, rounds, turns)
        print_rows(pairs[0], PLAIN, rounds, turns)


def print_rows(urls: dict[str, str], dialect: str, rounds: int, turns: int) -> None:
    figures = {name: Figures() for name in urls}
    for url in urls.values():
        asyncio.run(run_sessions(url, dialect, 1, Figures()))
    for _ in range(rounds):
        for name, url in urls.items():
            asyncio.run(run_sessions(url, dialect, turns, figures[name]))
    quick = next(iter(figures.values()))
    note = "; plain dialect" if dialect == PLAIN else ""
    for name, mine in figures.items():
        cells = [cell(getattr(mine, it), getattr(quick, it)) for it in Figures.__dataclass_fields__]
        print(f"| {name}{note} | {' | '.join(cells)} |", flush=True)


def cell(mine: Sequence[float], quick: Sequence[float]) -> str:
    if not mine:
        return "- | -"
    p50, p95 = percentile(mine, 0.5), percentile(mine, 0.95)
    return f"{p50:.1f} / {p95:.1f} | {p50 / percentile(quick, 0.5):.2f}"


# --- servers ----------------------------------------------------------------------------------------------------


@contextmanager
def sqlite_servers() -> Iterator[dict[str, str]]:
    """The URLs of EVAA on SQLite, and on the same with slow writes."""
    with server(EVAA_STORE="sqlite") as quick, server(EVAA_STORE="benchmarks.slow_store:make") as slow:
        yield {"sqlite": quick, "sqlite, slow writes": slow}


@contextmanager
def mongodb_servers() -> Iterator[dict[str, str] | None]:
    """The URLs of EVAA on MongoDB, and on the same over a slow way; None if there is no MongoDB."""
    with fresh_mongodb() as database:
        if database is None:
            yield None
            return
        told = {"EVAA_STORE": "mongodb", "EVAA_MONGODB_DATABASE": database.name}
        with (
            process("-m", "benchmarks.far_mongodb", database.uri) as (_, far),
            server(MONGODB_URI=database.uri, **told) as quick,
            server(MONGODB_URI=far, **told) as slow,
        ):
            yield {"mongodb": quick, "mongodb, far away": slow}


@contextmanager
def server(**told: str) -> Iterator[str]:
    with contestant("evaa", "http://127.0.0.1:9", env={"EVAA_LLM": "scripted", **told}) as (_, url):
        yield url


# --- clients ----------------------------------------------------------------------------------------------------


async def run_sessions(url: str, dialect: str, turns: int, figures: Figures) -> None:
    """New sessions, each with so many turns, evenly spread over the time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as group:
        for number in range(SESSIONS):
            delay_s = number * PAUSE_S / SESSIONS
            group.create_task(run_session(http, url, dialect, delay_s, turns, figures))


async def run_session(
    http: aiohttp.ClientSession, url: str, dialect: str, delay_s: float, turns: int, figures: Figures
) -> None:
    await asyncio.sleep(delay_s)
    session_id = os.urandom(12).hex()
    async with http.ws_connect(f"{url}?sessionId={session_id}", protocols=(dialect,)) as websocket:
        await hear(websocket, {"reply"}, Figures())
        for turn in range(turns):
            await asyncio.sleep(PAUSE_S)
            if dialect == PLAIN:
                await say(websocket, {"textPrompt": WORDS, "sessionId": session_id}, {"reply"}, figures)
            else:
                text = {"type": "text", "text": WORDS, "id": str(turn)}
                await say(websocket, text, {"delta", "reply", "turnStarted"}, figures)


async def say(
    websocket: aiohttp.ClientWebSocketResponse, message: dict[str, str], awaited: set[str], figures: Figures
) -> None:
    sent = time.monotonic()
    await websocket.send_str(json.dumps(message))
    await hear(websocket, awaited, figures, sent)


async def hear(
    websocket: aiohttp.ClientWebSocketResponse, awaited: set[str], figures: Figures, sent: float = 0.0
) -> None:
    """Note when each of the awaited kinds of frames comes first, until all have come."""
    missing = set(awaited)
    while missing:
        frame = json.loads((await websocket.receive()).data)
        kind = frame.get("type", "reply")  # in the plain dialect whatever comes is a reply
        if kind in missing:
            missing.remove(kind)
            getattr(figures, kind).append((time.monotonic() - sent) * 1000)
