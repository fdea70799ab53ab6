"""From the BRD's solution to the nodes of a workflow and how they are connected; where they stand comes later.

Nothing is made up. A step whose node is known and whose usual operation is the one that is wanted becomes that node,
switched off: n8n passes its items on, and asks for nothing, until somebody has filled it in. Every other step with a
system becomes a placeholder that does nothing.
"""

import itertools
import re
from typing import Any

import msgspec

from evaa.documents.n8n import nodes
from evaa.documents.n8n.ids import uuid_of
from evaa.documents.n8n.node_checks import UNSAFE_NAMES
from evaa.documents.n8n.nodes import NodeType
from evaa.documents.n8n.text import plain, shortened
from evaa.documents.n8n.triggers import Trigger, trigger_for
from protocols.documents import Brd, Entry

NAME_CHARS = 80

_APPS: tuple[tuple[re.Pattern[str], NodeType, frozenset[str]], ...] = tuple(
    (re.compile(rf"\b({words})\b"), kind, frozenset(kinds.split()))
    for words, kind, kinds in (
        ("slack", nodes.SLACK, "notify"),
        ("telegram", nodes.TELEGRAM, "notify"),
        ("gmail|google mail", nodes.GMAIL, "notify"),
        ("outlook|exchange online", nodes.OUTLOOK, "notify"),
        ("google sheets?", nodes.GOOGLE_SHEETS, "read"),
        ("google drive", nodes.GOOGLE_DRIVE, ""),
        ("(microsoft|ms) teams", nodes.TEAMS, ""),
        ("excel", nodes.EXCEL, ""),
        ("notion", nodes.NOTION, ""),
        ("hubspot", nodes.HUBSPOT, ""),
        ("postgres(ql)?", nodes.POSTGRES, ""),
        ("mysql", nodes.MYSQL, ""),
        ("e-?mails?|smtp", nodes.EMAIL_SEND, "notify"),
    )
)
"""What a system is called, its node, and the kinds of step that its usual operation is right for."""


class Step(msgspec.Struct, frozen=True):
    """A node: where it stands in the grid of columns and lanes, and the entry that it comes from.

    `suggestion` is the node that might take the place of a placeholder.
    """

    key: str
    name: str
    kind: NodeType
    column: int
    lane: int = 0
    parameters: dict[str, Any] = {}
    is_disabled: bool = False
    entry: Entry | None = None
    suggestion: NodeType | None = None


class Wire(msgspec.Struct, frozen=True):
    """A connection, by the steps' keys."""

    source: str
    target: str
    output: int = 0


class Plan(msgspec.Struct, frozen=True):
    """The nodes, in the order of the solution after the one that starts a test, and their connections."""

    steps: tuple[Step, ...]
    wires: tuple[Wire, ...]
    has_trigger: bool


MANUAL_KEY = ":manual"
ERROR_KEYS = (":error", ":reaction", ":alert")
"""The keys that are no entry's."""


def make_plan(brd: Brd) -> Plan:
    """Return the plan of a BRD's workflow."""
    entries = brd.section("solution").entries
    planner = _Planner(brd)
    steps = [entry for entry in entries if not planner.lay_trigger(entry)]
    if not any(_is_trigger(entry) for entry in entries):
        for entry in brd.section("futureProcess").entries:
            if entry.fields.get("aspect") == "trigger":
                planner.lay_trigger(entry)
    for entry in steps:
        planner.lay(entry)
    return planner.finished()


