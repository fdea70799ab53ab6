"""Recordings that browsers made (tests/audio), ways to cut, spoil and decode them, and WebM made by hand."""

import io
import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import av.logging
from hypothesis import strategies as st

from evaa.stt.containers.events import AudioEvent, Damage, Header, Packet
from evaa.stt.containers.ogg_pages import page_bytes, with_checksum

AUDIO = Path(__file__).parent.parent / "audio"
WEBM = ("a_dental", "b_long_pause", "c_yes", "d_late", "x_firefox")
OGG = ("a_dental", "b_long_pause", "c_yes", "d_late")


class Parser(Protocol):
    @property
    def pending_bytes(self) -> int: ...

    def feed(self, data: bytes) -> list[AudioEvent]: ...


@cache
def recording(name: str) -> bytes:
    return (AUDIO / name).read_bytes()


@cache
def chunks(name: str) -> list[bytes]:
    """A WebM recording in the pieces in which the browser sent it."""
    data = recording(f"{name}.webm")
    listed = f"{name}.chunks.json" if name != "x_firefox" else "x_firefox_webm.chunks.json"
    pieces = json.loads((AUDIO / listed).read_text("utf-8"))
    return [data[piece["offset"] : piece["offset"] + piece["size"]] for piece in pieces]


# --- feeding ----------------------------------------------------------------------------------------------------


def fed(parser: Parser, pieces: Iterable[bytes]) -> list[AudioEvent]:
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(borders)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


places = st.lists(st.integers(0, 1 << 20), max_size=12)
"""Where to cut a recording, whatever its length."""

damage = st.lists(
    st.tuples(
        st.sampled_from(["change", "remove", "insert", "truncate"]), st.integers(0, 1 << 20), st.binary(max_size=40)
    ),
    min_size=1,
    max_size=4,
)
"""What happens to a recording, and where."""


def damaged(data: bytes, harm: Iterable[tuple[str, int, bytes]]) -> bytes:
    for what, anywhere, some in harm:
        at = anywhere % (len(data) + 1)
        if what == "truncate":
            data = data[:at] if at > len(data) // 2 else data
        elif what == "insert":
            data = data[:at] + some + data[at:]
        else:
            data = data[:at] + (some if what == "change" else b"") + data[at + len(some) :]
    return data


# --- what came out ----------------------------------------------------------------------------------------------


def headers(events: Iterable[AudioEvent]) -> list[Header]:
    return [event for event in events if isinstance(event, Header)]


def packets(events: Iterable[AudioEvent]) -> list[Packet]:
    return [event for event in events if isinstance(event, Packet)]


def reasons(events: Iterable[AudioEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, Damage)]


def trouble(events: Iterable[AudioEvent]) -> list[AudioEvent]:
    return [event for event in events if not isinstance(event, Header | Packet)]


def raw(events: Iterable[AudioEvent]) -> bytes:
    return b"".join(event.raw for event in events if isinstance(event, Header | Packet))


def samples_of(some: Iterable[Packet]) -> int:
    """How many samples these packets hold, at 48 kHz."""
    return sum(packet.duration_us for packet in some) * 48 // 1000


class Decoded(NamedTuple):
    samples: int
    first_pts: int | None
    warnings: list[str]


def decoded(data: bytes, encoding: str) -> Decoded:
    """What FFmpeg makes of it, at 48 kHz, with all that it complains of."""
    samples, first_pts = 0, None
    before = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with (
            av.logging.Capture() as logs,
            av.open(io.BytesIO(data), mode="r", format="matroska" if encoding == "webm" else encoding) as container,
        ):
            for frame in container.decode(audio=0):
                assert frame.sample_rate == 48_000
                first_pts = frame.pts if first_pts is None else first_pts
                samples += frame.samples
    finally:
        av.logging.set_level(before)
    return Decoded(samples, first_pts, [message for _, _, message in logs])


# --- WebM made by hand ------------------------------------------------------------------------------------------


def sized(size: int) -> bytes:
    """A size in eight bytes."""
    return (size | 1 << 56).to_bytes(8, "big")


def element(element_id: str, body: bytes = b"", *, is_open: bool = False) -> bytes:
    """An element; `is_open`: of unknown size."""
    return bytes.fromhex(element_id) + (b"\x01" + b"\xff" * 7 if is_open else sized(len(body))) + body


EBML = element("1a45dfa3", element("4282", b"webm"))
VOID = element("ec", bytes(50))
OPUS_20_MS = b"\x78" + bytes(range(40))


def track(*, kind: int = 2, codec: bytes = b"A_OPUS", number: int = 1, more: bytes = b"") -> bytes:
    return element("ae", element("d7", bytes([number])) + element("83", bytes([kind])) + element("86", codec) + more)


def webm_header(*tracks: bytes, info: bytes = b"", size: int | None = None) -> bytes:
    body = element("1549a966", info) + element("1654ae6b", b"".join(tracks or (track(),)))
    opening = element("18538067", is_open=True) if size is None else bytes.fromhex("18538067") + sized(size)
    return EBML + opening + body


def block(time: int, payload: bytes = OPUS_20_MS, *, number: int = 1, flags: int = 0x80) -> bytes:
    return element("a3", bytes([0x80 | number]) + time.to_bytes(2, "big", signed=True) + bytes([flags]) + payload)


def cluster(time: int, *blocks: bytes, is_open: bool = True) -> bytes:
    body = element("e7", time.to_bytes(4, "big")) + b"".join(blocks)
    return element("1f43b675", b"", is_open=True) + body if is_open else element("1f43b675", body)


# --- Ogg made by hand -------------------------------------------------------------------------------------------


def pages(data: bytes) -> list[bytes]:
    found, at = [], 0
    while size := page_bytes(data, at):
        found.append(data[at : at + size])
        at += size
    return found


def ogg_page(
    lacing: Sequence[int], body: bytes, *, sequence: int, flags: int = 0, serial: int = 7, granule: int = 0
) -> bytes:
    """A page with whatever lacing, so that packets may go on on the next."""
    head = b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little") + serial.to_bytes(4, "little")
    numbered = head + sequence.to_bytes(4, "little") + bytes(4) + bytes([len(lacing)]) + bytes(lacing)
    return with_checksum(numbered + body)


OPUS_HEAD = b"OpusHead\x01\x01" + (312).to_bytes(2, "little") + (48_000).to_bytes(4, "little") + bytes(3)
OPUS_TAGS = b"OpusTags" + bytes(8)


def ogg_header(serial: int = 7) -> bytes:
    return ogg_page([len(OPUS_HEAD)], OPUS_HEAD, sequence=0, flags=2, serial=serial) + ogg_page(
        [len(OPUS_TAGS)], OPUS_TAGS, sequence=1, serial=serial
    )
