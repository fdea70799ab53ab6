"""Raw audio: bare Opus packets, or PCM. Nothing in it tells what it is, so the client declares it."""

from typing import Literal

from evaa.stt.containers.events import AudioEvent, Damage, Header, Packet
from evaa.stt.containers.opus import packet_duration_us

RawEncoding = Literal["opus", "linear16"]

_SAMPLE_BYTES = 2
_PACKETS_PER_S = 50


class RawParser:
    """Feed it raw audio as it comes; it gives back packets (see `events`). `sample_rate`: Hz.

    - `opus`: what is fed at once is one packet; what cannot be one is told and left out.
    - `linear16`: signed 16-bit little-endian mono, cut into packets of 20 ms. Audio flows: what remains at the end of
      a chunk is a shorter packet, and only half a sample ever waits for the next chunk.
    """

    def __init__(self, encoding: RawEncoding, sample_rate: int) -> None:
        self._header: Header | None = Header(encoding, sample_rate=sample_rate)
        self._take = self._take_opus if encoding == "opus" else self._take_pcm
        self._rate = sample_rate
        self._packet_bytes = sample_rate // _PACKETS_PER_S * _SAMPLE_BYTES
        self._samples = 0
        self._half = b""

    @property
    def pending_bytes(self) -> int:
        """How much is kept until more comes."""
        return len(self._half)

    def feed(self, data: bytes) -> list[AudioEvent]:
        """Return what `data` completes, in order; nothing for an empty chunk."""
        events: list[AudioEvent] = []
        if data and self._header is not None:
            events.append(self._header)
            self._header = None
        if data:
            self._take(data, events)
        return events

    def _take_opus(self, data: bytes, events: list[AudioEvent]) -> None:
        duration_us = packet_duration_us(data)
        if duration_us is None:
            events.append(
                Damage("a chunk is no Opus packet; with raw opus each chunk must be one packet, and nothing else")
            )
        else:
            events.append(Packet(data, 0, duration_us))

    def _take_pcm(self, data: bytes, events: list[AudioEvent]) -> None:
        data = self._half + data
        whole = len(data) - len(data) % _SAMPLE_BYTES
        for at in range(0, whole, self._packet_bytes):
            raw = data[at : min(at + self._packet_bytes, whole)]
            events.append(Packet(raw, 0, self._duration_us(len(raw) // _SAMPLE_BYTES)))
        self._half = data[whole:]

    def _duration_us(self, samples: int) -> int:
        """How long these samples play, rounded so that no error adds up."""
        before_us = self._samples * 1_000_000 // self._rate
        self._samples += samples
        return self._samples * 1_000_000 // self._rate - before_us
