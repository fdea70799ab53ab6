"""A workflow's connections, one by one: `connections[source][kind][output]` is a list of where it leads."""

from collections.abc import Iterator

import msgspec

from evaa.documents.n8n.problems import Report, shown

_RIGHT = 'connections go as {"Source": {"main": [[{"node": "Target", "type": "main", "index": 0}]]}}'


class Link(msgspec.Struct, frozen=True):
    """One connection: from an output of one node to an input of another."""

    place: str
    source: str
    kind: str
    output: int
    target: str
    target_kind: str
    input: int


def read_links(connections: object, place: str, report: Report) -> Iterator[Link]:
    """Each connection that can be understood; what cannot is reported."""
    if not isinstance(connections, dict):
        return  # reported with the top level
    for source, kinds in connections.items():
        where = f"{place}[{shown(source)}]"
        if not isinstance(kinds, dict):
            report.add("connection-shape", where, shown(kinds), _RIGHT)
            continue
        for kind, outputs in kinds.items():
            yield from _links_of_kind(source, kind, outputs, f"{where}.{kind[:60]}", report)


def _links_of_kind(source: str, kind: str, outputs: object, where: str, report: Report) -> Iterator[Link]:
    if not isinstance(outputs, list):
        report.add("connection-shape", where, shown(outputs), _RIGHT)
        return
    for output, targets in enumerate(outputs):
        if targets is None:
            continue  # n8n writes null for an output that leads nowhere
        if not isinstance(targets, list):
            report.add("connection-shape", f"{where}[{output}]", shown(targets), _RIGHT)
            continue
        for index, target in enumerate(targets):
            link = _link(f"{where}[{output}][{index}]", source, kind, output, target)
            if link is None:
                report.add("connection-shape", f"{where}[{output}][{index}]", shown(target), _RIGHT)
            else:
                yield link


def _link(place: str, source: str, kind: str, output: int, target: object) -> Link | None:
    if not isinstance(target, dict):
        return None
    name, target_kind, index = target.get("node"), target.get("type"), target.get("index")
    if not isinstance(name, str) or not isinstance(target_kind, str):
        return None
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        return None
    return Link(place, source, kind, output, name, target_kind, index)
