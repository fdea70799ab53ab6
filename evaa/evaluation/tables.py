"""How a report looks on a terminal: a line for each scenario, the totals, and what differs from an earlier one."""

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaa.evaluation.report import Prices, Report, Totals, make_report, shares
from evaa.evaluation.score import Score, Tokens

WIDTH = 120

LEGEND = (
    "told: of all facts, those that the user was led to tell; in BRD: those that any entry has; placed: in the right\n"
    "section. not borne: stated without ground; no turn: entries without a source; bad: corrected or injected text;\n"
    "open: open questions; miss: sections not written; f-ups: follow-ups used of those allowed; tokens in thousands."
)

_Cells = list[str]
_COMPARED = (
    "told", "arrived", "placed", "doubted", "failed", "unborne", "unsourced", "unwanted", "no_answers",
    "open_questions", "missing", "reactions_ok", "follow_ups_used", "turns", "restarts", "entries", "stated",
    "wall_s", "cost",
)  # fmt: skip
_SHARES = frozenset({"told", "arrived", "placed"})
_NAMES = {"arrived": "in BRD", "unborne": "not borne out", "unsourced": "without a turn", "wall_s": "seconds"}


def write_table(report: Report, out: TextIO) -> None:
    """Write the report as a table, at most `WIDTH` characters wide."""
    console = _console(out)
    console.print(f"Evaluated: {report.subject}", soft_wrap=True)
    console.print(_table(report))
    console.print(LEGEND)
    for note in _notes(report):
        console.print(note, soft_wrap=True)


def write_comparison(old: Report, new: Report, out: TextIO) -> None:
    """Write what differs between an earlier report and a new one; the totals are of the scenarios that both have."""
    console = _console(out)
    console.print(f"Compared: {old.subject} -> {new.subject}", soft_wrap=True)
    old_totals, new_totals = _common_totals(old, new), _common_totals(new, old)
    table = _bare_table("Totals", "before", "now", "change")
    for name in _COMPARED:
        before, now = getattr(old_totals, name), getattr(new_totals, name)
        if before is not None and now is not None:
            table.add_row(_NAMES.get(name, name.replace("_", " ")), *_change(name, before, now))
    for name in Tokens.__struct_fields__:
        before, now = getattr(old_totals.tokens, name), getattr(new_totals.tokens, name)
        table.add_row(f"tokens {name.replace('_', ' ')}", *_change(name, before, now))
    console.print(table)
    console.print(_scenarios_compared(old, new))


# --- the table ----------------------------------------------------------------------------------------------------


def _table(report: Report) -> Table:
    prices = report.prices
    table = _bare_table(
        "Scenario", "facts", "told", "in BRD", "placed", "not\nborne", "no\nturn", "bad", "open", "miss",
        "f-ups", "turns", "time\ns", "asking\nin/out", "writing\nin/out", *(["cost"] if prices else []),
    )  # fmt: skip
    for score in report.scores:
        if score.failed:
            table.add_row(Text(score.name), "failed")
        else:
            table.add_row(Text(score.name), *_cells(score, prices))
    table.add_section()
    table.add_row(f"all {report.totals.scenarios}", *_total_cells(report.totals))
    return table


def _cells(score: Score, prices: Prices | None) -> _Cells:
    told, arrived, placed = shares(score.facts)
    cells = [str(len(score.facts)), _percent(told), _percent(arrived), _percent(placed)]
    counts = (len(score.unborne), len(score.unsourced), len(score.unwanted), score.open_questions, len(score.missing))
    cells += map(str, counts)
    cells += [f"{score.follow_ups_used}/{score.follow_ups_allowed}", str(score.turns), f"{score.wall_s:.1f}"]
    return cells + _token_cells(score.tokens, None if prices is None else prices.cost(score.tokens))


def _total_cells(totals: Totals) -> _Cells:
    cells = [str(totals.facts), _percent(totals.told), _percent(totals.arrived), _percent(totals.placed)]
    cells += map(str, (totals.unborne, totals.unsourced, totals.unwanted, totals.open_questions, totals.missing))
    cells += [f"{totals.follow_ups_used}/{totals.follow_ups_allowed}", str(totals.turns), f"{totals.wall_s:.1f}"]
    return cells + _token_cells(totals.tokens, totals.cost)


