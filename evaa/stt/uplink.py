"""What of the kept audio goes to one provider connection, when, and in which form. Pure.

A connection hears one recording, from its header on; if it begins in the middle, behind a header made for it. It gets
audio no faster than the provider allows. Its audio clock starts at 0 and counts what it was sent; `position_us`
translates that clock into the session's timeline.
"""

from collections import deque

from evaa.stt.containers.events import Packet
from evaa.stt.containers.muxer import Muxer, open_muxer
from evaa.stt.kept_audio import KeptAudio, Skipped
from protocols.speech import SttTraits

__all__ = ["Skipped", "Uplink"]

MAX_MESSAGE_US = 250_000
"""Audio in one message: Deepgram advises 20 to 250 ms (docs/measuring-streaming-latency)."""

MAX_MESSAGE_PACKETS = 100
"""As many as 250 ms can hold of Opus, whose shortest packets last 2.5 ms."""

_MAX_PIECES = 64


class Uplink:
    """One connection's share of the audio, from the oldest packet that is kept.

    `heard_until_us` is where the connection before it was left: what is missing from there on is reported as skipped.
    A connection that gets a recording's bytes as they came is at its end when some of them are gone, because decoders
    would lose more than that; the next one begins behind the gap. Any other connection goes on behind it.
    """

    def __init__(self, audio: KeptAudio, traits: SttTraits, *, heard_until_us: int, now: float) -> None:
        self.sent_us = 0
        self.next = audio.first
        self.recording = audio.recording_of(self.next)
        self._audio = audio
        self._began = now
        self._us_per_s = traits.rate * 1_000_000
        self._burst_us = traits.burst_s * 1_000_000
        self._max_packets = 1 if self.recording.header.encoding == "opus" else MAX_MESSAGE_PACKETS
        self._muxer: Muxer | None = None
        self._needs_all = False
        self._finished = -1
        # Where the connection's clock and the timeline run side by side: from (clock, timeline) on.
        self._pieces = deque([(0, audio.start_us)], maxlen=_MAX_PIECES)
        self._skipped = audio.miss(heard_until_us, audio.start_us)

    def __repr__(self) -> str:
        return f"<Uplink next {self.next} sent {self.sent_s:.3f} s of {self.recording.header.encoding}>"

    @property
    def sent_s(self) -> float:
        """The connection's audio clock: how much it was sent."""
        return self.sent_us / 1_000_000

    @property
    def is_at_end(self) -> bool:
        """Whether everything of the recording was sent, and another one has begun; or it cannot go on."""
        end = self.recording.end
        return self._is_broken_off or (end is not None and self.next >= end)

    @property
    def is_at_finish(self) -> bool:
        """Whether the user said that the utterance ends here, which is to be passed on before the next `take`."""
        return self._finished != self.next and self._audio.finish_from(self.next) == self.next

    def finish_passed_on(self) -> None:
        """The provider knows of it."""
        self._finished = self.next

    @property
    def is_behind(self) -> bool:
        """Whether there is more to send of what has come."""
        return self.next < self._end and not self._is_broken_off

    def take(self, now: float) -> bytes:
        """The next message; empty if there is nothing to send, or not yet (see `due_at`)."""
        self._skip_forgotten()
        if not self.is_behind:
            return b""
        packets, duration_us = self._next_packets()
        if now < self._due_at(duration_us):
            return b""
        header = b""
        if self._muxer is None:
            self._muxer = self._open_muxer()
            header = self._muxer.begin()
        self.next += len(packets)
        self.sent_us += duration_us
        message = self._muxer.pack(packets)
        return header + message if header else message

    def due_at(self) -> float:
        """When the provider takes what would be the next message now."""
        self._skip_forgotten()
        return self._due_at(self._next_packets()[1] if self.is_behind else 0)

    def position_us(self, clock_s: float) -> int:
        """The place on the timeline that the connection's clock stands for; never after what it was sent."""
        clock_us = min(round(clock_s * 1_000_000), self.sent_us)
        for from_clock_us, from_us in reversed(self._pieces):
            if from_clock_us <= clock_us:
                return from_us + clock_us - from_clock_us
        return self._pieces[0][1]

    def clock_s(self, position_us: int) -> float:
        """The other way round; what was not sent counts as the end of what was sent before it."""
        until_us = self.sent_us
        for from_clock_us, from_us in reversed(self._pieces):
            if from_us <= position_us:
                return min(from_clock_us + position_us - from_us, until_us) / 1_000_000
            until_us = from_clock_us
        return until_us / 1_000_000

    def skipped(self) -> list[Skipped]:
        """What was skipped since the last call."""
        skipped, self._skipped = self._skipped, []
        return skipped

    @property
    def _end(self) -> int:
        """The number after the last packet of the recording that has come."""
        end = self.recording.end
        return self._audio.next if end is None else end

    @property
    def _is_broken_off(self) -> bool:
        return self._needs_all and self.next < self._audio.first

    def _skip_forgotten(self) -> None:
        if self.next >= self._audio.first or self._needs_all:
            return
        reached_us, start_us = self.position_us(self.sent_s), self._audio.start_us
        self.next = self._audio.first
        if self._pieces[-1][0] == self.sent_us:
            self._pieces.pop()  # nothing was sent of it, and those with something in them are to stay
        self._pieces.append((self.sent_us, start_us))
        self._skipped += self._audio.miss(reached_us, start_us)

    def _open_muxer(self) -> Muxer:
        header = self.recording.header
        fresh = self.next == self.recording.first
        self._needs_all = fresh and header.encoding in ("webm", "ogg")
        return open_muxer(header, fresh=fresh)

    def _due_at(self, duration_us: int) -> float:
        """When so much more may be sent."""
        return self._began + max(0.0, (self.sent_us + duration_us - self._burst_us) / self._us_per_s)

    def _next_packets(self) -> tuple[list[Packet], int]:
        """What belongs into the next message, and how long it lasts; with raw Opus a message is a single packet."""
        last = min(self._end, self.next + self._max_packets)
        finish = self._audio.finish_from(self.next + 1)
        packets = self._audio.packets(self.next, last if finish is None else min(last, finish))
        duration_us = 0
        for count, packet in enumerate(packets):
            if duration_us + packet.duration_us > MAX_MESSAGE_US and count:
                del packets[count:]
                break
            duration_us += packet.duration_us
        return packets, duration_us
