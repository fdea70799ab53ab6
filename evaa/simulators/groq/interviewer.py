"""The Groq simulator's default brain: a plausible interviewer, as a pure function of the request's messages.

It reads the status block that EVAA puts before the user's words and answers in the control-line format: `@stay` or
`@next`, the reply, `@facts {json}`. It understands nothing; it is there so that demos and benchmarks run a whole
interview without a provider.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

OPENING = "[interview]"
WORDS_FOLLOW = "[user]"

# An answer longer than this many words is taken to be complete.
LONG_ANSWER_WORDS = 25
# The brain is content after this many follow-ups, even if more are left.
ENOUGH_FOLLOW_UPS = 2
FACT_WORDS = 12

_STAGE = re.compile(r"(\d{1,4}) of (\d{1,4}) - (.*)")
_FOLLOW_UPS = re.compile(r"(\d{1,4}) used, (\d{1,4}) left")
_NEXT = re.compile(r"\d{1,4} - (.*)")
_NOT_A_WORD = re.compile(r"\W+")

_ACKNOWLEDGEMENTS = ("Thank you, that is clear.", "Good, I have noted that.", "That helps, thank you.")
_GENERIC = "@stay\nThank you. Could you please tell me a little more about that?\n@facts {}"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the status block says; `follow_ups_left` is None where the block does not tell it."""

    stage: str = ""
    goal: str = ""
    follow_ups_used: int = 0
    follow_ups_left: int | None = None
    next_stage: str = ""
    next_question: str = ""
    words: str = ""


def answer(messages: Sequence[Any]) -> str:
    """Return the interviewer's whole answer, control lines included, to the newest user message. Never raises.

    A message without the status block gets a polite generic question and no facts.
    """
    status = read_status(newest_user_text(messages))
    if status is None:
        return _GENERIC
    if _is_settled(status):
        return f"@next\n{_closing(status)}\n@facts {_facts(status)}"
    return f"@stay\n{_follow_up(status)}\n@facts {_facts(status)}"


def newest_user_text(messages: Sequence[Any]) -> str:
    """Return the text of the last message whose role is `user`; empty if there is none."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return message_text(message)
    return ""


def message_text(message: Any) -> str:
    """Return a chat message's text, whether its content is a string or a list of parts; empty for anything else."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def read_status(text: str) -> Status | None:
    """Return what the message's status block and words say; None if it does not have that form.

    Only the first `[user]` line ends the block: whatever the user writes stays the user's words.
    """
    lines = text.split("\n")
    if lines[0].strip() != OPENING or WORDS_FOLLOW not in lines:
        return None
    end = lines.index(WORDS_FOLLOW)
    fields = dict(line.split(": ", 1) for line in lines[1:end] if ": " in line)
    stage = _STAGE.match(fields.get("stage", ""))
    follow_ups = _FOLLOW_UPS.match(fields.get("follow-ups", ""))
    following = _NEXT.match(fields.get("next", ""))
    return Status(
        stage=stage[3].strip() if stage else "",
        goal=fields.get("goal", "").strip(),
        follow_ups_used=int(follow_ups[1]) if follow_ups else 0,
        follow_ups_left=int(follow_ups[2]) if follow_ups else None,
        next_stage=following[1].strip() if following else "",
        next_question=fields.get("next question", "").strip(),
        words="\n".join(lines[end + 1 :]).strip(),
    )


def _is_settled(status: Status) -> bool:
    return (
        status.follow_ups_left == 0
        or status.follow_ups_used >= ENOUGH_FOLLOW_UPS
        or len(status.words.split()) > LONG_ANSWER_WORDS
    )


def _closing(status: Status) -> str:
    thanks = _ACKNOWLEDGEMENTS[len(status.words) % len(_ACKNOWLEDGEMENTS)]
    if status.next_question:
        return f"{thanks} {status.next_question}"
    if status.next_stage:
        return f"{thanks} Let us go on to the next subject: {status.next_stage}. What should I know about it?"
    return "Thank you for your time, that was everything I wanted to know. Goodbye!"


def _follow_up(status: Status) -> str:
    subject = f"that, as far as {status.stage.lower()} goes" if status.stage else "that"
    if status.follow_ups_used == 0:
        return f"Thanks. Could you tell me a little more about {subject}?"
    return f"I see. Could you give me an example of {subject}?"


def _facts(status: Status) -> str:
    words = status.words.split()[:FACT_WORDS]
    key = _NOT_A_WORD.sub("_", status.stage.lower()).strip("_") or "notes"
    # Lone surrogates cannot be written as UTF-8; they never come over the wire, but the function is public.
    facts = {_writable(key): _writable(" ".join(words))} if words else {}
    return msgspec.json.encode(facts).decode()


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
