"""What a connection is sent, and when. `test_uplink_stories` compares it with a model; here are the corners."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.stt.containers.events import Packet
from evaa.stt.kept_audio import KeptAudio, Skipped
from evaa.stt.uplink import Uplink
from protocols.speech import Encoding, SttTraits
from tests.evaa.audio_world import TRAITS, Ear, header, packet
from tests.evaa.recordings import decoded
from tests.evaa.test_kept_audio import held

CONTAINERS: tuple[Encoding, ...] = ("webm", "ogg")


def packets(encoding: Encoding, first: int, count: int, duration_us: int = 20_000) -> list[Packet]:
    return [packet(encoding, n, duration_us, n * duration_us) for n in range(first, first + count)]


def recorded(encoding: Encoding, count: int, *, max_s: float = 30.0, duration_us: int = 20_000) -> KeptAudio:
    audio = KeptAudio(max_s=max_s)
    audio.begin(header(encoding))
    audio.put(packets(encoding, 0, count, duration_us), 0.0)
    return audio


def uplink(audio: KeptAudio, *, heard_until_us: int = 0, traits: SttTraits = TRAITS) -> Uplink:
    return Uplink(audio, traits, heard_until_us=heard_until_us, now=0.0)


def taken(link: Uplink, encoding: Encoding, now: float = 1e6) -> list[list[int]]:
    """The packets of each message, until there are no more."""
    ear, messages = Ear(encoding), []
    while message := link.take(now):
        messages.append(ear.numbers(message))
    return messages


# --- when -------------------------------------------------------------------------------------------------------


def test_a_backlog_goes_as_a_burst_and_then_at_the_rate() -> None:
    link = uplink(recorded("linear16", 100, duration_us=50_000), traits=msgspec.structs.replace(TRAITS, burst_s=1.0))
    sent = []
    now = 0.0
    while link.is_behind:
        if link.take(now):
            sent.append((now, link.sent_s))
        else:
            now = link.due_at()
    assert sent[:6] == [(0.0, 0.25), (0.0, 0.5), (0.0, 0.75), (0.0, 1.0), (0.2, 1.25), (0.4, 1.5)]
    assert sent[-1] == (3.2, 5.0)


def test_audio_in_real_time_is_never_held_back() -> None:
    audio = recorded("linear16", 0)
    audio.put(packets("linear16", 0, 1), 0.0)
    link = uplink(audio)
    for number in range(1, 500):
        assert link.take(number * 0.02)
        assert not link.take(number * 0.02)
        audio.put(packets("linear16", number, 1), number * 0.02)


@given(
    rate=st.floats(0.1, 10.0),
    burst_s=st.floats(0.0, 2.0),
    began=st.floats(0.0, 1e9),
    duration_us=st.integers(1, 60_000),
)
def test_what_is_due_may_go(rate: float, burst_s: float, began: float, duration_us: int) -> None:
    """Else the sender would wait for a time that is over, and again, and again."""
    traits = msgspec.structs.replace(TRAITS, rate=rate, burst_s=burst_s)
    link = Uplink(recorded("linear16", 60, duration_us=duration_us), traits, heard_until_us=0, now=began)
    while link.is_behind:
        assert link.take(max(began, link.due_at()))


# --- how much ---------------------------------------------------------------------------------------------------


def test_a_message_holds_250_ms_at_most() -> None:
    link = uplink(recorded("webm", 10, duration_us=60_000))
    assert taken(link, "webm") == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_packet_that_is_longer_goes_alone() -> None:
    audio = recorded("linear16", 0)
    durations_us = (20_000, 300_000, 20_000, 230_000, 1_000)
    audio.put([packet("linear16", n, duration_us) for n, duration_us in enumerate(durations_us)], 0.0)
    assert taken(uplink(audio), "linear16") == [[0], [1], [2, 3], [4]]


def test_a_message_of_raw_opus_is_one_packet() -> None:
    assert taken(uplink(recorded("opus", 3)), "opus") == [[0], [1], [2]]


def test_a_message_ends_where_the_utterance_does() -> None:
    audio = recorded("ogg", 3)
    audio.finish()
    audio.put(packets("ogg", 3, 2), 0.0)
    link = uplink(audio)
    ear, told = Ear("ogg"), []
    for _ in range(4):
        if link.is_at_finish:
            link.finish_passed_on()
            told.append("finish")
        else:
            told += map(str, ear.numbers(link.take(0.0)))
    assert told == ["0", "1", "2", "finish", "3", "4"]


def test_another_connection_is_told_again_that_an_utterance_ended_unless_it_is_covered() -> None:
    audio = recorded("linear16", 3)
    audio.finish()
    audio.put(packets("linear16", 3, 2), 0.0)
    first = uplink(audio)
    assert first.take(0.0)
    first.finish_passed_on()
    second = uplink(audio)
    assert second.take(0.0)
    assert second.is_at_finish
    audio.cover(80_000)
    third = uplink(audio)
    while third.take(0.0):
        assert not third.is_at_finish


# --- which recording --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", CONTAINERS)
@pytest.mark.parametrize("forgotten", [0, 1])
def test_a_decoder_hears_all_that_is_left_behind_a_header(encoding: Encoding, forgotten: int) -> None:
    audio = recorded(encoding, 10)
    audio.cover(forgotten * 20_000)
    link = uplink(audio, heard_until_us=forgotten * 20_000)
    data = link.take(0.0)
    came = header(encoding).raw + b"".join(one.raw for one in audio.packets(forgotten, 10))
    assert (data == came) == (forgotten == 0)
    pre_skip = 312 if forgotten == 0 else 0  # a made-up Opus packet decodes to silence of the right length
    assert decoded(data, encoding).samples == (10 - forgotten) * 960 - pre_skip


def test_a_connection_is_over_when_another_recording_begins_and_all_was_sent() -> None:
    audio = recorded("webm", 2)
    link = uplink(audio)
    states = [(link.is_behind, link.is_at_end)]
    audio.begin(header("webm"))
    audio.put(packets("webm", 2, 2), 0.0)
    states.append((link.is_behind, link.is_at_end))
    assert taken(link, "webm") == [[0, 1]]
    states.append((link.is_behind, link.is_at_end))
    assert states == [(True, False), (True, False), (False, True)]
    assert taken(uplink(audio), "webm") == [[0, 1]]


def test_a_connection_outlives_its_recording() -> None:
    audio = recorded("webm", 2)
    link = uplink(audio)
    assert link.take(0.0)
    for begin in (2, 4):
        audio.begin(header("webm"))
        audio.put(packets("webm", begin, 2), 0.0)
    audio.cover(80_000)
    assert link.is_at_end
    assert not link.is_behind
    assert link.take(1e6) == b""
    assert link.position_us(9.0) == 40_000
    assert taken(uplink(audio, heard_until_us=80_000), "webm") == [[4, 5]]


def test_recordings_without_audio_are_never_sent() -> None:
    audio = recorded("webm", 0)
    early = uplink(audio)
    for _ in range(3):
        audio.begin(header("webm"))
    assert early.is_at_end
    audio.put(packets("webm", 0, 2), 0.0)
    audio.begin(header("webm"))
    link = uplink(audio)
    assert link.is_behind
    assert taken(link, "webm") == [[0, 1]]
    assert link.is_at_end


# --- what is missing --------------------------------------------------------------------------------------------


def test_raw_audio_goes_on_behind_what_was_forgotten() -> None:
    audio = recorded("linear16", 5, max_s=0.2)
    link = uplink(audio)
    assert taken(link, "linear16") == [[0, 1, 2, 3, 4]]
    audio.put(packets("linear16", 5, 12), 0.0)
    assert taken(link, "linear16") == [[7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]
    assert link.skipped() == [Skipped(100_000, 140_000)]
    assert link.skipped() == []
    assert [link.position_us(at) for at in (0.05, 0.099, 0.1, 0.2, 9.0)] == [50_000, 99_000, 140_000, 240_000, 340_000]
    assert [link.clock_s(at) for at in (50_000, 100_000, 120_000, 140_000, 240_000)] == [0.05, 0.1, 0.1, 0.1, 0.2]


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_a_recording_with_a_hole_in_it_needs_another_connection(encoding: Encoding) -> None:
    audio = recorded(encoding, 5, max_s=0.2)
    link = uplink(audio)
    assert taken(link, encoding) == [[0, 1, 2, 3, 4]]
    audio.put(packets(encoding, 5, 12), 0.0)
    assert link.is_at_end
    assert not link.is_behind
    assert link.take(1e6) == b""
    assert link.skipped() == []
    other = uplink(audio, heard_until_us=link.position_us(link.sent_s))
    assert other.skipped() == [Skipped(100_000, 140_000)]
    assert other.take(0.0)
    audio.put(packets(encoding, 17, 12), 0.0)
    assert not other.is_at_end, "it has a header made for it: what is missing does no harm"
    assert taken(other, encoding)
    assert other.skipped() == [Skipped(340_000, 380_000)]


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_what_is_forgotten_before_the_first_message_changes_its_header(encoding: Encoding) -> None:
    audio = recorded(encoding, 10, max_s=0.2)
    link = uplink(audio)
    audio.put(packets(encoding, 10, 1), 0.0)
    assert decoded(link.take(0.0), encoding).samples == 10 * 960
    assert link.skipped() == [Skipped(0, 20_000)]


def test_a_gap_over_two_recordings_is_told_once() -> None:
    audio = recorded("linear16", 5, max_s=0.2)
    link = uplink(audio)
    assert link.take(0.0)
    audio.begin(header("webm"))
    audio.put(packets("webm", 5, 12), 0.0)
    assert link.take(1e6) == b""
    assert link.is_at_end
    assert link.skipped() == [Skipped(100_000, 140_000)]
    audio.put(packets("webm", 17, 1), 0.0)
    other = uplink(audio, heard_until_us=link.position_us(link.sent_s))
    assert other.skipped() == [Skipped(140_000, 160_000)]


def test_what_was_sent_but_not_heard_and_is_gone_is_missing_too() -> None:
    audio = recorded("linear16", 10, max_s=0.2)
    link = uplink(audio)
    assert link.take(0.0)
    audio.put(packets("linear16", 10, 6), 0.0)
    assert uplink(audio, heard_until_us=40_000).skipped() == [Skipped(40_000, 120_000)]
    assert uplink(audio, heard_until_us=120_000).skipped() == []


# --- the clock --------------------------------------------------------------------------------------------------


def test_a_clock_that_says_nonsense_stays_within_what_was_sent() -> None:
    audio = recorded("linear16", 10)
    audio.cover(40_000)
    link = uplink(audio, heard_until_us=40_000)
    assert [link.position_us(clock_s) for clock_s in (-1.0, 0.0, 1.0)] == [40_000, 40_000, 40_000]
    assert link.take(0.0)
    assert [link.position_us(clock_s) for clock_s in (-1.0, 0.0, 0.1, 99.0)] == [40_000, 40_000, 140_000, 200_000]
    assert [link.clock_s(position_us) for position_us in (-5, 0, 40_000, 10**9)] == [0.0, 0.0, 0.0, 0.16]


def test_a_provider_that_is_slower_than_the_client_does_not_make_the_clock_forget() -> None:
    audio = recorded("linear16", 25, max_s=0.5)
    link = uplink(audio)
    assert len(taken(link, "linear16", now=0.0)) == 3
    for number in range(25, 525):
        audio.put(packets("linear16", number, 1), 0.0)
        assert link.take(0.0) == b""
    assert [link.position_us(at) for at in (0.1, 0.499, 0.5)] == [100_000, 499_000, 10_000_000]
    assert sum(skipped.until_us - skipped.from_us for skipped in link.skipped()) == 9_500_000


def test_a_client_that_is_always_too_fast_takes_no_more_memory() -> None:
    audio = recorded("linear16", 1, max_s=0.1)
    link = uplink(audio)
    told = 0
    for number in range(1_000):
        audio.put(packets("linear16", number, 10), 0.0)
        assert link.take(1e6)
        told += len(link.skipped())
        assert held(link) + held(audio) < 1_000
    assert told == 1_000
    assert link.position_us(link.sent_s) == audio.end_us
    assert 0 < link.position_us(0.0) < audio.end_us
