"""The chat history: Pydantic AI's own messages, kept as one JSON text each.

Messages are immutable, so each text is parsed once and then found in a bounded cache.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart

from evaa.llm.control_lines import ControlLineParser

_MESSAGE: TypeAdapter[ModelMessage] = TypeAdapter(ModelMessage)
_CACHED_MESSAGES = 8_192
MAX_NOTE_KEY_CHARS = 60
MAX_NOTE_VALUE_CHARS = 300


def dump(messages: Sequence[ModelMessage]) -> tuple[str, ...]:
    """One JSON text a message; joined with commas in brackets they are what `all_messages_json` gives."""
    return tuple(_MESSAGE.dump_json(message).decode() for message in messages)


@lru_cache(maxsize=_CACHED_MESSAGES)
def load_message(text: str) -> ModelMessage:
    """Parse one message. Raises pydantic's `ValidationError`."""
    return _MESSAGE.validate_json(text)


def recent(history: Sequence[str], max_chars: int) -> list[ModelMessage]:
    """The newest messages that fit into `max_chars`, at least the last exchange, behind a note of what the others told.

    The cut moves in big steps, from full to half full: between two steps what is sent only grows at its end, so that
    the provider's prompt cache (exact prefixes) holds.
    """
    cut = _cut(history, max_chars)
    messages = [load_message(text) for text in history[cut:]]
    if cut == 0:
        return messages
    return [_note_of((load_message(text) for text in history[:cut]), max_chars // 4), *messages]


def _cut(history: Sequence[str], max_chars: int) -> int:
    """How many of the oldest messages to leave out; an exchange (request, response) is left out whole."""
    cut, chars = 0, 0
    for end, text in enumerate(history, start=1):
        chars += len(text)
        if chars > max_chars:
            while cut < end - 2 and chars > max_chars // 2:
                chars -= len(history[cut])
                cut += 1
    while 0 < cut < len(history) and isinstance(load_message(history[cut]), ModelResponse):
        cut += 1
    return cut


def _note_of(left_out: Iterable[ModelMessage], max_chars: int) -> ModelRequest:
    facts: dict[str, str] = {}
    for message in left_out:
        if isinstance(message, ModelResponse):
            parser = ControlLineParser()
            parser.feed(message.text or "")
            parser.finish()
            facts |= parser.facts
    # As JSON on one line: what the user said must not look like a status block.
    note = json.dumps(_newest(facts, max_chars), ensure_ascii=False)
    return ModelRequest(parts=[UserPromptPart(f"[earlier in this interview]\n{note}")])


def _newest(facts: dict[str, str], max_chars: int) -> dict[str, str]:
    """The newest facts that fit, in their order, each cut to a readable length."""
    kept: dict[str, str] = {}
    for key, value in reversed(facts.items()):
        kept[key[:MAX_NOTE_KEY_CHARS]] = value[:MAX_NOTE_VALUE_CHARS]
        max_chars -= MAX_NOTE_KEY_CHARS + len(value[:MAX_NOTE_VALUE_CHARS])
        if max_chars < 0:
            break
    return dict(reversed(kept.items()))
