"""Ogg with Opus, cut anywhere, and damaged; packets that go on over pages; streams that are not wanted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.stt.containers import ogg
from evaa.stt.containers.events import Damage, Gap, Header, Packet
from evaa.stt.containers.ogg import MAX_PENDING_BYTES, OggParser
from evaa.stt.containers.ogg_pages import build_page, checksum, is_intact
from tests.evaa.recordings import (
    OGG,
    OPUS_20_MS,
    OPUS_HEAD,
    OPUS_TAGS,
    bytewise,
    cut,
    damage,
    damaged,
    fed,
    headers,
    ogg_header,
    ogg_page,
    packets,
    pages,
    places,
    raw,
    reasons,
    recording,
    trouble,
)

PACKETS = {"a_dental": 331, "b_long_pause": 1150, "c_yes": 106, "d_late": 595}
LONG = b"\x78" + bytes(range(200)) * 3  # 601 bytes: segments of 255, 255 and 91
SIZE = len(OPUS_20_MS)


def parsed(data: bytes) -> list[Header | Packet | Gap | Damage]:
    return fed(OggParser(), [data])


def audio(sequence: int, count: int = 2) -> bytes:
    return ogg_page([SIZE] * count, OPUS_20_MS * count, sequence=sequence)


def kinds(data: bytes) -> list[type]:
    return [type(event) for event in parsed(data)]


# --- the checksum -----------------------------------------------------------------------------------------------


def plain_checksum(page: bytes) -> bytes:
    """As RFC 3533 has it: polynomial 0x04c11db7, from 0, nothing mirrored, the field itself as zeros."""
    crc = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x104C11DB7 if crc & 0x8000_0000 else 0)
    return crc.to_bytes(4, "little")


@given(st.binary(min_size=27, max_size=300))
def test_the_checksum_is_what_the_standard_says(page: bytes) -> None:
    assert checksum(page) == plain_checksum(page)


@pytest.mark.parametrize("name", OGG)
def test_the_checksum_is_what_others_wrote(name: str) -> None:
    found = pages(recording(f"{name}.ogg"))
    assert b"".join(found) == recording(f"{name}.ogg")
    assert all(is_intact(page) for page in found)
    assert not is_intact(found[3][:-1] + bytes([found[3][-1] ^ 1]))


def test_a_page_that_was_built_is_read_again() -> None:
    some = [OPUS_20_MS, LONG, b"\x78" + bytes(254), b"\x78" + bytes(509)]
    page = build_page(some, granule=960, serial=7, sequence=2)
    assert [packet.payload for packet in packets(parsed(ogg_header() + page))] == some


# --- recordings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OGG)
def test_a_recording(name: str) -> None:
    data = recording(f"{name}.ogg")
    parser = OggParser()
    events = parser.feed(data)
    assert headers(events) == [Header("ogg", b"".join(pages(data)[:2]))]
    assert len(packets(events)) == len(events) - 1 == PACKETS[name]
    assert {packet.duration_us for packet in packets(events)} == {20_000}
    assert raw(events) == data
    assert parser.pending_bytes == 0


def test_the_first_packet_of_a_page_brings_its_head() -> None:
    page = audio(2, count=3)
    first, second, third = packets(parsed(ogg_header() + page))
    assert first.raw == page[: 27 + 3 + SIZE]
    assert second.raw == third.raw == first.payload == second.payload == OPUS_20_MS


def test_packets_come_with_the_last_byte_of_their_page() -> None:
    parser = OggParser()
    data = ogg_header() + audio(2)
    assert packets(parser.feed(data[:-1])) == []
    assert len(packets(parser.feed(data[-1:]))) == 2


def test_fed_byte_by_byte() -> None:
    data = recording("c_yes.ogg")
    assert fed(OggParser(), bytewise(data)) == parsed(data)


@given(st.sampled_from(OGG), places)
@settings(deadline=None, max_examples=60)
def test_cut_anywhere(name: str, cuts: list[int]) -> None:
    data = recording(f"{name}.ogg")
    assert fed(OggParser(), cut(data, cuts)) == parsed(data)


# --- packets and headers over several pages ---------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 100, 10_000])
def test_a_packet_that_goes_on_over_pages(step: int) -> None:
    data = (
        ogg_header()
        + ogg_page([SIZE, 255], OPUS_20_MS + LONG[:255], sequence=2)
        + ogg_page([255], LONG[255:510], sequence=3, flags=1)
        + ogg_page([91, SIZE], LONG[510:] + OPUS_20_MS, sequence=4, flags=1)
    )
    events = fed(OggParser(), cut(data, range(0, len(data), step)))
    assert trouble(events) == []
    assert [packet.payload for packet in packets(events)] == [OPUS_20_MS, LONG, OPUS_20_MS]
    assert packets(events)[1].joined == LONG
    assert raw(events) == data


def test_a_packet_that_ends_at_its_pages_end_with_a_whole_segment() -> None:
    whole = b"\x78" + bytes(254)
    data = ogg_header() + ogg_page([255], whole, sequence=2) + ogg_page([0, SIZE], OPUS_20_MS, sequence=3, flags=1)
    assert [packet.payload for packet in packets(parsed(data))] == [whole, OPUS_20_MS]


def test_tags_over_several_pages() -> None:
    tags = OPUS_TAGS + bytes(65_025 + 500)
    header = (
        ogg_page([19], OPUS_HEAD, sequence=0, flags=2)
        + ogg_page([255] * 255, tags[: 255 * 255], sequence=1)
        + ogg_page([255, 255, 6], tags[255 * 255 :], sequence=2, flags=1)
    )
    events = parsed(header + audio(3))
    assert [type(event) for event in events] == [Header, Packet, Packet]
    assert headers(events)[0].raw == header


def test_a_packet_without_its_beginning_is_left_to_the_next() -> None:
    data = ogg_header() + ogg_page([255], LONG[:255], sequence=2, flags=1)
    data += ogg_page([91, SIZE], LONG[510:] + OPUS_20_MS, sequence=3, flags=1)
    events = parsed(data)
    assert [packet.payload for packet in packets(events)] == [OPUS_20_MS]
    assert raw(events) == data


def test_a_packet_whose_middle_is_missing_is_left_to_the_next() -> None:
    one = ogg_page([SIZE, 255], OPUS_20_MS + LONG[:255], sequence=2)
    three = ogg_page([91, SIZE], LONG[510:] + OPUS_20_MS, sequence=4, flags=1)
    events = parsed(ogg_header() + one + three)
    assert [type(event) for event in events] == [Header, Packet, Gap, Packet]
    assert packets(events)[1].payload == OPUS_20_MS
    assert raw(events) == ogg_header() + one + three


def test_a_packet_that_breaks_off() -> None:
    data = ogg_header() + ogg_page([255], LONG[:255], sequence=2) + audio(3)
    assert kinds(data) == [Header, Damage, Packet, Packet]
    assert raw(parsed(data)) == data


def test_a_packet_too_long_for_opus_is_not_kept() -> None:
    parser = OggParser()
    events = parser.feed(ogg_header())
    for sequence in range(2, 30):
        events += parser.feed(ogg_page([255] * 255, bytes(65_025), sequence=sequence, flags=int(sequence > 2)))
        assert parser.pending_bytes <= MAX_PENDING_BYTES
    assert len(reasons(events)) == 1
    assert len(packets(parser.feed(audio(30)))) == 2


@pytest.mark.parametrize("payload", [b"", b"\x7b", b"\x7b\0"])
def test_a_packet_that_is_not_opus(payload: bytes) -> None:
    data = ogg_header() + ogg_page([len(payload), SIZE], payload + OPUS_20_MS, sequence=2)
    assert kinds(data) == [Header, Damage, Packet]
    assert raw(parsed(data)) == data


def test_empty_pages_are_not_kept_for_ever() -> None:
    parser = OggParser()
    events = parser.feed(ogg_header())
    for sequence in range(2, 40_000):
        events += parser.feed(ogg_page([], b"", sequence=sequence))
        assert parser.pending_bytes <= MAX_PENDING_BYTES
    assert len(reasons(events)) == 1


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("following", "said"),
    [
        ((5,), "page 4 is missing"),
        ((8,), "pages 4 to 7 are missing"),
        ((3,), "page 3 came where page 4 should have"),
    ],
)
def test_page_numbers_tell_what_is_missing(following: tuple[int, ...], said: str) -> None:
    data = ogg_header() + audio(2) + audio(3) + b"".join(map(audio, following))
    events = parsed(data)
    assert trouble(events) == [Gap(said)]
    assert len(packets(events)) == 6


def test_page_numbers_begin_again_after_the_last() -> None:
    data = ogg_page([19], OPUS_HEAD, sequence=0xFFFF_FFFE, flags=2)
    data += ogg_page([len(OPUS_TAGS)], OPUS_TAGS, sequence=0xFFFF_FFFF) + audio(0)
    assert kinds(data) == [Header, Packet, Packet]


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    "garbage", [b"what is this?", b"OggS", b"OggS\0\0OggS\0\0", b"OggS\0\0" + bytes(20) + b"\1\0", b"O"]
)
def test_what_is_no_page_is_left_out(garbage: bytes, step: int) -> None:
    data = ogg_header() + audio(2) + garbage + audio(3)
    events = fed(OggParser(), cut(data, range(0, len(data), step)))
    assert [type(event) for event in events] == [Header, Packet, Packet, Damage, Packet, Packet]
    assert raw(events) == ogg_header() + audio(2) + audio(3)


def test_a_spoilt_page_costs_itself() -> None:
    spoilt = audio(3)[:-1] + b"?"
    events = parsed(ogg_header() + audio(2) + spoilt + audio(4))
    assert [type(event) for event in trouble(events)] == [Damage, Gap]
    assert raw(events) == ogg_header() + audio(2) + audio(4)


def test_a_page_that_breaks_off_costs_itself() -> None:
    parser = OggParser()
    events = fed(parser, [ogg_header() + ogg_page([SIZE] * 10, OPUS_20_MS * 10, sequence=2)[:200]])
    events += fed(parser, [audio(sequence) for sequence in range(3, 20)])
    assert len(packets(events)) == 2 * 17


def test_a_packet_goes_on_behind_garbage() -> None:
    one, two = ogg_page([255], LONG[:255], sequence=2), ogg_page([255, 91], LONG[255:], sequence=3, flags=1)
    events = parsed(ogg_header() + one + b"garbage" + two)
    assert [type(event) for event in events] == [Header, Damage, Packet]
    assert packets(events)[0].payload == LONG
    assert raw(events) == ogg_header() + one + two


def test_false_pages_are_looked_into_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that begin every 33 bytes and claim half a hundred kilobytes each, all with a wrong checksum."""
    looked_at = 0

    def counting(page: bytes) -> bool:
        nonlocal looked_at
        looked_at += len(page)
        return is_intact(page)

    monkeypatch.setattr(ogg, "is_intact", counting)
    false = (b"OggS\0\0" + b"\xff" * 27) * 6000
    parser = OggParser()
    events = parser.feed(ogg_header() + false + bytes(65_536))
    assert len(reasons(events)) == 1
    assert looked_at < 10 * (len(false) + 65_536)
    assert len(packets(parser.feed(audio(2)))) == 2


