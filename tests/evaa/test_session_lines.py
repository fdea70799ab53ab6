"""Sessions as lines: what is written can be read, and what is no session is told without its words."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.commands.session_lines import (
    LineRefused,
    LineSplitter,
    decode_line,
    differences,
    encode_line,
)
from protocols.records import SessionRecord
from tests.contracts.examples import S1, changed, make_record, with_words
from tests.evaa.session_records import records

SECRET = "my pass phrase"


def line(**changes: Any) -> bytes:
    """A session's line in which some things were changed: `turns_0_turn` is the number of the first turn."""
    plain = json.loads(encode_line(with_words(make_record(messages=('{"a":1}',)), SECRET)))
    for place, value in changes.items():
        *path, last = [int(part) if part.isdigit() else part for part in place.split("_")]
        holder = plain
        for part in path:
            holder = holder[part]
        holder[last] = value
    return json.dumps(plain).encode()


# --- one line -----------------------------------------------------------------------------------------------------


@given(record=records())
def test_what_is_written_can_be_read(record: SessionRecord) -> None:
    written = encode_line(record)
    assert written.index(b"\n") == len(written) - 1
    assert decode_line(written[:-1]) == record
    assert decode_line(b" " + written[:-1] + b"\r") == record


@given(record=records(), cut=st.floats(0, 1, exclude_max=True))
def test_a_torn_line_is_refused(record: SessionRecord, cut: float) -> None:
    written = encode_line(record)[:-1]
    with pytest.raises(LineRefused, match="no JSON"):
        decode_line(written[: int(cut * len(written))])


def test_lone_surrogates_become_storable() -> None:
    record = decode_line(line(interview_turns_0_text="half \ud83d", messages=['{"a":"\\ud83d"}']))
    assert record.interview.turns[0].text == "half \ufffd"
    assert record.messages == ('{"a":"\\ud83d"}',)
    assert decode_line(encode_line(with_words(make_record(), "half \ud83d"))) == with_words(
        make_record(), "half \ufffd"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sessionId": "short"}, "sessionId is not 24 hexadecimal digits in lower case"),
        ({"sessionId": S1.upper() + "\n"}, "sessionId is not 24 hexadecimal digits in lower case"),
        ({"sessionId": 5}, "no session: Expected `str`, got `int` - at `$.sessionId`"),
        ({"interview_stages": []}, "it has no stages"),
        ({"interview_stages_1_stageId": "g" * 24}, "a stageId is not 24 hexadecimal digits in lower case"),
        ({"interview_stageIndex": 3}, "stageIndex is not one of the stages"),
        ({"interview_stageIndex": -1}, "stageIndex is not one of the stages"),
        ({"interview_turns_0_turn": 2}, "the turns are not numbered 1, 2, 3, ..."),
        ({"interview_turns_0_stageId": "f" * 24}, "a turn is of a stage that the session does not have"),
        ({"createdAtMs": -1}, "a time is negative, or beyond the year 9999"),
        ({"interview_turns_0_saidAtMs": 253_402_300_800_000}, "a time is negative, or beyond the year 9999"),
        ({"interview_followUpsUsed": 2**63}, "a number is negative, or beyond 64 bits"),
        ({"interview_stages_0_maxFollowUps": -1}, "a number is negative, or beyond 64 bits"),
        ({"version": 10**30}, "a number is negative, or beyond 64 bits"),
        ({"interview_stages_0_order": 2**63}, "a number is beyond 64 bits"),
        ({"updatedAtMs": 1.5}, "no session: Expected `int`, got `float` - at `$.updatedAtMs`"),
        ({"messages": ['{"a":1},{"b":2}']}, "one of the messages is no JSON text"),
        ({"messages": [SECRET]}, "one of the messages is no JSON text"),
        ({"interview_turns_0_source": SECRET}, "no session: Invalid enum value - at `$.interview.turns[0].source`"),
        (
            {"interview_facts": {SECRET: SECRET}},
            "no session: Expected `object`, got `str` - at `$.interview.facts[...]`",
        ),
    ],
)
def test_what_no_session_has_is_told(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(LineRefused) as refused:
        decode_line(line(**changes))
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"", "no JSON: Input data was truncated"),
        (b"[]", "no session: Expected `object`, got `array`"),
        (b"{}", "no session: Object missing required field `sessionId`"),
        (line().replace(SECRET.encode(), b"\xff"), "not UTF-8"),
        (line(x="\ud83d")[:-1], "no JSON"),
        (b'{"sessionId":"\\ud83d","interview":' + b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_object_of_that_kind_is_told(bad: bytes, problem: str) -> None:
    with pytest.raises(LineRefused) as refused:
        decode_line(bad)
    assert str(refused.value) == problem


@given(noise=st.binary(max_size=60))
def test_any_bytes_are_a_session_or_refused(noise: bytes) -> None:
    with pytest.raises(LineRefused):
        decode_line(noise)


# --- comparing ----------------------------------------------------------------------------------------------------


@given(record=records(), other=records())
def test_only_the_version_does_not_matter(record: SessionRecord, other: SessionRecord) -> None:
    assert differences(record, msgspec.structs.replace(record, version=7)) == ()
    other = msgspec.structs.replace(other, session_id=record.session_id, version=record.version)
    assert (differences(record, other) == ()) is (record == other)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda record: with_words(record, "words"), ("turns",)),
        (lambda record: changed(record, "mark"), ("messages",)),
        (
            lambda record: msgspec.structs.replace(record, updated_at_ms=2, created_at_ms=2),
            ("createdAtMs", "updatedAtMs"),
        ),
        (lambda _: make_record(facts={"a": {"b": "c"}}), ("facts",)),
        (lambda _: make_record(stage_index=1, follow_ups_used=1), ("stageIndex", "followUpsUsed")),
        (lambda _: make_record(stages=make_record().interview.stages[:1]), ("stages",)),
    ],
)
def test_what_differs_is_named(change: Callable[[SessionRecord], SessionRecord], names: tuple[str, ...]) -> None:
    assert differences(make_record(), change(make_record())) == names


def test_messages_that_are_written_in_another_way_are_the_same() -> None:
    assert differences(make_record(messages=('{"a": "ü"}',)), make_record(messages=('{"a":"\\u00fc"}',))) == ()
    assert differences(make_record(messages=("1",)), make_record(messages=("1", "1"))) == ("messages",)


# --- cutting ------------------------------------------------------------------------------------------------------


@given(lines=st.lists(st.binary(max_size=8).map(lambda it: it.replace(b"\n", b"-"))), size=st.integers(1, 7))
def test_lines_come_however_the_bytes_come(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    splitter = LineSplitter(5)
    found = [it for start in range(0, len(data), size) for it in splitter.feed(data[start : start + size])]
    found += splitter.end()
    expected = [it if len(it) <= 5 else None for it in data.split(b"\n")]
    assert found == (expected if expected[-1] != b"" else expected[:-1])
