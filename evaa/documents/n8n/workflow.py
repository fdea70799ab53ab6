"""The n8n workflow that a BRD asks for: a skeleton to import, to run by hand at once, and to fill in.

What is not known is not made up: see `plan` for what becomes a node, `notes` for what the sticky notes carry. The same
BRD gives the same workflow, and an entry's node has the same id in every version.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from evaa.documents.n8n import layout
from evaa.documents.n8n.checker import check
from evaa.documents.n8n.ids import uuid_of
from evaa.documents.n8n.layout import Box
from evaa.documents.n8n.nodes import FORM, MAIN, STICKY_NOTE, WEBHOOK
from evaa.documents.n8n.notes import Note, board, overview, section_notes, step_note, to_do_in_short
from evaa.documents.n8n.plan import ERROR_KEYS, Names, Plan, Step, make_plan
from evaa.documents.n8n.problems import Problem
from evaa.documents.n8n.text import plain
from protocols.documents import Brd

TITLE_CHARS = 100


class WorkflowRefused(Exception):
    """The workflow that was made has errors. This is EVAA's own mistake, whatever the BRD says."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.code} at {problem.place}" for problem in problems[:5]))
        self.problems = problems


def workflow(brd: Brd) -> dict[str, Any]:
    """Return the workflow: an object with just the keys that n8n's API takes, too.

    Run by hand, it needs no credential and runs through. Raises `WorkflowRefused` if it does not pass `check`.
    """
    plan = make_plan(brd)
    names = {step.key: step.name for step in plan.steps}
    steps = [_node(step, brd, plan) for step in plan.steps]
    made = {
        "name": plain(brd.title, TITLE_CHARS) or "Workflow",
        "nodes": [*steps, *_sticky_notes(brd, plan)],
        "connections": _connections(plan, names),
        "settings": {"executionOrder": "v1"},
    }
    errors = tuple(problem for problem in check(made) if problem.level == "error")
    if errors:
        raise WorkflowRefused(errors)
    return made


def export(brd: Brd) -> bytes:
    """Return the workflow as a file. Raises what `workflow` does."""
    return msgspec.json.format(msgspec.json.encode(workflow(brd)), indent=2) + b"\n"


def _node(step: Step, brd: Brd, plan: Plan) -> dict[str, Any]:
    box = layout.node_box(step.column, step.lane)
    node_id = uuid_of(brd.brd_id, step.key)
    node = {
        "id": node_id,
        "name": step.name,
        "type": step.kind.name,
        "typeVersion": step.kind.version,
        "position": [box.x, box.y],
        "parameters": step.parameters,
    }
    if step.is_disabled:
        node["disabled"] = True
    if step.kind in (WEBHOOK, FORM):
        node["webhookId"] = uuid_of(brd.brd_id, step.key, "webhook")
    if note := to_do_in_short(step, plan):
        node["notes"] = plain(note, 400)
    return node


def _connections(plan: Plan, names: dict[str, str]) -> dict[str, Any]:
    connections: dict[str, dict[str, list[list[dict[str, Any]]]]] = {}
    for wire in plan.wires:
        outputs = connections.setdefault(names[wire.source], {MAIN: []})[MAIN]
        while len(outputs) <= wire.output:
            outputs.append([])
        outputs[wire.output].append({"node": names[wire.target], "type": MAIN, "index": 0})
    return connections


def _sticky_notes(brd: Brd, plan: Plan) -> Iterable[dict[str, Any]]:
    taken = Names()
    for step in plan.steps:
        taken.take(step.name, "")
    for note, box in _placed(brd, plan):
        parameters = {"content": note.content, "height": box.height, "width": box.width, "color": note.color}
        yield {
            "id": uuid_of(brd.brd_id, note.key),
            "name": taken.take("Sticky Note", ""),
            "type": STICKY_NOTE.name,
            "typeVersion": STICKY_NOTE.version,
            "position": [box.x, box.y],
            "parameters": parameters,
        }


def _placed(brd: Brd, plan: Plan) -> Iterable[tuple[Note, Box]]:
    first = overview(brd)
    yield first, layout.left(first.content)
    errors = _error_note(brd)
    lane = max(step.lane for step in plan.steps)
    error_box = layout.below(lane, errors.content)
    yield errors, error_box
    for column in range(1 + max(step.column for step in plan.steps)):
        note = _note_of_column(column, brd, plan)
        if note is not None:
            yield note, layout.above(column, note.content)
    rest = list(board(brd))
    boxes = layout.row(error_box.y + error_box.height + 2 * layout.GAP, [note.content for note in rest])
    yield from zip(rest, boxes, strict=True)


def _note_of_column(column: int, brd: Brd, plan: Plan) -> Note | None:
    """One note for all that stands in a column, the error path apart: several triggers share the first."""
    steps = [step for step in plan.steps if step.column == column and step.key not in ERROR_KEYS]
    notes = [note for step in steps if (note := step_note(step, brd, plan)) is not None]
    if not notes:
        return None
    return Note(notes[0].key, "\n\n".join(note.content for note in notes), notes[0].color)


def _error_note(brd: Brd) -> Note:
    said = [note.content for note in section_notes(brd, "errorHandling", 3)]
    text = "\n\n".join(said) or "## Error handling and alerts\nNothing was said of it."
    how = "**To fill in** what is done, and who is told how: the placeholders above stand for it."
    return Note(":errors", f"{text}\n\n{how}", 3)