# --- what is no audio recording in Opus -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x01vorbis" + bytes(23), "Vorbis"),
        (b"\x7fFLAC" + bytes(30), "FLAC"),
        (b"\x80theora" + bytes(30), "Theora"),
        (b"OpusHead", "another codec"),
        (b"", "another codec"),
    ],
)
def test_another_codec(head: bytes, said: str) -> None:
    data = ogg_page([len(head)], head, sequence=0, flags=2) + audio(1) + audio(2)
    (problem,) = parsed(data)
    assert isinstance(problem, Damage)
    assert said in problem.reason
    assert "record audio/ogg;codecs=opus" in problem.reason
    assert kinds(data + ogg_header() + audio(2)) == [Damage, Header, Packet, Packet]


@pytest.mark.parametrize("count", [2, 3])
def test_streams_that_begin_together(count: int) -> None:
    begin = b"".join(ogg_page([19], OPUS_HEAD, sequence=0, flags=2, serial=serial) for serial in range(count))
    data = begin + b"".join(ogg_page([16], OPUS_TAGS, sequence=1, serial=serial) for serial in range(count))
    (problem,) = parsed(data)
    assert isinstance(problem, Damage)
    assert "more than one stream" in problem.reason
    assert kinds(data + ogg_header() + audio(2)) == [Damage, Header, Packet, Packet]


