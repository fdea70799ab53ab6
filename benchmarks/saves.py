"""What it costs to save and to load a session, by the length of its history."""

import gc
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import trio

from benchmarks.histories import history
from benchmarks.measuring import Figures, at_once, median, one_after_another, short, spread
from benchmarks.mongodb import Database, fresh_mongodb
from benchmarks.stores import Contestant, open_contestants

HEADING = """
{what}; p50 / p95 / p99 in ms, medians over {rounds} rounds

| messages | at once | | ms | / bare | a second | CPU ms | / bare | / SqliteStore: ms, CPU |
|---|---|---|---|---|---|---|---|---|"""

KINDS = ("Saves", "Loads")

Results = dict[str, dict[str, Figures]]
"""By kind and contestant."""


@dataclass(frozen=True)
class Scenario:
    """`count` operations a round: at the same time on as many sessions, or one after the other on one."""

    messages: int
    count: int
    is_at_once: bool
    rounds: int

    @property
    def sessions(self) -> int:
        return self.count if self.is_at_once else 1


def print_tables(*, quick: bool) -> None:
    """Run every scenario on fresh databases, and print what came out."""
    rounds = 3 if quick else 9
    scenarios = [
        Scenario(messages, count, is_at_once, rounds)
        for messages in ((60,) if quick else (10, 60, 300))
        for count, is_at_once in ((50, False), (200, True))
    ]
    results = {scenario: run_scenario(scenario) for scenario in scenarios}
    for kind in KINDS:
        print(HEADING.format(what=kind, rounds=rounds))
        for scenario, of_kinds in results.items():
            print_rows(scenario, of_kinds[kind])


def run_scenario(scenario: Scenario) -> Results:
    with tempfile.TemporaryDirectory() as folder, fresh_mongodb() as database:
        return trio.run(compare, scenario, folder, database)


async def compare(scenario: Scenario, folder: str, database: Database | None) -> Results:
    async with open_contestants(folder, database) as contestants:
        forms = history(scenario.messages)
        for one in contestants:
            await one.begin(forms, scenario.sessions)
        await run_rounds(contestants, scenario, rounds=1)
        gc.freeze()  # as the server does
        return await run_rounds(contestants, scenario, scenario.rounds)


async def run_rounds(contestants: list[Contestant], scenario: Scenario, rounds: int) -> Results:
    """All contestants in each round, so that what else the machine does falls on all of them."""
    measured: dict[str, dict[str, list[Figures]]] = {kind: defaultdict(list) for kind in KINDS}
    for _ in range(rounds):
        for one in contestants:
            for kind, operation in zip(KINDS, (one.save, one.load), strict=True):
                if scenario.is_at_once:
                    figures = await at_once([partial(operation, number) for number in range(scenario.count)])
                else:
                    figures = await one_after_another(partial(operation, 0), scenario.count)
                measured[kind][one.name].append(figures)
    return {kind: {name: median(them) for name, them in by_name.items()} for kind, by_name in measured.items()}


def print_rows(scenario: Scenario, figures: dict[str, Figures]) -> None:
    """Each store of EVAA's comes behind its bare driver."""
    for number, (name, mine) in enumerate(figures.items()):
        if number % 2 == 0:
            bare = mine
        against = ratios(mine, figures["SqliteStore"]) if name == "MongoStore" else ""
        print(
            f"| {scenario.messages} | {scenario.sessions} | {name} | {spread(mine)} | {mine.p50 / bare.p50:.1f} "
            f"| {mine.a_second:.0f} | {short(mine.cpu_ms)} | {mine.cpu_ms / bare.cpu_ms:.1f} | {against} |",
            flush=True,
        )


def ratios(mine: Figures, other: Figures) -> str:
    return f"{mine.p50 / other.p50:.1f}, {mine.cpu_ms / other.cpu_ms:.1f}"
