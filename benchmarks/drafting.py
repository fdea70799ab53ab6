"""From the closing reply to the finished documents, with a provider that takes a while for each piece."""

import asyncio
import json
import math
import os
import time
from typing import Any

import aiohttp

from actors.writing import WritingLimits
from benchmarks.processes import contestant, percentile, process
from evaa.documents.catalogue import SECTIONS
from evaa.interview.stages import default_stages
from protocols.dialects import TYPED_JSON

HEADING = """
From the closing reply to `completed` (durable), p50 / p95 in s. Pieces are written {at_once} at a time, those of stages
before the project, that before the sections: {rounds} answers must follow one another. `floor` is what these take

| a piece's answer takes | sessions | s | floor | / floor |
|---|---|---|---|---|"""

WORDS = "We type forty supplier invoices a day into SAP by hand; above 500 euros Anna has to approve, within 2 days."
AT_ONCE = WritingLimits().at_once


def print_table(*, quick: bool) -> None:
    print(HEADING.format(at_once=AT_ONCE, rounds=rounds()))
    for delay_s in (0.5,) if quick else (0.0, 0.1, 0.5):
        with (
            process("-m", "benchmarks.form_provider", str(delay_s)) as (_, provider),
            contestant("evaa", provider) as (
                _,
                url,
            ),
        ):
            for sessions in (1,) if quick else (1, 10):
                took = asyncio.run(run(url, sessions))
                floor = rounds() * delay_s
                ratio = f"{percentile(took, 0.5) / floor:.2f}" if floor else "-"
                times = f"{percentile(took, 0.5):.2f} / {percentile(took, 0.95):.2f}"
                print(f"| {delay_s:g} s | {sessions} | {times} | {floor:g} | {ratio} |", flush=True)


def rounds() -> int:
    return math.ceil(len(default_stages()) / AT_ONCE) + 1 + math.ceil(len(SECTIONS) / AT_ONCE)


async def run(url: str, sessions: int) -> list[float]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        return await asyncio.gather(*(session(http, url) for _ in range(sessions)))


async def session(http: aiohttp.ClientSession, url: str) -> float:
    """An interview to its end; how long its documents took."""
    target = f"{url}?sessionId={os.urandom(12).hex()}"
    async with http.ws_connect(target, protocols=(TYPED_JSON,), max_msg_size=0) as websocket:
        await interview(websocket)
        begun = time.monotonic()
        await next_frame(websocket, "completed")
        return time.monotonic() - begun


async def interview(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """Answer until the last stage has closed."""
    reply = await next_frame(websocket, "reply")
    while not (reply["nextStageData"] or {}).get("completed"):
        await websocket.send_str(json.dumps({"type": "text", "text": WORDS}))
        reply = await next_frame(websocket, "reply")


async def next_frame(websocket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next frame of a kind; what comes before is passed over."""
    while True:
        frame: dict[str, Any] = json.loads((await websocket.receive()).data)
        if frame["type"] == kind:
            return frame