def test_a_page_of_another_stream_is_left_out() -> None:
    other = ogg_page([SIZE], OPUS_20_MS, sequence=9, serial=8)
    assert kinds(ogg_header() + audio(2) + other + other + audio(3)) == [Header, Packet, Packet, Damage, Packet, Packet]


@pytest.mark.parametrize(
    "beginning",
    [
        audio(2),
        ogg_page([19], OPUS_HEAD, sequence=0, flags=2) + audio(1),
        ogg_page([19], OPUS_HEAD, sequence=0, flags=2) + audio(2),
    ],
)
def test_without_its_header_a_recording_is_nothing(beginning: bytes) -> None:
    assert kinds(beginning + audio(3) + ogg_header() + audio(2)) == [Damage, Header, Packet, Packet]


def test_two_recordings_one_after_the_other() -> None:
    one, two = recording("c_yes.ogg"), recording("d_late.ogg")
    assert parsed(one + two) == parsed(one) + parsed(two)


def test_a_recording_that_breaks_off_before_another() -> None:
    one, two = recording("c_yes.ogg"), recording("d_late.ogg")
    events = parsed(one[:3000] + two)
    assert len(headers(events)) == 2
    assert events[-PACKETS["d_late"] - 1 :] == parsed(two)


# --- anything ---------------------------------------------------------------------------------------------------


@given(st.sampled_from(["c_yes", "a_dental"]), damage, places)
@settings(deadline=None, max_examples=100)
def test_whatever_happens_to_a_recording(name: str, harm: list[tuple[str, int, bytes]], cuts: list[int]) -> None:
    data = damaged(recording(f"{name}.ogg"), harm)
    parser = OggParser()
    events = []
    for piece in cut(data, cuts):
        events += parser.feed(piece)
        assert parser.pending_bytes <= 70_000
    assert events == parsed(data)
    parser.feed(bytes(70_000))  # ends whatever page was begun
    assert len(packets(parser.feed(recording("c_yes.ogg")))) == PACKETS["c_yes"]


@given(st.lists(st.binary(max_size=300) | st.sampled_from([ogg_header(), audio(2), audio(3), b"OggS\0", OPUS_HEAD])))
@settings(deadline=None, max_examples=150)
def test_garbage(pieces: list[bytes]) -> None:
    parser = OggParser()
    assert fed(parser, pieces) == parsed(b"".join(pieces))
    assert parser.pending_bytes <= len(b"".join(pieces))
