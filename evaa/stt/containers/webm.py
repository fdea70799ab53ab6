"""WebM with Opus, parsed as it comes (RFC 9559; what browsers make of it is simpler, and cut anywhere).

The walk is flat: Segment, Cluster and BlockGroup are stepped into, whatever size they claim; every other element is
taken whole. No stack of parents is needed, since a Cluster ends where the next one begins.

After damage the walk goes on at the next Cluster, with the same header. That is a tenth of a second with today's
browsers and a tenth of a second's timeslice, and up to half a minute with Chromium before 143, which opens a Cluster
only every 30 s.
"""

import re
from contextlib import suppress

from evaa.stt.containers.ebml import (
    BLOCK,
    BLOCK_GROUP,
    CLUSTER,
    EBML,
    MAX_INTEGER_BYTES,
    SEGMENT,
    SIMPLE_BLOCK,
    TIMESTAMP,
    UNKNOWN,
    BrokenWebm,
    WebmHeader,
    read_head,
    read_header,
)
from evaa.stt.containers.events import AudioEvent, Damage, Gap, Header, Packet
from evaa.stt.containers.opus import MAX_PACKET_BYTES, packet_duration_us

MAX_PENDING_BYTES = 1 << 20
"""What may come without a packet of audio in it: a header, tags, padding."""

MAX_JITTER_NS = 1_000_000_000
"""Timestamps are rounded, and some browsers' jitter by tens of milliseconds; only a longer leap means missing audio."""

_BLOCK_HEAD_BYTES = 4  # track, timestamp within the cluster (16 bits), flags
_LACING = 0x06

_BESIDE_BLOCKS = frozenset({
    0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367,  # what a Segment holds
    0x5854, 0xA7, 0xAB, 0xAF,  # what a Cluster holds
    0x75A1, 0x9B, 0xFA, 0xFB, 0xA4, 0x75A2, 0x8E,  # what a BlockGroup holds
    0xEC, 0xBF,  # what any element may hold: padding and a checksum
})  # fmt: skip
"""What may stand among the blocks. Anything else there is damage: it would be taken for an element of any size."""

_SIZE = (
    rb"(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f]..|[\x10-\x1f].{3}"
    rb"|[\x08-\x0f].{4}|[\x04-\x07].{5}|[\x02\x03].{6}|\x01.{7})"
)
_RECORDING = rb"\x1a\x45\xdf\xa3" + _SIZE + rb"\x42"  # all that an EBML header begins with has an id of 42xx
_FIND_RECORDING = re.compile(_RECORDING, re.DOTALL)
_FIND_CLUSTER = re.compile(rb"\x1f\x43\xb6\x75" + _SIZE + rb"\xe7|" + _RECORDING, re.DOTALL)
_LONGEST_FIND_BYTES = 13


