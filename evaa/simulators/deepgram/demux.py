"""Light demuxers of WebM and Ogg that assume well-formed input and refuse the rest. Pure.

They belong to the simulator alone and share nothing with the product's, so that mistakes do not cancel out. They are
stricter than the decoders in use: what FFmpeg would find its way back into after losing some audio, they give up on.
"""

MAX_ELEMENT_BYTES = 1024 * 1024

_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)

_EBML, _TRACKS, _CLUSTER, _TIMESTAMP = 0x1A45DFA3, 0x1654AE6B, 0x1F43B675, 0xE7
_BLOCKS = (0xA3, 0xA1)
_STEPPED_INTO = (0x18538067, _CLUSTER, 0xA0)  # Segment, Cluster, BlockGroup
# Info, SeekHead, Cues, Tags, Void, CRC-32, Position, PrevSize, and what may stand in a BlockGroup.
_SKIPPED = (0x1549A966, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0xEC, 0xBF, 0xA7, 0xAB, 0x9B, 0xFB, 0x75A2, 0x75A1)
_WHOLE = frozenset((_EBML, _TRACKS, _TIMESTAMP, *_BLOCKS, *_SKIPPED))


class Undecodable(Exception):
    """The input is not what it should be; nothing after it will be understood."""


def opus_samples(packet: bytes) -> int:
    """Return how many samples at 48 kHz an Opus packet holds (RFC 6716, 3.1). Raises Undecodable."""
    if not packet:
        raise Undecodable("an empty Opus packet")
    config, code = packet[0] >> 3, packet[0] & 3
    frame = _SILK[config & 3] if config < 12 else _HYBRID[config & 1] if config < 16 else _CELT[config & 3]
    if code < 3:
        return frame if code == 0 else 2 * frame
    count = packet[1] & 63 if len(packet) > 1 else 0
    if not 0 < count * frame <= 5760:
        raise Undecodable("an Opus packet of an impossible length")
    return count * frame


class WebmDemuxer:
    """Yields the payload of each block of a live WebM file."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._rest = bytearray()
        self._has_header = self._has_track = self._in_cluster = False
        self._cluster_ms = 0
        self._block_ms = -1

    def feed(self, data: bytes) -> list[bytes]:
        """Return the packets that `data` completes. Raises Undecodable."""
        rest = self._rest
        rest += data
        packets: list[bytes] = []
        position = 0
        while (head := _element_at(rest, position)) is not None:
            element, body, size = head
            if not self._has_header and element != _EBML:
                raise Undecodable("no EBML header")
            if element in _STEPPED_INTO:
                self._in_cluster |= element == _CLUSTER
                position = body
                continue
            if element not in _WHOLE or size is None or size > MAX_ELEMENT_BYTES:
                raise Undecodable(f"unexpected element {element:x}")
            end = body + size
            if end > len(rest):
                break
            position = end
            if element in _BLOCKS:
                self._take_block(bytes(rest[body:end]), packets)
            elif element in (_EBML, _TRACKS, _TIMESTAMP):
                self._take_other(element, bytes(rest[body:end]))
        del rest[:position]
        return packets

    def _take_other(self, element: int, content: bytes) -> None:
        if element == _TIMESTAMP:
            self._cluster_ms = int.from_bytes(content, "big")
        elif element == _TRACKS:
            if b"A_OPUS" not in content:
                raise Undecodable("no Opus track")
            self._has_track = True
        else:
            if self._has_header:
                self.warnings.append("a second EBML header")
            self._has_header = True

    def _take_block(self, block: bytes, packets: list[bytes]) -> None:
        if not self._has_track or not self._in_cluster:
            self.warnings.append("a block outside of a cluster")
            return
        if len(block) < 4 or block[0] < 0x80 or block[3] & 0x06:
            raise Undecodable("a block with lacing, or of a track with a high number")
        at_ms = self._cluster_ms + int.from_bytes(block[1:3], "big", signed=True)
        if at_ms < self._block_ms:
            self.warnings.append(f"timestamps go back from {self._block_ms} to {at_ms} ms")
        self._block_ms = at_ms
        packets.append(block[4:])


def _element_at(data: bytearray, begin: int) -> tuple[int, int, int | None] | None:
    """Return an element's id, the position of its body and its size (None: unknown); None if its head is not whole."""
    if begin >= len(data):
        return None
    id_length = 9 - data[begin].bit_length()
    if id_length > 4:
        raise Undecodable("no element where one should begin")
    at = begin + id_length
    if at >= len(data):
        return None
    size_length = 9 - data[at].bit_length()
    if size_length > 8:
        raise Undecodable("an element of no size")
    body = at + size_length
    if body > len(data):
        return None
    mask = (1 << 7 * size_length) - 1
    size = int.from_bytes(data[at:body], "big") & mask
    return int.from_bytes(data[begin:at], "big"), body, None if size == mask else size


class OggDemuxer:
    """Yields the packets of an Ogg file with one Opus stream. Checksums are not verified."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._rest = bytearray()
        self._partial = bytearray()
        self._headers_missing = [b"OpusHead", b"OpusTags"]

    def feed(self, data: bytes) -> list[bytes]:
        """Return the packets of the pages that `data` completes. Raises Undecodable."""
        self._rest += data
        packets: list[bytes] = []
        while (page := self._next_page()) is not None:
            for packet in page:
                if packet.startswith(b"OpusHead"):
                    self._headers_missing = [b"OpusHead", b"OpusTags"]  # a chained file begins
                if not self._headers_missing:
                    packets.append(packet)
                elif packet.startswith(self._headers_missing[0]):
                    self._headers_missing.pop(0)
                else:
                    raise Undecodable(f"no {self._headers_missing[0].decode()}")
        return packets

    def _next_page(self) -> list[bytes] | None:
        rest = self._rest
        if rest[:4] != b"OggS"[: len(rest)]:
            raise Undecodable("no Ogg page where one should begin")
        if len(rest) < 27 or len(rest) < 27 + rest[26]:
            return None
        lacing = bytes(rest[27 : 27 + rest[26]])
        position = 27 + len(lacing)
        if len(rest) < position + sum(lacing):
            return None
        if not rest[5] & 0x01:
            self._partial.clear()  # no continuation: what was begun was lost
        packets: list[bytes] = []
        for size in lacing:
            self._partial += rest[position : position + size]
            position += size
            if size < 255:
                packets.append(bytes(self._partial))
                self._partial.clear()
        del rest[:position]
        return packets
