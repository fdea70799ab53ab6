"""What was said, in the chat history's form: Pydantic AI's messages as JSON, made by hand.

Pydantic AI takes a second to import; who needs no model writes the same history without it. That these texts are what
Pydantic AI reads is a test's business (`tests/evaa/test_history.py`).
"""

from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


def exchange(words: str, reply: str, *, closes: bool = False, facts: dict[str, str] | None = None) -> tuple[str, ...]:
    """One exchange, as if the model had answered so, control lines and all: a model imitates its history.

    With empty `words` it is what the agent said unasked: the opening question.
    """
    answer = f"{'@next' if closes else '@stay'}\n{reply}"
    if facts:
        answer += f"\n@facts {_json(facts)}"
    response = _json({"parts": [{"part_kind": "text", "content": answer}], "kind": "response"})
    if not words:
        return (response,)
    return _json({"parts": [{"part_kind": "user-prompt", "content": f"[user]\n{words}"}], "kind": "request"}), response


def _json(value: dict[str, Any]) -> str:
    return _ENCODER.encode(value).decode()
