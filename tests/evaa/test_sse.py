"""The event-stream parser: what counts as an event, however the bytes are cut, and what it will not hold."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.llm.sse import MAX_EVENT_BYTES, Event, EventParser, EventTooLarge


def events(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: one\n\n", [("message", b"one")]),
        (b"data:one\n\n", [("message", b"one")]),
        (b"data:  one \n\n", [("message", b" one ")]),
        (b"data: one\n\ndata: two\n\n", [("message", b"one"), ("message", b"two")]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [("message", b"one"), ("message", b"two")]),
        (b"data: one\ndata: two\ndata:\n\n", [("message", b"one\ntwo\n")]),
        (b"event: error\ndata: one\n\ndata: two\n\n", [("error", b"one"), ("message", b"two")]),
        (b"data: one\nevent: error\n\n", [("error", b"one")]),
        (b": a comment\ndata: one\n: another\n\n:\n\n", [("message", b"one")]),
        (b"id: 7\nretry: 5\ndata: one\n\n", [("message", b"one")]),
        (b"event: error\n\ndata: one\n\n", [("message", b"one")]),
        (b"\n\n\n", []),
        (b"data: one\n", []),
        (b"data: one", []),
        (b"event: one\n\n", []),
        (b"data:\n\n", [("message", b"")]),
        (b"datum: one\n\n", []),
        (b"data: \xff\xfe\n\nevent: \xff\ndata: x\n\n", [("message", b"\xff\xfe"), ("\ufffd", b"x")]),
    ],
)
def test_what_counts_as_an_event(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert [(event.name, event.data) for event in events(stream)] == expected
    byte_by_byte = [stream[place : place + 1] for place in range(len(stream))]
    assert events(*byte_by_byte) == events(stream)


LINES = st.one_of(
    st.sampled_from([b"", b"", b"data: one", b"data:", b"event: error", b": comment", b"id: 1", b"data: [DONE]"]),
    st.binary(max_size=8),
)
STREAMS = st.tuples(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"])).map(
    lambda parts: parts[1].join(parts[0])
)


@given(st.one_of(STREAMS, st.binary(max_size=80)), st.lists(st.integers(0, 80), max_size=6))
def test_a_stream_cut_anywhere_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    ends = [0, *sorted(places), len(stream)]
    assert events(*(stream[start:end] for start, end in itertools.pairwise(ends))) == events(stream)


@given(st.lists(st.binary(max_size=20).filter(lambda data: not {b"\r"[0], b"\n"[0]} & set(data)), min_size=1))
def test_what_is_sent_as_data_comes_out_whole(lines: list[bytes]) -> None:
    stream = b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
    assert events(stream) == [Event("message", b"\n".join(lines))]


def test_a_line_without_an_end_is_not_held_for_ever() -> None:
    parser = EventParser()
    assert parser.feed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6)) == []
    with pytest.raises(EventTooLarge):
        parser.feed(b"x")


def test_an_event_of_many_lines_is_not_held_for_ever() -> None:
    parser = EventParser()
    for _ in range(MAX_EVENT_BYTES // 1_001):
        parser.feed(b"data: " + b"x" * 1_000 + b"\n")
    with pytest.raises(EventTooLarge):
        parser.feed(b"data: " + b"x" * 1_000 + b"\n")


def test_an_event_of_many_empty_lines_is_not_held_for_ever() -> None:
    parser = EventParser()
    parser.feed(b"data:\n" * MAX_EVENT_BYTES)
    with pytest.raises(EventTooLarge):
        parser.feed(b"data:\n")


def test_events_that_are_large_one_by_one_only_together_are_fine() -> None:
    parser = EventParser()
    half = b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\n\n"
    assert len([event for _ in range(4) for event in parser.feed(half)]) == 4