class WebmParser:
    """Feed it a recording as it comes; it gives back what is in it (see `events`).

    It never raises for what it is fed, and keeps at most about 1 MiB beyond the chunk it is fed.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._taken = 0  # up to here events have been made of `_data`
        self._at = 0  # where the next element begins
        self._is_hunting = False
        self._is_told = False  # of damage; nothing more is said of it until audio comes again
        self._is_open = False  # an EBML header was seen
        self._header: WebmHeader | None = None
        self._cluster_time: int | None = None
        self._expected_ns: int | None = None

    @property
    def pending_bytes(self) -> int:
        """How much is kept until more comes."""
        return len(self._data)

    def feed(self, data: bytes) -> list[AudioEvent]:
        """Return what `data` completes, in order."""
        events: list[AudioEvent] = []
        self._data += data
        while not self._is_hunting or self._hunt():
            try:
                self._walk(events)
                break
            except BrokenWebm as broken:
                self._lose(str(broken), events)
        del self._data[: self._taken]
        self._at -= self._taken
        self._taken = 0
        return events

    def _walk(self, events: list[AudioEvent]) -> None:
        """Take all elements that are complete. Raises `BrokenWebm` at one that makes no sense."""
        data = self._data
        have = len(data)
        while head := read_head(data, self._at, have):
            element, size, body_at = head
            end = self._end_of(element, size, body_at)
            if end - self._taken > MAX_PENDING_BYTES:
                raise BrokenWebm("the recording is damaged: more than 1 MiB without audio")
            if end > have:
                break
            if element in (SIMPLE_BLOCK, BLOCK):
                self._take_block(body_at, end, events)
            elif element == TIMESTAMP:
                self._cluster_time = int.from_bytes(data[body_at:end], "big")
            elif element == CLUSTER:
                self._open_cluster(events)
            elif element == EBML:
                self._begin_recording()
            self._at = end

    def _end_of(self, element: int, size: int, body_at: int) -> int:
        """Where to go on after this element. Raises `BrokenWebm` if it has no place here, or no such size."""
        if not self._is_open and element != EBML:
            raise BrokenWebm("the recording does not begin with an EBML header, as WebM does")
        if self._header is None:
            if element in (SIMPLE_BLOCK, BLOCK, BLOCK_GROUP, TIMESTAMP):
                raise BrokenWebm("the recording is damaged: audio comes before its header")
            if element in (SEGMENT, CLUSTER):
                return body_at
        elif element in (SIMPLE_BLOCK, BLOCK):
            if not _BLOCK_HEAD_BYTES <= size <= _BLOCK_HEAD_BYTES + MAX_PACKET_BYTES:
                raise BrokenWebm("the recording is damaged: a block is too small or too large for Opus")
        elif element == CLUSTER or (element == BLOCK_GROUP and size != UNKNOWN):
            return body_at
        elif element == TIMESTAMP:
            if not 0 <= size <= MAX_INTEGER_BYTES:
                raise BrokenWebm("the recording is damaged: a timestamp of more than 8 bytes")
        elif element != EBML and element not in _BESIDE_BLOCKS:
            raise BrokenWebm("the recording is damaged: something that is no WebM stands among its blocks")
        if size == UNKNOWN:
            raise BrokenWebm("the recording is damaged: an element of unknown size, where none may be")
        return body_at + size

    def _begin_recording(self) -> None:
        self._taken = self._at
        self._is_open, self._is_told = True, False
        self._header = self._expected_ns = None

    def _open_cluster(self, events: list[AudioEvent]) -> None:
        self._cluster_time = None
        if self._header is None:
            self._finish_header(events)

    def _finish_header(self, events: list[AudioEvent]) -> None:
        raw = bytes(self._data[self._taken : self._at])
        self._header = read_header(raw)
        self._taken = self._at
        events.append(Header("webm", raw))

    def _take_block(self, body_at: int, end: int, events: list[AudioEvent]) -> None:
        data, header, cluster_time = self._data, self._header, self._cluster_time
        if header is None or cluster_time is None or data[body_at] != 0x80 | header.track:
            raise BrokenWebm("the recording is damaged: a block belongs to no cluster or to another track")
        payload_at = body_at + _BLOCK_HEAD_BYTES
        duration_us = packet_duration_us(data, payload_at, end)
        if duration_us is None or data[payload_at - 1] & _LACING:
            self._tell("a block holds no single Opus packet; record audio/webm;codecs=opus with MediaRecorder", events)
            return
        self._check_time(cluster_time + _signed(data[body_at + 1], data[body_at + 2]), duration_us, header, events)
        events.append(Packet(bytes(data[self._taken : end]), payload_at - self._taken, duration_us))
        self._taken = end
        self._is_told = False

    def _check_time(self, ticks: int, duration_us: int, header: WebmHeader, events: list[AudioEvent]) -> None:
        time_ns = ticks * header.tick_ns
        expected_ns = self._expected_ns
        if expected_ns is not None and time_ns - expected_ns > MAX_JITTER_NS:
            events.append(
                Gap(f"{(time_ns - expected_ns) / 1e9:.1f} s of audio are missing before {time_ns / 1e9:.1f} s")
            )
        self._expected_ns = time_ns + duration_us * 1000

    # --- damage -------------------------------------------------------------------------------------------------

    def _lose(self, reason: str, events: list[AudioEvent]) -> None:
        """What stands at `_at` is not understood: tell it, and look out for a place to go on from."""
        self._tell(reason, events)
        if self._header is None:
            with suppress(BrokenWebm):  # what came before the damage may be all that is needed
                self._finish_header(events)
        self._at += 1
        self._taken = self._at
        self._is_hunting = True

    def _tell(self, reason: str, events: list[AudioEvent]) -> None:
        if not self._is_told:
            self._is_told = True
            events.append(Damage(reason))

    def _hunt(self) -> bool:
        """Go to the next Cluster, or to the next recording; False if it has not come yet."""
        find = _FIND_RECORDING if self._header is None else _FIND_CLUSTER
        found = find.search(self._data, self._at)
        at = found.start() if found else max(self._at, len(self._data) - _LONGEST_FIND_BYTES + 1)
        self._at = self._taken = at
        self._is_hunting = found is None
        return found is not None


def _signed(high: int, low: int) -> int:
    return (high << 8 | low) - (0x1_0000 if high & 0x80 else 0)
