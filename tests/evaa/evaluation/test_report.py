from collections.abc import Sequence
from io import StringIO

import msgspec
import pytest

from evaa.evaluation.report import Prices, Report, ReportRefused, decode, encode, make_report
from evaa.evaluation.score import FactScore, Score, Tokens
from evaa.evaluation.tables import WIDTH, write_comparison, write_table

TOLD = FactScore("told", told=True, wanted=("data",))
PLACED = FactScore("placed", told=True, wanted=("data",), found_in=("data", "risks"))
MISPLACED = FactScore("misplaced", told=True, wanted=("data",), found_in=("openQuestions",))
UNTOLD = FactScore("untold", told=False)


def scored(name: str = "bike-repair", facts: Sequence[FactScore] = (TOLD, PLACED, MISPLACED, UNTOLD)) -> Score:
    return Score(
        name=name, trade="bicycle repair", manner="plain", facts=tuple(facts), entries=30, stated=20,
        unborne=("PR-1",), unsourced=("OQ-1", "OQ-2"), unwanted=("[bold]9,999,999",), no_answers=("PR-2", "PR-3"),
        open_questions=4, missing=("risks",), reaction=("confirm", "other"), reaction_ok=False,
        follow_ups_used=5, follow_ups_allowed=24, turns=13, models={"some/model": 34}, restarts=1,
        tokens=Tokens(100_000, 5_000, 200_000, 15_000), wall_s=12.34,
    )  # fmt: skip


def report(*scores: Score, prices: Prices | None = None, subject: str = "Groq, some/model") -> Report:
    return make_report(subject, scores or (scored(),), prices)


def table_of(subject: Report) -> str:
    out = StringIO()
    write_table(subject, out)
    return out.getvalue()


def comparison(old: Report, new: Report) -> str:
    out = StringIO()
    write_comparison(old, new, out)
    return out.getvalue()


def test_totals_are_shares_of_all_facts() -> None:
    totals = report(scored(), scored("other", [PLACED] * 4)).totals

    assert (totals.scenarios, totals.facts) == (2, 8)
    assert (totals.told, totals.arrived, totals.placed, totals.doubted) == (0.875, 0.75, 0.625, 1)
    assert (totals.unborne, totals.unsourced, totals.reactions, totals.reactions_ok) == (2, 4, 2, 0)
    assert totals.models == {"some/model": 68}
    assert totals.tokens == Tokens(200_000, 10_000, 400_000, 30_000)


def test_the_cost_is_told_if_prices_are() -> None:
    priced = report(prices=Prices(0.1, 0.5))

    assert priced.totals.cost == pytest.approx(0.3 * 0.1 + 0.02 * 0.5)
    assert report().totals.cost is None
    assert "0.0400" in table_of(priced)
    assert "cost" not in table_of(report())


def test_nothing_at_all_is_reported() -> None:
    empty = make_report("nobody", [])
    assert (empty.totals.told, empty.totals.models) == (0.0, {})
    assert "nobody" in table_of(empty)


def test_the_table_has_a_line_for_each_scenario_and_fits() -> None:
    lines = table_of(report(scored("a" * 40), scored(), prices=Prices(1.0, 1.0))).splitlines()

    assert max(map(len, lines)) <= WIDTH
    row = next(line for line in lines if line.startswith("bike-repair"))
    assert row.split()[:14] == ["bike-repair", "4", "75", "%", "50", "%", "25", "%", "1", "2", "1", "4", "1", "5/24"]
    assert "100/5.0" in row
    assert any(line.startswith("all 2") for line in lines)
    assert "Evaluated: Groq, some/model" in lines[0]


def test_what_needs_words_is_told_below() -> None:
    broken = Score(name="broken", trade="x", manner="plain", failed="no credit")
    text = table_of(report(scored(), broken))

    assert "broken failed: no credit" in text
    assert "bike-repair has what it should not: [bold]9,999,999" in text
    assert "some/model 34" in text
    assert "followed: 0 of 1" in text
    assert "the user does not know: 2" in text
    assert "began anew, after a failure: 1" in text
    assert "only an open question has: 1" in text


def test_json_has_every_detail_and_comes_back() -> None:
    written = encode(report())

    assert decode(written.encode()) == report()
    facts = msgspec.json.decode(written)["scores"][0]["facts"]
    assert [(it["id"], it["told"], it["foundIn"]) for it in facts] == [
        ("told", True, []), ("placed", True, ["data", "risks"]), ("misplaced", True, ["openQuestions"]),
        ("untold", False, []),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"subject": 1}'])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(ReportRefused):
        decode(data)


def test_two_reports_are_compared() -> None:
    found = msgspec.structs.replace(TOLD, found_in=("data",))
    lost = msgspec.structs.replace(PLACED, found_in=())
    new = report(scored(facts=[found, lost, MISPLACED, found]), scored("fresh"), subject="Groq, other/model")
    text = comparison(report(scored(), scored("gone")), new)

    lines = text.splitlines()
    assert "Groq, some/model -> Groq, other/model" in lines[0]
    assert any(line.split() == ["told", "75", "%", "100", "%", "+25", "pp"] for line in lines)
    row = next(line for line in lines if line.startswith("bike-repair"))
    assert "+25 pp" in row
    assert row.split()[-2:] == ["told", "placed"]
    assert any(line.startswith("fresh") and "new" in line for line in lines)
    assert any(line.startswith("gone") and "not run" in line for line in lines)
    assert max(map(len, lines)) <= WIDTH


def test_the_totals_of_scenarios_that_only_one_has_are_not_compared() -> None:
    text = comparison(report(scored(), scored("gone", [UNTOLD] * 9)), report())
    assert any(line.split() == ["told", "75", "%", "75", "%"] for line in text.splitlines())


def test_reports_that_agree_say_so() -> None:
    assert "No scenario differs." in comparison(report(), report())


def test_who_failed_once_is_told() -> None:
    broken = Score(name="bike-repair", trade="x", manner="plain", failed="no credit")
    assert "failed before" in comparison(report(broken), report())
    assert "No scenario differs." in comparison(report(broken), report(broken))
