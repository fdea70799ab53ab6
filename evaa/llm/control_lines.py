"""The form of a model's answer, and its parser (sans-I/O).

    @stay                                    the decision, before the first visible word
    Thanks! Who will use it?                 what the user sees, streamed as it comes
    @facts {"problem": "manual invoices"}    notes, on the last line

The user never sees a control line, however the stream is cut. Every malformed answer degrades to "show the text, stay
in the stage": a missing or garbled decision is `stay`, bad notes are none, and an answer that is JSON or a code block
against all instructions gives up its text.
"""

import json
import re
from enum import Enum
from typing import Any

from pydantic_core import from_json

MAX_FACTS_CHARS = 8_000
MAX_JSON_ANSWER_CHARS = 64_000

_CONTROL_WORDS = ("@stay", "@next", "@facts")
_DECISION = re.compile(r"[ \t]*@((?a:stay|next))(?!\w)[ \t]*[:.,;-]*[ \t]*\r?\n?", re.IGNORECASE)
_FACTS_LINE = re.compile(r"^[ \t]*@facts", re.IGNORECASE | re.MULTILINE)
_LONE_CONTROL_LINE = re.compile(r"^\s*@((stay|next)[ \t]*[:.,;-]*|facts.*)\s*$", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"^\s*```\w*\n?|\n?```\s*$")
_REPLY_KEYS = ("reply", "response", "text", "message", "question", "answer")


class _Line(Enum):
    """What a line that has begun turns out to be."""

    UNDECIDED = 0
    SHOWN = 1
    DECISION = 2
    FACTS = 3


class ControlLineParser:
    """Feed it an answer piece by piece; it gives back what may be shown.

    A line is held back only while it may still turn out to be a control line: a few characters. White space is held
    back until a word follows it, so that the reply has none at either end. `text` is what was shown so far;
    `wants_next`, `facts` and `followed_protocol` are final after `finish`.
    """

    def __init__(self) -> None:
        self.text = ""
        self.wants_next = False
        self.followed_protocol = False
        self._is_decided = False
        self._in_shown_line = False
        self._held = ""
        self._space = ""
        self._facts: str | None = None
        self._json_answer: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """The notes, as text by key; empty if there were none or they make no sense."""
        return parse_facts(self._facts) if self._facts else {}

    def feed(self, piece: str) -> str:
        """Return what becomes visible with `piece`."""
        text, self._held = self._held + piece, ""
        shown = []
        while text:
            if self._facts is not None:
                self._facts = (self._facts + text)[:MAX_FACTS_CHARS]
                break
            if self._json_answer is not None:
                self._json_answer = (self._json_answer + text)[:MAX_JSON_ANSWER_CHARS]
                break
            if not self._in_shown_line:
                kind = self._kind_of(text)
                if kind is _Line.UNDECIDED:
                    self._held = text
                    break
                if kind is not _Line.SHOWN:
                    text = self._take_control(kind, text)
                    continue
                if self._is_json_answer(text):
                    self._json_answer = ""
                    continue
            line, newline, text = text.partition("\n")
            shown.append(self._show(line + newline))
            self._in_shown_line = not newline
        return "".join(shown)

    def finish(self) -> str:
        """The answer is over: return what was held back and turns out to be text."""
        self.followed_protocol = self._is_decided and self._json_answer is None
        if self._json_answer is not None:
            answer, *facts = _FACTS_LINE.split(self._json_answer, maxsplit=1)
            self._facts = facts[0] if facts else None
            return self._show(_LONE_CONTROL_LINE.sub("", _text_of_json(answer)))
        if self._facts is not None and not self.text:
            self._facts, _, rest = self._facts.partition("\n")  # the notes came first, against the rule
            return self._show(rest)
        held, self._held = self._held, ""
        if held.strip()[:1] == "@" and len(held.strip()) > 1:
            if _DECISION.match(held):
                self._take_control(_Line.DECISION, held)
                self.followed_protocol = self._is_decided
            return ""  # a control word, or one that was cut off
        return self._show(held)

    def _kind_of(self, text: str) -> _Line:
        """What the line at the start of `text` is, as far as it has come."""
        line, newline, _ = text.partition("\n")
        word = line.strip().lower()
        if not word:
            return _Line.SHOWN if newline else _Line.UNDECIDED
        if word.startswith("@facts"):
            return _Line.FACTS
        if decision := _DECISION.match(line):
            is_alone = not line[decision.end() :].strip()
            if is_alone and not newline:
                return _Line.UNDECIDED
            # In the middle of a reply only a line of its own is a decision, not a sentence that begins so.
            return _Line.DECISION if is_alone or not self.text else _Line.SHOWN
        may_become_control = not newline and any(control.startswith(word) for control in _CONTROL_WORDS)
        return _Line.UNDECIDED if may_become_control else _Line.SHOWN

    def _take_control(self, kind: _Line, text: str) -> str:
        """Act on the control word at the start of `text` and return what comes after it."""
        if kind is _Line.FACTS:
            self._facts = ""
            return text.lstrip()[len("@facts") :]
        decision = _DECISION.match(text)
        assert decision is not None
        if not self._is_decided:
            self._is_decided = True
            self.wants_next = decision[1].lower() == "next"
        return text[decision.end() :]

    def _is_json_answer(self, text: str) -> bool:
        return not self.text and text.lstrip()[:1] in ("{", "`")

    def _show(self, text: str) -> str:
        text = self._space + text if self.text else text.lstrip()
        visible = text.rstrip()
        self._space = text[len(visible) :]
        self.text += visible
        return visible


def parse_facts(text: str) -> dict[str, str]:
    """Read notes leniently: a JSON object, perhaps cut off; values become text, empty ones are left out."""
    notes = _lenient_json(text)
    if not isinstance(notes, dict):
        return {}
    facts = {str(key): _as_text(value) for key, value in notes.items()}
    return {key: value for key, value in facts.items() if value}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lenient_json(text: str) -> Any:
    try:
        # As bytes, since half a surrogate pair is a `TypeError` to it.
        return from_json(text.strip().encode(errors="replace"), allow_partial="trailing-strings")
    except ValueError:
        return None


def _text_of_json(answer: str) -> str:
    """The reply in an answer that is JSON or a code block; the bare content where no reply is found in it."""
    content = _FENCE.sub("", answer)
    fields = _lenient_json(content)
    if isinstance(fields, dict):
        return next((fields[key] for key in _REPLY_KEYS if isinstance(fields.get(key), str)), content)
    return content
