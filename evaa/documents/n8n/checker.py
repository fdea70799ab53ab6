"""Checks an n8n workflow for what n8n itself finds out late or never.

n8n's import takes almost any JSON object, and its API not much less; a mistake then shows when the workflow is
activated, when it runs, or not at all: it merely does something else. What n8n 2.8 does with each defect was tried out;
`problems.RULES` says for each code which step of n8n's it breaks.
"""

import codecs
from collections import Counter
from collections.abc import Iterator

import msgspec

from evaa.documents.n8n.graph import check_graph
from evaa.documents.n8n.links import Link, read_links
from evaa.documents.n8n.node_checks import check_keys, check_node
from evaa.documents.n8n.nodes import KINDS_OF_CONNECTION, MAIN
from evaa.documents.n8n.problems import Problem, Report, shown
from evaa.documents.n8n.values import Node, node_at

API_KEYS = frozenset(("name", "nodes", "connections", "settings", "staticData"))
MAX_WORKFLOW_NAME = 128
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""Of UTF-32 in the order of most machines, too: it begins like UTF-16."""


def check_text(data: bytes) -> tuple[Problem, ...]:
    """Check a file's content, as `check` does. Never raises."""
    if data.startswith(_MARKS):
        report = Report()
        right = "a workflow is one JSON object in UTF-8, without such a mark"
        report.add("not-json", "the file", "it begins with a byte order mark", right)
        return report.problems
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        report = Report()
        right = "a workflow is one JSON object in UTF-8, without a byte order mark"
        report.add("not-json", "the file", f"not JSON: {error}", right)
        return report.problems
    except RecursionError:
        report = Report()
        report.add("too-deep", "the file", "too many brackets inside of each other", "no workflow is so deep")
        return report.problems
    return check(document)


def check(document: object) -> tuple[Problem, ...]:
    """Check a workflow, or a list of workflows as n8n's command line exports them: all problems, errors first.

    Never raises, whatever JSON value it is given; takes time in proportion to its size.
    """
    report = Report()
    if isinstance(document, list) and document and all(isinstance(item, dict) for item in document):
        report.add(
            "list", "the document", "a list of workflows", "only n8n's command line takes one; the API, each alone"
        )
        for index, item in enumerate(document):
            _check_workflow(item, f"[{index}].", report)
    elif isinstance(document, dict):
        _check_workflow(document, "", report)
    else:
        right = "a workflow is an object with name, nodes, connections and settings"
        report.add("top-level", "the document", f"{shown(document)}", right)
    return report.problems


def _check_workflow(document: dict[str, object], prefix: str, report: Report) -> None:
    _check_top(document, prefix, report)
    items = document.get("nodes")
    nodes = list(_nodes(items, prefix, report)) if isinstance(items, list) else []
    by_name = {node.name: node for node in nodes if node.name}
    _check_uniqueness(nodes, report)
    for node in nodes:
        check_node(node, by_name.keys(), report)
    links = list(read_links(document.get("connections"), f"{prefix}connections", report))
    for link in links:
        _check_link(link, by_name, report)
    if isinstance(items, list):
        check_graph(nodes, links, f"{prefix}nodes", report)


def _check_top(document: dict[str, object], prefix: str, report: Report) -> None:
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        report.add("name-missing", f"{prefix}name", shown(name), "a workflow needs a name")
    elif len(name) > MAX_WORKFLOW_NAME:
        report.add("long-name", f"{prefix}name", f"{len(name)} characters", f"at most {MAX_WORKFLOW_NAME}")
    if not isinstance(document.get("nodes"), list):
        report.add("nodes-missing", f"{prefix}nodes", shown(document.get("nodes")), "a list of nodes")
    connections = document.get("connections")
    if isinstance(connections, list):
        right = "an object, by the names of the nodes that they come from"
        report.add("connections-list", f"{prefix}connections", "a list", right)
    elif not isinstance(connections, dict):
        report.add("connections-missing", f"{prefix}connections", shown(connections), "an object; {} if there are none")
    if not isinstance(document.get("settings"), dict):
        report.add("settings-missing", f"{prefix}settings", shown(document.get("settings")), "an object; {} will do")
    check_keys(document, API_KEYS, f"{prefix}the top level", report)


def _nodes(items: list[object], prefix: str, report: Report) -> Iterator[Node]:
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield node_at(index, item, prefix)
        else:
            report.add("node-shape", f"{prefix}nodes[{index}]", shown(item), "a node is an object")


def _check_uniqueness(nodes: list[Node], report: Report) -> None:
    names = Counter(node.name for node in nodes if node.name)
    ids = Counter(node.node_id for node in nodes if node.node_id)
    for node in nodes:
        if names[node.name] > 1:
            right = "n8n knows nodes by their names: each needs one of its own"
            report.add("duplicate-name", node.place, "another node has this name", right)
        if ids[node.node_id] > 1:
            report.add("duplicate-id", f"{node.place}.id", "another node has this id", "each needs one of its own")


def _check_link(link: Link, by_name: dict[str, Node], report: Report) -> None:
    if link.kind not in KINDS_OF_CONNECTION:
        report.add("connection-kind", link.place, f"the kind {shown(link.kind)}", "there is no such kind of connection")
    elif link.target_kind != link.kind:
        wrong = f"leaves as {shown(link.kind)} and arrives as {shown(link.target_kind)}"
        report.add("connection-kind", link.place, wrong, "both must be the same kind")
    source, target = by_name.get(link.source), by_name.get(link.target)
    if source is None:
        report.add("connection-from", link.place, f"no node is named {shown(link.source)}", "it is never followed")
    else:
        _check_port("output", source, link.kind, link.output, source.outputs, link.place, report)
    if target is None:
        right = "a connection must lead to a node that is there"
        report.add("connection-to", link.place, f"no node is named {shown(link.target)}", right)
    else:
        _check_port("input", target, link.target_kind, link.input, target.inputs, link.place, report)


def _check_port(side: str, node: Node, kind: str, index: int, count: int | None, place: str, report: Report) -> None:
    """Whether a node has this port; of nodes that are not on the list, and of those that vary, it is not known."""
    if count is None:
        return
    label = node.kind.label if node.kind else node.type
    if kind != MAIN and kind in KINDS_OF_CONNECTION:
        report.add("connection-kind", place, f"{shown(node.name)} ({label}) has no {kind} {side}", f"it has {MAIN}")
    elif index >= count:
        right = f"{label} has no {side}" if count == 0 else f"{label} has {side}s 0 to {count - 1}"
        report.add(f"{side}-range", place, f"{side} {index} of {shown(node.name)}", right)
