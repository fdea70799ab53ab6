"""EBML elements (RFC 8794), and what the header of a WebM recording says.

Every element is an id, a size and a body; id and size are variable-length integers whose first byte tells their
length. A size of nothing but ones is unknown: the element lasts until one comes that cannot be inside it.
"""

from collections.abc import Iterator

import msgspec

EBML = 0x1A45DFA3
SEGMENT = 0x18538067
CLUSTER = 0x1F43B675
TIMESTAMP = 0xE7
SIMPLE_BLOCK = 0xA3
BLOCK_GROUP = 0xA0
BLOCK = 0xA1
_INFO = 0x1549A966
_TIMESTAMP_SCALE = 0x2AD7B1
_TRACKS = 0x1654AE6B
_TRACK_ENTRY = 0xAE
_TRACK_NUMBER = 0xD7
_TRACK_TYPE = 0x83
_CODEC_ID = 0x86
_CODEC_PRIVATE = 0x63A2
_CODEC_DELAY = 0x56AA
_CONTENT_ENCODINGS = 0x6D80

MAX_INTEGER_BYTES = 8

UNKNOWN = -1
"""The size of an element whose size is unknown."""

_STEPPED_INTO = {SEGMENT, _INFO, _TRACKS, _TRACK_ENTRY}
_VINT_LENGTH = bytes(9 - first.bit_length() if first else 0 for first in range(256))
_ID_LENGTH = bytes(length if length <= 4 else 0 for length in _VINT_LENGTH)
_VALUE_MASK = tuple((1 << 7 * length) - 1 for length in range(9))

_USUAL_TICK_NS = 1_000_000
_LONGEST_TICK_NS = 1_000_000_000
_AUDIO_TRACK = 2
_MAX_TRACK = 126  # what a block says in one byte
_RECORD_INSTEAD = "record audio/webm;codecs=opus from a stream of audio only"


class BrokenWebm(Exception):
    """The bytes are no WebM, or none that is understood here; the message says what is right."""


def read_head(data: bytes | bytearray, at: int, end: int) -> tuple[int, int, int] | None:
    """Return id, size and body position of the element at `at`; None if its head is not all there before `end`.

    Raises `BrokenWebm` for an id or a size that cannot be one.
    """
    if at >= end:
        return None
    size_at = at + _ID_LENGTH[data[at]]
    if size_at == at:
        raise BrokenWebm("the recording is damaged: no WebM element begins where one should")
    if size_at >= end:
        return None
    length = _VINT_LENGTH[data[size_at]]
    body_at = size_at + length
    if not length:
        raise BrokenWebm("the recording is damaged: a WebM element has no valid size")
    if body_at > end:
        return None
    mask = _VALUE_MASK[length]
    size = int.from_bytes(data[size_at:body_at], "big") & mask
    return int.from_bytes(data[at:size_at], "big"), UNKNOWN if size == mask else size, body_at


def vint(value: int) -> bytes:
    """Return `value` as a size, in as few bytes as it needs. (All ones would mean unknown: one byte more.)"""
    length = 1
    while value >= _VALUE_MASK[length]:
        length += 1
    return (value | 1 << 7 * length).to_bytes(length, "big")


class WebmHeader(msgspec.Struct, frozen=True, gc=False):
    """What blocks need to be understood and written: the track's number, and the unit of timestamps."""

    track: int
    tick_ns: int


def read_header(raw: bytes) -> WebmHeader:
    """Return what a header (all before the first Cluster) says. Raises `BrokenWebm` if it is not of Opus alone."""
    tracks = 0
    found: dict[int, bytes] = {}
    for element, _, body_at, end in _walk(raw):
        tracks += element == _TRACK_ENTRY
        if element not in _STEPPED_INTO:
            found[element] = raw[body_at:end]
    if not tracks:
        raise BrokenWebm(f"the recording's header names no track; {_RECORD_INSTEAD}")
    if tracks > 1 or int.from_bytes(found.get(_TRACK_TYPE, b""), "big") != _AUDIO_TRACK:
        raise BrokenWebm(f"the recording is not of one audio track alone; {_RECORD_INSTEAD}")
    codec = found.get(_CODEC_ID, b"").rstrip(b"\0")
    if codec != b"A_OPUS":
        raise BrokenWebm(f"the recording's codec is {codec[:32].decode('latin-1')!a}, not Opus; {_RECORD_INSTEAD}")
    if _CONTENT_ENCODINGS in found:
        raise BrokenWebm(f"the recording is compressed or encrypted within WebM; {_RECORD_INSTEAD}")
    track = int.from_bytes(found.get(_TRACK_NUMBER, b""), "big")
    tick_ns = int.from_bytes(found.get(_TIMESTAMP_SCALE, b""), "big") or _USUAL_TICK_NS
    if tick_ns > _LONGEST_TICK_NS:
        raise BrokenWebm("the recording is damaged: its timestamps' unit is more than a second")
    if not 0 < track <= _MAX_TRACK:
        raise BrokenWebm(f"the recording's track number is not from 1 to {_MAX_TRACK}; {_RECORD_INSTEAD}")
    return WebmHeader(track, tick_ns)


def rebuilt_header(raw: bytes) -> bytes:
    """Return a header for blocks that are not those which followed it, as long as it was.

    The Segment's size becomes unknown. What a decoder should drop at the start (the encoder's run-in) becomes
    nothing, since the first block will be real audio (RFC 7845 section 5.1; CodecDelay says the same to WebM).
    """
    header = bytearray(raw)
    for element, at, body_at, end in _walk(raw):
        if element == SEGMENT:
            length = body_at - at - 4  # of the size, behind a four-byte id
            header[at + 4 : body_at] = (_VALUE_MASK[length] | 1 << 7 * length).to_bytes(length, "big")
        elif element == _CODEC_DELAY:
            header[body_at:end] = bytes(end - body_at)
        elif element == _CODEC_PRIVATE:
            header[body_at:end] = without_pre_skip(raw[body_at:end])
    return bytes(header)


def without_pre_skip(opus_head: bytes) -> bytes:
    """Return an OpusHead (RFC 7845 section 5.1) that asks for nothing to be dropped at the start."""
    return opus_head[:10] + bytes(2) + opus_head[12:] if len(opus_head) >= 12 else opus_head


def _walk(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield id, start, body and end of each element of a header: a Segment, its parts, the tracks and their parts."""
    at = 0
    while at < len(raw):
        head = read_head(raw, at, len(raw))
        if head is None:
            raise BrokenWebm("the recording is damaged: its header breaks off")
        element, size, body_at = head
        end = len(raw) if element == SEGMENT else body_at + size
        if end > len(raw) or end < body_at:
            raise BrokenWebm("the recording is damaged: its header breaks off")
        yield element, at, body_at, end
        at = body_at if element in _STEPPED_INTO else end
