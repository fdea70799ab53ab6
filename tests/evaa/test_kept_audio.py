"""What is kept of the audio, and for how long. `test_uplink_stories` compares it with a model; here are the corners."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.stt.containers.events import Packet
from evaa.stt.kept_audio import MAX_PACKETS, KeptAudio, Skipped
from tests.evaa.audio_world import header, packet, steps

WEBM = header("webm")
PCM = header("linear16")


def pcm(count: int, duration_us: int = 20_000) -> list[Packet]:
    return [packet("linear16", number, duration_us) for number in range(count)]


def begun(**bounds: float) -> KeptAudio:
    audio = KeptAudio(**bounds)  # type: ignore[arg-type]
    audio.begin(PCM)
    return audio


def held(thing: object) -> int:
    """How many things it holds on to."""
    return sum(len(value) for value in vars(thing).values() if isinstance(value, deque | list | dict | set))


# --- bounds -----------------------------------------------------------------------------------------------------


def test_it_keeps_so_many_seconds_and_not_a_packet_more() -> None:
    audio = begun(max_s=1.0)
    audio.put(pcm(50), 0.0)
    assert (audio.first, audio.next) == (0, 50)
    audio.put(pcm(1, 500), 1.0)
    assert (audio.first, audio.start_us, audio.end_us) == (1, 20_000, 1_000_500)


def test_it_keeps_so_many_bytes_and_not_a_packet_more() -> None:
    audio = begun(max_bytes=80)
    audio.put(pcm(10), 0.0)
    assert audio.first == 0
    audio.put(pcm(1), 1.0)
    assert audio.first == 1


def test_bytes_that_were_joined_are_counted_too() -> None:
    audio = begun(max_bytes=80)
    audio.put([Packet(b"12345678", 0, 20_000, b"more" * 18), *pcm(1)], 0.0)
    assert audio.first == 1


def test_a_packet_that_is_larger_than_the_bound_is_not_kept_and_the_next_one_is() -> None:
    audio = begun(max_bytes=80)
    audio.put([*pcm(1), Packet(bytes(81), 0, 20_000)], 0.0)
    assert (audio.first, audio.next, audio.start_us, audio.end_us) == (2, 2, 40_000, 40_000)
    audio.put(pcm(1), 1.0)
    assert audio.packets(2, 3) == pcm(1)


def test_packets_are_bounded_in_number_too() -> None:
    audio = begun()
    for _ in range(MAX_PACKETS + 100):
        audio.put(pcm(1, 20), 0.0)
    assert audio.next - audio.first == MAX_PACKETS


def test_large_headers_count_and_go_with_their_recordings() -> None:
    audio = KeptAudio(max_bytes=1_000)
    for _ in range(3):
        audio.begin(header("webm", raw=bytes(400)))
        audio.put(pcm(1), 0.0)
    assert audio.first == 1
    assert [recording.first for recording in audio.recordings] == [1, 2]
    audio.begin(header("webm", raw=bytes(2_000)))
    assert audio.first == audio.next == 3
    assert len(audio.recordings) == 1


@pytest.mark.parametrize("covers", [True, False])
def test_endless_use_takes_no_more_memory(covers: bool) -> None:
    audio = begun(max_s=2.0)
    most = 0
    for number in range(20_000):
        if number % 7 == 0:
            audio.begin(PCM)
        if number % 3 == 0:
            audio.finish()
        audio.put(pcm(number % 4), float(number))
        audio.miss(audio.start_us - 20_000, audio.start_us)
        if covers:
            audio.cover(audio.end_us - 20_000)
        most = max(most, held(audio))
    assert most < 1_000


def test_headers_without_audio_take_no_memory() -> None:
    audio = begun()
    audio.put(pcm(3), 0.0)
    for _ in range(1_000):
        audio.begin(WEBM)
    assert [recording.first for recording in audio.recordings] == [0, 3]
    assert f" {24 + len(WEBM.raw)} bytes" in repr(audio)


def test_chunks_without_audio_change_nothing() -> None:
    audio = begun()
    audio.put(pcm(2), 1.0)
    before = held(audio)
    for _ in range(100):
        audio.put([], 2.0)
    assert held(audio) == before
    assert audio.last_chunk_us == 40_000
    assert audio.arrived_at(40_000) == 1.0


# --- recordings -------------------------------------------------------------------------------------------------


def test_a_recording_ends_where_the_next_one_begins() -> None:
    audio = begun()
    audio.put(pcm(3), 0.0)
    one = audio.recordings[-1]
    assert (one.first, one.end) == (0, None)
    audio.begin(WEBM)
    assert one.end == 3
    assert audio.recording_of(2) is one
    assert audio.recording_of(3).header is WEBM


def test_a_recording_without_audio_is_over_at_once_however_alike_it_is_to_the_next() -> None:
    audio = begun()
    empty = audio.recordings[-1]
    audio.begin(PCM)
    audio.put(pcm(5), 0.0)
    audio.begin(PCM)
    assert (empty.first, empty.end) == (0, 0)
    assert audio.recording_of(0).end == 5
    assert audio.recording_of(5).end is None


def test_a_recording_is_forgotten_with_its_last_packet_but_not_the_newest() -> None:
    audio = begun()
    audio.put(pcm(2), 0.0)
    audio.cover(40_000)
    assert len(audio.recordings) == 1
    audio.begin(WEBM)
    assert [recording.header for recording in audio.recordings] == [WEBM]
    audio.put(pcm(1), 0.0)
    audio.begin(PCM)
    assert len(audio.recordings) == 2
    audio.cover(60_000)
    assert [recording.header for recording in audio.recordings] == [PCM]


# --- what was heard ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until_us", "left"),
    [
        (-1, 3),
        (0, 3),
        (18_999, 3),
        (19_000, 2),  # within the tolerance
        (20_000, 2),
        (38_999, 2),
        (39_000, 1),
        (round((0.1 + 0.2) * 200_000), 0),  # 0.30000000000000004
        (59_999, 0),
        (10**12, 0),
    ],
)
def test_what_ends_by_then_is_covered(until_us: int, left: int) -> None:
    audio = begun()
    audio.put(pcm(3), 0.0)
    audio.cover(until_us)
    assert audio.next - audio.first == left
    assert audio.start_us == 60_000 - 20_000 * left


def test_what_begins_later_is_not_covered_however_short_it_is() -> None:
    audio = begun()
    audio.put([*pcm(1), *pcm(3, 500)], 0.0)
    audio.cover(20_000)
    assert audio.first == 1


def test_covering_twice_and_backwards_does_nothing() -> None:
    audio = begun()
    audio.put(pcm(3), 0.0)
    for until_us in (40_000, 40_000, 20_000):
        audio.cover(until_us)
        assert audio.first == 2


def test_forgetting_leaves_nothing_but_the_newest_header() -> None:
    audio = begun()
    audio.put(pcm(3), 1.0)
    audio.finish()
    audio.begin(WEBM)
    audio.put(pcm(1), 2.0)
    audio.forget()
    assert (audio.first, audio.next, audio.start_us, audio.end_us) == (4, 4, 80_000, 80_000)
    assert [recording.header for recording in audio.recordings] == [WEBM]
    assert audio.arrived_at(80_000) is None
    assert audio.finish_from(0) is None
    assert repr(audio) == f"<KeptAudio 4..4 0.000 s {len(WEBM.raw)} bytes>"
    audio.put(pcm(1), 3.0)
    assert audio.packets(4, 5) == pcm(1)
    assert audio.arrived_at(100_000) == 3.0


# --- when it came -----------------------------------------------------------------------------------------------


def test_it_knows_when_audio_came_even_after_it_was_covered() -> None:
    audio = begun()
    for number in range(5):
        audio.put(pcm(5), float(number))
    audio.cover(430_000)
    assert [audio.arrived_at(at_us) for at_us in (1, 100_000, 100_001, 430_000, 500_000)] == [0.0, 0.0, 1.0, 4.0, 4.0]


def test_it_does_not_guess_when_audio_came_that_is_long_over() -> None:
    audio = begun()
    for number in range(3_000):
        audio.put(pcm(1), float(number))
        audio.cover(audio.end_us)
    assert audio.arrived_at(audio.end_us) == 2_999.0
    assert audio.arrived_at(audio.end_us - 10 * 20_000) == 2_989.0
    assert audio.arrived_at(20_000) is None


# --- where utterances end ---------------------------------------------------------------------------------------


def test_an_utterance_ends_once_at_one_place() -> None:
    audio = begun()
    audio.finish()
    audio.put(pcm(2), 0.0)
    audio.finish()
    audio.finish()
    audio.put(pcm(1), 0.0)
    assert [audio.finish_from(number) for number in range(4)] == [0, 2, 2, None]


def test_ends_without_audio_take_no_memory() -> None:
    audio = begun()
    audio.finish()
    before = held(audio)
    for _ in range(100):
        audio.finish()
    assert held(audio) == before


def test_an_end_is_forgotten_with_the_audio_around_it_but_not_with_that_before_it() -> None:
    audio = begun()
    audio.put(pcm(2), 0.0)
    audio.finish()
    audio.put(pcm(2), 0.0)
    audio.cover(40_000)
    assert audio.finish_from(2) == 2
    audio.cover(60_000)
    assert audio.finish_from(0) is None


# --- what nobody will hear --------------------------------------------------------------------------------------


def test_a_gap_is_told_once_and_what_is_around_it_later() -> None:
    audio = begun()
    assert audio.miss(0, 0) == []
    assert audio.miss(50, 100) == [Skipped(50, 100)]
    assert audio.miss(50, 100) == []
    assert audio.miss(40, 110) == [Skipped(40, 50), Skipped(100, 110)]
    assert audio.miss(45, 120) == [Skipped(110, 120)]
    assert audio.miss(120, 130) == [Skipped(120, 130)]
    assert audio.miss(30, 140) == [Skipped(30, 40), Skipped(130, 140)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=20))
def test_every_gap_is_told_exactly_once(spans: list[tuple[int, int]]) -> None:
    audio = begun()
    told: set[int] = set()
    missing: set[int] = set()
    until = 0
    for back, further in spans:
        until += further
        begin_us, end_us = max(0, until - back) * 500, until * 500
        for skipped in audio.miss(begin_us, end_us):
            span = steps(skipped.from_us, skipped.until_us)
            assert span
            assert not span & told
            told |= span
        missing |= steps(begin_us, end_us)
        assert told == missing
