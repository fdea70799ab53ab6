"""EVAA's own share of a turn, beside two bare loops in the same run.

    python -m benchmarks.turns [--quick]

Each contestant, the provider (Groq simulator) and the clients are processes of their own. Times are taken outside the
contestants, on the machine's monotonic clock: `request` is from the client's send to the request's arrival at the
provider, `token` from a token's leaving the provider to its arrival at the client, so both include two hops over
loopback and the scheduling of three processes on the machine's cores. `cpu` is the contestant's process time, all of
it (the store's thread included), for each turn.
"""

import argparse
import asyncio
import json
import os
import re
import time
from dataclasses import dataclass, field

import aiohttp

from benchmarks.processes import contestant, cpu_s, percentile, process, spread

STAMP = re.compile(r"[at](\d+)")
WORDS = "We type about forty supplier invoices a day into the accounting system by hand, and it takes six hours a week."
PAUSE_S = 0.5
TURNS_A_SESSION = 12


@dataclass
class Figures:
    """What the clients of one scenario saw, in milliseconds."""

    request_ms: list[float] = field(default_factory=list)
    token_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0
    turns: int = 0


@dataclass(frozen=True)
class Scenario:
    """`sessions` clients; paced by pauses, or all at the same instant."""

    name: str
    sessions: int
    turns: int
    at_once: bool = False


async def session(http: aiohttp.ClientSession, url: str, scenario: Scenario, number: int, figures: Figures) -> None:
    """One client: says something, hears the whole reply, pauses, and so on."""
    await asyncio.sleep(0 if scenario.at_once else number * PAUSE_S / scenario.sessions)
    session_id = os.urandom(12).hex()
    async with http.ws_connect(f"{url}?sessionId={session_id}", protocols=("evaa.v2.json",)) as websocket:
        if "/ws" in url:
            await hear(websocket, Figures(), time.monotonic_ns())
        for turn in range(scenario.turns):
            if scenario.at_once:
                await wait_for_the_instant()
            sent_ns = time.monotonic_ns()
            await websocket.send_str(json.dumps({"type": "text", "text": WORDS, "id": str(turn)}))
            await hear(websocket, figures, sent_ns)
            figures.turns += 1
            if not scenario.at_once:
                await asyncio.sleep(PAUSE_S)


async def wait_for_the_instant() -> None:
    """All sessions begin their turn at the same whole 5 seconds of the clock."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(5 - loop.time() % 5)


async def hear(websocket: aiohttp.ClientWebSocketResponse, figures: Figures, sent_ns: int) -> None:
    """Take the times out of a reply's deltas."""
    while True:
        frame = json.loads((await websocket.receive()).data)
        now_ns = time.monotonic_ns()
        if frame["type"] == "reply":
            return
        if frame["type"] == "delta":
            for stamp in STAMP.finditer(frame["text"]):
                then_ns = int(stamp[1])
                if stamp[0][0] == "a":
                    figures.request_ms.append((then_ns - sent_ns) / 1e6)
                else:
                    figures.token_ms.append((now_ns - then_ns) / 1e6)


async def run_scenario(pid: int, url: str, scenario: Scenario) -> Figures:
    figures = Figures()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        before = cpu_s(pid)
        async with asyncio.TaskGroup() as group:
            for number in range(scenario.sessions):
                group.create_task(session(http, url, scenario, number, figures))
    await asyncio.sleep(0.3)
    figures.cpu_ms = (cpu_s(pid) - before) * 1000 / figures.turns
    return figures


def row(scenario: Scenario, name: str, figures: Figures, floor: Figures) -> str:
    def times(mine: float, other: float) -> str:
        return f"{mine / other:.1f}" if other else "-"

    ratio = times(percentile(figures.request_ms, 0.5), percentile(floor.request_ms, 0.5))
    token_ratio = times(percentile(figures.token_ms, 0.5), percentile(floor.token_ms, 0.5))
    cpu_ratio = times(figures.cpu_ms, floor.cpu_ms)
    return (
        f"| {scenario.name} | {name} | {spread(figures.request_ms)} | {ratio} | {spread(figures.token_ms)} "
        f"| {token_ratio} | {figures.cpu_ms:.1f} | {cpu_ratio} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--only", default="", help="run only the contestants in this comma-separated list")
    arguments = parser.parse_args()
    scenarios = [
        Scenario("1 session", 1, 40 if not arguments.quick else 10),
        Scenario("20 sessions", 20, TURNS_A_SESSION if not arguments.quick else 4),
        Scenario("100 sessions", 100, TURNS_A_SESSION if not arguments.quick else 3),
        Scenario("100 at once", 100, 4 if not arguments.quick else 2, at_once=True),
    ]
    names = ["floor", "bare_sdk", "evaa"]
    if arguments.only:
        names = [name for name in names if name in ("floor", *arguments.only.split(","))]
    for pace, token_delay_s in (("burst", 0.0), ("5 ms between tokens", 0.005)):
        print(f"\n30 tokens a reply, {pace}; p50 / p95 / p99 in ms\n")
        print("| scenario | | said → request | / floor | token → frame | / floor | CPU ms a turn | / floor |")
        print("|---|---|---|---|---|---|---|---|")
        with process("-m", "benchmarks.provider", str(token_delay_s)) as (_, provider):
            for scenario in scenarios:
                results: dict[str, Figures] = {}
                for name in names:
                    with contestant(name, provider) as (pid, url):
                        asyncio.run(run_scenario(pid, url, Scenario("warm-up", 2, 3)))
                        results[name] = asyncio.run(run_scenario(pid, url, scenario))
                    print(row(scenario, name, results[name], results["floor"]), flush=True)


if __name__ == "__main__":
    main()
