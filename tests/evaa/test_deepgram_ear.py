"""What a simulated connection hears: the two ears, on real recordings, whole and damaged."""

import threading
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.deepgram.demux import OggDemuxer, Undecodable, WebmDemuxer, opus_samples
from evaa.simulators.deepgram.ear import OPUS_RATE, ClockEar, Ear, HeardPacket, PyAvEar
from tests.evaa.deepgram_client import AUDIO, audio, pieces, recordings

CONTAINERS = [recording.name for recording in recordings() if not recording.name.endswith(".s16le")]
CLUSTER = bytes.fromhex("1f43b675")
MANIFEST = msgspec.json.decode((AUDIO / "manifest.json").read_bytes())


def all_heard(ear: Ear, data: bytes, size: int = 500) -> list[HeardPacket]:
    try:
        return [packet for piece in pieces(data, size) for packet in ear.hear(piece)]
    finally:
        ear.close()


def payloads(packets: list[HeardPacket]) -> list[bytes]:
    return [packet.payload for packet in packets]


def init_of(data: bytes) -> bytes:
    return data[: data.index(CLUSTER)]


def clusters_of(data: bytes) -> list[int]:
    found, at = [], data.find(CLUSTER)
    while at >= 0:
        found.append(at)
        at = data.find(CLUSTER, at + 1)
    return found


# --- both ears --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTAINERS)
def test_both_ears_hear_the_same_packets_and_their_lengths(name: str) -> None:
    by_clock, by_decoder = ClockEar(None, OPUS_RATE), PyAvEar(None, OPUS_RATE)
    counted = all_heard(by_clock, audio(name))
    decoded = all_heard(by_decoder, audio(name))
    assert payloads(counted) == payloads(decoded)
    assert [packet.duration_s for packet in counted] == [packet.duration_s for packet in decoded]
    assert by_clock.warnings == by_decoder.warnings == []
    decoded_s = MANIFEST[name.partition(".")[0]]["decoded_s"]
    assert sum(packet.samples for packet in decoded) / OPUS_RATE == pytest.approx(decoded_s, abs=0.02)
    # The clock knows nothing of a pre-skip and of what is trimmed at the end.
    assert sum(packet.samples for packet in counted) / OPUS_RATE == pytest.approx(decoded_s, abs=0.03)


@pytest.mark.parametrize("open_ear", [ClockEar, PyAvEar])
@pytest.mark.parametrize("name", ["c_yes.webm", "c_yes.ogg"])
def test_packets_come_as_soon_as_their_bytes_are_there(open_ear: type[Ear], name: str) -> None:
    ear = open_ear(None, OPUS_RATE)  # type: ignore[call-arg]
    heard = [len(ear.hear(piece)) for piece in pieces(audio(name), 600)]
    ear.close()
    assert all(heard[1:-1])
    assert sum(heard) == len(all_heard(ClockEar(None, OPUS_RATE), audio(name)))


@pytest.mark.parametrize("open_ear", [ClockEar, PyAvEar])
@pytest.mark.parametrize("name", ["b_long_pause.webm", "b_long_pause.ogg"])
def test_without_its_header_nothing_of_a_container_is_heard(open_ear: type[Ear], name: str) -> None:
    data = audio(name)
    cut = clusters_of(data)[20] if name.endswith("webm") else data.index(b"OggS", 20_000)
    ear = open_ear(None, OPUS_RATE)  # type: ignore[call-arg]
    heard = all_heard(ear, data[cut : cut + 20_000])
    assert heard == []
    assert ear.warnings


@pytest.mark.parametrize("open_ear", [ClockEar, PyAvEar])
@given(cluster=st.integers(1, 180))
def test_behind_a_header_any_cluster_is_heard(open_ear: type[Ear], cluster: int) -> None:
    data = audio("b_long_pause.webm")
    begin = clusters_of(data)[cluster]
    ear = open_ear(None, OPUS_RATE)  # type: ignore[call-arg]
    heard = payloads(all_heard(ear, init_of(data) + data[begin : begin + 4000], 300))
    everything = payloads(all_heard(ClockEar(None, OPUS_RATE), data))
    assert len(heard) >= 10
    assert ear.warnings == []
    assert any(everything[at : at + len(heard)] == heard for at in range(len(everything)))


@pytest.mark.parametrize("open_ear", [ClockEar, PyAvEar])
def test_bare_packets_and_pcm(open_ear: type[Ear]) -> None:
    packets = all_heard(ClockEar(None, OPUS_RATE), audio("c_yes.webm"))
    bare = open_ear("opus", OPUS_RATE)  # type: ignore[call-arg]
    heard = [packet for payload in payloads(packets) for packet in bare.hear(payload)]
    bare.close()
    assert payloads(heard) == payloads(packets)
    assert sum(packet.samples for packet in heard) == pytest.approx(2.1 * OPUS_RATE, abs=400)

    pcm = all_heard(open_ear("linear16", 16_000), audio("c_yes.s16le"), 333)  # type: ignore[call-arg]
    assert b"".join(payloads(pcm)) == audio("c_yes.s16le")
    assert {(packet.duration_s, packet.samples) for packet in pcm} == {(0.02, 320)}


