"""What it costs to ask the store, once a second, for all sessions of a process whether somebody has taken them over."""

import gc
import tempfile
from collections import defaultdict
from functools import partial

import trio

from actors.store_watch import LOOK_EVERY_S
from benchmarks.histories import history
from benchmarks.measuring import Figures, median, one_after_another, short
from benchmarks.mongodb import Database, fresh_mongodb
from benchmarks.stores import Ours, open_ours

HEADING = """
Who owns so many sessions (histories of {messages} messages); p50 in ms; asked once in {seconds:g} s

| sessions | | ms | CPU ms | of one core |
|---|---|---|---|---|"""

MESSAGES = 60
SESSIONS = (1, 100, 1_000)
CALLS_A_ROUND = 5


def print_table(*, quick: bool) -> None:
    """Ask both stores in turns, and print what it took."""
    print(HEADING.format(messages=MESSAGES, seconds=LOOK_EVERY_S))
    sizes = SESSIONS[:2] if quick else SESSIONS
    with tempfile.TemporaryDirectory() as folder, fresh_mongodb() as database:
        for (sessions, name), figures in trio.run(compare, sizes, 2 if quick else 5, folder, database).items():
            share = figures.cpu_ms / 1000 / LOOK_EVERY_S
            print(f"| {sessions} | {name} | {short(figures.p50)} | {short(figures.cpu_ms)} | {share:.2%} |", flush=True)


async def compare(
    sizes: tuple[int, ...], rounds: int, folder: str, database: Database | None
) -> dict[tuple[int, str], Figures]:
    measured: dict[tuple[int, str], list[Figures]] = defaultdict(list)
    async with open_ours(folder, database) as stores:
        for one in stores:
            await one.begin(history(MESSAGES), max(sizes))
        gc.freeze()
        for _ in range(rounds + 1):
            for sessions in sizes:
                for one in stores:
                    figures = await one_after_another(partial(ask, one, sessions), CALLS_A_ROUND)
                    measured[sessions, one.name].append(figures)
    return {key: median(them[1:]) for key, them in measured.items()}


async def ask(one: Ours, sessions: int) -> None:
    assert await one.store.overtaken(one.leases[:sessions]) == frozenset()
