"""The skeleton that is made of a BRD."""

import itertools
import uuid
from typing import Any

import msgspec
import pytest

from evaa.documents.n8n import workflow as module
from evaa.documents.n8n.checker import check
from evaa.documents.n8n.problems import Problem, Report
from evaa.documents.n8n.workflow import WorkflowRefused, export, workflow
from protocols.documents import Brd, Entry
from tests.evaa.documents.example import BRD as EXAMPLE
from tests.evaa.documents.n8n_builders import Document, brd, named, step

TRIGGER = step(1, "Every day at 8:30", "trigger")
READ = step(2, "Read the orders", "read", "Shop", "By their number")
BOOK = step(3, "Book it", "write", "ERP")
ERROR_PATH = ("When the workflow fails", "React to the failure", "Tell who is responsible")


def types(made: Document) -> dict[str, str]:
    """The kinds of the nodes, by name, without what is the same in all of them."""
    ours = [one for one in made["nodes"] if not one["type"].endswith(".stickyNote")]
    kinds = {one["name"]: one["type"].removeprefix("n8n-nodes-base.") for one in ours}
    return {name: kind for name, kind in kinds.items() if name not in ERROR_PATH}


def ways(made: Document) -> dict[str, list[list[str]]]:
    return {
        source: [[target["node"] for target in targets] for targets in kinds["main"]]
        for source, kinds in made["connections"].items()
        if source not in ERROR_PATH
    }


def notes(made: Document) -> list[str]:
    return [one["parameters"]["content"] for one in made["nodes"] if one["type"].endswith(".stickyNote")]


def levels(made: Document) -> list[tuple[str, str]]:
    return [(problem.code, problem.level) for problem in check(made)]


def test_what_the_api_takes_and_no_more() -> None:
    made = workflow(EXAMPLE)
    assert list(made) == ["name", "nodes", "connections", "settings"]
    assert made["name"] == EXAMPLE.title
    assert levels(made) == [("credential-missing", "warning")]


def test_one_node_for_each_step_in_its_order() -> None:
    made = workflow(brd(TRIGGER, READ, step(4, "Add up", "transform"), BOOK))
    assert types(made) == {
        "Test by hand": "manualTrigger", "Every day at 8:30": "scheduleTrigger", "Read the orders": "noOp",
        "Add up": "set", "Book it": "noOp",
    }  # fmt: skip
    assert ways(made) == {
        "Test by hand": [["Read the orders"]], "Every day at 8:30": [["Read the orders"]],
        "Read the orders": [["Add up"]], "Add up": [["Book it"]],
    }  # fmt: skip
    assert made["nodes"][0]["name"] == "Test by hand", "n8n's command line starts with the first that it can start with"


def test_both_ways_of_a_decision_meet_again() -> None:
    made = workflow(brd(step(1, "Over 2,000?", "decision", "", "Gross", "Ask the owner"), BOOK))
    assert ways(made) == {
        "Test by hand": [["Over 2,000?"]],
        "Over 2,000?": [["Book it"], ["Ask the owner"]],
        "Ask the owner": [["Book it"]],
    }


@pytest.mark.parametrize("otherwise", ["", "Stop", "It does nothing", "Nothing else happens", "The process ends"])
def test_a_way_that_ends_does_not_go_on(otherwise: str) -> None:
    made = workflow(brd(step(1, "Over 2,000?", "decision", "", "Gross", otherwise), BOOK))
    placeholder = otherwise or "Otherwise, not said yet"
    assert ways(made) == {"Test by hand": [["Over 2,000?"]], "Over 2,000?": [["Book it"], [placeholder]]}


def test_a_decision_at_the_end_leads_to_an_end() -> None:
    made = workflow(brd(step(1, "Over 2,000?", "decision", "", "", "Ask the owner")))
    assert ways(made)["Over 2,000?"] == [["End"], ["Ask the owner"]]
    assert ways(made)["Ask the owner"] == [["End"]]


def test_a_known_node_is_there_but_off_and_empty() -> None:
    made = workflow(brd(READ, step(4, "Tell sales", "notify", "Slack"), step(5, "Send e-mail", "notify")))
    for name, kind in (("Tell sales", "slack"), ("Send e-mail", "emailSend")):
        found = named(made, name)
        assert (found["type"], found["parameters"], found["disabled"]) == (f"n8n-nodes-base.{kind}", {}, True)
        assert "credentials" not in found
    assert levels(made) == [("only-by-hand", "warning")]


def test_a_step_that_the_node_would_do_wrong_is_a_placeholder() -> None:
    made = workflow(brd(step(1, "Read the channel", "read", "Slack"), step(2, "Add a row", "write", "Google Sheets")))
    assert set(types(made).values()) == {"manualTrigger", "noOp"}
    assert "Replace it by Slack" in named(made, "Read the channel")["notes"]


def test_a_schedule_that_nobody_told_stays_off() -> None:
    made = workflow(brd(step(1, "Every morning", "trigger"), READ))
    assert named(made, "Every morning")["disabled"]


def test_a_trigger_that_is_not_known_is_the_first_step() -> None:
    made = workflow(brd(step(1, "A deal is closed", "trigger", "HubSpot"), READ))
    assert ways(made)["Test by hand"] == [["A deal is closed"]]
    assert ways(made)["A deal is closed"] == [["Read the orders"]]


def test_the_error_path_is_there_and_apart() -> None:
    made = workflow(brd(READ))
    assert named(made, "When the workflow fails")["type"] == "n8n-nodes-base.errorTrigger"
    paths = {name: made["connections"][name]["main"][0][0]["node"] for name in ERROR_PATH[:2]}
    assert paths == dict(itertools.pairwise(ERROR_PATH))


