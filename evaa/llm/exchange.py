"""What was said, in the chat history's form: Pydantic AI's messages as JSON, made by hand.

Pydantic AI takes a second to import; the scripted interviewer writes the same history without it. That these texts
are what Pydantic AI reads is a test's business (`tests/evaa/test_history.py`).
"""

from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


def exchange(words: str, reply: str) -> tuple[str, ...]:
    """An exchange as if it had been answered so, in the form that the model should imitate. See `Interviewer`."""
    response = _text({"parts": [{"part_kind": "text", "content": f"@stay\n{reply}"}], "kind": "response"})
    if not words:
        return (response,)
    return _text({"parts": [{"part_kind": "user-prompt", "content": f"[user]\n{words}"}], "kind": "request"}), response


def _text(message: dict[str, Any]) -> str:
    return _ENCODER.encode(message).decode()
