"""What the checker must not complain of, and that nothing makes it fail or hang."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.n8n.checker import check, check_text
from evaa.documents.n8n.problems import MAX_PROBLEMS
from tests.evaa.documents.n8n_builders import Document, good, named, node, to

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["main", "Done", "={{ $json. }}", "n8n-nodes-base.if", "n8n-nodes-base.switch", "__proto__"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["name", "nodes", "connections", "settings", "main", "Done", "type", "parameters", "node"])
        | st.text(max_size=4), inner, max_size=5,
    ),
    max_leaves=30,
)  # fmt: skip


def codes(document: object) -> list[str]:
    return [problem.code for problem in check(document)]


def cycle(*between: Document, **wires: Any) -> Document:
    """A trigger, the first of these nodes, and what connects them."""
    start = node("Start", "webhook", 2)
    connections = {"Start": {"main": [to(between[0]["name"])]}}
    connections |= {source: {"main": outputs} for source, outputs in wires.items()}
    return {"name": "C", "nodes": [start, *between], "connections": connections, "settings": {}}


def a_switch(version: float, **parameters: Any) -> Document:
    return node("S", "switch", version, parameters=parameters)


@given(JSON)
def test_no_value_makes_it_raise(document: object) -> None:
    check(document)


@given(st.dictionaries(st.sampled_from(["id", "name", "type", "typeVersion", "parameters", "position", "onError",
                                        "credentials", "disabled"]), JSON), JSON, st.integers(0, 7))  # fmt: skip
def test_no_node_makes_it_raise(change: Document, connections: object, index: int) -> None:
    document = good()
    document["nodes"][index].update(change)
    document["connections"]["Done"] = connections
    check(document)


@given(st.binary() | st.text().map(str.encode))
def test_no_file_makes_it_raise(data: bytes) -> None:
    assert check_text(data)


@pytest.mark.parametrize(
    "document",
    [
        cycle(node("If", "if", 2.2), node("A", "noOp", 1), If=[to("A")], A=[to("If")]),
        cycle(node("If", "if", 2.2), node("A", "noOp", 1), node("Out", "noOp", 1), If=[to("A"), to("Out")],
              A=[to("If")]),
        cycle(node("If", "if", 2.2), node("Or", "if", 2.2), If=[to("Or")], Or=[to("Or"), to("If")]),
        cycle(node("L", "splitInBatches", 3), node("A", "noOp", 1), L=[None, to("A")], A=[to("L")]),
        cycle(node("L", "splitInBatches", 3), node("M", "splitInBatches", 3), node("If", "if", 2.2),
              L=[None, to("M")], M=[to("L"), to("If")], If=[to("If"), to("M")]),
        cycle(node("L", "splitInBatches", 2), node("A", "noOp", 1), L=[to("A"), []], A=[to("L")]),
        cycle(node("F", "filter", 2.2), F=[to("F")]),
        cycle(node("If", "if", 2.2, disabled=True), node("Out", "noOp", 1), If=[to("Out"), to("If")]),
        cycle(node("X", "n8n", 1), X=[to("X")]),
        cycle(node("A", "noOp", 1, onError="continueErrorOutput"), node("B", "noOp", 1), A=[to("B"), to("B")]),
        cycle(a_switch(3.2, rules={"values": [{}, {}]}), node("B", "noOp", 1), S=[[], to("B")]),
        cycle(a_switch(3.2, rules={"values": [{}]}, options={"fallbackOutput": "extra"}), node("B", "noOp", 1),
              S=[[], to("B")]),
        cycle(a_switch(3.2, mode="expression", numberOutputs=7), node("B", "noOp", 1), S=[[], [], [], [], to("B")]),
        cycle(node("F", "formTrigger", 2.2, parameters={"formTitle": "F"})) | {"connections": {}},
        cycle(node("M", "merge", 3, parameters={"numberInputs": 5}),
              M=[[]], Start=[[{"node": "M", "type": "main", "index": 4}]]),
    ],
)  # fmt: skip
def test_what_is_right_is_left_alone(document: Document) -> None:
    assert [problem for problem in check(document) if problem.level == "error"] == []


@pytest.mark.parametrize(
    "document",
    [
        cycle(node("A", "noOp", 1), node("B", "noOp", 1), A=[to("B")], B=[to("A")]),
        cycle(node("If", "if", 2.2), If=[to("If"), to("If")]),
        cycle(node("If", "if", 2.2, disabled=True), If=[to("If")]),
        cycle(node("L", "splitInBatches", 3), L=[to("L")]),
        cycle(node("L", "splitInBatches", 3), node("A", "noOp", 1), L=[to("A"), to("A")], A=[to("L")]),
        cycle(node("If", "if", 2.2), node("A", "noOp", 1), node("B", "noOp", 1), If=[to("A")], A=[to("B", "If")],
              B=[to("A")]),
    ],
)  # fmt: skip
def test_a_cycle_that_nothing_leaves_is_found(document: Document) -> None:
    assert codes(document) == ["endless-cycle"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (cycle(a_switch(3.2, rules={"values": [{}]}), node("B", "noOp", 1), S=[to("B"), to("B")]), "output-range"),
        (cycle(node("M", "merge", 3), Start=[[{"node": "M", "type": "main", "index": 2}]]), "input-range"),
        (cycle(node("L", "splitInBatches", 1), node("B", "noOp", 1), L=[to("B"), to("B")]), "output-range"),
        (cycle(node("G", "googleSheets", 4.5, parameters={"documentId": {"__rl": True, "value": ""}}, disabled=False)),
         "parameter-missing"),
        (cycle(node("F", "formTrigger", 2.1, parameters={"formTitle": "F"})), "parameter-missing"),
        (cycle(node("H", "httpRequest", 4.2, parameters={
            "url": "x", "authentication": "genericCredentialType", "genericAuthType": "httpHeaderAuth"})),
         "credential-missing"),
    ],
)  # fmt: skip
def test_what_depends_on_parameters_and_versions(document: Document, code: str) -> None:
    assert code in codes(document)


def test_the_credential_that_a_parameter_names() -> None:
    document = good()
    get = named(document, "Get them")
    get["parameters"] |= {"authentication": "genericCredentialType", "genericAuthType": "httpHeaderAuth"}
    assert [problem.right for problem in check(document)] == ["choose a credential of the type httpHeaderAuth in n8n"]
    get["credentials"] = {"httpHeaderAuth": {"id": "1"}}
    assert codes(document) == []


def test_a_node_that_is_switched_off_needs_nothing() -> None:
    document = good()
    named(document, "Tell").update(disabled=True, parameters={"text": "={{ $('No') }}"}, credentials={})
    assert codes(document) == []


def test_what_serves_an_agent_is_reached_by_it() -> None:
    document = good()
    agent = node("Agent", "x", 2, type="@n8n/n8n-nodes-langchain.agent")
    model = node("Model", "x", 1, type="@n8n/n8n-nodes-langchain.lmChatOpenAi")
    document["nodes"] += [agent, model]
    document["connections"]["Done"] = {"main": [to("Agent")]}
    document["connections"]["Model"] = {
        "ai_languageModel": [[{"node": "Agent", "type": "ai_languageModel", "index": 0}]]
    }
    assert codes(document) == ["unlisted-type", "unlisted-type"]


def test_a_report_is_bounded_and_says_so() -> None:
    problems = check({"name": "x", "nodes": [1] * 1_000, "connections": {}, "settings": {}})
    assert len(problems) == MAX_PROBLEMS + 1
    assert (problems[-1].code, problems[-1].level) == ("more", "error")
    assert problems[-1].wrong == "801 more problems are not shown"


def test_nothing_that_a_terminal_would_obey_is_shown() -> None:
    document = good()
    document["nodes"][6].update(name="\x1b[2J\x9b\u202e", type="\x1b[31m")
    document["\x1b]0;x\x07"] = 1
    assert all(str(problem).isprintable() for problem in check(document))


LARGE: dict[str, Document] = {
    "a long chain": {
        "nodes": [node(str(n), "noOp", 1) for n in range(20_000)],
        "connections": {str(n): {"main": [to(str(n + 1))]} for n in range(20_000)},
    },
    "one large knot": {
        "nodes": [node(str(n), "if", 2.2) for n in range(5_000)],
        "connections": {str(n): {"main": [to(str(n - 1), str(n + 1)), to("0")]} for n in range(5_000)},
    },
    "many unknown types": {
        "nodes": [node(str(n), "x", 1, type=f"n8n-nodes-base.{'manualTrigge' * 5}{n}") for n in range(5_000)],
        "connections": {},
    },
    "long expressions": {
        "nodes": [
            node("A", "set", 3.4, parameters={str(n): f"={{{{ {piece * 20_000} }}}}" for n, piece in
                                              enumerate(["/*", "`${", "/[", '"', "(", "a.", "{{", "-", "$('"])})
        ],
        "connections": {},
    },
    "many texts": {"nodes": [node("A", "set", 3.4, parameters={"x": [[""] * 300_000]})], "connections": {}},
}  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", LARGE)
def test_large_documents_take_their_time_but_not_more(what: str) -> None:
    assert check({"name": "Large", "settings": {}, **LARGE[what]})


def test_deep_values_are_followed() -> None:
    deep: Any = "={{ $json. }}"
    for _ in range(5_000):
        deep = [deep]
    document = good()
    named(document, "Done")["parameters"] = {"x": deep}
    assert codes(document) == ["expression-syntax"]


def test_it_reads_what_it_is_given_as_a_file_in_the_same_way() -> None:
    document = good()
    document["nodes"][6]["typeVersion"] = 99
    assert check_text(msgspec.json.encode(document)) == check(document)
