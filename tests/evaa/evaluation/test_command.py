from collections.abc import Awaitable, Callable
from functools import partial
from io import StringIO
from pathlib import Path

import msgspec
import pytest
import trio

from actors.supervisor import contain
from evaa.commands.arguments import parse_arguments
from evaa.commands.evaluate import Subject, describe_subject, evaluate, run_evaluation
from evaa.evaluation.report import decode
from evaa.evaluation.scenario import shipped_scenarios
from evaa.llm.plugins import LlmChoice
from protocols.ports import Answer, AnswerSink, Interviewer, InterviewerFailed, TurnBrief
from tests.actors.writers import FakeWriter
from tests.evaa.evaluation.world import FILE, hands_of

CHOICE = LlmChoice(
    plugin="auto", api_key="k", base_url="", models=("a", "b"), max_history_chars=1,
    first_token_timeout_s=1, patience_s=1,
)  # fmt: skip


class Asking:
    """Closes every stage, but fails, or breaks, where the user says a certain word."""

    name = "asking"

    def __init__(self) -> None:
        self.fails_at = "nothing that anybody says"
        self.breaks_at = "nothing that anybody says"
        self.at_once = 0
        self.most_at_once = 0

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        if self.fails_at in brief.words:
            raise InterviewerFailed("no credit", passing=False)
        if self.breaks_at in brief.words:
            raise KeyError(brief.words)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await trio.sleep(1)
        self.at_once -= 1
        return Answer(text="How many?", wants_next=True, facts={}, model=self.name)


def subject(interviewer: Interviewer) -> Subject:
    async def contained(task: Callable[[], Awaitable[None]]) -> None:
        await contain(task, actor="evaluation")

    return Subject("a test", interviewer, hands_of(FakeWriter()), contained)


async def run(*words: str, interviewer: Interviewer | None = None) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    arguments = parse_arguments(["evaluate", *words], "")
    status = await run_evaluation(subject(interviewer or Asking()), arguments, out, err)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(FILE)
    (tmp_path / "b.yaml").write_text(FILE.replace("name: bike-repair", "name: ski-repair").replace("bike", "ski"))
    return tmp_path


async def test_a_table_is_written(folder: Path, autojump_clock: trio.testing.MockClock) -> None:
    status, out, err = await run("--scenarios", str(folder))

    assert status == 0
    assert "Evaluated: a test" in out
    assert all(name in out for name in ("bike-repair", "ski-repair", "all 2"))
    assert "2/2 " in err


async def test_json_goes_into_a_file_and_is_compared_with(folder: Path, autojump_clock: trio.testing.MockClock) -> None:
    path = folder / "old.json"
    status, out, _ = await run(
        "--scenarios", str(folder / "a.yaml"), "--format", "json", "--output", str(path), "--price-in", "0.1"
    )
    assert (status, out) == (0, "")
    report = decode(path.read_bytes())
    assert [score.name for score in report.scores] == ["bike-repair"]
    assert report.prices is not None

    _, out, _ = await run("--scenarios", str(folder), "--compare", str(path))
    assert "Compared: a test -> a test" in out
    assert "new" in out

    _, out, err = await run("--scenarios", str(folder), "--compare", str(path), "--format", "json")
    assert msgspec.json.decode(out)["subject"] == "a test"
    assert "Compared: a test -> a test" in err


async def test_only_some_are_run(folder: Path, autojump_clock: trio.testing.MockClock) -> None:
    _, out, _ = await run("--scenarios", str(folder), "--only", "ski-repair")
    assert "ski-repair" in out
    assert "bike-repair" not in out


@pytest.mark.parametrize("fault", ["fails_at", "breaks_at"])
async def test_a_scenario_that_fails_does_not_stop_the_others(
    folder: Path, autojump_clock: trio.testing.MockClock, fault: str
) -> None:
    interviewer = Asking()
    setattr(interviewer, fault, "ski")
    status, out, err = await run("--scenarios", str(folder), interviewer=interviewer)

    why = "no credit" if fault == "fails_at" else "a bug ended it"
    assert status == 1
    assert f"ski-repair failed: {'no interviewer could answer: ' if fault == 'fails_at' else ''}{why}" in out
    assert "ski-repair: failed" in err
    assert "bike-repair failed" not in out
    row = next(line for line in out.splitlines() if line.startswith("bike-repair"))
    assert row.split()[1] == "3"


async def test_no_more_at_once_than_was_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    interviewer = Asking()
    some = shipped_scenarios()[:6]
    scores = await evaluate(subject(interviewer), some, 3, StringIO())

    assert interviewer.most_at_once == 3
    assert [score.name for score in scores] == [scenario.name for scenario in some]


async def test_what_cannot_begin_says_why(folder: Path) -> None:
    async def refusal(*words: str) -> str:
        status, out, err = await run("--scenarios", str(folder), *words)
        assert (status, out) == (1, "")
        return err

    assert "There is no scenario x; there are bike-repair, ski-repair." in await refusal("--only", "x")
    assert "is no report of an evaluation" in await refusal("--compare", str(folder / "a.yaml"))
    assert "No such file" in await refusal("--compare", str(folder / "none.json"))
    (folder / "c.yaml").write_text("scenarios: 1")
    assert "c.yaml: scenarios: Expected `array`" in await refusal()
    (folder / "c.yaml").write_text(FILE)
    assert "the name bike-repair: more than one scenario has it" in await refusal()


async def test_a_folder_without_scenarios_is_refused(tmp_path: Path) -> None:
    status, _, err = await run("--scenarios", str(tmp_path))
    assert (status, "no scenario file" in err) == (1, True)


async def test_a_report_that_cannot_be_written_is_told(folder: Path, autojump_clock: trio.testing.MockClock) -> None:
    status, _, err = await run("--scenarios", str(folder), "--output", str(folder / "no" / "where"))
    assert (status, "cannot be written" in err) == (1, True)


@pytest.mark.parametrize(
    "words", [["--at-once", "0"], ["--at-once", "65"], ["--at-once", "x"], ["--price-in", "-1"], ["--price-out", "nan"]]
)
def test_figures_that_make_no_sense_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["evaluate", *words], "")
    assert "expected" in capsys.readouterr().err


def test_simulate_may_stand_on_either_side() -> None:
    assert parse_arguments(["--simulate", "evaluate"], "").simulate
    assert parse_arguments(["evaluate", "--simulate"], "").simulate
    assert not parse_arguments(["evaluate"], "").simulate


def test_the_report_says_who_was_evaluated() -> None:
    name = partial(describe_subject, CHOICE)
    assert name(is_simulated=False) == "Groq, a then b"
    assert "understands nothing" in name(is_simulated=True)
    scripted = msgspec.structs.replace(CHOICE, plugin="scripted")
    assert describe_subject(scripted, is_simulated=False) == "scripted"