# --- the clock alone --------------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["c_yes.webm", "c_yes.ogg", "x_firefox.webm"]))
def test_however_a_container_is_cut_the_same_is_heard(data: st.DataObject, name: str) -> None:
    content = audio(name)[:6000]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    ear = ClockEar(None, OPUS_RATE)
    bounds = [0, *cuts, len(content)]
    heard = [packet for begin, end in pairwise(bounds) for packet in ear.hear(content[begin:end])]
    assert heard == all_heard(ClockEar(None, OPUS_RATE), content, 7000)


@given(st.binary(max_size=300), st.sampled_from([None, "opus", "ogg-opus", "mulaw"]))
def test_any_bytes_are_survived(data: bytes, encoding: str | None) -> None:
    ear = ClockEar(encoding, OPUS_RATE)
    for piece in pieces(data, 17):
        ear.hear(piece)
    ear.hear(init_of(audio("c_yes.webm")) + data)


def test_what_follows_a_damaged_place_is_not_heard() -> None:
    data = audio("b_long_pause.webm")
    ear = ClockEar(None, OPUS_RATE)
    all_heard(ear, data[:10_000])
    assert all_heard(ear, data[10_007:]) == []
    assert len(ear.warnings) == 1


def test_a_container_where_bare_packets_were_promised_is_not_heard() -> None:
    ear = ClockEar("opus", OPUS_RATE)
    assert all_heard(ear, audio("c_yes.webm")) == []
    assert ear.warnings == ["a container where bare packets were promised"]


def test_blocks_outside_of_a_cluster_and_times_that_go_back_are_noticed() -> None:
    data = audio("b_long_pause.webm")
    first, second, third = clusters_of(data)[:3]
    ear = ClockEar(None, OPUS_RATE)
    all_heard(ear, data[:first] + data[second:third] + data[first:second])
    assert [warning[:15] for warning in ear.warnings] == ["timestamps go b"]
    ear = ClockEar(None, OPUS_RATE)
    block = data.index(b"\xa3", first)
    assert all_heard(ear, data[:first] + data[block:second]) == []
    assert set(ear.warnings) == {"a block outside of a cluster"}


@pytest.mark.parametrize(
    ("packet", "samples"),
    [(b"\xfb\x03", 2880), (b"\x78", 960), (b"\xf9", 1920), (b"\x08", 960), (b"\x18", 2880), (b"\xe0", 120)],
)
def test_the_length_of_an_opus_packet(packet: bytes, samples: int) -> None:
    assert opus_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\x1b\x3f"])
def test_impossible_opus_packets(packet: bytes) -> None:
    with pytest.raises(Undecodable):
        opus_samples(packet)


def test_a_second_header_is_noticed_and_heard() -> None:
    data = audio("c_yes.webm")
    demuxer = WebmDemuxer()
    assert len(demuxer.feed(data + data)) == 70
    assert "a second EBML header" in demuxer.warnings
    assert len(OggDemuxer().feed(audio("c_yes.ogg") * 2)) == 2 * 106


def ogg_page(lacing: bytes, body: bytes, *, is_continued: bool = False) -> bytes:
    return b"OggS\0" + bytes([is_continued]) + bytes(20) + bytes([len(lacing)]) + lacing + body


def test_ogg_packets_may_be_long_and_run_over_pages() -> None:
    headers = ogg_page(b"\x08\x08", b"OpusHeadOpusTags")
    long, longer = b"a" * 255, b"b" * 600
    first = ogg_page(b"\xff\x00\xff\xff", long + longer[:510])
    second = ogg_page(b"\x5a\x02", longer[510:] + b"cc", is_continued=True)
    assert OggDemuxer().feed(headers + first + second) == [long, longer, b"cc"]
    # Without the first page the end of its last packet means nothing.
    lost = ogg_page(b"\x02", b"dd")
    assert OggDemuxer().feed(headers + first + lost) == [long, b"dd"]


# --- the decoder alone ------------------------------------------------------------------------------------------


def test_the_decoders_thread_ends_with_the_ear() -> None:
    before = set(threading.enumerate())
    ears = [PyAvEar(None, OPUS_RATE) for _ in range(4)]
    for ear, data in zip(ears, [audio("c_yes.webm"), b"\x1a\x45\xdf\xa3", b"rubbish" * 100, b""], strict=True):
        ear.hear(data)
    for ear in ears:
        ear.close()
    assert set(threading.enumerate()) <= before
    assert ears[0].hear(b"more") == []


def test_a_damaged_packet_is_told_by_the_decoder() -> None:
    data = bytearray(audio("b_long_pause.webm"))
    first, second = clusters_of(bytes(data))[5:7]
    data[first + 4 : second] = b"\x00" * (second - first - 4)
    ear = PyAvEar(None, OPUS_RATE)
    heard = all_heard(ear, bytes(data))
    assert 300 < len(heard) < 383
    assert ear.warnings
