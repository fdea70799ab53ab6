"""The report of an evaluation: totals, as data, and a comparison of two. Pure; how it looks is `tables.py`'s affair."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from evaa.evaluation.score import FactScore, Score, Tokens

MILLION = 1_000_000


class Prices(msgspec.Struct, frozen=True, rename="camel"):
    """What tokens cost, in any currency, for a million of them."""

    input_per_million: float
    output_per_million: float

    def cost(self, tokens: Tokens) -> float:
        """What was paid for these tokens, cached ones at the full price."""
        paid_in = (tokens.interviewer_in + tokens.writer_in) * self.input_per_million
        paid_out = (tokens.interviewer_out + tokens.writer_out) * self.output_per_million
        return (paid_in + paid_out) / MILLION


class Totals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The figures of all scenarios together. Shares are of all facts that count, from 0 to 1."""

    scenarios: int
    failed: int
    facts: int
    told: float
    arrived: float
    placed: float
    doubted: int
    entries: int
    stated: int
    unborne: int
    unsourced: int
    unwanted: int
    no_answers: int
    open_questions: int
    missing: int
    reactions: int
    reactions_ok: int
    follow_ups_used: int
    follow_ups_allowed: int
    turns: int
    restarts: int
    models: dict[str, int]
    tokens: Tokens
    wall_s: float
    cost: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An evaluation. `subject` says who interviewed and wrote; `wall_s` of the totals adds up what ran at once."""

    subject: str
    scores: tuple[Score, ...]
    totals: Totals
    prices: Prices | None = None


class _Stored(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a report; the totals follow from it, whichever figures the report's own time knew."""

    subject: str
    scores: tuple[Score, ...]
    prices: Prices | None = None


class ReportRefused(ValueError):
    """What should be an earlier report is none."""


def make_report(subject: str, scores: Sequence[Score], prices: Prices | None = None) -> Report:
    """Return the report of these scores."""
    return Report(subject=subject, scores=tuple(scores), totals=_totals(scores, prices), prices=prices)


def encode(report: Report) -> str:
    """Return a report as JSON that `decode` takes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def decode(data: bytes) -> Report:
    """Return the report that `encode` wrote. Raises `ReportRefused`."""
    try:
        stored = msgspec.json.decode(data, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReportRefused(str(error)) from None
    return make_report(stored.subject, stored.scores, stored.prices)


def share(part: int, whole: int) -> float:
    """A share from 0 to 1; of nothing, it is 0."""
    return round(part / whole, 4) if whole else 0.0


def shares(facts: Sequence[FactScore]) -> tuple[float, float, float]:
    """The shares of the facts that were told, that arrived, and that are in the right place."""
    counts = (
        sum(fact.told for fact in facts),
        sum(fact.arrived for fact in facts),
        sum(fact.is_placed for fact in facts),
    )
    told, arrived, placed = (share(count, len(facts)) for count in counts)
    return told, arrived, placed


def _totals(scores: Sequence[Score], prices: Prices | None) -> Totals:
    facts = [fact for score in scores for fact in score.facts]
    told, arrived, placed = shares(facts)
    tokens = _sum_tokens([score.tokens for score in scores])
    models: Counter[str] = Counter()
    for score in scores:
        models.update(score.models)
    reactions = [score for score in scores if score.reaction is not None]
    return Totals(
        scenarios=len(scores),
        failed=sum(bool(score.failed) for score in scores),
        facts=len(facts),
        told=told,
        arrived=arrived,
        placed=placed,
        doubted=sum(fact.is_doubted for fact in facts),
        entries=sum(score.entries for score in scores),
        stated=sum(score.stated for score in scores),
        unborne=sum(len(score.unborne) for score in scores),
        unsourced=sum(len(score.unsourced) for score in scores),
        unwanted=sum(len(score.unwanted) for score in scores),
        no_answers=sum(len(score.no_answers) for score in scores),
        open_questions=sum(score.open_questions for score in scores),
        missing=sum(len(score.missing) for score in scores),
        reactions=len(reactions),
        reactions_ok=sum(score.reaction_ok for score in reactions),
        follow_ups_used=sum(score.follow_ups_used for score in scores),
        follow_ups_allowed=sum(score.follow_ups_allowed for score in scores),
        turns=sum(score.turns for score in scores),
        restarts=sum(score.restarts for score in scores),
        models=dict(sorted(models.items())),
        tokens=tokens,
        wall_s=round(sum(score.wall_s for score in scores), 3),
        cost=None if prices is None else prices.cost(tokens),
    )


def _sum_tokens(tokens: Sequence[Tokens]) -> Tokens:
    return Tokens(
        sum(it.interviewer_in for it in tokens),
        sum(it.interviewer_out for it in tokens),
        sum(it.writer_in for it in tokens),
        sum(it.writer_out for it in tokens),
    )
