"""What an Opus packet tells about itself (RFC 6716 section 3.1)."""

MAX_PACKET_BYTES = 61_440
"""48 frames of 1275 bytes with their lengths; only padding could make a packet longer, and no recorder pads so."""

MAX_PACKET_US = 120_000

_SILK_US = (10_000, 20_000, 40_000, 60_000)
_HYBRID_US = (10_000, 20_000)
_CELT_US = (2_500, 5_000, 10_000, 20_000)
_FRAME_US = _SILK_US * 3 + _HYBRID_US * 2 + _CELT_US * 4  # one for each of the 32 configurations
_FRAMES = (1, 2, 2, 0)  # code 3 counts its frames in the next byte

_COUNTED = 3
_COUNT_MASK = 0x3F
_DURATION_US = tuple(_FRAME_US[toc >> 3] * _FRAMES[toc & 3] for toc in range(256))


def packet_duration_us(data: bytes | bytearray, at: int = 0, end: int | None = None) -> int | None:
    """Return how long the packet that `data` holds from `at` to `end` plays; None if that is no valid Opus packet."""
    length = (len(data) if end is None else end) - at
    if not 0 < length <= MAX_PACKET_BYTES:
        return None
    toc = data[at]
    if toc & 3 != _COUNTED:
        return _DURATION_US[toc]
    if length == 1:
        return None
    duration_us = _FRAME_US[toc >> 3] * (data[at + 1] & _COUNT_MASK)
    return duration_us if 0 < duration_us <= MAX_PACKET_US else None
