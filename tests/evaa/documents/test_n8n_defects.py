"""Every defect that n8n's import, its API or its activation let pass, found in a workflow that was good before."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from evaa.documents.n8n.checker import check, check_text
from evaa.documents.n8n.problems import RULES, Problem
from tests.evaa.documents.n8n_builders import Document, good, named, node, to

Spoil = Callable[[Document], object]


def spoilt(spoil: Spoil) -> Document:
    document = good()
    spoil(document)
    return document


def changed(name: str, **more: Any) -> Spoil:
    return lambda document: named(document, name).update(more)


def without(name: str, key: str) -> Spoil:
    return lambda document: named(document, name).pop(key)


def parameter(name: str, key: str, value: object) -> Spoil:
    return lambda document: named(document, name)["parameters"].update({key: value})


def leads(source: str, **target: object) -> Spoil:
    return lambda document: document["connections"][source]["main"][0][0].update(target)


def outputs(source: str, *targets: object) -> Spoil:
    return lambda document: document["connections"].update({source: {"main": list(targets)}})


def added(*nodes: Document) -> Spoil:
    return lambda document: document["nodes"].extend(nodes)


def set_key(key: str, value: object) -> Spoil:
    return lambda document: document.update({key: value})


def drop_key(key: str) -> Spoil:
    return lambda document: document.pop(key)


DEFECTS: list[tuple[str, str, Spoil]] = [
    ("name-missing", "name", drop_key("name")),
    ("name-missing", "name", set_key("name", " ")),
    ("long-name", "name", set_key("name", "x" * 129)),
    ("nodes-missing", "nodes", drop_key("nodes")),
    ("nodes-missing", "nodes", set_key("nodes", {})),
    ("connections-missing", "connections", drop_key("connections")),
    ("connections-missing", "connections", set_key("connections", None)),
    ("connections-list", "connections", set_key("connections", [])),
    ("settings-missing", "settings", drop_key("settings")),
    ("settings-missing", "settings", set_key("settings", [])),
    ("unknown-key", "the top level", set_key("id", "1")),
    ("unknown-key", "the top level", set_key("what", 1)),
    ("unknown-key", 'nodes[6] "Done"', changed("Done", color="red")),
    ("node-shape", "nodes[8]", lambda document: document["nodes"].append("Done")),
    ("no-nodes", "nodes", lambda document: document.update(nodes=[], connections={})),
    ("no-nodes", "nodes", lambda document: document.update(nodes=[node("A", "stickyNote", 1)], connections={})),
    ("no-trigger", "nodes", lambda document: (document["nodes"].pop(0), document["connections"].pop("Every hour"))),
    ("no-trigger", "nodes", changed("Every hour", disabled=True)),
    ("only-by-hand", "nodes", changed("Every hour", type="n8n-nodes-base.manualTrigger", typeVersion=1)),
    ("node-name", "nodes[8].name", added({**node("", "noOp", 1)})),
    ("node-name", "nodes[6].name", without("Done", "name")),
    ("node-type", 'nodes[6] "Done".type', without("Done", "type")),
    ("node-version", 'nodes[6] "Done".typeVersion', without("Done", "typeVersion")),
    ("node-version", 'nodes[6] "Done".typeVersion', changed("Done", typeVersion="1")),
    ("node-parameters", 'nodes[6] "Done".parameters', without("Done", "parameters")),
    ("node-position", 'nodes[6] "Done".position', without("Done", "position")),
    ("node-position", 'nodes[6] "Done".position', changed("Done", position=[1, "2"])),
    ("node-id", 'nodes[6] "Done".id', without("Done", "id")),
    ("duplicate-name", 'nodes[8] "Done"', added({**node("Done", "noOp", 1), "id": "another"})),
    ("duplicate-id", 'nodes[7] "About".id', changed("About", id="id of Done")),
    ("unsafe-name", "nodes[8] \"__proto__\".name", added(node("__proto__", "noOp", 1))),
    ("long-name", f'nodes[8] "{"x" * 80}…".name', added(node("x" * 200, "noOp", 1))),
    ("unknown-type", 'nodes[6] "Done".type', changed("Done", type="noOp")),
    ("unknown-type", 'nodes[6] "Done".type', changed("Done", type="n8n-nodes-base.NoOp")),
    ("unknown-type", 'nodes[6] "Done".type', changed("Done", type="acme.noOp")),
    ("unlisted-type", 'nodes[6] "Done".type', changed("Done", type="n8n-nodes-base.doesNotExist")),
    ("unlisted-type", 'nodes[6] "Done".type', changed("Done", type="@acme/n8n-nodes-acme.thing")),
    ("unknown-version", 'nodes[6] "Done".typeVersion', changed("Done", typeVersion=99)),
    ("unknown-version", 'nodes[4] "Tell".typeVersion', changed("Tell", typeVersion=1.5)),
    ("newer-version", 'nodes[4] "Tell".typeVersion', changed("Tell", typeVersion=2.95)),
    ("parameter-missing", 'nodes[1] "Get them".parameters.url', parameter("Get them", "url", "")),
    ("parameter-missing", 'nodes[1] "Get them".parameters.url', changed("Get them", parameters={})),
    ("parameter-missing", 'nodes[4] "Tell".parameters.text', parameter("Tell", "text", "")),
    ("credential-missing", 'nodes[4] "Tell".credentials', without("Tell", "credentials")),
    ("credential-missing", 'nodes[4] "Tell".credentials', parameter("Tell", "authentication", "oAuth2")),
    ("connection-shape", 'connections["Done"]', lambda document: document["connections"].update(Done=[])),
    ("connection-shape", 'connections["Done"].main', lambda document: document["connections"].update(Done={"main": 1})),
    ("connection-shape", 'connections["Done"].main[0]', outputs("Done", {"node": "Tell"})),
    ("connection-shape", 'connections["Done"].main[0][0]', outputs("Done", ["Tell"])),
    ("connection-shape", 'connections["Tell"].main[0][0]', leads("Tell", index=-1)),
    ("connection-from", 'connections["Nobody"].main[0][0]', outputs("Nobody", to("Done"))),
    ("connection-to", 'connections["Tell"].main[0][0]', leads("Tell", node="Nobody")),
    ("connection-to", 'connections["Loop"].main[0][0]', without("Done", "name")),
    ("connection-kind", 'connections["Tell"].main[0][0]', leads("Tell", type="ai_tool")),
    ("connection-kind", 'connections["Tell"].mian[0][0]',
     lambda document: document["connections"].update(Tell={"mian": [[{**to("Loop")[0], "type": "mian"}]]})),
    ("connection-kind", 'connections["Done"].ai_tool[0][0]',
     lambda document: document["connections"].update(Done={"ai_tool": [[{**to("Tell")[0], "type": "ai_tool"}]]})),
    ("connection-kind", 'connections["Done"].main[0][0]',
     lambda document: (added(node("X", "x", 1))(document), outputs("Done", to("X"))(document),
                       leads("Done", type="ai_tool")(document))),
    ("output-range", 'connections["Over 2,000?"].main[2][0]',
     outputs("Over 2,000?", to("Tell"), to("Keep"), to("Done"))),
    ("output-range", 'connections["About"].main[0][0]', outputs("About", to("Done"))),
    ("input-range", 'connections["Loop"].main[1][0]',
     lambda document: document["connections"]["Loop"]["main"][1][0].update(index=7)),
    ("input-range", 'connections["Done"].main[0][0]', outputs("Done", to("Every hour"))),
    ("endless-cycle", "nodes", outputs("Done", to("Done"))),
    ("endless-cycle", "nodes", outputs("Done", to("Get them"))),
    ("unreached", 'nodes[8] "Lonely"', added(node("Lonely", "noOp", 1))),
    ("expression-syntax", 'nodes[4] "Tell".parameters.text', parameter("Tell", "text", "={{ $json. }}")),
    ("expression-syntax", 'nodes[6] "Done".parameters.a[0].b', parameter("Done", "a", [{"b": "= {{ }}"}])),
    ("expression-reference", 'nodes[4] "Tell".parameters.text', parameter("Tell", "text", "={{ $('No').item }}")),
    ("expression-reference", 'nodes[4] "Tell".parameters.text', parameter("Tell", "text", '={{ $node["No"].json }}')),
    ("code-reference", 'nodes[5] "Keep".parameters.jsCode', parameter("Keep", "jsCode", "return $('No').all()")),
]  # fmt: skip


def test_a_good_workflow_has_no_problem() -> None:
    assert check(good()) == ()


@pytest.mark.parametrize(("code", "place", "spoil"), DEFECTS, ids=[f"{code} {place}" for code, place, _ in DEFECTS])
def test_a_defect_is_found_where_it_is(code: str, place: str, spoil: Spoil) -> None:
    found = check(spoilt(spoil))

    assert (code, place) in [(problem.code, problem.place) for problem in found]
    problem = next(problem for problem in found if problem.code == code)
    assert (problem.level, problem.step) == RULES[code]
    assert problem.wrong
    assert problem.right


def test_every_code_is_tried() -> None:
    elsewhere = {"not-json", "too-deep", "top-level", "list", "more"}
    assert {code for code, _, _ in DEFECTS} | elsewhere == set(RULES)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"), (b"{", "not-json"), (b"\xff{}", "not-json"), (b"[" * 100_000, "too-deep"),
        (b"null", "top-level"), (b"3", "top-level"), (b"[]", "top-level"), (b'[{}, "x"]', "top-level"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_workflow(data: bytes, code: str) -> None:
    (problem,) = check_text(data)
    assert (problem.code, problem.level) == (code, "error")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_named(encoding: str) -> None:
    (problem,) = check_text(msgspec.json.encode(good()).decode().encode(encoding))
    assert problem.wrong == "it begins with a byte order mark"
    assert problem.right.endswith("in UTF-8, without such a mark")


def test_a_list_as_the_command_line_exports_it() -> None:
    problems = check([good(), spoilt(changed("Done", typeVersion=99))])
    assert [(one.code, one.place) for one in problems] == [
        ("unknown-version", '[1].nodes[6] "Done".typeVersion'),
        ("list", "the document"),
    ]


def test_one_defect_does_not_hide_another() -> None:
    document = spoilt(changed("Done", typeVersion=99))
    parameter("Get them", "url", "")(document)
    leads("Tell", node="Nobody")(document)
    assert {one.code for one in check(document)} == {"unknown-version", "parameter-missing", "connection-to"}


def test_a_problem_reads_as_a_sentence() -> None:
    (problem,) = check(spoilt(parameter("Get them", "url", "")))
    assert problem == Problem(
        "parameter-missing", "error", "activation", 'nodes[1] "Get them".parameters.url', "empty",
        "HTTP Request cannot do without it",
    )  # fmt: skip
    assert str(problem) == (
        'error [parameter-missing, activation] nodes[1] "Get them".parameters.url: empty;'
        " HTTP Request cannot do without it"
    )
