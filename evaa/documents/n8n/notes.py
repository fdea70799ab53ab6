"""What the sticky notes say: what the BRD has on each step, what is left to fill in, and what is still open."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from evaa.documents.catalogue import BY_KEY
from evaa.documents.formats.text import ABSENT
from evaa.documents.n8n import nodes
from evaa.documents.n8n.plan import Plan, Step, goes_on
from evaa.documents.n8n.text import markdown
from protocols.documents import Brd, Entry

FIELD_CHARS = 600
NOTE_CHARS = 3_000
"""A note longer than this is continued in another."""

_BOARD = (("openQuestions", 3), ("requirements", 4), ("businessRules", 4), ("data", 5), ("integrations", 5))
"""The sections that have notes of their own, and the colours of these (n8n counts them from 1 to 7)."""

_SIGNS_IN = ("authentication", "limits", "owner")


class Note(msgspec.Struct, frozen=True):
    """A sticky note: its key among the workflow's ids, its Markdown, its colour."""

    key: str
    content: str
    color: int = 7


def overview(brd: Brd) -> Note:
    """The note that says what this is."""
    lines = [
        f"## {markdown(brd.title, FIELD_CHARS) or 'Workflow'}",
        f"Made from {markdown(brd.brd_id, 80)}, version {brd.version} ({brd.state}). It can be run by hand as it is:"
        " every step passes on what it gets, and nothing is sent anywhere.",
        "- **No Operation** nodes are placeholders: the note above each says what belongs there.",
        "- **Deactivated** nodes are the right ones, but empty: fill them in, choose a credential, activate them.",
        "- **If** and **Edit Fields** are empty, too: everything is true, and nothing is changed.",
        "- The path that begins with **Error Trigger** runs by itself when the workflow, once it is active, fails.",
        "- *(assumed)*: nobody said so; ask before you rely on it.",
    ]
    return Note(":overview", "\n".join(lines), 6)


def step_note(step: Step, brd: Brd, plan: Plan) -> Note | None:
    """The note of a step; None for what needs none."""
    lines = list(_said_of(step, brd)) if step.entry else []
    if to_do := list(_to_do(step, plan)):
        lines += ["**To fill in**", *(f"- {line}" for line in to_do)]
    return Note(f"{step.key}:note", "\n".join(lines)) if lines else None


def to_do_in_short(step: Step, plan: Plan) -> str:
    """The same in one line of plain text, for the node itself."""
    name = f"{step.entry.entry_id}: " if step.entry else ""
    lines = " ".join(f"{line}." for line in _to_do(step, plan))
    return f"{name}{lines.replace('*', '')}" if lines else ""


def board(brd: Brd) -> Iterator[Note]:
    """The notes of whole sections: requirements, rules, fields, systems; first of all what is still open."""
    for key, color in _BOARD:
        yield from section_notes(brd, key, color)


def section_notes(brd: Brd, key: str, color: int) -> Iterator[Note]:
    """A section as notes, as many as it takes; none if it is empty, unless it is the open questions."""
    kind, section = BY_KEY[key], brd.section(key)
    lines = [_line(entry, key) for entry in section.entries]
    if section.missing:
        lines.append(f"- Missing: {markdown(section.missing, FIELD_CHARS)}")
    if not lines and key == "openQuestions":
        lines.append("None is noted.")
    for number, part in enumerate(_parts(lines), 1):
        title = kind.title if number == 1 else f"{kind.title} ({number})"
        yield Note(f":{key}:{number}", "\n".join((f"## {title}", *part)), color)


def _said_of(step: Step, brd: Brd) -> Iterator[str]:
    assert step.entry is not None
    entry, fields = step.entry, step.entry.fields
    headline = markdown(_headline(entry), FIELD_CHARS)
    yield f"**{_name(entry)}**{_assumed(entry)} {headline}"
    for label, key in (("System", "system"), ("Detail", "detail"), ("Otherwise", "otherwise")):
        if (text := markdown(fields.get(key, ""), FIELD_CHARS)) not in ("", headline):
            yield f"**{label}** {text}"
    said = " ".join(fields.values()).casefold()
    for label, key in (("Requirement", "requirements"), ("Rule", "businessRules")):
        for found in brd.section(key).entries:
            if _mentions(said, found.entry_id):
                first = BY_KEY[key].columns[0].key
                yield f"**{label} {_name(found)}** {markdown(found.fields.get(first, ''), FIELD_CHARS)}"
    touched = [found for found in brd.section("data").entries if _mentions(said, found.fields.get("field", ""))]
    if touched:
        yield "**Fields** " + "; ".join(markdown(found.fields.get("field", ""), 60) for found in touched)
    yield from _access(fields.get("system", ""), brd)


