"""Ogg pages (RFC 3533 section 6): how they are checked, taken apart and made."""

import struct
import zlib
from collections.abc import Sequence

import msgspec

CAPTURE = b"OggS"
CONTINUED, BEGINS_STREAM = 0x01, 0x02
MAX_SEGMENTS = 255

_HEAD = struct.Struct("<4sBBqIIIB")  # capture, version, flags, granule position, serial, sequence, checksum, segments
HEAD_BYTES = _HEAD.size
_CHECKSUM = slice(22, 26)
_KNOWN_FLAGS = 0x07

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page's head. `lacing` are the sizes of its segments: a packet ends with the first one below 255."""

    flags: int
    serial: int
    sequence: int
    lacing: bytes


def page_bytes(data: bytes | bytearray, at: int) -> int | None:
    """The size of the page at `at`; None if that, or the page itself, is not all there yet."""
    body_at = at + HEAD_BYTES
    if len(data) < body_at:
        return None
    table = data[body_at : body_at + data[body_at - 1]]
    size = HEAD_BYTES + data[body_at - 1] + sum(table)
    return size if len(data) >= at + size else None


def can_be_page(data: bytes | bytearray, at: int) -> bool:
    """Whether what follows the capture pattern, as far as it has come, may be a page: version 0 and known flags."""
    return not any(data[at + 4 : at + 5]) and (len(data) < at + 6 or data[at + 5] <= _KNOWN_FLAGS)


def is_intact(page: bytes) -> bool:
    """Whether the checksum is right."""
    return page[_CHECKSUM] == checksum(page)


def checksum(page: bytes) -> bytes:
    """Return the four bytes that belong into a page's checksum field, whatever stands there.

    Ogg's CRC-32 is zlib's with all bits mirrored, and without zlib's inversions at the start and the end; so zlib,
    fed the mirrored bytes, computes it far faster than Python could.
    """
    mirrored = bytearray(page.translate(_MIRRORED))
    mirrored[_CHECKSUM] = bytes(4)
    crc = zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, "big").translate(_MIRRORED)


def with_checksum(page: bytes) -> bytes:
    """Return the page with its checksum put right."""
    return page[: _CHECKSUM.start] + checksum(page) + page[_CHECKSUM.stop :]


def read_page(data: bytes | bytearray, at: int) -> Page:
    """Take apart the head of a whole page."""
    _, _, flags, _, serial, sequence, _, segments = _HEAD.unpack_from(data, at)
    return Page(flags, serial, sequence, bytes(data[at + HEAD_BYTES : at + HEAD_BYTES + segments]))


def segments_of(packet: bytes) -> int:
    """How many of a page's 255 segments a packet takes."""
    return len(packet) // 255 + 1


def build_page(packets: Sequence[bytes], *, granule: int, serial: int, sequence: int) -> bytes:
    """Return a page of whole packets: at most 255 segments (`segments_of`). `granule`: 48 kHz samples to its end."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = _HEAD.pack(CAPTURE, 0, 0, granule, serial, sequence & 0xFFFF_FFFF, 0, len(lacing))
    return with_checksum(b"".join((head, lacing, *packets)))
