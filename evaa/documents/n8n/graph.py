"""What can be wrong with a workflow as a whole: nothing starts it, nothing reaches a node, a cycle never ends."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from evaa.documents.n8n.links import Link
from evaa.documents.n8n.nodes import ERROR, MAIN, MANUAL, SPLIT_IN_BATCHES
from evaa.documents.n8n.problems import Report, shown
from evaa.documents.n8n.values import Node

Edges = Mapping[str, Iterable[str]]

_MAX_LOOPS_IN_LOOPS = 50
"""Loops that are nested more deeply than that are not looked into."""

_BY_HAND = frozenset((MANUAL.name, ERROR.name, "n8n-nodes-base.start"))
"""They start a workflow, but not for its own sake: at the push of a button, or when another run has failed."""


def check_graph(nodes: Sequence[Node], links: Sequence[Link], place: str, report: Report) -> None:
    """Report what is wrong with the workflow as a whole."""
    working = {node.name: node for node in nodes if not node.is_note}
    if not working:
        report.add("no-nodes", place, "there is no node that does anything", "a workflow needs a trigger at least")
        return
    _check_triggers(working.values(), place, report)
    sound = [link for link in links if link.source in working and link.target in working]
    _check_reach(working, sound, report)
    _check_cycles(working, sound, place, report)


def _check_triggers(nodes: Iterable[Node], place: str, report: Report) -> None:
    triggers = [node for node in nodes if node.is_trigger and not node.is_disabled]
    if not triggers:
        right = "a workflow begins with a trigger, such as Schedule Trigger or Webhook"
        report.add("no-trigger", place, "no node starts the workflow", right)
    elif all(node.type in _BY_HAND for node in triggers):
        right = "to run by itself it needs a trigger that is enabled, such as Schedule Trigger or Webhook"
        report.add("only-by-hand", place, "the workflow starts by hand only", right)


def _check_reach(nodes: Mapping[str, Node], links: Sequence[Link], report: Report) -> None:
    """Main connections are followed forwards, others backwards: a model or a tool serves what it is connected to."""
    ways = defaultdict(list)
    for link in links:
        if link.kind == MAIN:
            ways[link.source].append(link.target)
        else:
            ways[link.target].append(link.source)
    reached = reachable(ways, [node.name for node in nodes.values() if node.is_trigger])
    for node in nodes.values():
        if node.name and node.name not in reached:
            report.add("unreached", node.place, "no trigger leads here", "connect it, or leave it out")


def _check_cycles(nodes: Mapping[str, Node], links: Sequence[Link], place: str, report: Report) -> None:
    """Report each knot that nothing leads out of, and look again within the others, without what leads out of them."""
    by_node = defaultdict(list)
    for link in links:
        is_followed = link.output == 0 or not nodes[link.source].is_disabled
        if link.kind == MAIN and is_followed:
            by_node[link.source].append(link)
    ways = {name: [link.target for link in by_node[name]] for name in nodes}
    for _ in range(_MAX_LOOPS_IN_LOOPS):
        inner: dict[str, list[str]] = {}
        for knot in knots(ways):
            lasting = {name for name in knot if not _lets_out(nodes[name], by_node[name], knot)}
            if lasting == knot:
                names = ", ".join(shown(name) for name in sorted(knot)[:5]) + (" …" if len(knot) > 5 else "")
                right = "loop with Loop Over Items, or let an If or a Switch lead out"
                report.add("endless-cycle", place, f"these lead in a circle without an exit: {names}", right)
            else:
                inner |= {name: [target for target in ways[name] if target in lasting] for name in lasting}
        ways = inner


def _lets_out(node: Node, links: Sequence[Link], knot: set[str]) -> bool:
    """Whether items can leave a cycle here: by an output that does not lead back, or because the node keeps them."""
    if node.is_disabled:
        return False  # everything goes through by the first output
    if node.kind is not None and node.kind.may_drop_all:
        return True
    back = {link.output for link in links if link.target in knot}
    if node.kind is SPLIT_IN_BATCHES:
        loop = 0 if (node.version or 1) < 3 else 1
        return back == {loop}
    if node.outputs is None:
        return True  # not known: it may have an output that leads out
    return len(back) < node.outputs


def reachable(ways: Edges, starts: Iterable[str]) -> set[str]:
    """All that can be reached, the starts included."""
    reached = set(starts)
    waiting = list(reached)
    while waiting:
        new = [name for name in ways.get(waiting.pop(), ()) if name not in reached]
        reached.update(new)
        waiting += new
    return reached


def knots(ways: Edges) -> Iterator[set[str]]:
    """The parts of a graph in which every node leads back to itself (Tarjan's algorithm, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for start in ways:
        if start in order:
            continue
        walk: list[tuple[str, Iterator[str]]] = []
        _enter(start, ways, order, low, path, on_path, walk)
        while walk:
            name, rest = walk[-1]
            target = next(rest, None)
            if target is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[name])
                if low[name] == order[name]:
                    knot = _cut(name, path, on_path)
                    if len(knot) > 1 or name in ways[name]:
                        yield knot
            elif target not in order:
                _enter(target, ways, order, low, path, on_path, walk)
            elif target in on_path:
                low[name] = min(low[name], order[target])


def _enter(
    name: str,
    ways: Edges,
    order: dict[str, int],
    low: dict[str, int],
    path: list[str],
    on_path: set[str],
    walk: list[tuple[str, Iterator[str]]],
) -> None:
    order[name] = low[name] = len(order)
    path.append(name)
    on_path.add(name)
    walk.append((name, iter(ways[name])))


def _cut(name: str, path: list[str], on_path: set[str]) -> set[str]:
    knot: set[str] = set()
    while name not in knot:
        knot.add(path.pop())
    on_path -= knot
    return knot
