"""The command that evaluates EVAA: an interview against each simulated user, and a report of how well it did."""

from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from io import StringIO
from typing import NamedTuple, TextIO

import trio

from evaa.evaluation.driver import Driver, Hands, ScenarioFailed
from evaa.evaluation.report import Prices, Report, ReportRefused, decode, encode, make_report
from evaa.evaluation.scenario import Scenario, ScenariosRefused, merged, parse_scenarios, shipped_scenarios
from evaa.evaluation.score import Score, failed, score
from evaa.evaluation.tables import write_comparison, write_table
from evaa.interview.stages import default_stages
from evaa.llm.plugins import LlmChoice
from protocols.ports import Interviewer

BROKE_OFF = "a bug ended it; the log has its place"


class Subject(NamedTuple):
    """Who is evaluated: what to call them, who interviews, who does the writing of a session.

    `contain` runs a task whose bugs end there, logged.
    """

    name: str
    interviewer: Interviewer
    hands: Callable[[str], Hands]
    contain: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


def describe_subject(choice: LlmChoice, *, is_simulated: bool) -> str:
    """Who interviews and writes, in a few words for the report."""
    if is_simulated:
        return "the simulated Groq, which understands nothing: its figures say nothing about a model"
    plugin = choice.plugin if choice.plugin != "auto" else "groq"
    return f"Groq, {' then '.join(choice.models)}" if plugin == "groq" else plugin


class _Refused(Exception):
    """The evaluation cannot begin; the message says why."""


async def run_evaluation(subject: Subject, arguments: Namespace, out: TextIO, err: TextIO) -> int:
    """Evaluate as the command line says; return the exit status: 1 if it could not be, or a scenario failed."""
    try:
        scenarios = _chosen(await _scenarios(arguments.scenarios), arguments.only)
        before = await _earlier_report(arguments.compare)
    except ScenariosRefused as refused:
        err.write("".join(f"{problem}\n" for problem in refused.problems))
        return 1
    except (_Refused, OSError, UnicodeDecodeError) as error:
        err.write(f"{error}\n")
        return 1
    scores = await evaluate(subject, scenarios, arguments.at_once, err)
    report = make_report(subject.name, scores, _prices(arguments))
    text = encode(report) if arguments.format == "json" else _shown(write_table, report)
    if before is not None:
        compared = _shown(write_comparison, before, report)
        if arguments.format == "json":
            err.write(compared)
        else:
            text += f"\n{compared}"
    try:
        await _put(text, arguments.output, out)
    except OSError as error:
        err.write(f"{arguments.output} cannot be written: {error.strerror}\n")
        return 1
    return 1 if report.totals.failed else 0


async def evaluate(subject: Subject, scenarios: Sequence[Scenario], at_once: int, err: TextIO) -> list[Score]:
    """Interview each simulated user, `at_once` at the same time; return their scores in the order of the scenarios."""
    scores: dict[str, Score] = {}
    places = trio.CapacityLimiter(at_once)

    async def try_one(scenario: Scenario) -> None:
        async with places:
            await subject.contain(partial(_try, subject, scenario, scores))
            done = scores.setdefault(scenario.name, failed(scenario, BROKE_OFF))
            told = f"failed: {done.failed}" if done.failed else f"{sum(it.arrived for it in done.facts)} facts arrived"
            err.write(f"{len(scores)}/{len(scenarios)} {scenario.name}: {told}\n")

    async with trio.open_nursery() as nursery:
        for scenario in scenarios:
            nursery.start_soon(try_one, scenario)
    return [scores[scenario.name] for scenario in scenarios]


async def _try(subject: Subject, scenario: Scenario, scores: dict[str, Score]) -> None:
    driver = Driver(scenario, default_stages(), subject.interviewer, subject.hands)
    try:
        scores[scenario.name] = score(scenario, await driver.run())
    except ScenarioFailed as failure:
        scores[scenario.name] = failed(scenario, str(failure))


# --- what goes in -------------------------------------------------------------------------------------------------


async def _scenarios(place: str | None) -> tuple[Scenario, ...]:
    if place is None:
        return await trio.to_thread.run_sync(shipped_scenarios)
    path = trio.Path(place)
    paths = sorted(await path.glob("*.yaml")) if await path.is_dir() else [path]
    if not paths:
        raise _Refused(f"{place}: there is no scenario file (*.yaml) in it")
    return merged([parse_scenarios(await file.read_text("utf-8"), file.name) for file in paths])


def _chosen(scenarios: Sequence[Scenario], only: Sequence[str]) -> list[Scenario]:
    names = [scenario.name for scenario in scenarios]
    if unknown := [name for name in only if name not in names]:
        raise _Refused(f"There is no scenario {', '.join(unknown)}; there are {', '.join(names)}.")
    return [scenario for scenario in scenarios if not only or scenario.name in only]


async def _earlier_report(place: str | None) -> Report | None:
    if place is None:
        return None
    try:
        return decode(await trio.Path(place).read_bytes())
    except ReportRefused as refused:
        raise _Refused(f"{place} is no report of an evaluation in JSON: {refused}") from None


def _prices(arguments: Namespace) -> Prices | None:
    if arguments.price_in is None and arguments.price_out is None:
        return None
    return Prices(arguments.price_in or 0.0, arguments.price_out or 0.0)


# --- what comes out -----------------------------------------------------------------------------------------------


def _shown(write: Callable[..., None], *what: Report) -> str:
    text = StringIO()
    write(*what, text)
    return text.getvalue()


async def _put(text: str, place: str | None, out: TextIO) -> None:
    if place is None or place == "-":
        await trio.to_thread.run_sync(out.write, text)
        out.flush()
    else:
        await trio.Path(place).write_text(text, "utf-8")
