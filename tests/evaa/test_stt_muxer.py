"""What a provider is sent is decoded by FFmpeg: every sample is there, and it has nothing to complain of."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.stt.containers.ebml import BrokenWebm, read_header, vint
from evaa.stt.containers.events import AudioEvent, Header, Packet
from evaa.stt.containers.muxer import open_muxer
from evaa.stt.containers.ogg import OggParser
from evaa.stt.containers.ogg_pages import is_intact, read_page
from evaa.stt.containers.webm import WebmParser
from tests.evaa.recordings import (
    OGG,
    OPUS_20_MS,
    OPUS_HEAD,
    WEBM,
    block,
    cluster,
    decoded,
    element,
    headers,
    ogg_header,
    ogg_page,
    packets,
    pages,
    raw,
    recording,
    samples_of,
    track,
    webm_header,
)

RECORDINGS = [*(f"{name}.webm" for name in WEBM), *(f"{name}.ogg" for name in OGG)]
PRE_SKIP = {"x_firefox.webm": 312, "a_dental.ogg": 312, "b_long_pause.ogg": 312, "c_yes.ogg": 312, "d_late.ogg": 312}


def parsed(name: str) -> tuple[Header, list[Packet]]:
    events = events_of(recording(name), name)
    return headers(events)[0], packets(events)


def events_of(data: bytes, name: str) -> list[AudioEvent]:
    return (WebmParser() if name.endswith("webm") else OggParser()).feed(data)


def rebuilt(header: Header, some: Sequence[Packet], at_once: int = 4) -> bytes:
    muxer = open_muxer(header, fresh=False)
    pieces = [muxer.pack(some[at : at + at_once]) for at in range(0, len(some), at_once)]
    return muxer.begin() + b"".join(pieces)


def some_of(count: int) -> list[int]:
    """A few places in a recording, the first and the last among them."""
    return sorted({0, 1, 2, *range(3, count, max(1, count // 6)), count - 1})


# --- as it came -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_fresh_connection_gets_the_bytes_as_they_came(name: str) -> None:
    header, all_packets = parsed(name)
    muxer = open_muxer(header, fresh=True)
    rest = iter(all_packets)
    sent = muxer.begin()
    while some := list(islice(rest, 7)):
        sent += muxer.pack(some)
    assert sent == recording(name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_fresh_streams_are_decoded(name: str) -> None:
    """FFmpeg drops the run-in that the header names, and what the recorder asked to drop at the end."""
    header, all_packets = parsed(name)
    samples, _, warnings = decoded(recording(name), header.encoding)
    assert warnings == []
    assert samples_of(all_packets) - 960 <= samples <= samples_of(all_packets) - PRE_SKIP.get(name, 0)


# --- made anew --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_rebuilt_stream_from_any_packet_is_decoded_to_the_last_sample(name: str) -> None:
    header, all_packets = parsed(name)
    for first in some_of(len(all_packets)):
        stream = rebuilt(header, all_packets[first:])
        assert decoded(stream, header.encoding) == (samples_of(all_packets[first:]), 0, [])


@pytest.mark.parametrize("name", ["c_yes.webm", "c_yes.ogg"])
def test_every_packet_may_be_the_first(name: str) -> None:
    header, all_packets = parsed(name)
    for first in range(len(all_packets)):
        some = all_packets[first : first + 5]
        assert decoded(rebuilt(header, some, at_once=2), header.encoding) == (samples_of(some), 0, [])


@pytest.mark.parametrize("name", ["c_yes.webm", "x_firefox.webm", "c_yes.ogg"])
def test_packets_may_be_left_out_on_the_way(name: str) -> None:
    header, all_packets = parsed(name)
    some = all_packets[3:9] + all_packets[20:]
    assert decoded(rebuilt(header, some), header.encoding) == (samples_of(some), 0, [])


@given(
    st.sampled_from(["c_yes.webm", "x_firefox.webm", "c_yes.ogg"]), st.lists(st.integers(0, 30), max_size=20), st.data()
)
@settings(deadline=None, max_examples=60)
def test_what_was_packed_is_parsed_again(name: str, sizes: list[int], data: st.DataObject) -> None:
    header, all_packets = parsed(name)
    rest = iter(all_packets[data.draw(st.integers(0, len(all_packets) - 1)) :])
    muxer = open_muxer(header, fresh=False)
    stream, sent = muxer.begin(), []
    for size in sizes:
        some = list(islice(rest, size))
        stream += muxer.pack(some)
        sent += some
    events = events_of(stream, name)
    assert [packet.payload for packet in packets(events)] == [packet.payload for packet in sent]
    assert len(events) == len(sent) + (1 if sent or header.encoding == "ogg" else 0)
    assert raw(events) == (stream if events else b"")


# --- WebM -------------------------------------------------------------------------------------------------------


def test_the_header_changes_only_where_it_must() -> None:
    header, _ = parsed("x_firefox.webm")
    again = open_muxer(header, fresh=False).begin()
    head_at, delay_at = header.raw.index(b"OpusHead"), header.raw.index(b"\x56\xaa\x84")
    expected = bytearray(header.raw)
    expected[head_at + 10 : head_at + 12] = bytes(2)
    expected[delay_at + 3 : delay_at + 7] = bytes(4)
    assert again == expected != header.raw


@pytest.mark.parametrize("length", range(1, 9))
def test_a_segment_of_known_size_becomes_one_of_unknown_size(length: int) -> None:
    sized = (100 | 1 << 7 * length).to_bytes(length, "big")
    raw_header = webm_header().replace(b"\x01" + b"\xff" * 7, sized)
    unknown = ((1 << 7 * length) - 1 | 1 << 7 * length).to_bytes(length, "big")
    assert open_muxer(Header("webm", raw_header), fresh=False).begin() == raw_header.replace(sized, unknown)


def clusters_of(stream: bytes) -> list[int]:
    """The timestamps of a rebuilt stream's clusters."""
    parts = stream.split(bytes.fromhex("1f43b67501ffffffffffffffe788"))
    return [int.from_bytes(part[:8], "big") for part in parts[1:]]


