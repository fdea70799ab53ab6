"""What can be wrong with one node: its frame, type and version, parameters, credentials, and expressions."""

import difflib
import re
from collections.abc import Collection
from typing import Any

from evaa.documents.n8n.expressions import examine, referred_in_code
from evaa.documents.n8n.nodes import BASE, BY_NAME, Credentials, NodeType, Required
from evaa.documents.n8n.problems import Report, shown
from evaa.documents.n8n.values import Node, is_number, strings_in, text

MAX_NODE_NAME = 100
API_KEYS = frozenset({
    "id", "name", "type", "typeVersion", "position", "parameters", "credentials", "disabled", "notes", "notesInFlow",
    "webhookId", "executeOnce", "alwaysOutputData", "retryOnFail", "maxTries", "waitBetweenTries", "continueOnFail",
    "onError", "createdAt", "updatedAt",
})  # fmt: skip
UNSAFE_NAMES = frozenset({
    "__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "valueOf", "isPrototypeOf",
    "propertyIsEnumerable", "toLocaleString", "__defineGetter__", "__defineSetter__", "__lookupGetter__",
    "__lookupSetter__",
})  # fmt: skip
"""In JavaScript every object has something under these names already, and n8n keeps nodes in objects by name."""

_TYPE = re.compile(r"(?:@[a-z0-9][\w.-]*/)?n8n-nodes-[a-z0-9][\w-]*\.[A-Za-z]\w*")
_CODE = frozenset(("jsCode", "functionCode"))
_MAX_EXPRESSION_CHARS = 100_000


def check_node(node: Node, names: Collection[str], report: Report) -> None:
    """Report what is wrong with a node by itself; `names` are those of all nodes."""
    _check_frame(node, report)
    _check_type(node, report)
    if not node.is_disabled:  # n8n neither runs nor examines it
        _check_needs(node, report)
        _check_expressions(node, names, report)


def _check_frame(node: Node, report: Report) -> None:
    raw, place = node.raw, node.place
    if not node.name.strip():
        report.add("node-name", f"{place}.name", shown(raw.get("name")), "n8n knows nodes by their names")
    elif len(node.name) > MAX_NODE_NAME:
        report.add("long-name", f"{place}.name", f"{len(node.name)} characters", f"at most {MAX_NODE_NAME} can be read")
    if node.name in UNSAFE_NAMES:
        report.add("unsafe-name", f"{place}.name", "a name that JavaScript itself uses", "another name")
    if not node.node_id:
        report.add("node-id", f"{place}.id", shown(raw.get("id")), "a text of its own; the import makes one up")
    if not isinstance(raw.get("parameters"), dict):
        report.add("node-parameters", f"{place}.parameters", shown(raw.get("parameters")), "an object; {} for none")
    if not _is_position(raw.get("position")):
        report.add("node-position", f"{place}.position", shown(raw.get("position")), "two numbers: [x, y]")
    check_keys(raw, API_KEYS, place, report)


def check_keys(raw: dict[str, Any], known: Collection[str], place: str, report: Report) -> None:
    """Report the keys that n8n's API would not take: once for all of them, as n8n's own exports are full of them."""
    unknown = [key for key in raw if key not in known]
    if unknown:
        names = ", ".join(shown(key) for key in unknown[:20]) + (" …" if len(unknown) > 20 else "")
        report.add("unknown-key", place, f"has {names}", "the API refuses these keys; the import does not mind")


def _is_position(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _check_type(node: Node, report: Report) -> None:
    place = f"{node.place}.type"
    if not node.type:
        report.add("node-type", place, shown(node.raw.get("type")), "a node needs a type, such as n8n-nodes-base.noOp")
    elif node.kind is None:
        _check_unlisted(node.type, place, report)
    if node.version is None:
        wrong = shown(node.raw.get("typeVersion"))
        report.add("node-version", f"{node.place}.typeVersion", wrong, "a number; without it n8n takes another version")
    elif node.kind is not None:
        _check_version(node.kind, node.version, f"{node.place}.typeVersion", report)


def _check_unlisted(name: str, place: str, report: Report) -> None:
    same = next((known for known in BY_NAME if known.lower() == name.lower()), None)
    if same is not None:
        report.add("unknown-type", place, shown(name), f"it is spelt {same}")
    elif not _TYPE.fullmatch(name):
        right = f"package.node, such as {BASE}noOp; packages of nodes are named n8n-nodes-..."
        report.add("unknown-type", place, shown(name), right)
    else:
        alike = [] if report.is_full else difflib.get_close_matches(name[:100], BY_NAME, n=1, cutoff=0.85)
        right = "the activation fails if your n8n has no such node" + (f"; is it {alike[0]}?" if alike else "")
        report.add("unlisted-type", place, f"{shown(name)} is not on EVAA's short list of nodes", right)


def _check_version(kind: NodeType, version: float, place: str, report: Report) -> None:
    if version in kind.versions:
        return
    newest = max(kind.versions)
    right = f"{kind.label} has the versions {', '.join(f'{known:g}' for known in kind.versions)}"
    is_newer = newest < version < int(newest) + 1
    report.add("newer-version" if is_newer else "unknown-version", place, f"version {version:g}", right)


def _check_needs(node: Node, report: Report) -> None:
    kind, version = node.kind, node.version or 1
    if kind is None:
        return
    for need in kind.required:
        if need.since <= version <= need.until and _holds(need, node.parameters) and _is_empty(node, need.parameter):
            right = f"{kind.label} cannot do without it"
            report.add("parameter-missing", f"{node.place}.parameters.{need.parameter}", "empty", right)
    name = _credential(kind.credentials, node.parameters) if kind.credentials else ""
    given = node.raw.get("credentials")
    if name and not (isinstance(given, dict) and given.get(name)):
        right = f"choose a credential of the type {name[:80]} in n8n"
        report.add("credential-missing", f"{node.place}.credentials", "none yet", right)


def _holds(need: Required, parameters: dict[str, Any]) -> bool:
    return all(parameters.get(name, values[0]) in values for name, values in need.when.items())


def _is_empty(node: Node, parameter: str) -> bool:
    value = node.parameters.get(parameter)
    if isinstance(value, dict) and "__rl" in value:
        value = value.get("value")
    return value is None or value in ("", [])


def _credential(credentials: Credentials, parameters: dict[str, Any]) -> str:
    chosen = parameters.get(credentials.by, credentials.usual)
    name = credentials.names.get(chosen, "") if isinstance(chosen, str) else ""
    return text(parameters, name[1:]) if name.startswith("$") else name


def _check_expressions(node: Node, names: Collection[str], report: Report) -> None:
    for place, value in strings_in(node.parameters, f"{node.place}.parameters"):
        if len(value) > _MAX_EXPRESSION_CHARS:
            continue
        if value.startswith("="):
            found = examine(value)
            if found.wrong:
                report.add("expression-syntax", place, found.wrong, "n8n cannot read this as JavaScript")
            _check_references(found.nodes, "expression-reference", place, names, report)
        elif place.rpartition(".")[2] in _CODE:
            _check_references(referred_in_code(value), "code-reference", place, names, report)


def _check_references(found: Collection[str], code: str, place: str, names: Collection[str], report: Report) -> None:
    for name in dict.fromkeys(found):
        if name not in names:
            report.add(code, place, f"no node is named {shown(name)}", "it must name a node of this workflow")
