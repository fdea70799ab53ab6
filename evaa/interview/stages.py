"""The interview's stages as people write them: the default set, and stage files read strictly and written back.

A stage file is YAML, or JSON as YAML's subset: a list of stages, or a mapping whose only key `stages` holds that list.
Files are written by hand, so reading one finds every problem at once and names its place. Nothing is guessed: YAML's
own guesses (a bare `no` is false, a bare `1:30` is ninety) are refused where text is expected.

The file is read as a graph of YAML nodes and no object is ever constructed from it, which leaves tags without effect.
"""

import difflib
import functools
import hashlib
import importlib.resources
import itertools
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import yaml

from protocols.records import Stage

MAX_BYTES = 2**20
MAX_STAGES = 50
MAX_FOLLOW_UPS = 10
MAX_KEYTERMS = 50

Format = Literal["yaml", "json"]

_LONGEST = {"name": 80, "description": 500, "goal": 4000, "opening": 600, "followUps": 600, "keyterms": 100}
_TEXTS = ("name", "description", "goal", "opening")
_KEYS = ("stageId", "name", "description", "order", "goal", "opening", "maxFollowUps", "followUps", "keyterms")
_OTHER_SPELLINGS = {"id": "stageId", "question": "opening", "questions": "followUps"}
_DEFAULT_MAX_FOLLOW_UPS = 3
_HIGHEST_ORDER = 999_999
_DEEPEST = 16
_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
    "seq": "a list",
    "map": "a mapping",
}
_STAGE_ID = re.compile(r"[0-9a-fA-F]{24}")
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})")

_T = TypeVar("_T", str, int)


class StagesRefused(ValueError):
    """A stage file that cannot be taken. `problems` lists all that is wrong, each line beginning with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@functools.cache
def default_stages() -> tuple[Stage, ...]:
    """Return the eight stages that EVAA comes with; together they give a BRD for an n8n automation all it needs."""
    return parse_stages(importlib.resources.files(__package__).joinpath("default_stages.yaml").read_text("utf-8"))


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages of a stage file, sorted by their order. Raises `StagesRefused` and nothing else.

    `order` may be left out, and is then the stage's position in the file. `stageId` may be left out, and is then
    derived from order and name, so that the same file always gives the same ids. Texts lose surrounding white space.
    """
    return _read_stages(_compose(text))


def format_stages(stages: Sequence[Stage], form: Format) -> str:
    """Return a stage file with these stages. `parse_stages` gives back every set that it would accept."""
    document = {"stages": [_plain(stage) for stage in stages]}
    if form == "json":
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    written: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return written


def _plain(stage: Stage) -> dict[str, Any]:
    return {
        "stageId": stage.stage_id,
        "name": stage.name,
        "description": stage.description,
        "order": stage.order,
        "goal": stage.goal,
        "opening": stage.opening,
        "maxFollowUps": stage.max_follow_ups,
        "followUps": list(stage.follow_ups),
        "keyterms": list(stage.keyterms),
    }


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block, the way that a person would."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


