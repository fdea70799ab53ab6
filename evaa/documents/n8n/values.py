"""A workflow's nodes as they stand in the document: whatever is wrong with them, they can be looked at."""

from collections.abc import Iterator
from typing import Any, TypeGuard

import msgspec

from evaa.documents.n8n.nodes import BY_NAME, NodeType, ports
from evaa.documents.n8n.problems import shown


class Node(msgspec.Struct, frozen=True, eq=False):
    """A node. What is missing or of a wrong type is empty here; `raw` is what the document has.

    `inputs` and `outputs` count the ports of the kind `main`; None: not known.
    """

    place: str
    raw: dict[str, Any]
    name: str
    node_id: str
    type: str
    version: float | None
    parameters: dict[str, Any]
    kind: NodeType | None
    is_disabled: bool
    inputs: int | None
    outputs: int | None

    @property
    def is_trigger(self) -> bool:
        """Whether a workflow can begin here; of nodes that are not on the list, their names tell."""
        return self.kind.is_trigger if self.kind else self.type.lower().endswith("trigger") or self.type in _TRIGGERS

    @property
    def is_note(self) -> bool:
        """Whether it is only for reading."""
        return self.type == "n8n-nodes-base.stickyNote"


_TRIGGERS = frozenset(("n8n-nodes-base.cron", "n8n-nodes-base.interval", "n8n-nodes-base.start"))


def node_at(index: int, raw: dict[str, Any], prefix: str) -> Node:
    """The node at this place of the list of nodes."""
    name, kind_name, version = text(raw, "name"), text(raw, "type"), raw.get("typeVersion")
    parameters = raw.get("parameters")
    kind = BY_NAME.get(kind_name)
    known: dict[str, Any] = parameters if isinstance(parameters, dict) else {}
    number = float(version) if is_number(version) else None
    inputs = outputs = None
    if kind is not None:
        has_error_output = raw.get("onError") == "continueErrorOutput"
        inputs, outputs = ports(kind, number or 1, known, has_error_output=has_error_output)
    place = f"{prefix}nodes[{index}]"
    return Node(
        place=f"{place} {shown(name)}" if name else place, raw=raw, name=name, node_id=text(raw, "id"), type=kind_name,
        version=number, parameters=known, kind=kind, is_disabled=raw.get("disabled") is True,
        inputs=inputs, outputs=outputs,
    )  # fmt: skip


def text(raw: dict[str, Any], key: str) -> str:
    """The text under this key; empty if it is no text."""
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def is_number(value: object) -> TypeGuard[float]:
    """Whether JSON would call it a number, and one that a port or a version could have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def strings_in(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Every text inside of a JSON value, with its place, in the document's order."""
    ways = [iter([(place, value)])]
    while ways:
        step = next(ways[-1], None)
        if step is None:
            ways.pop()
        elif isinstance(step[1], str):
            yield step[0], step[1]
        elif isinstance(step[1], dict | list):
            ways.append(_inside(step[0], step[1]))


def _inside(place: str, value: dict[str, object] | list[object]) -> Iterator[tuple[str, object]]:
    items = value.items() if isinstance(value, dict) else ((f"[{index}]", item) for index, item in enumerate(value))
    dot = "." if isinstance(value, dict) else ""
    for key, item in items:
        yield f"{place}{dot}{key[:60]}" if len(place) < 300 else place, item
