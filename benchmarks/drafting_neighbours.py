"""What others feel while documents are written, checked, stored, corrected and made into files, without a pause.

No model: the scripted interviewer and writer answer at once, so all of it is EVAA's own work, and as much as can be.
"""

import asyncio
import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.drafting import WORDS, interview, next_frame
from benchmarks.processes import contestant, percentile
from protocols.dialects import TYPED_JSON

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

HEADING = """
From another session's utterance to the first delta of its reply, while so many sessions have their documents written,
corrected and exported as Word and n8n without a pause; p50 / p95 / p99 in ms, and the p50's and p99's ratio to quiet

| sessions at their documents | first delta | p50 / quiet | p99 / quiet | versions a second |
|---|---|---|---|---|"""

PAUSE_S = 0.05


def print_table(*, quick: bool) -> None:
    print(HEADING)
    turns = 60 if quick else 300
    base: list[float] = []
    for busy in (0, 4) if quick else (0, 1, 4, 16):
        with contestant("evaa", "http://127.0.0.1:9", env={"EVAA_LLM": "scripted"}) as (_, url):
            delays, versions_a_second = run(url, busy, turns)
        base = base or delays
        ratios = " | ".join(f"{percentile(delays, share) / percentile(base, share):.1f}" for share in (0.5, 0.99))
        times = " / ".join(f"{percentile(delays, share):.1f}" for share in (0.5, 0.95, 0.99))
        print(f"| {busy} | {times} | {ratios} | {versions_a_second:.1f} |", flush=True)


def run(url: str, busy: int, turns: int) -> tuple[list[float], float]:
    """The neighbour's delays in milliseconds, and how many versions a second were written meanwhile.

    The busy clients have a process of their own: what they do with large frames would be measured as a delay, too.
    """
    others = Others(url, busy)
    others.ready.wait()
    versions, begun = others.versions.value, time.monotonic()
    delays = asyncio.run(neighbours(url, turns))
    versions_a_second = (others.versions.value - versions) / (time.monotonic() - begun)
    others.process.kill()
    others.process.join()
    return delays, versions_a_second


class Others:
    """The clients that are busy with their documents, in another process. `ready` is set when all are."""

    def __init__(self, url: str, busy: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.ready = context.Event()
        self.versions = context.Value("i", 0)
        self.process = context.Process(target=keep_all_busy, args=(url, busy, self.ready, self.versions), daemon=True)
        self.process.start()


def keep_all_busy(url: str, busy: int, ready: Event, versions: "Synchronized[int]") -> None:
    """So many clients, until the process is killed."""
    asyncio.run(_keep_all_busy(url, busy, ready, versions))


async def _keep_all_busy(url: str, busy: int, ready: Event, versions: "Synchronized[int]") -> None:
    each = [asyncio.Event() for _ in range(busy)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as group:
        for event in each:
            group.create_task(keep_busy(http, url, event, versions))
        for event in each:
            await event.wait()
        ready.set()


async def neighbours(url: str, turns: int) -> list[float]:
    """One interview after the other; the delays of so many turns in milliseconds."""
    delays: list[float] = []
    async with aiohttp.ClientSession() as http:
        while len(delays) < turns:
            delays += await neighbour(http, url)
    return delays[:turns]


async def neighbour(http: aiohttp.ClientSession, url: str) -> list[float]:
    """One interview but for its last answer; how long each first delta took, in milliseconds."""
    delays = []
    async with http.ws_connect(f"{url}?sessionId={os.urandom(12).hex()}", protocols=(TYPED_JSON,)) as websocket:
        await next_frame(websocket, "reply")
        for _ in range(30):
            await asyncio.sleep(PAUSE_S)
            sent = time.monotonic()
            await websocket.send_str(json.dumps({"type": "text", "text": WORDS}))
            await next_frame(websocket, "delta")
            delays.append((time.monotonic() - sent) * 1000)
            await next_frame(websocket, "reply")
    return delays


async def keep_busy(http: aiohttp.ClientSession, url: str, ready: asyncio.Event, versions: "Synchronized[int]") -> None:
    """An interview to its end, then one version after the other."""
    target = f"{url}?sessionId={os.urandom(12).hex()}"
    async with http.ws_connect(target, protocols=(TYPED_JSON,), max_msg_size=0) as websocket:
        await interview(websocket)
        await next_frame(websocket, "completed")
        ready.set()
        old, new = 40, 41
        while True:
            for form in ("docx", "n8n"):
                await websocket.send_str(json.dumps({"type": "export", "format": form}))
                await next_frame(websocket, "exported")
            words = f"Everything about invoices is wrong: add that it is {new} invoices a day, not {old}."
            await websocket.send_str(json.dumps({"type": "text", "text": words}))
            await next_frame(websocket, "completed")
            versions.value += 1
            old, new = new, new + 1