def test_several_triggers_lead_to_the_first_step() -> None:
    made = workflow(brd(TRIGGER, READ, step(4, "The shop calls a webhook", "trigger")))
    assert ways(made)["The shop calls a webhook"] == [["Read the orders"]] == ways(made)["Every day at 8:30"]


def test_without_a_trigger_the_future_process_is_asked() -> None:
    future = Entry("FP-1", {"aspect": "trigger", "text": "The shop calls a webhook"})
    made = workflow(brd(READ, futureProcess=(future, Entry("FP-2", {"aspect": "step", "text": "every hour"}))))
    assert types(made)["The shop calls a webhook"] == "webhook"
    assert "scheduleTrigger" not in types(made).values()


def test_an_empty_solution_still_gives_a_workflow() -> None:
    made = workflow(brd(openQuestions=(Entry("OQ-1", {"question": "Which system?", "reason": "All of it"}),)))
    assert types(made) == {"Test by hand": "manualTrigger"}
    assert levels(made) == [("only-by-hand", "warning")]
    assert any("Which system?" in text for text in notes(made))


def test_the_notes_carry_what_is_known_and_what_is_open() -> None:
    read = step(2, "Read the orders", "read", "Shop", "Order number and weight, for FR-1 under BR-2")
    made = workflow(
        brd(
            read,
            requirements=(
                Entry("FR-1", {"title": "Reads orders", "given": "An order"}),
                Entry("FR-11", {"title": "X"}),
            ),
            businessRules=(Entry("BR-2", {"rule": "Once a day"}),),
            data=tuple(Entry(f"DA-{n}", {"field": it}) for n, it in enumerate(("Order number", "Colour", "Weight"), 1)),
            integrations=(Entry("IT-1", {"system": "Shop", "authentication": "API key", "limits": "2 a second"}),),
            errorHandling=(Entry("EH-1", {"failure": "Shop is away", "reaction": "Try again", "alert": "Sales"}),),
        )
    )
    ours = next(text for text in notes(made) if text.startswith("**SO-2**"))
    for said in (
        "Reads orders",
        "Once a day",
        "**Fields** Order number; Weight\n",
        "*Authentication:* API key",
        "2 a second",
    ):
        assert said in ours
    assert "FR-11" not in ours
    everything = "\n".join(notes(made))
    for said in ("**FR-11** *(assumed)* X", "*Given:* An order", "**DA-2**", "Shop is away", "*Alert:* Sales"):
        assert said in everything


def test_a_question_is_not_assumed() -> None:
    questions = (Entry("OQ-1", {"question": "Which system?"}),)
    rules = (Entry("BR-1", {"rule": "Once"}),)
    everything = "\n".join(notes(workflow(brd(READ, openQuestions=questions, businessRules=rules))))
    assert "- **OQ-1** Which system?" in everything
    assert "- **BR-1** *(assumed)* Once" in everything


def test_no_note_says_the_same_twice() -> None:
    wanted = (Entry("FR-1", {"title": "Read it", "given": "A", "then": "Read it"}),)
    made = workflow(brd(step(1, "Read it", "read", "Shop", "Read it"), requirements=wanted))
    texts = "\n".join(notes(made))
    assert "**SO-1** Read it\n**System** Shop\n" in texts
    assert "Read it · *Given:* A\n" in f"{texts}\n"
    assert texts.count("Read it") == 2


def test_long_sections_go_on_in_another_note() -> None:
    many = tuple(Entry(f"FR-{n}", {"title": "x" * 500}) for n in range(20))
    contents = [text for text in notes(workflow(brd(READ, requirements=many))) if "Functional requirements" in text]
    assert len(contents) > 2
    assert max(map(len, contents)) < 4_000
    assert sum(text.count("- **FR-") for text in contents) == 20


def test_a_step_names_what_it_mentions_and_nothing_that_only_begins_alike() -> None:
    requirements = tuple(Entry(f"FR-{number}", {"title": f"title {number}"}) for number in (1, 10, 100))
    (content,) = [
        text
        for text in notes(
            workflow(brd(step(1, "Read", "read", "", "See FR-10, and fr-100."), requirements=requirements))
        )
        if "**SO-1**" in text
    ]
    assert [number for number in (1, 10, 100) if f"**Requirement FR-{number}** title {number}" in content] == [10, 100]


def test_ids_are_uuids_and_stay_from_version_to_version() -> None:
    old = workflow(brd(TRIGGER, READ, BOOK))
    new = workflow(brd(TRIGGER, step(9, "Weigh it", "read"), BOOK, READ, version=2, title="Orders"))
    assert [uuid.UUID(one["id"]).variant for one in new["nodes"]] == [uuid.RFC_4122] * len(new["nodes"])
    for name in ("Every day at 8:30", "Read the orders", "Book it", "Test by hand"):
        assert named(old, name)["id"] == named(new, name)["id"]


def test_the_file() -> None:
    data = export(EXAMPLE)
    assert msgspec.json.decode(data) == workflow(EXAMPLE)
    assert data == export(msgspec.json.decode(msgspec.json.encode(EXAMPLE), type=Brd))


def test_a_workflow_with_errors_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_badly(_document: Any) -> tuple[Problem, ...]:
        report = Report()
        report.add("unreached", "there", "w", "r")
        report.add("no-trigger", "here", "w", "r")
        return report.problems

    monkeypatch.setattr(module, "check", check_badly)
    with pytest.raises(WorkflowRefused, match=r"^no-trigger at here$"):
        export(EXAMPLE)
