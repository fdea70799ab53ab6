"""Sessions as they are stored: an interview that has lasted for so many messages, made by EVAA's own rules."""

import random

import msgspec

from evaa.interview import reducer
from evaa.interview.exchange import exchange
from evaa.interview.stages import default_stages
from protocols.records import Interview, SessionRecord

MESSAGE_BYTES = 650
"""A message of the chat history, in the mean: the user's are somewhat shorter, the agent's longer."""

BEGUN_MS = 1_700_000_000_000
TURN_MS = 20_000
_WORDS = "we type forty supplier invoices into the accounting system by hand each day before Maria checks them again"


def history(messages: int) -> tuple[SessionRecord, SessionRecord]:
    """A session of so many messages, in two forms of the same size whose last exchange differs.

    Saved in turns they are to a store what it sees in life: a long document in which little has changed.
    """
    before = _record(messages - 2)
    return _with_exchange(before, "now"), _with_exchange(before, "not")


def of_session(record: SessionRecord, number: int) -> SessionRecord:
    """The same for session `number`."""
    return msgspec.structs.replace(record, session_id=f"{number:024x}")


def _record(messages: int) -> SessionRecord:
    record = SessionRecord("0" * 24, Interview(stages=default_stages()), BEGUN_MS, BEGUN_MS)
    for number in range(messages // 2):
        record = _with_exchange(record, str(number))
    return record


def _with_exchange(record: SessionRecord, mark: str) -> SessionRecord:
    chance, now_ms = random.Random(len(record.messages)), record.updated_at_ms + TURN_MS
    words, reply = _text(chance, mark, MESSAGE_BYTES - 150), _text(chance, mark, MESSAGE_BYTES - 150)
    facts = {f"about_{chance.randrange(10)}": _text(chance, mark, 120)}
    interview = record.interview
    goes_on = reducer.follow_ups_left(interview) == 0
    told = reducer.said(interview, text=words, source="voice", client_id=f"{len(record.messages):032x}", at_ms=now_ms)
    return msgspec.structs.replace(
        record,
        interview=reducer.answered(told, reply, wants_next=goes_on, facts=facts),
        messages=(*record.messages, *exchange(words, reply, closes=goes_on, facts=facts)),
        updated_at_ms=now_ms,
    )


def _text(chance: random.Random, mark: str, length: int) -> str:
    text = mark
    while len(text) < length:
        text += f" {chance.choice(_WORDS.split())}"
    return text[:length]