class _Planner:
    """Lays one step after the other. `_ends` are the outputs that lead to the next one."""

    def __init__(self, brd: Brd) -> None:
        self._brd = brd
        self._names = Names()
        self._keys: set[str] = set()
        self._steps: list[Step] = []
        self._wires: list[Wire] = []
        self._column = 0
        self._lanes = 1
        self._manual = Step(MANUAL_KEY, self._names.take("Test by hand", ""), nodes.MANUAL, 0)
        self._has_trigger = False
        self._ends = [(MANUAL_KEY, 0)]

    def lay_trigger(self, entry: Entry) -> bool:
        """Lay the trigger that an entry asks for, below the one for tests; False if it asks for none."""
        if not (_is_trigger(entry) or "aspect" in entry.fields) or (trigger := self._trigger(entry)) is None:
            return False
        self._has_trigger = True
        if trigger.kind is nodes.MANUAL:
            self._manual = msgspec.structs.replace(self._manual, entry=entry)
            return True
        step = self._step(entry, trigger.kind, self._lanes, trigger.parameters, is_disabled=not trigger.is_set)
        self._lanes += 1
        self._ends.append((step.key, 0))
        return True

    def lay(self, entry: Entry) -> None:
        """Lay the next step."""
        self._column += 1
        kind, suggestion, parameters = nodes.NO_OP, None, {}
        match entry.fields.get("kind"):
            case "decision":
                kind, parameters = nodes.IF, _undecided(uuid_of(self._brd.brd_id, entry.entry_id, "condition"))
            case "transform":
                kind, parameters = nodes.SET, _UNCHANGED
            case "wait" | "approval":
                pass
            case what:
                kind, suggestion = _node_for(entry, what or "")
        is_disabled = kind.credentials is not None
        step = self._step(entry, kind, 0, parameters, is_disabled=is_disabled, suggestion=suggestion)
        self._join(step.key)
        self._ends = [(step.key, 0)]
        if kind is nodes.IF:
            self._lay_otherwise(step, entry)

    def finished(self) -> Plan:
        """The plan, with an end for the ways of a last decision, and with the path for errors."""
        if len(self._ends) > 1 and self._column:
            self._column += 1
            end = Step(":end", self._names.take("End", ""), nodes.NO_OP, self._column)
            self._steps.append(end)
            self._join(end.key)
        self._lay_error_path()
        return Plan((self._manual, *self._steps), tuple(self._wires), self._has_trigger)

    def _trigger(self, entry: Entry) -> Trigger | None:
        fields = entry.fields
        said = " ".join(fields.get(key, "") for key in ("step", "system", "detail", "text"))
        path, title = uuid_of(self._brd.brd_id, entry.entry_id, "path"), plain(self._brd.title, NAME_CHARS)
        return trigger_for(said, path=path, title=title or "Form")

    def _step(self, entry: Entry, kind: NodeType, lane: int, parameters: dict[str, Any], **more: Any) -> Step:
        name = self._names.take(entry.fields.get("step", "") or entry.fields.get("text", ""), plain(entry.entry_id, 20))
        column = 0 if kind.is_trigger else self._column
        step = Step(self._key(entry.entry_id), name, kind, column, lane, parameters, entry=entry, **more)
        self._steps.append(step)
        return step

    def _lay_otherwise(self, decision: Step, entry: Entry) -> None:
        otherwise = entry.fields.get("otherwise", "")
        name = self._names.take(otherwise, "Otherwise, not said yet")
        key = self._key(f"{entry.entry_id}:otherwise")
        self._steps.append(Step(key, name, nodes.NO_OP, self._column + 1, 1))
        self._lanes = max(self._lanes, 2)
        self._wires.append(Wire(decision.key, key, 1))
        if goes_on(otherwise):
            self._ends.append((key, 0))

    def _join(self, key: str) -> None:
        self._wires += [Wire(source, key, output) for source, output in self._ends]

    def _lay_error_path(self) -> None:
        kinds = (nodes.ERROR, nodes.NO_OP, nodes.NO_OP)
        wanted = ("When the workflow fails", "React to the failure", "Tell who is responsible")
        for column, (key, kind, name) in enumerate(zip(ERROR_KEYS, kinds, wanted, strict=True)):
            self._steps.append(Step(key, self._names.take(name, ""), kind, column, self._lanes))
        self._wires += [Wire(source, target) for source, target in itertools.pairwise(ERROR_KEYS)]

    def _key(self, wanted: str) -> str:
        key, number = wanted, 2
        while key in self._keys:
            key, number = f"{wanted}:{number}", number + 1
        self._keys.add(key)
        return key


class Names:
    """Gives out names: each once, short, and harmless in n8n."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str, otherwise: str) -> str:
        """The wanted name, or one as near to it as possible."""
        name = plain(wanted, NAME_CHARS) or otherwise or "Step"
        if name in UNSAFE_NAMES:
            name = f"Step {name}"
        free, number = name, 2
        while free.casefold() in self._taken:
            free, number = f"{shortened(name, NAME_CHARS - 8)} ({number})", number + 1
        self._taken.add(free.casefold())
        return free


def goes_on(otherwise: str) -> bool:
    """Whether the process goes on after what is done otherwise; not if that is not said, or said to be its end."""
    return bool(otherwise.strip()) and not _ENDS.search(" ".join(otherwise.casefold().split()))


def app_for(system: str) -> NodeType | None:
    """The node for a system, if it is on EVAA's list."""
    words = system.casefold()
    return next((kind for pattern, kind, _ in _APPS if pattern.search(words)), None)


def _node_for(entry: Entry, what: str) -> tuple[NodeType, NodeType | None]:
    """The node for a step, or else a placeholder and the node that it stands for, as far as that is known."""
    system = entry.fields.get("system", "") or (entry.fields.get("step", "") if what == "notify" else "")
    kind = app_for(system)
    if any(what in usual for _, app, usual in _APPS if app is kind):
        return kind or nodes.NO_OP, None
    return nodes.NO_OP, kind


def _is_trigger(entry: Entry) -> bool:
    return entry.fields.get("kind") == "trigger"


def _undecided(condition_id: str) -> dict[str, Any]:
    """The parameters of an If as the editor begins with them: nothing equals nothing, so it is true."""
    operator = {"type": "string", "operation": "equals"}
    condition = {"id": condition_id, "leftValue": "", "rightValue": "", "operator": operator}
    options = {"caseSensitive": True, "leftValue": "", "typeValidation": "strict", "version": 2}
    return {"conditions": {"options": options, "conditions": [condition], "combinator": "and"}, "options": {}}


_UNCHANGED: dict[str, Any] = {"assignments": {"assignments": []}, "includeOtherFields": True, "options": {}}
_ENDS = re.compile(
    r"^(nothing|none|no action|stop|end|ignore|discard|reject|abort|cancel)|\b(do|does) nothing\b"
    r"|\bnothing( else| more)? happens\b|\b(process|workflow|run|it) (stops|ends|is over)\b"
    r"|\b(is|are) (ignored|discarded|rejected|cancelled)\b"
)