def _token_cells(tokens: Tokens, cost: float | None) -> _Cells:
    asking = f"{_thousands(tokens.interviewer_in)}/{_thousands(tokens.interviewer_out)}"
    writing = f"{_thousands(tokens.writer_in)}/{_thousands(tokens.writer_out)}"
    return [asking, writing, *([] if cost is None else [f"{cost:.4f}"])]


def _notes(report: Report) -> Iterator[str]:
    totals = report.totals
    yield "Answers and pieces by: " + (
        ", ".join(f"{name} {count}" for name, count in totals.models.items()) or "nobody"
    )
    if totals.restarts:
        yield f"Answers that began anew, after a failure: {totals.restarts}"
    if totals.doubted:
        yield f"Facts that only an open question has: {totals.doubted}"
    if totals.no_answers:
        yield f"Entries that only repeat that the user does not know: {totals.no_answers}"
    if totals.reactions:
        yield f"Words on the finished document that were followed: {totals.reactions_ok} of {totals.reactions}"
    for score in report.scores:
        if score.failed:
            yield f"{score.name} failed: {score.failed}"
        if score.unwanted:
            yield f"{score.name} has what it should not: {'; '.join(score.unwanted)}"


# --- the comparison -----------------------------------------------------------------------------------------------


def _common_totals(report: Report, other: Report) -> Totals:
    names = {score.name for score in other.scores}
    return make_report("", [score for score in report.scores if score.name in names], report.prices).totals


def _scenarios_compared(old: Report, new: Report) -> Table | str:
    before = {score.name: score for score in old.scores}
    table = _bare_table("Scenario", "told", "in BRD", "placed", "not borne", "bad", "miss", "gained", "lost")
    for score in new.scores:
        if score.name not in before:
            table.add_row(Text(score.name), "new")
        elif (cells := _differences(before[score.name], score)) is not None:
            table.add_row(Text(score.name), *cells)
    for name in sorted(before.keys() - {score.name for score in new.scores}):
        table.add_row(Text(name), "not run")
    return table if table.row_count else "No scenario differs."


def _differences(old: Score, new: Score) -> _Cells | None:
    """What differs between two scores of a scenario; None if nothing of weight does."""
    if old.failed or new.failed:
        return None if bool(old.failed) == bool(new.failed) else ["failed" if new.failed else "failed before"]
    old_shares, new_shares = shares(old.facts), shares(new.facts)
    cells = [_signed(round((b - a) * 100), " pp") for a, b in zip(old_shares, new_shares, strict=True)]
    lists: tuple[Callable[[Score], Sequence[str]], ...] = (
        lambda score: score.unborne, lambda score: score.unwanted, lambda score: score.missing,
    )  # fmt: skip
    cells += [_signed(len(of(new)) - len(of(old))) for of in lists]
    had, has = ({fact.id for fact in score.facts if fact.arrived} for score in (old, new))
    cells += [", ".join(sorted(has - had)), ", ".join(sorted(had - has))]
    return cells if any(cells) else None


def _change(name: str, before: float, now: float) -> tuple[str, str, str]:
    if name in _SHARES:
        return _percent(before), _percent(now), _signed(round((now - before) * 100, 1), " pp")
    if isinstance(before, int) and isinstance(now, int):
        return str(before), str(now), _signed(now - before)
    return f"{before:.4g}", f"{now:.4g}", _signed(float(f"{now - before:.4g}"))


def _signed(number: float, unit: str = "") -> str:
    return f"{number:+g}{unit}" if number else ""


# --- forms --------------------------------------------------------------------------------------------------------


def _console(out: TextIO) -> Console:
    return Console(file=out, width=WIDTH, highlight=False, markup=False, emoji=False)


def _bare_table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=26)
    for name in others:
        table.add_column(name, justify="right", vertical="bottom")
    return table


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %"


def _thousands(tokens: int) -> str:
    return f"{tokens / 1_000:.0f}" if tokens >= 10_000 or not tokens else f"{tokens / 1_000:.1f}"
