"""The audio of a session that no final result has covered yet, kept so that another connection can hear it. Pure.

Packets are numbered as they come, across recordings; the audio has one timeline, in microseconds, that runs through
them all. What a final result covers is forgotten. The rest is bounded in seconds and bytes: beyond that the oldest is
forgotten too, which matters only if it has not been sent by then, or if the connection is lost that has heard it.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from evaa.stt.containers.events import Header, Packet

COVER_TOLERANCE_US = 1_000
"""Providers tell times in seconds, rounded to milliseconds."""

MAX_PACKETS = 12_000
"""30 s of the shortest Opus packets there are. Tiny packets take more memory than their bytes tell."""

_ARRIVALS = 512
_TOLD = 64


class Recording(msgspec.Struct, eq=False):
    """One recording: its header, the number of its first packet, and of the next one's; None while it goes on."""

    header: Header
    first: int
    end: int | None = None


class Skipped(msgspec.Struct, frozen=True):
    """Audio that was forgotten before it could be heard: a span of the session's timeline."""

    from_us: int
    until_us: int


class KeptAudio:
    """See the module. Read only: all that has no underscore.

    `first` and `next` are the numbers of the oldest packet that is kept and of the one that will come next; the kept
    audio lies between `start_us` and `end_us`. `last_chunk_us` is how much came last. `max_bytes` bounds packets and
    headers together; the newest recording's header stays, whatever its size.
    """

    def __init__(self, *, max_s: float = 30.0, max_bytes: int = 1 << 20) -> None:
        self.recordings: deque[Recording] = deque()
        self.first = self.next = 0
        self.start_us = self.end_us = 0
        self.last_chunk_us = 0
        self._max_us = round(max_s * 1_000_000)
        self._max_bytes = max_bytes
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_ARRIVALS)  # where each chunk begins, and when it came
        self._finishes: deque[int] = deque()
        self._told: deque[Skipped] = deque(maxlen=_TOLD)

    def __repr__(self) -> str:
        kept_s = (self.end_us - self.start_us) / 1_000_000
        return f"<KeptAudio {self.first}..{self.next} {kept_s:.3f} s {self._bytes} bytes>"

    # --- what comes in ------------------------------------------------------------------------------------------

    def begin(self, header: Header) -> None:
        """A recording begins; the one before it is over."""
        if self.recordings:
            last = self.recordings[-1]
            last.end = self.next
            if last.first == self.next:  # it never had a packet
                self._bytes -= len(self.recordings.pop().header.raw)
        self.recordings.append(Recording(header, self.next))
        self._bytes += len(header.raw)
        self._forget_recordings()
        self._keep_within_bounds()

    def put(self, packets: Sequence[Packet], now: float) -> None:
        """Keep the packets of a chunk that came `now`. There is a recording that they belong to."""
        if not packets:
            return
        begin_us = end_us = self.end_us
        for packet in packets:
            end_us += packet.duration_us
            self._bytes += len(packet.raw) + len(packet.joined)
        self._packets.extend(packets)
        self._arrivals.append((begin_us, now))
        self.next += len(packets)
        self.end_us = end_us
        self.last_chunk_us = end_us - begin_us
        self._keep_within_bounds()

    def finish(self) -> None:
        """The user said that the utterance ends here."""
        if not self._finishes or self._finishes[-1] != self.next:
            self._finishes.append(self.next)

    # --- what goes out ------------------------------------------------------------------------------------------

    def recording_of(self, number: int) -> Recording:
        """The recording that this kept packet belongs to, or will belong to if it is the next. There is one."""
        return next(recording for recording in reversed(self.recordings) if recording.first <= number)

    def finish_from(self, number: int) -> int | None:
        """Where, from this packet on, the user first said that an utterance ends.

        Before which packet, that is. It is forgotten together with the packet before it, unless nothing was forgotten
        beyond that.
        """
        for finish in self._finishes:
            if finish >= number:
                return finish
        return None

    def packets(self, first: int, last: int) -> list[Packet]:
        """The kept packets from number `first` up to, not including, `last`."""
        kept, gone = self._packets, self.first
        return [kept[number - gone] for number in range(first, last)]

    # --- what has been heard ------------------------------------------------------------------------------------

    def cover(self, until_us: int) -> None:
        """A final result covers everything up to here: forget the packets that end by then."""
        limit_us = until_us + COVER_TOLERANCE_US
        # What does not even begin before the end is not meant, however short it is.
        while self.start_us < until_us and self._packets and self.start_us + self._packets[0].duration_us <= limit_us:
            self._forget_oldest()

    def forget(self) -> None:
        """Nothing that came so far will be needed."""
        self._packets.clear()
        self._arrivals.clear()
        self._finishes.clear()
        self.first = self.next
        self.start_us = self.end_us
        self._bytes = sum(len(recording.header.raw) for recording in self.recordings)
        self._forget_recordings()

    def miss(self, from_us: int, until_us: int) -> list[Skipped]:
        """This was forgotten, and nobody will hear it: return what of it was not returned before.

        The span ends at `start_us`, or where that once was.
        """
        untold: list[Skipped] = []
        if from_us >= until_us:
            return untold
        begin_us, end_us = from_us, until_us
        while self._told and self._told[-1].until_us > from_us:
            told = self._told.pop()
            if told.until_us < until_us:
                untold.append(Skipped(told.until_us, until_us))
            until_us = told.from_us
            begin_us = min(begin_us, until_us)
        if from_us < until_us:
            untold.append(Skipped(from_us, until_us))
        self._told.append(Skipped(begin_us, end_us))
        return untold[::-1]

    def arrived_at(self, position_us: int) -> float | None:
        """When the audio that ends at this place came in, heard or not; None if that is not known any more."""
        for begin_us, at in reversed(self._arrivals):
            if begin_us < position_us:
                return at
        return None

    # --- forgetting ---------------------------------------------------------------------------------------------

    def _keep_within_bounds(self) -> None:
        while self._packets and (
            self.end_us - self.start_us > self._max_us
            or self._bytes > self._max_bytes
            or len(self._packets) > MAX_PACKETS
        ):
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        packet = self._packets.popleft()
        self.first += 1
        self.start_us += packet.duration_us
        self._bytes -= len(packet.raw) + len(packet.joined)
        while self._finishes and self._finishes[0] < self.first:
            self._finishes.popleft()
        self._forget_recordings()

    def _forget_recordings(self) -> None:
        while len(self.recordings) > 1 and self.recordings[1].first <= self.first:
            self._bytes -= len(self.recordings.popleft().header.raw)
