"""What the parsers make of a recording.

A parser is fed the recording as it comes, cut anywhere, and returns these events in order. It never raises for what
it is fed, never keeps more than a bounded number of bytes, and after damage goes on at the next place from which the
recording can be understood again.
"""

import msgspec

from protocols.speech import Encoding


class Header(msgspec.Struct, frozen=True, gc=False):
    """A recording begins. `raw` is its header as it came (nothing for raw audio); `sample_rate` only for raw audio."""

    encoding: Encoding
    raw: bytes = b""
    sample_rate: int | None = None


class Packet(msgspec.Struct, frozen=True, gc=False):
    """The least piece of audio that can be decoded: an Opus packet, or a few milliseconds of PCM.

    `raw` are the bytes as they came that end with this packet: the header and the `raw` of all packets, joined, are
    the recording. The packet itself is what `raw` holds from `payload_at` on, or `joined` where it came in pieces.
    """

    raw: bytes
    payload_at: int
    duration_us: int
    joined: bytes = b""

    @property
    def payload(self) -> bytes:
        """The packet without its container."""
        return self.joined or self.raw[self.payload_at :]


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Audio is missing between the last packet and the next, as the container's own numbering tells."""

    missing: str


class Damage(msgspec.Struct, frozen=True, gc=False):
    """What came is no recording that is understood here, or breaks off its structure; `reason` says what is right.

    It is told once for all that cannot be used until audio comes again.
    """

    reason: str


AudioEvent = Header | Packet | Gap | Damage