def _access(system: str, brd: Brd) -> Iterator[str]:
    """What is known of how to get at a system."""
    for found in brd.section("integrations").entries:
        name = found.fields.get("system", "")
        if name and system and (_mentions(system.casefold(), name) or _mentions(name.casefold(), system)):
            known = [_labelled(found, "integrations", key) for key in _SIGNS_IN if found.fields.get(key)]
            yield f"**Access** {'; '.join(known) or 'not said yet'} ({_name(found)})"


def _to_do(step: Step, plan: Plan) -> Iterator[str]:
    if step.kind is nodes.MANUAL:
        if not plan.has_trigger:
            yield "What starts the workflow could not be told: add the trigger that fits"
    elif step.kind.is_trigger:
        yield from _to_do_for_a_trigger(step)
    elif step.kind is nodes.IF:
        yield "The condition: until then everything counts as true"
        goes = goes_on(step.entry.fields.get("otherwise", "")) if step.entry else False
        yield (
            "Both ways meet again: take that connection away if one ends here"
            if goes
            else ("The other way ends in its placeholder: connect it if it goes on")
        )
    elif step.kind is nodes.SET:
        yield "The fields: until then everything passes unchanged"
    elif step.is_disabled:
        yield f"Credential and parameters of **{step.kind.label}**; then activate the node"
    elif step.entry is not None:
        yield _to_do_for_a_placeholder(step, step.entry)


def _to_do_for_a_trigger(step: Step) -> Iterator[str]:
    if step.kind is nodes.SCHEDULE:
        yield (
            "When it runs; then activate the node" if step.is_disabled else "Compare when it runs with the words above"
        )
    elif step.kind is nodes.WEBHOOK:
        yield "Give its address to what calls it, and choose how that signs in"
    elif step.kind is nodes.FORM:
        yield "The form's fields; then activate the node"
    elif step.kind is not nodes.ERROR:
        yield f"The credential of **{step.kind.label}**, and which messages count"


def _to_do_for_a_placeholder(step: Step, entry: Entry) -> str:
    what, system = entry.fields.get("kind", ""), entry.fields.get("system", "").strip()
    if what == "approval":
        return "Replace it by the *send and wait for response* of the app that asks, or by **Wait** for a webhook call"
    if what == "wait":
        return "Replace it by **Wait**, with how long or for what"
    if step.suggestion is not None:
        return f"Replace it by **{step.suggestion.label}**, with its credential and the operation that is wanted"
    if what == "trigger":
        return "Replace it by the trigger that n8n has for this system, or by **Webhook** if the system can call one"
    if system:
        return "Replace it by the node that n8n has for this system, or by **HTTP Request** with the system's address"
    return "Replace it by the node that does this"


def _line(entry: Entry, key: str) -> str:
    """An entry in a line. A field that only says the first again is left out; and nobody need assume a question."""
    first, *others = BY_KEY[key].columns
    said = entry.fields.get(first.key, "").strip()
    more = [it.key for it in others if entry.fields.get(it.key, "").strip() not in ("", said)]
    rest = "".join(f" · {_labelled(entry, key, column)}" for column in more)
    assumed = "" if key == "openQuestions" else _assumed(entry)
    return f"- **{_name(entry)}**{assumed} {markdown(said, FIELD_CHARS)}{rest}"


def _labelled(entry: Entry, section: str, key: str) -> str:
    label = next(column.label for column in BY_KEY[section].columns if column.key == key)
    return f"*{label}:* {markdown(entry.fields.get(key, ''), FIELD_CHARS)}"


def _name(entry: Entry) -> str:
    """Its id. Where that is empty, a dash: asterisks with nothing between them are a line across the note."""
    return markdown(entry.entry_id, 40) or ABSENT


def _headline(entry: Entry) -> str:
    return entry.fields.get("step", "") or entry.fields.get("text", "")


def _assumed(entry: Entry) -> str:
    return " *(assumed)*" if entry.status == "inferred" else ""


def _mentions(said: str, name: str) -> bool:
    """Whether a text, in lower case, has this name in it, as words of its own."""
    words = name.casefold().strip()
    if len(words) < 2 or words not in said:  # which is much sooner told
        return False
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", said) is not None


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for line in lines:
        if part and sum(map(len, part)) + len(line) > NOTE_CHARS:
            yield part
            part = []
        part.append(line)
    if part:
        yield part
