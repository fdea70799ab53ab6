"""Raw audio, and the length of an Opus packet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.stt.containers.events import Damage, Header, Packet
from evaa.stt.containers.opus import MAX_PACKET_BYTES, packet_duration_us
from evaa.stt.containers.raw import RawParser
from tests.evaa.recordings import cut, fed, packets, raw, recording

# --- Opus packets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "frame_us"),
    [
        *((first + at, us) for first in (0, 4, 8) for at, us in enumerate((10_000, 20_000, 40_000, 60_000))),
        *((first + at, us) for first in (12, 14) for at, us in enumerate((10_000, 20_000))),
        *((first + at, us) for first in (16, 20, 24, 28) for at, us in enumerate((2_500, 5_000, 10_000, 20_000))),
    ],
)
def test_every_configuration(config: int, frame_us: int) -> None:
    """RFC 6716 section 3.1, table 2."""
    for stereo in (0, 4):
        toc = config << 3 | stereo
        assert packet_duration_us(bytes([toc]) + b"frame") == frame_us
        assert packet_duration_us(bytes([toc | 1]) + b"frames") == 2 * frame_us
        assert packet_duration_us(bytes([toc | 2]) + b"frames") == 2 * frame_us
        for count in range(64):
            expected = count * frame_us if 0 < count * frame_us <= 120_000 else None
            assert packet_duration_us(bytes([toc | 3, 0xC0 | count]) + b"frames") == expected


def test_a_packet_within_a_buffer() -> None:
    assert packet_duration_us(b"head\x7b\x83", 4) == 60_000
    assert packet_duration_us(b"head\x7b", 4) is None
    assert packet_duration_us(b"head", 4) is None
    assert packet_duration_us(b"head\x7b\x83tail", 4, 6) == 60_000
    assert packet_duration_us(b"head\x7b\x83tail", 4, 5) is None


def test_sizes_that_no_packet_has() -> None:
    assert packet_duration_us(b"") is None
    assert packet_duration_us(bytes(MAX_PACKET_BYTES)) == 10_000
    assert packet_duration_us(bytes(MAX_PACKET_BYTES + 1)) is None


def test_bare_packets() -> None:
    events = fed(RawParser("opus", 48_000), [b"\x78one", b"\x7b", b"", b"\x7b\x83two"])
    assert events[:2] == [Header("opus", sample_rate=48_000), Packet(b"\x78one", 0, 20_000)]
    assert isinstance(events[2], Damage)
    assert "each chunk must be one packet" in events[2].reason
    assert events[3:] == [Packet(b"\x7b\x83two", 0, 60_000)]


# --- PCM --------------------------------------------------------------------------------------------------------


def test_pcm_is_cut_into_packets_of_20_ms() -> None:
    data = recording("c_yes.s16le")
    events = RawParser("linear16", 16_000).feed(data)
    assert events[0] == Header("linear16", sample_rate=16_000)
    assert {(len(packet.raw), packet.duration_us) for packet in packets(events)} == {(640, 20_000)}
    assert b"".join(packet.payload for packet in packets(events)) == data


def test_what_remains_is_not_held_back() -> None:
    parser = RawParser("linear16", 8000)
    assert [packet.duration_us for packet in packets(parser.feed(bytes(321)))] == [20_000]
    assert parser.pending_bytes == 1
    assert packets(parser.feed(b"")) == []
    assert [packet.duration_us for packet in packets(parser.feed(bytes(3)))] == [250]
    assert parser.pending_bytes == 0


def test_a_byte_at_first_is_a_header_and_nothing_more() -> None:
    assert RawParser("linear16", 8000).feed(b"") == []
    assert RawParser("linear16", 8000).feed(b"1") == [Header("linear16", sample_rate=8000)]


@given(st.sampled_from([8000, 16_000, 24_000, 44_100, 48_000]), st.lists(st.integers(0, 1 << 20), max_size=40))
def test_pcm_cut_anywhere_loses_neither_samples_nor_time(rate: int, cuts: list[int]) -> None:
    data = recording("c_yes.s16le")[:20_001]
    parser = RawParser("linear16", rate)
    events = fed(parser, cut(data, cuts))
    assert raw(events) == data[:-1]
    assert parser.pending_bytes == 1
    assert all(len(packet.raw) % 2 == 0 and packet.duration_us <= 20_000 for packet in packets(events))
    assert sum(packet.duration_us for packet in packets(events)) == 10_000 * 1_000_000 // rate
