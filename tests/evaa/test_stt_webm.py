"""WebM as browsers make it, and as they do not; cut anywhere, and damaged."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.stt.containers.events import Damage, Gap, Header, Packet
from evaa.stt.containers.webm import MAX_PENDING_BYTES, WebmParser
from tests.evaa.recordings import (
    EBML,
    OPUS_20_MS,
    VOID,
    WEBM,
    block,
    bytewise,
    chunks,
    cluster,
    cut,
    damage,
    damaged,
    element,
    fed,
    headers,
    packets,
    places,
    raw,
    reasons,
    recording,
    sized,
    track,
    trouble,
    webm_header,
)

PACKETS = {"a_dental": 110, "b_long_pause": 383, "c_yes": 35, "d_late": 198, "x_firefox": 347}
CLUSTER_ID = bytes.fromhex("1f43b675")


def parsed(data: bytes) -> list[Header | Packet | Gap | Damage]:
    return fed(WebmParser(), [data])


# --- recordings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEBM)
def test_a_recording_as_the_browser_sent_it(name: str) -> None:
    parser = WebmParser()
    events = fed(parser, chunks(name))
    assert events == parsed(recording(f"{name}.webm"))
    assert isinstance(events[0], Header)
    assert len(packets(events)) == len(events) - 1 == PACKETS[name]
    assert {packet.duration_us for packet in packets(events)} == {20_000 if name == "x_firefox" else 60_000}
    assert raw(events) == recording(f"{name}.webm")
    assert parser.pending_bytes == 0


@pytest.mark.parametrize(("name", "header_bytes"), [("c_yes", 146), ("x_firefox", 260)])
def test_the_header_ends_where_the_first_cluster_begins(name: str, header_bytes: int) -> None:
    header = headers(parsed(recording(f"{name}.webm")))[0]
    assert len(header.raw) == header_bytes
    assert (header.encoding, header.sample_rate) == ("webm", None)


def test_the_payload_is_the_opus_packet_alone() -> None:
    for packet in packets(parsed(recording("c_yes.webm"))):
        assert packet.payload == packet.raw[packet.payload_at :]
        assert packet.payload[0] == 0x7B  # 20 ms frames, as many as the next byte says
        assert packet.payload[1] & 0x3F == 3
        assert packet.raw[packet.payload_at - 4] == 0x81  # the track's number


def test_a_packet_comes_as_soon_as_its_last_byte_is_there() -> None:
    data = webm_header() + cluster(0, block(0), block(20))
    parser = WebmParser()
    assert len(packets(parser.feed(data[:-1]))) == 1
    assert len(packets(parser.feed(data[-1:]))) == 1


@pytest.mark.parametrize("name", ["c_yes", "x_firefox"])
def test_fed_byte_by_byte(name: str) -> None:
    data = recording(f"{name}.webm")
    assert fed(WebmParser(), bytewise(data)) == parsed(data)


@given(st.sampled_from(WEBM), places)
@settings(deadline=None, max_examples=60)
def test_cut_anywhere(name: str, cuts: list[int]) -> None:
    data = recording(f"{name}.webm")
    assert fed(WebmParser(), cut(data, cuts)) == parsed(data)


# --- other shapes that are right --------------------------------------------------------------------------------


def test_known_sizes_and_what_stands_beside_blocks() -> None:
    cues, tags, seek = element("1c53bb6b", b"cues"), element("1254c367", b"tags"), element("114d9b74", b"seek")
    body = cluster(0, element("a7", b"\1"), block(0), VOID, block(20), is_open=False) + cues
    body += cluster(40, element("ab", b"\1"), block(0), is_open=False) + tags
    header = webm_header(size=1000) + VOID + seek
    parser = WebmParser()
    events = parser.feed(header + body)
    assert trouble(events) == []
    assert headers(events)[0].raw == header
    assert [packet.payload for packet in packets(events)] == [OPUS_20_MS] * 3
    assert raw(events) + tags == header + body
    assert parser.pending_bytes == len(tags)


def test_every_length_of_a_size() -> None:
    body = b"\x81\0\0\x80" + OPUS_20_MS
    sizes = [(len(body) | 1 << 7 * length).to_bytes(length, "big") for length in range(1, 9)]
    data = webm_header() + cluster(0) + b"".join(b"\xa3" + size + body for size in sizes)
    assert [packet.payload for packet in packets(parsed(data))] == [OPUS_20_MS] * 8


@pytest.mark.parametrize("is_sized", [True, False])
def test_a_block_in_a_group_leaves_what_follows_it_to_the_next(is_sized: bool) -> None:
    inner = element("a1", b"\x81\0\0\0" + OPUS_20_MS)
    after = element("9b", b"\x14") + element("75a2", b"\0")
    data = webm_header() + cluster(0, element("a0", inner + after), block(20), is_open=not is_sized)
    events = parsed(data)
    first, second = packets(events)
    assert first.payload == second.payload == OPUS_20_MS
    assert second.raw.startswith(after)
    assert raw(events) == data


def test_elements_before_the_first_cluster_may_be_unheard_of() -> None:
    assert len(packets(parsed(webm_header() + element("4abc", b"new") + cluster(0, block(0))))) == 1


# --- what is no audio recording in Opus -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tracks", "said"),
    [
        ([track(kind=1, codec=b"V_VP8")], "one audio track"),
        ([track(), track(kind=1, codec=b"V_VP8", number=2)], "one audio track"),
        ([track(codec=b"A_VORBIS")], "'A_VORBIS', not Opus"),
        ([track(codec=b"A_PCM/FLOAT/IEEE\xff")], "not Opus"),
        ([track(more=element("6d80", b"x"))], "encrypted"),
        ([track(number=127)], "track number"),
        ([b""], "no track"),
    ],
)
def test_what_should_be_recorded_instead_is_said_once(tracks: list[bytes], said: str) -> None:
    parser = WebmParser()
    data = webm_header(*tracks) + b"".join(cluster(20 * at, block(0)) for at in range(20))
    (problem,) = fed(parser, cut(data, range(0, len(data), 100)))
    assert isinstance(problem, Damage)
    assert said in problem.reason
    assert "record audio/webm;codecs=opus" in problem.reason
    assert parser.pending_bytes < 20
    assert len(packets(parser.feed(webm_header() + cluster(0, block(0))))) == 1


def test_a_unit_of_time_that_no_one_uses() -> None:
    info = element("2ad7b1", b"\xff" * 200)
    assert "unit" in reasons(parsed(webm_header(info=info) + cluster(0, block(0))))[0]


def test_laced_blocks_are_told_once_and_left_to_the_next_packet() -> None:
    data = webm_header() + cluster(0, block(0, flags=0x82), block(20, flags=0x86), block(40))
    events = parsed(data)
    assert [type(event) for event in events] == [Header, Damage, Packet]
    assert raw(events) == data


@pytest.mark.parametrize("payload", [b"", b"\x7b", b"\x7b\0"])
def test_a_block_that_holds_no_opus_packet(payload: bytes) -> None:
    events = parsed(webm_header() + cluster(0, block(0, payload), block(20), block(40, payload)))
    assert [type(event) for event in events] == [Header, Damage, Packet, Damage]


# --- damage -----------------------------------------------------------------------------------------------------

BROKEN = {
    "an id that cannot be one": b"\0\0",
    "a size that cannot be one": b"\xec\0",
    "an element that is too large": b"\xec" + sized(MAX_PENDING_BYTES + 1),
    "an element of unknown size": b"\xec\xff",
    "a group of unknown size": b"\xa0\xff",
    "an element that no one knows": element("4abc", b"x"),
    "a block that is too large": b"\xa3" + sized(70_000),
    "a block that is too small": element("a3", b"\x81\0\0"),
    "a block of unknown size": b"\xa3\xff",
    "a block of another track": block(20, number=2),
    "a block before its cluster's time": element("1f43b675", is_open=True) + block(0),
    "a timestamp that is too long": element("e7", bytes(9)),
    "a second segment": element("18538067", is_open=True),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_after_damage_it_goes_on_at_the_next_cluster(broken: bytes, step: int) -> None:
    sound = cluster(40, block(0), block(20))
    data = webm_header() + cluster(0, block(0)) + broken + b"whatever" * 200 + CLUSTER_ID + sound
    events = fed(WebmParser(), cut(data, range(0, len(data), step)))
    assert [type(event) for event in events] == [Header, Packet, Damage, Packet, Packet]
    assert raw(events[3:]) == sound


@pytest.mark.parametrize("broken", ["an id that cannot be one", "an element of unknown size"])
def test_damage_between_header_and_first_cluster_costs_no_audio(broken: str) -> None:
    data = webm_header() + BROKEN[broken] + cluster(0, block(0))
    events = parsed(data)
    assert [type(event) for event in events] == [Damage, Header, Packet]
    assert headers(events)[0].raw == webm_header()


@pytest.mark.parametrize("data", [b"neither", block(0), cluster(0, block(0)), webm_header()[len(EBML) :]])
def test_a_recording_without_its_beginning_waits_for_another(data: bytes) -> None:
    events = parsed(data + cluster(0, block(0)) + webm_header() + cluster(0, block(0)))
    assert [type(event) for event in events] == [Damage, Header, Packet]


@pytest.mark.parametrize("size", [b"\xff", sized(MAX_PENDING_BYTES)])
def test_a_beginning_that_is_none(size: bytes) -> None:
    """It is what the parser looks for after damage, and is damage itself."""
    events = parsed(bytes.fromhex("1a45dfa3") + size + b"\x42\x82" + webm_header() + cluster(0, block(0)))
    assert [type(event) for event in events] == [Damage, Header, Packet]


def test_audio_before_tracks_is_damage() -> None:
    assert len(reasons(parsed(EBML + element("18538067", is_open=True) + cluster(0, block(0))))) == 1
    assert len(reasons(parsed(EBML + element("18538067", is_open=True) + block(0)))) == 1


@pytest.mark.parametrize(("lost", "said"), [(1, []), (10, [Gap("1.2 s of audio are missing before 7.2 s")])])
def test_chunks_that_chromium_sent_and_that_never_came(lost: int, said: list[Gap]) -> None:
    """It cuts all its chunks one byte inside a block: what remains fits together again, and only time tells."""
    sent = chunks("b_long_pause")
    events = fed(WebmParser(), [*sent[:50], *sent[50 + lost :]])
    assert trouble(events) == said
    assert len(packets(events)) == PACKETS["b_long_pause"] - 2 * lost


def test_half_a_chunk_that_never_came() -> None:
    sent = chunks("b_long_pause")
    events = fed(WebmParser(), [*sent[:50], sent[50][:200], *sent[51:]])
    assert [type(event) for event in trouble(events)] == [Damage]
    assert len(packets(events)) >= PACKETS["b_long_pause"] - 5


def test_a_stream_without_audio_in_it_is_not_kept_for_ever() -> None:
    parser = WebmParser()
    events = parser.feed(webm_header() + cluster(0))
    for _ in range(2000):
        events += parser.feed(element("ec", bytes(1000)))
        assert parser.pending_bytes <= MAX_PENDING_BYTES
    assert len(reasons(events)) == 1
    assert len(packets(parser.feed(cluster(0, block(0))))) == 1


# --- another recording ------------------------------------------------------------------------------------------


def test_two_recordings_one_after_the_other() -> None:
    one, two = recording("c_yes.webm"), recording("x_firefox.webm")
    events = parsed(one + two)
    assert events == parsed(one) + parsed(two)


def test_a_recording_that_breaks_off_with_a_byte_of_its_last_block() -> None:
    """As Chromium leaves it when the last chunk of a recording is not sent."""
    one, two = chunks("c_yes"), recording("d_late.webm")
    events = fed(WebmParser(), [*one[:10], two])
    assert [type(event) for event in trouble(events)] == [Damage]
    assert len(headers(events)) == 2
    assert len(packets(events)) >= PACKETS["d_late"] + 15


# --- time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leap_ms", "is_gap"), [(20, False), (71, False), (1020, False), (1021, True), (65_000, True)])
def test_a_leap_in_time_is_a_gap(leap_ms: int, is_gap: bool) -> None:
    events = parsed(webm_header() + cluster(0, block(0)) + cluster(leap_ms, block(0)))
    assert [type(event) for event in events] == [Header, Packet, *([Gap] if is_gap else []), Packet]


def test_a_gap_tells_how_much_and_where() -> None:
    gap = parsed(webm_header() + cluster(60_000, block(-20), block(4500)))[2]
    assert gap == Gap("4.5 s of audio are missing before 64.5 s")


def test_a_gap_is_measured_in_the_recordings_own_unit() -> None:
    info = element("2ad7b1", (100_000).to_bytes(3, "big"))  # a tick is 0.1 ms
    events = parsed(webm_header(info=info) + cluster(0, block(0), block(10_200), block(30_200)))
    assert trouble(events) == [Gap("2.0 s of audio are missing before 3.0 s")]


def test_time_that_goes_back_is_no_gap() -> None:
    assert trouble(parsed(webm_header() + cluster(60_000, block(0)) + cluster(0, block(0)))) == []


# --- anything ---------------------------------------------------------------------------------------------------


@given(st.sampled_from(["c_yes", "x_firefox"]), damage, places)
@settings(deadline=None, max_examples=150)
def test_whatever_happens_to_a_recording(name: str, harm: list[tuple[str, int, bytes]], cuts: list[int]) -> None:
    data = damaged(recording(f"{name}.webm"), harm)
    parser = WebmParser()
    for piece in cut(data, cuts):
        parser.feed(piece)
        assert parser.pending_bytes <= MAX_PENDING_BYTES
    parser.feed(bytes(MAX_PENDING_BYTES))  # ends whatever element was begun
    again = parser.feed(recording("c_yes.webm"))
    assert len(packets(again)) >= PACKETS["c_yes"]
    assert len(headers(again)) == 1


@given(st.integers(), damage)
@settings(deadline=None, max_examples=50)
def test_damage_says_the_same_however_it_is_cut(seed: int, harm: list[tuple[str, int, bytes]]) -> None:
    data = damaged(recording("c_yes.webm"), harm)
    some = random.Random(seed)
    assert fed(WebmParser(), cut(data, [some.randrange(len(data) + 1) for _ in range(30)])) == parsed(data)


@given(
    st.lists(st.binary(max_size=300) | st.sampled_from([EBML, webm_header(), CLUSTER_ID, cluster(0), block(0), VOID]))
)
@settings(deadline=None, max_examples=200)
def test_garbage(pieces: list[bytes]) -> None:
    parser = WebmParser()
    whole = b"".join(pieces)
    assert fed(parser, pieces) == parsed(whole)
    assert parser.pending_bytes <= len(whole)
