"""Drives a simulated recogniser without a connection: words at given times, in packets of 20 ms."""

from collections.abc import Sequence
from typing import Any

from evaa.simulators.deepgram.listener import Close, HeardWord, Listener, Out, Say

PACKET_S = 0.02
Word = tuple[str, float, float]


class Driver:
    """Plays audio to a listener; `said` is all that it said, with the audio clock."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.said: list[tuple[float, Out]] = []
        self.packets = 0
        self._voice_s = -1.0
        self._note(listener.open(0.0))

    @property
    def clock_s(self) -> float:
        return round(self.packets * PACKET_S, 6)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [out.message for _, out in self.said if isinstance(out, Say)]

    @property
    def closes(self) -> list[Close]:
        return [out for _, out in self.said if isinstance(out, Close)]

    def play(self, until_s: float, *words: Word) -> None:
        """Play up to a time; a word is recognised when its end was heard, and is a voice from its beginning."""
        while self.clock_s < until_s - 1e-9:
            begin_s = self.clock_s
            self.packets += 1
            end_s = self.clock_s
            for _, word_start_s, word_end_s in words:
                if word_start_s < end_s and word_end_s > begin_s:
                    self._voice_s = min(end_s, word_end_s)
            due = [HeardWord(*word) for word in words if begin_s + 1e-9 < word[2] <= end_s + 1e-9]
            self._note(self.listener.advance(end_s, due, self._voice_s))

    def control(self, text: str, *words: Word, now: float = 0.0) -> list[dict[str, Any]]:
        """Send a text message, and return what was answered."""
        before = len(self.messages)
        self._note(self.listener.control(text, [HeardWord(*word) for word in words], now))
        return self.messages[before:]

    def _note(self, said: Sequence[Out]) -> None:
        self.said += [(self.clock_s, out) for out in said]
