"""What the checker finds, and how bad each of it is."""

import json
from typing import Literal

import msgspec

Level = Literal["error", "warning"]
Step = Literal["import", "API", "editor", "activation", "run"]

MAX_PROBLEMS = 200
_SHOWN_CHARS = 80
_LARGE = 1e15

RULES: dict[str, tuple[Level, Step]] = {
    "not-json": ("error", "import"),
    "top-level": ("error", "import"),
    "list": ("warning", "API"),
    "name-missing": ("error", "import"),
    "nodes-missing": ("error", "import"),
    "connections-missing": ("error", "import"),
    "connections-list": ("error", "API"),
    "settings-missing": ("error", "API"),
    "unknown-key": ("warning", "API"),
    "no-nodes": ("error", "activation"),
    "no-trigger": ("error", "activation"),
    "only-by-hand": ("warning", "run"),
    "node-shape": ("error", "import"),
    "node-name": ("error", "run"),
    "node-type": ("error", "activation"),
    "node-version": ("error", "run"),
    "node-parameters": ("error", "editor"),
    "node-position": ("error", "editor"),
    "node-id": ("warning", "editor"),
    "duplicate-name": ("error", "run"),
    "duplicate-id": ("error", "editor"),
    "unsafe-name": ("error", "run"),
    "long-name": ("warning", "editor"),
    "unknown-type": ("error", "activation"),
    "unlisted-type": ("warning", "activation"),
    "unknown-version": ("error", "activation"),
    "newer-version": ("warning", "activation"),
    "parameter-missing": ("error", "activation"),
    "credential-missing": ("warning", "activation"),
    "connection-shape": ("error", "run"),
    "connection-from": ("error", "run"),
    "connection-to": ("error", "run"),
    "connection-kind": ("error", "run"),
    "output-range": ("error", "run"),
    "input-range": ("error", "run"),
    "endless-cycle": ("error", "run"),
    "unreached": ("warning", "run"),
    "expression-syntax": ("error", "run"),
    "expression-reference": ("error", "run"),
    "code-reference": ("warning", "run"),
    "too-deep": ("error", "import"),
    "more": ("error", "import"),
}
"""Of each code: its level, and the first step of n8n's that fails or goes wrong by it.

`error`: the workflow is refused, fails, or does something else than it says. `warning`: something is left to fill in,
or cannot be judged from here.
"""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, what, and what would be right."""

    code: str
    level: Level
    step: Step
    place: str
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"{self.level} [{self.code}, {self.step}] {self.place}: {self.wrong}; {self.right}"


class Report:
    """Collects problems, at most `MAX_PROBLEMS`; says so if there were more."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._more_errors = False
        self._left_off = 0

    def add(self, code: str, place: str, wrong: str, right: str) -> None:
        """Note a problem under one of the codes of `RULES`."""
        level, step = RULES[code]
        if not self.is_full:
            self._found.append(Problem(code, level, step, *map(printable, (place, wrong, right))))
        else:
            self._left_off += 1
            self._more_errors |= level == "error"

    @property
    def is_full(self) -> bool:
        """Whether what is found from now on is only counted."""
        return len(self._found) >= MAX_PROBLEMS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that was found, errors first, otherwise in the order of the document."""
        found = sorted(self._found, key=lambda problem: problem.level)
        if self._left_off:
            level: Level = "error" if self._more_errors else "warning"
            wrong = f"{self._left_off} more problems are not shown"
            found.append(Problem("more", level, "import", "the document", wrong, "put these right first"))
        return tuple(found)


def shown(value: object) -> str:
    """A value of the document in a message: short, quoted, on one line."""
    match value:
        case None:
            return "nothing"
        case str():
            text = json.dumps(value[:_SHOWN_CHARS], ensure_ascii=False)
            return text if len(value) <= _SHOWN_CHARS else f'{text[:-1]}…"'
        case bool():
            return json.dumps(value)
        case int() | float():
            return f"{value:g}" if abs(value) < _LARGE else "a very large number"
        case _:
            return "a list" if isinstance(value, list) else "an object"


def printable(text: str) -> str:
    """The text without what a terminal might obey."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
