"""From the packets that a connection hears to the words in them. Pure.

`Hearing` finds out where in which recording the packets come from. A packet that is found at one place only is an
anchor: what follows is compared with the recording packet by packet, and what came just before and could not be told
apart, digital silence mostly, is placed by counting back from it. A word is recognised once most of it was heard.
"""

from collections import deque

import msgspec

from evaa.simulators.deepgram.ear import HeardPacket
from evaa.simulators.deepgram.listener import EPSILON_S, HeardWord
from evaa.simulators.deepgram.recordings import Library, SpokenRecording
from evaa.simulators.deepgram.script import HeardSpan
from evaa.simulators.deepgram.stock import StockSpeech

ENOUGH = 0.6
"""Of a word's span, and its middle, must have been heard."""

MAX_UNPLACED = 2000
"""Packets that wait for an anchor; one that could not be placed for longer is not."""

MAX_SPANS = 10_000
"""The newest ones are kept."""


class _Partial(msgspec.Struct):
    """A word of which some was heard: where on the connection's clock, how much of it, and whether its middle."""

    start_s: float
    end_s: float
    heard_s: float = 0.0
    has_middle: bool = False


class Hearing:
    """What one connection heard: `clock_s` of audio, with a voice last at `voice_s`; `spans` tell of what."""

    def __init__(self, library: Library, stock: StockSpeech) -> None:
        self.spans: deque[HeardSpan] = deque(maxlen=MAX_SPANS)
        self.samples = 0
        self._clock_us = 0
        self._voice_s = -1.0
        self._places = library.places
        self._stock = stock
        self._recording: SpokenRecording | None = None  # the last one that was heard
        self._next = 0
        self._is_placed = False  # whether what comes now is compared with it
        self._unplaced: deque[tuple[bytes, float]] = deque(maxlen=MAX_UNPLACED)
        self._partials: dict[int, _Partial] = {}
        self._unknown = 0

    @property
    def clock_s(self) -> float:
        """How much audio was heard."""
        return self._clock_us / 1e6

    @property
    def voice_s(self) -> float:
        """When on the connection's clock there was last a voice; negative if there never was."""
        return max(self._voice_s, self._stock.voice_s)

    def hear(self, packet: HeardPacket, now: float) -> list[HeardWord]:
        """Take the next packet, heard at `now`, and return the words that it completes."""
        begin_s = self.clock_s
        self._clock_us += round(packet.duration_s * 1e6)
        self.samples += packet.samples
        payload, recording = packet.payload, self._recording
        if recording is not None and self._is_placed and recording.payloads[self._next] == payload:
            return self._play(recording, self._next, begin_s, now)
        self._is_placed = False
        if payload not in self._places:
            self._unplaced.clear()
            self._note(None, self._unknown, now)
            self._unknown += 1
            return self._stock.hear(payload, begin_s, self.clock_s)
        place = self._places[payload]
        if place is None:
            self._unplaced.append((payload, begin_s))
            return []
        return self._place(*place, begin_s, now)

    def flush(self) -> list[HeardWord]:
        """Return the words of which enough was heard, though not their ends."""
        return [] if self._recording is None else self._recognise(self._recording, list(self._partials))

    # --- placing ------------------------------------------------------------------------------------------------

    def _place(self, recording: SpokenRecording, index: int, begin_s: float, now: float) -> list[HeardWord]:
        before: list[float] = []
        while self._unplaced and index > len(before):
            payload, at_s = self._unplaced.pop()
            if recording.payloads[index - len(before) - 1] != payload:
                break
            before.append(at_s)
        self._unplaced.clear()
        words = self._jump(recording, index - len(before))
        for offset, at_s in enumerate(reversed(before)):
            words += self._play(recording, index - len(before) + offset, at_s, now)
        return words + self._play(recording, index, begin_s, now)

    def _jump(self, recording: SpokenRecording, index: int) -> list[HeardWord]:
        """Go to another place, and return the words left behind of which enough was heard."""
        left, over = self._recording, list(self._partials)
        goes_on = left is recording and index >= self._next
        if goes_on:
            over = [number for number in over if recording.words[number].end_s <= recording.starts_s[index]]
        words = [] if left is None else self._recognise(left, over)
        for number in over:
            self._partials.pop(number, None)
        return words

    # --- hearing ------------------------------------------------------------------------------------------------

    def _play(self, recording: SpokenRecording, index: int, at_s: float, now: float) -> list[HeardWord]:
        """Hear the packet at `index` of the recording, which lies at `at_s` on the connection's clock."""
        self._recording, self._next = recording, index + 1
        self._is_placed = self._next < len(recording.payloads)
        self._note(recording.name, index, now)
        words: list[HeardWord] = []
        begin_s, end_s = recording.starts_s[index], recording.starts_s[index + 1]
        for number in recording.words_in[index]:
            word = recording.words[number]
            first_s, last_s = max(begin_s, word.start_s), min(end_s, word.end_s)
            self._voice_s = max(self._voice_s, at_s + last_s - begin_s)
            partial = self._partials.setdefault(number, _Partial(at_s + first_s - begin_s, 0.0))
            partial.end_s = at_s + last_s - begin_s
            partial.heard_s += last_s - first_s
            partial.has_middle |= first_s <= (word.start_s + word.end_s) / 2 <= last_s
            if word.end_s <= end_s + EPSILON_S:
                words += self._recognise(recording, [number])
                self._partials.pop(number, None)
        return words

    def _recognise(self, recording: SpokenRecording, numbers: list[int]) -> list[HeardWord]:
        words: list[HeardWord] = []
        for number in sorted(numbers):
            word, partial = recording.words[number], self._partials[number]
            if not partial.has_middle or partial.heard_s < ENOUGH * (word.end_s - word.start_s) - EPSILON_S:
                continue
            del self._partials[number]
            times = (round(partial.start_s, 3), round(partial.end_s, 3))
            words.append(HeardWord(word.text, *times, recording.name, word.start_s, word.end_s))
        return words

    def _note(self, recording: str | None, index: int, now: float) -> None:
        last = self.spans[-1] if self.spans else None
        if last is not None and last.recording == recording and last.last == index - 1:
            last.last = index
        else:
            self.spans.append(HeardSpan(recording, index, index, now))