def test_a_cluster_every_five_seconds_with_time_from_zero() -> None:
    header, all_packets = parsed("b_long_pause.webm")
    assert clusters_of(rebuilt(header, all_packets[100:])) == [0, 5040, 10_080, 15_120]


def test_timestamps_are_the_sum_of_durations_rounded_to_milliseconds() -> None:
    packet = Packet(b"\xe0some", 0, 2500)
    stream = rebuilt(Header("webm", webm_header()), [packet] * 4)
    times = [stream[at + 3] for at in range(len(stream)) if stream[at : at + 3] == b"\x89\x81\0"]
    assert times == [0, 3, 5, 8]


def test_a_finer_unit_of_time_needs_more_clusters() -> None:
    info = element("2ad7b1", (1000).to_bytes(2, "big"))  # a tick is a microsecond
    stream = rebuilt(Header("webm", webm_header(info=info)), [Packet(OPUS_20_MS, 0, 20_000)] * 5)
    assert clusters_of(stream) == [0, 40_000, 80_000]


def test_the_track_keeps_its_number() -> None:
    events = WebmParser().feed(webm_header(track(number=126)) + cluster(0, block(0, number=126)))
    again = WebmParser().feed(rebuilt(headers(events)[0], packets(events)))
    assert [packet.payload for packet in packets(again)] == [OPUS_20_MS]


@given(st.integers(0, (1 << 56) - 2))
def test_sizes_are_written_as_short_as_they_can_be(size: int) -> None:
    written = vint(size)
    length = len(written)
    assert int.from_bytes(written, "big") == size | 1 << 7 * length
    assert size < (1 << 7 * length) - 1
    assert length == 1 or size >= (1 << 7 * (length - 1)) - 1


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda some: webm_header() + some))
def test_no_header_makes_the_reader_stumble(some: bytes) -> None:
    with suppress(BrokenWebm):
        assert read_header(some).track == 1


# --- Ogg --------------------------------------------------------------------------------------------------------


def test_pages_go_on_from_the_header() -> None:
    header, all_packets = parsed("c_yes.ogg")
    before = [read_page(page, 0) for page in pages(header.raw)]
    made = pages(rebuilt(header, all_packets[10:20], at_once=4))
    heads = [read_page(page, 0) for page in made]
    assert all(is_intact(page) for page in made)
    assert [head.sequence for head in heads] == [0, 1, 2, 3, 4]
    assert {head.serial for head in heads} == {before[0].serial}
    assert [head.flags for head in heads] == [2, 0, 0, 0, 0]
    granules = [int.from_bytes(page[6:14], "little") for page in made]
    assert granules == [0, 0, 4 * 960, 8 * 960, 10 * 960]


def test_the_header_asks_for_nothing_to_be_dropped() -> None:
    header = Header("ogg", ogg_header())
    head, tags = pages(open_muxer(header, fresh=False).begin())
    assert head == ogg_page([19], OPUS_HEAD[:10] + bytes(2) + OPUS_HEAD[12:], sequence=0, flags=2)
    assert tags == pages(ogg_header())[1]


def test_a_page_holds_no_more_than_a_second() -> None:
    header, all_packets = parsed("c_yes.ogg")
    made = pages(rebuilt(header, all_packets, at_once=1000))[2:]
    assert [len(read_page(page, 0).lacing) for page in made] == [50, 50, 6]


def test_a_page_holds_no_more_than_255_segments() -> None:
    large = Packet(b"\x78" + bytes(30_000), 0, 20_000)  # 118 segments
    made = pages(rebuilt(Header("ogg", ogg_header()), [large] * 5, at_once=5))[2:]
    assert [len(read_page(page, 0).lacing) for page in made] == [236, 236, 118]
    assert all(is_intact(page) for page in made)


def test_nothing_to_pack_is_nothing() -> None:
    for name in ("c_yes.webm", "c_yes.ogg"):
        assert open_muxer(parsed(name)[0], fresh=False).pack([]) == b""


# --- raw --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
def test_raw_audio_has_no_header(fresh: bool) -> None:
    muxer = open_muxer(Header("linear16", sample_rate=16_000), fresh=fresh)
    assert muxer.begin() == b""
    assert muxer.pack([Packet(b"ab", 0, 62), Packet(b"cd", 0, 63)]) == b"abcd"


# --- the tests' own eyes ----------------------------------------------------------------------------------------


def test_ffmpeg_does_complain() -> None:
    """Else no warnings would mean nothing."""
    data = recording("c_yes.webm")
    assert decoded(data[:1000] + data[1500:], "webm").warnings != []
