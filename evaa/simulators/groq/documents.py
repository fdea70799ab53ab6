"""The Groq simulator's writer: fills in a JSON schema from the transcript in a request, deterministically. Pure.

It reads only what is on the wire: lines of JSON behind `[transcript]`, the task behind `[task]`, the user's words
behind `[user]`. It understands nothing. An entry is what the user said in a turn, sentence by sentence; which turns go
where is told by the words that they share with the task. A schema of another kind is filled in with empty values.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from evaa.simulators.groq.interviewer import message_text
from evaa.simulators.groq.structured import Node

MAX_ENTRIES = 3
LANGUAGE = "en"
"""It cannot tell, so it says what is likely."""

SENTENCE_CHARS = 300
MIN_WORD = 4

_MARKERS = ("[transcript]", "[summary]", "[task]", "[document]", "[user]")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"\w+")
_TURNS = re.compile(r"in these turns: ([0-9, ]{1,2000})")
_STEM_CHARS = 6
_AGREES = re.compile(r"\b(yes|ok|okay|confirm\w*|approved?|perfect|right|correct|fine|good|great)\b", re.IGNORECASE)
_OBJECTS = re.compile(
    r"\b(no|not|but|wrong|instead|change\w*|add|remove|replace|missing|forgot|should|must|isn't|incorrect)\b",
    re.IGNORECASE,
)

Json = dict[str, Any]


def fill_in(schema: Node, messages: Sequence[Any]) -> str:
    """Return a JSON text of the schema's form. Never raises for any messages."""
    texts = [message_text(it) for it in messages if isinstance(it, dict) and it.get("role") == "user"]
    parts = _parts(texts[0] if texts else "")
    filled = _review(schema, parts) if "intent" in schema.properties else _lists(schema, parts)
    return _writable(msgspec.json.encode(filled).decode())


def _parts(text: str) -> dict[str, list[str]]:
    """Return the lines behind each marker."""
    parts: dict[str, list[str]] = {marker: [] for marker in _MARKERS}
    lines = parts[_MARKERS[0]]
    for line in text.split("\n"):
        if line in parts:
            lines = parts[line]
        else:
            lines.append(line)
    return parts


def _objects(lines: Sequence[str]) -> Iterator[Json]:
    for line in lines:
        if line.startswith("{"):
            try:
                yield msgspec.json.decode(line, type=Json)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                continue


# --- documents ----------------------------------------------------------------------------------------------------


def _lists(schema: Node, parts: dict[str, list[str]]) -> Json:
    """Fill the first list with entries; what contradicts itself or is open, it cannot tell."""
    filled: Json = _empty(schema) if schema.properties else {}
    for name, part in list(schema.properties.items())[:1]:
        if part.items is not None and "fields" in part.items.properties:
            filled[name] = _entries(part.items, parts, is_project=name == "project")
    return filled | ({"language": LANGUAGE} if "language" in schema.properties else {})


def _entries(schema: Node, parts: dict[str, list[str]], *, is_project: bool) -> list[Json]:
    turns = [turn for turn in _objects(parts["[transcript]"]) if str(turn.get("said", "")).strip()]
    previous = [old for old in _objects(parts["[task]"]) if "id" in old]
    if "id" in schema.properties and previous:
        return [_kept(schema, old) for old in previous] + [_entry(schema, turn) for turn in turns[-1:]]
    chosen = turns[:1] if is_project else _best(turns, "\n".join(parts["[task]"]))
    return [_entry(schema, turn) for turn in chosen]


def _kept(schema: Node, old: Json) -> Json:
    texts = old["fields"] if isinstance(old.get("fields"), dict) else {}
    status = "stated" if old.get("status") in ("stated", "confirmed") else "inferred"
    return _fitting(schema, old | {"fields": _fitting(schema.properties["fields"], texts), "status": status})


def _fitting(schema: Node, values: Json) -> Json:
    return {name: values.get(name, _empty(part)) for name, part in schema.properties.items()}


def _best(turns: Sequence[Json], task: str) -> list[Json]:
    """Return the turns that the task names, or else those that share most words with it, in their order."""
    if named := _TURNS.search(task):
        numbers = {int(number) for number in named[1].replace(",", " ").split()}
        return [turn for turn in turns if turn.get("turn") in numbers][:MAX_ENTRIES]
    wanted = _stems(task)
    by_likeness = sorted(turns, key=lambda turn: -len(wanted & _stems(" ".join(map(str, turn.values())))))
    chosen = by_likeness[:MAX_ENTRIES]
    return [turn for turn in turns if turn in chosen]


def _entry(schema: Node, turn: Json) -> Json:
    sentences = [sentence.strip()[:SENTENCE_CHARS] for sentence in _SENTENCE.findall(str(turn["said"]))]
    words = iter([sentence for sentence in sentences if sentence] or [str(turn["said"])[:SENTENCE_CHARS]])
    fields = {
        name: _empty(column) if column.enum or "empty" in column.description else next(words, "")
        for name, column in schema.properties["fields"].properties.items()
    }
    number = turn["turn"] if isinstance(turn.get("turn"), int) else 0
    return _fitting(schema, {"turns": [number], "fields": fields, "status": "stated"})


def _empty(schema: Node) -> Any:
    """Return the least value of a schema."""
    if schema.enum:
        return schema.enum[0]
    kind = schema.type if isinstance(schema.type, str) else next(iter(schema.type), "")
    if kind == "object":
        return {name: _empty(part) for name, part in schema.properties.items()}
    values: Json = {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return values.get(kind, "")


# --- the review ---------------------------------------------------------------------------------------------------


def _review(schema: Node, parts: dict[str, list[str]]) -> Json:
    words = next((str(user.get("said", "")) for user in _objects(parts["[user]"])), "")
    if _OBJECTS.search(words):
        sections = _touched(schema, words, list(_objects(parts["[document]"])))
        change = " ".join(words.split()[:12])
        values: Json = {"intent": "correct", "sections": sections, "change": change, "reply": "I will change that."}
    elif _AGREES.search(words):
        values = {"intent": "confirm", "reply": "Thank you. The document is confirmed."}
    else:
        values = {"intent": "other", "reply": "I see. Is the document right as it is?"}
    return _fitting(schema, values)


def _touched(schema: Node, words: str, document: Sequence[Json]) -> list[str]:
    """Return the section that the words name, or else the one whose text is most like them."""
    listed = schema.properties["sections"].items if "sections" in schema.properties else None
    allowed = listed.enum or () if listed is not None else ()
    said = _stems(words)
    sections = [section for section in document if section.get("key") in allowed]
    named = [section["key"] for section in sections if said & _stems(str(section.get("title", "")))]
    likest = max(sections, key=lambda section: len(said & _stems(str(section))), default=None)
    return named or ([likest["key"]] if likest else list(allowed[:1]))


def _stems(text: str) -> set[str]:
    return {word.casefold()[:_STEM_CHARS] for word in _WORD.findall(text) if len(word) >= MIN_WORD}


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
