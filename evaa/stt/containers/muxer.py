"""How packets are packed for a provider connection.

A connection that hears a recording from its beginning gets the bytes as they came. One that begins in the middle, or
hears something again, gets a stream that is made anew of the same packets, because decoders cannot be let into the
middle of another: the recording's header, changed so that the decoder drops nothing at the start, then blocks or pages
of our own with time from 0.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from evaa.stt.containers.ebml import SIMPLE_BLOCK, read_header, rebuilt_header, vint, without_pre_skip
from evaa.stt.containers.events import Header, Packet
from evaa.stt.containers.ogg_pages import (
    HEAD_BYTES,
    MAX_SEGMENTS,
    build_page,
    page_bytes,
    read_page,
    segments_of,
    with_checksum,
)

MAX_CLUSTER_US = 5_000_000
MAX_PAGE_US = 1_000_000

_LAST_TICK_OF_CLUSTER = 0x7FFF
_CLUSTER_HEAD = bytes.fromhex("1f43b675 01ffffffffffffff e788")  # of unknown size; its Timestamp has 8 bytes
_KEYFRAME = 0x80


class Muxer(Protocol):
    """Packs one recording for one connection."""

    def begin(self) -> bytes:
        """What goes ahead of all packets; may be empty."""
        ...

    def pack(self, packets: Sequence[Packet]) -> bytes:
        """The bytes that carry these packets, which follow those that were packed before.

        For raw `opus` a message is one packet: the caller packs one at a time.
        """
        ...


def open_muxer(header: Header, *, fresh: bool) -> Muxer:
    """Return what packs a recording for one connection. `header` is what a parser gave.

    `fresh`: the connection hears the recording from its first packet on, and every packet once, in order: it gets the
    bytes as they came. If packets are left out on the way, or the recording had damage, decoders may lose more than
    that; a muxer that is not fresh has no such trouble.
    """
    if fresh:
        return _AsItCame(header)
    if header.encoding == "webm":
        return _RebuiltWebm(header)
    if header.encoding == "ogg":
        return _RebuiltOgg(header)
    return _Bare()


class _AsItCame:
    def __init__(self, header: Header) -> None:
        self._header = header.raw

    def begin(self) -> bytes:
        return self._header

    def pack(self, packets: Sequence[Packet]) -> bytes:
        return b"".join([packet.raw for packet in packets])


class _Bare:
    """Raw audio has neither header nor time: what is packed is the payloads."""

    def begin(self) -> bytes:
        return b""

    def pack(self, packets: Sequence[Packet]) -> bytes:
        return b"".join([packet.payload for packet in packets])


class _RebuiltWebm:
    """Clusters of unknown size with SimpleBlocks in them."""

    def __init__(self, header: Header) -> None:
        description = read_header(header.raw)
        self._header = rebuilt_header(header.raw)
        self._track = bytes([0x80 | description.track])
        self._tick_ns = description.tick_ns
        self._time_us = 0
        self._cluster_us: int | None = None
        self._cluster_ticks = 0

    def begin(self) -> bytes:
        return self._header

    def pack(self, packets: Sequence[Packet]) -> bytes:
        pieces: list[bytes] = []
        for packet in packets:
            ticks = (self._time_us * 1000 + self._tick_ns // 2) // self._tick_ns
            if self._is_cluster_due(ticks):
                self._cluster_us, self._cluster_ticks = self._time_us, ticks
                pieces += (_CLUSTER_HEAD, ticks.to_bytes(8, "big"))
            pieces += self._block(ticks - self._cluster_ticks, packet.payload)
            self._time_us += packet.duration_us
        return b"".join(pieces)

    def _is_cluster_due(self, ticks: int) -> bool:
        if self._cluster_us is None or ticks - self._cluster_ticks > _LAST_TICK_OF_CLUSTER:
            return True
        return self._time_us - self._cluster_us >= MAX_CLUSTER_US

    def _block(self, ticks: int, payload: bytes) -> tuple[bytes, ...]:
        head = self._track + ticks.to_bytes(2, "big") + bytes([_KEYFRAME])
        return bytes([SIMPLE_BLOCK]), vint(len(head) + len(payload)), head, payload


class _RebuiltOgg:
    """Pages of whole packets, numbered on from the header's."""

    def __init__(self, header: Header) -> None:
        first = page_bytes(header.raw, 0)
        assert first is not None, "a parser gave this header"
        self._header = _page_without_pre_skip(header.raw[:first]) + header.raw[first:]
        self._serial, self._sequence = _last_page(header.raw)
        self._time_us = 0

    def begin(self) -> bytes:
        return self._header

    def pack(self, packets: Sequence[Packet]) -> bytes:
        pages = []
        for group in _page_groups(packets):
            self._time_us += sum(packet.duration_us for packet in group)
            self._sequence += 1
            granule = self._time_us * 48 // 1000
            payloads = [packet.payload for packet in group]
            pages.append(build_page(payloads, granule=granule, serial=self._serial, sequence=self._sequence))
        return b"".join(pages)


def _page_groups(packets: Sequence[Packet]) -> Iterator[Sequence[Packet]]:
    """Split into what fits on a page."""
    begin = segments = duration_us = 0
    for at, packet in enumerate(packets):
        needed = segments_of(packet.payload)
        if at > begin and (segments + needed > MAX_SEGMENTS or duration_us + packet.duration_us > MAX_PAGE_US):
            yield packets[begin:at]
            begin, segments, duration_us = at, 0, 0
        segments += needed
        duration_us += packet.duration_us
    if packets:
        yield packets[begin:]


def _page_without_pre_skip(page: bytes) -> bytes:
    body_at = HEAD_BYTES + len(read_page(page, 0).lacing)
    return with_checksum(page[:body_at] + without_pre_skip(page[body_at:]))


def _last_page(header: bytes) -> tuple[int, int]:
    """Serial and sequence number of a header's last page."""
    at = last = 0
    while size := page_bytes(header, at):
        last, at = at, at + size
    page = read_page(header, last)
    return page.serial, page.sequence
