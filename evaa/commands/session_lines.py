"""Sessions as lines of text: one JSON object a line, which is a `SessionRecord` and nothing round it. Pure.

Whoever reads such lines may get them from anywhere, and a store holds what it is given. So a line is checked for all
that the engine and the stores rely on. What is said of a line quotes nothing of it: these are the users' words.
"""

import json
import re

import msgspec

from evaa.storage.storable import mending, storable
from protocols.records import SessionRecord

_ID = re.compile(r"[0-9a-f]{24}")
_LARGEST = 2**63 - 1
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999: Python's and so the drivers' dates end there."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SessionRecord)


class LineRefused(ValueError):
    """A line that is no session; the message says what is wrong with it."""


def encode_line(record: SessionRecord) -> bytes:
    """Return the session's line, its end included."""
    return mending(_encoder.encode, record) + b"\n"


def decode_line(line: bytes | bytearray) -> SessionRecord:
    """Return the session of a line, as a store can hold it. Raises `LineRefused`."""
    try:
        record = _decode(line)
    except msgspec.ValidationError as error:
        raise LineRefused(f"no session: {_without_values(str(error))}") from None
    except msgspec.DecodeError as error:
        raise LineRefused(f"no JSON: {error}") from None
    except UnicodeDecodeError:
        raise LineRefused("not UTF-8") from None
    except (ValueError, RecursionError):
        raise LineRefused("no JSON") from None
    if problem := _find_problem(record):
        raise LineRefused(problem)
    return record


def differences(stored: SessionRecord, other: SessionRecord) -> tuple[str, ...]:
    """Return the names of the fields in which two states of a session differ, as they are encoded.

    The version is none of them: it only says how often the session was saved. Messages are compared by what their JSON
    means: SQLite may write it in another way.
    """
    one, two = _fields(stored), _fields(other)
    found = [name for name in one if one[name] != two[name]]
    if "messages" in found and _have_same_meaning(stored.messages, other.messages):
        found.remove("messages")
    return tuple(found)


class LineSplitter:
    """Cuts bytes into lines. Of a line that is longer than `longest_bytes` nothing is kept; it comes as None."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._begun: bytearray | None = bytearray()

    def feed(self, data: bytes) -> list[bytearray | None]:
        """Return the lines that end in these bytes, without their ends."""
        first, *others = data.split(b"\n")
        self._add(first)
        lines = []
        for part in others:
            lines.append(self._take())
            self._add(part)
        return lines

    def end(self) -> list[bytearray | None]:
        """There are no more bytes: return the line that had begun, if one had."""
        has_begun = self._begun is None or len(self._begun) > 0
        return [self._take()] if has_begun else []

    def _add(self, part: bytes) -> None:
        if self._begun is not None and len(self._begun) + len(part) <= self._longest_bytes:
            self._begun += part
        else:
            self._begun = None

    def _take(self) -> bytearray | None:
        line, self._begun = self._begun, bytearray()
        return line


# --- reading ----------------------------------------------------------------------------------------------------


def _decode(line: bytes | bytearray) -> SessionRecord:
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"\\ud" not in line.lower():
            raise
        # msgspec refuses an escaped lone surrogate, which other programs write.
        return storable(msgspec.convert(json.loads(line), SessionRecord))


def _without_values(message: str) -> str:
    """Of all that msgspec says of a wrong value, only this quotes it."""
    if not message.startswith("Invalid enum value"):
        return message
    _, at, place = message.rpartition(" - at ")
    return f"Invalid enum value{at}{place}"


def _find_problem(record: SessionRecord) -> str | None:
    interview = record.interview
    stages, turns = interview.stages, interview.turns
    stage_ids = {stage.stage_id for stage in stages}
    times = (record.created_at_ms, record.updated_at_ms, *(turn.said_at_ms for turn in turns))
    counts = (record.version, interview.follow_ups_used, *(stage.max_follow_ups for stage in stages))
    others = (number for stage in stages for number in (stage.order, stage.imposed_at_ms))
    checks = (
        (_ID.fullmatch(record.session_id), "sessionId is not 24 hexadecimal digits in lower case"),
        (stages, "it has no stages"),
        (all(map(_ID.fullmatch, stage_ids)), "a stageId is not 24 hexadecimal digits in lower case"),
        (0 <= interview.stage_index <= len(stages), "stageIndex is not one of the stages"),
        ([turn.turn for turn in turns] == list(range(1, len(turns) + 1)), "the turns are not numbered 1, 2, 3, ..."),
        ({turn.stage_id for turn in turns} <= {*stage_ids, ""}, "a turn is of a stage that the session does not have"),
        (all(0 <= time_ms <= _LAST_MS for time_ms in times), "a time is negative, or beyond the year 9999"),
        (all(0 <= count <= _LARGEST for count in counts), "a number is negative, or beyond 64 bits"),
        (all(-_LARGEST <= number <= _LARGEST for number in others), "a number is beyond 64 bits"),
        (all(map(_is_json, record.messages)), "one of the messages is no JSON text"),
    )
    return next((problem for is_right, problem in checks if not is_right), None)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _is_json_with_surrogates(text)
    return True


def _is_json_with_surrogates(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# --- comparing --------------------------------------------------------------------------------------------------


def _fields(record: SessionRecord) -> dict[str, object]:
    interview = record.interview
    return {
        "createdAtMs": record.created_at_ms,
        "updatedAtMs": record.updated_at_ms,
        "stages": interview.stages,
        "stageIndex": interview.stage_index,
        "followUpsUsed": interview.follow_ups_used,
        "turns": interview.turns,
        "facts": interview.facts,
        "messages": record.messages,
    }


def _have_same_meaning(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return len(some) == len(others) and all(
        one == other or json.loads(one) == json.loads(other) for one, other in zip(some, others, strict=True)
    )