# --- from text to nodes -----------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Composes nodes, but neither aliases (a few lines of them can stand for gigabytes) nor bottomless nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, having looked at what it is."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:  # an alias has one, too
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        if self._depth >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise StagesRefused(("the file: larger than 1 MiB",))
    if "\t" in text and _is_json(text):
        text = text.replace("\t", " ")  # JSON may be indented by tabs, which YAML forbids; its strings hold none
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        raise StagesRefused((_unreadable(text, error.position),)) from None
    except yaml.MarkedYAMLError as error:
        raise StagesRefused((_syntax_problem(error),)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the scanner's own slips: "\UFFFFFFFF", say
        raise StagesRefused((f"the file: not YAML ({error})",)) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _unreadable(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}: the character U+{ord(text[position]):04X} is not allowed"


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{place}: {what}"


# --- from nodes to stages ---------------------------------------------------------------------------------------


def _read_stages(root: yaml.Node | None) -> tuple[Stage, ...]:
    reader = _Reader()
    entries = reader.entries(root)
    stages = [reader.stage(node, f"stages[{index}]", index + 1) for index, node in enumerate(entries[:MAX_STAGES])]
    reader.check_unique("stageId", [stage.stage_id for stage in stages])
    reader.check_unique("name", [stage.name.casefold() for stage in stages])
    reader.check_unique("order", [stage.order for stage in stages])
    if reader.problems:
        raise StagesRefused(reader.problems)
    return tuple(sorted(stages, key=lambda stage: stage.order))


class _Reader:
    """Reads nodes into values and collects what is wrong; a value that was refused is empty, or out of range."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def refuse(self, place: str, what: str) -> None:
        """Note a problem."""
        self.problems.append(f"{place}: {what}")

    def entries(self, root: yaml.Node | None) -> list[yaml.Node]:
        """Return the nodes of the stages."""
        if isinstance(root, yaml.MappingNode):
            root = self.fields(root, "", ("stages",)).get("stages")
        if not isinstance(root, yaml.SequenceNode):
            got = "nothing" if root is None else _kind(root)
            self.refuse("stages", f"expected a list of stages, got {got}")
            return []
        if not 1 <= len(root.value) <= MAX_STAGES:
            self.refuse("stages", f"expected 1 to {MAX_STAGES} stages, got {len(root.value)}")
        return list(root.value)

    def fields(self, node: yaml.MappingNode, place: str, known: Sequence[str]) -> dict[str, yaml.Node]:
        """Return the known fields of a mapping; refuse unknown and repeated keys."""
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else _kind(key_node)
            where = f"{place}.{_shorten(key)}" if place else _shorten(key)
            if key not in known:
                self.refuse(where, f"unknown key{_suggestion(key, known)}")
            elif key in found:
                self.refuse(where, "given twice")
            else:
                found[key] = value
        return found

    def stage(self, node: yaml.Node, place: str, position: int) -> Stage:
        """Return the stage of a node."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(place, f"expected a stage (a mapping), got {_kind(node)}")
            return Stage("", "", "", "", order=-position, opening="")
        fields = self.fields(node, place, _KEYS)
        texts = {key: self.text(fields.get(key), f"{place}.{key}", _LONGEST[key]) for key in _TEXTS}
        self.check_line(texts["name"], f"{place}.name")
        order = self.number(fields.get("order"), f"{place}.order", (0, _HIGHEST_ORDER), position)
        most = self.number(
            fields.get("maxFollowUps"), f"{place}.maxFollowUps", (0, MAX_FOLLOW_UPS), _DEFAULT_MAX_FOLLOW_UPS
        )
        return Stage(
            stage_id=self.stage_id(fields.get("stageId"), f"{place}.stageId", order, texts["name"]),
            order=order,
            max_follow_ups=most,
            follow_ups=self.follow_ups(fields.get("followUps"), f"{place}.followUps", most),
            keyterms=self.keyterms(fields.get("keyterms"), f"{place}.keyterms"),
            name=texts["name"],
            description=texts["description"],
            goal=texts["goal"],
            opening=texts["opening"],
        )

    def text(self, node: yaml.Node | None, place: str, longest: int) -> str:
        """Return a text without surrounding white space; empty if it was refused."""
        if node is None:
            self.refuse(place, "missing")
            return ""
        if node.tag != f"{_TAG}str" or not isinstance(node, yaml.ScalarNode):
            self.refuse(place, f"expected text, got {_kind(node)}{_quoting_hint(node)}")
            return ""
        text, problem = _clean(node.value)
        if not problem and len(text) > longest:
            problem = f"{len(text)} characters, at most {longest} are allowed"
        if problem:
            self.refuse(place, problem)
            return ""
        return text

    def number(self, node: yaml.Node | None, place: str, bounds: tuple[int, int], default: int) -> int:
        """Return a whole number within bounds; -1 if it was refused."""
        if node is None:
            return default
        if node.tag != f"{_TAG}int" or not _WHOLE_NUMBER.fullmatch(node.value):
            got = _shorten(node.value) if node.tag in (f"{_TAG}int", f"{_TAG}float") else _kind(node)
            self.refuse(place, f"expected a whole number in plain digits, got {got}")
            return -1
        low, high = bounds
        if not low <= int(node.value) <= high:
            self.refuse(place, f"expected {low} to {high}, got {node.value}")
            return -1
        return int(node.value)

    def stage_id(self, node: yaml.Node | None, place: str, order: int, name: str) -> str:
        """Return the id that is given, in lower case, or else one made from order and name; empty if refused."""
        if node is None:
            digest = hashlib.blake2s(f"{order}:{name}".encode(), digest_size=12)
            return digest.hexdigest() if name else ""
        # Digits alone need no quotes here: a node keeps its text, so that not even leading zeros are lost.
        if isinstance(node, yaml.ScalarNode) and _STAGE_ID.fullmatch(node.value):
            return str(node.value).lower()
        self.refuse(place, "expected 24 hexadecimal digits")
        return ""

    def follow_ups(self, node: yaml.Node | None, place: str, most: int) -> tuple[str, ...]:
        """Return the follow-ups, none if there are none."""
        follow_ups = self.texts(node, place, _LONGEST["followUps"])
        if 0 <= most < len(follow_ups):
            self.refuse(place, f"{len(follow_ups)} follow-ups, but maxFollowUps is {most}")
        return follow_ups

    def keyterms(self, node: yaml.Node | None, place: str) -> tuple[str, ...]:
        """Return the words that speech recognition should expect, none if there are none."""
        keyterms = self.texts(node, place, _LONGEST["keyterms"])
        if len(keyterms) > MAX_KEYTERMS:
            self.refuse(place, f"{len(keyterms)} keyterms, at most {MAX_KEYTERMS} are allowed")
        for index, keyterm in enumerate(keyterms):
            self.check_line(keyterm, f"{place}[{index}]")
        return keyterms

    def texts(self, node: yaml.Node | None, place: str, longest: int) -> tuple[str, ...]:
        """Return a list of texts; empty if it is left out or was refused."""
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(place, f"expected a list of texts, got {_kind(node)}")
            return ()
        return tuple(self.text(item, f"{place}[{index}]", longest) for index, item in enumerate(node.value))

    def check_line(self, text: str, place: str) -> None:
        """Refuse a text of several lines."""
        if "\n" in text:
            self.refuse(place, "expected a single line")

    def check_unique(self, key: str, values: Sequence[_T]) -> None:
        """Refuse a value that an earlier stage has; what was refused already (empty, negative) is not compared."""
        first: dict[_T, int] = {}
        for index, value in enumerate(values):
            if value == "" or (isinstance(value, int) and value < 0):
                continue
            if value in first:
                self.refuse(f"stages[{index}].{key}", f"the same as that of stages[{first[value]}]")
            first.setdefault(value, index)


def _kind(node: yaml.Node) -> str:
    return _KINDS.get(node.tag.removeprefix(_TAG), "a value with a tag")


def _quoting_hint(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        return ""
    return f" ({_shorten(node.value)}; if that is meant as text, put it in quotes)"


def _shorten(text: str) -> str:
    """Return text that is fit for one line of a message."""
    plain = "".join(char if char.isprintable() else "?" for char in itertools.islice(text, 40))
    return plain + ("..." if len(text) > len(plain) else "")


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Name the known key that was probably meant, however it was spelled: `max_follow_ups`, `Goal`, `openning`."""
    bare = re.sub(r"[\s_-]", "", key[:100]).lower()
    by_bare = {name.lower(): name for name in known}
    by_bare |= {bare: name for bare, name in _OTHER_SPELLINGS.items() if name in known}
    near = difflib.get_close_matches(bare, by_bare, n=1, cutoff=0.7)
    return f"; did you mean {by_bare[near[0]]}?" if near else ""


def _clean(raw: str) -> tuple[str, str]:
    """Return the text in its stored form, and what is wrong with it, if anything is."""
    text = raw.replace("\r\n", "\n").strip()
    try:
        # JSON writes a character beyond U+FFFF as two escapes, which YAML does not put together again.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return "", "holds one half of a surrogate pair"
    odd = next((char for char in text if _is_odd(char)), None)
    if odd is not None:
        return "", f"holds the character U+{ord(odd):04X}, which is not allowed"
    return text, "" if text else "empty"


def _is_odd(char: str) -> bool:
    """Tell whether a character has no place in a text that is shown and spoken: control characters, U+2028 and such."""
    return (char not in "\n\t" and unicodedata.category(char) in ("Cc", "Zl", "Zp")) or char in "\ufeff\ufffe\uffff"
