"""A stand-in for recognition, for audio that nobody knows: whoever talks is heard to say the next stock sentence. Pure.

Whether there is a voice is guessed from how loud the audio is: bare PCM by its peaks, Opus by how many bytes a second
of it takes, which is more for a voice than for silence as long as the bit rate is variable and not too high.
"""

from array import array
from collections.abc import Iterator

from evaa.simulators.deepgram.listener import HeardWord

STOCK_SENTENCES = (
    "We would like to automate the reminders for our appointments.",
    "Somebody types them into a spreadsheet by hand every morning.",
    "It is about forty a day, and it takes two hours.",
    "Two people in the office do that, and both are tired of it.",
    "Yes, the data comes from our calendar and goes to the patients by text message.",
    "If something goes wrong, nobody notices until a patient calls.",
    "We would be happy if it worked within a month.",
    "That is all, thank you.",
)

WORD_S = 0.3
QUIET_S = 0.3
"""A burst of speech has ended after this much silence."""

HIGH_BYTES_PER_S = 8_000
"""At such bit rates recorders give silence as many bytes as speech; somebody is taken to talk, with pauses."""

_TALK_S, _PAUSE_S = 3.0, 1.5
_LOUD_PEAK = 700
_LOUDER_THAN_FLOOR = 1.5


class StockSpeech:
    """Guesses when there is a voice, and gives it words, one every `WORD_S`; the rest of them when it ends.

    `sentences` may be shared with other connections: each burst of speech takes the next one.
    """

    def __init__(self, sentences: Iterator[str], encoding: str | None) -> None:
        self.voice_s = -1.0
        self._sentences = sentences
        self._is_pcm = encoding == "linear16"
        self._floor = float("inf")
        self._words: list[str] = []
        self._spoken_s = 0.0
        self._is_speaking = False

    def hear(self, payload: bytes, begin_s: float, end_s: float) -> list[HeardWord]:
        """Hear one packet that lies between these times, and return the words that are due."""
        if self._is_loud(payload, begin_s, end_s):
            self.voice_s = end_s
            return self._go_on(begin_s, end_s)
        if end_s - self.voice_s < QUIET_S:
            return []
        rest, self._words = self._words, []
        self._is_speaking, self._spoken_s = False, 0.0
        return [HeardWord(word, self.voice_s, self.voice_s) for word in rest]

    def _go_on(self, begin_s: float, end_s: float) -> list[HeardWord]:
        self._spoken_s += end_s - begin_s
        if not self._is_speaking:
            if self._spoken_s < WORD_S:
                return []
            self._is_speaking, self._words = True, next(self._sentences, "").split()
        if not self._words or self._spoken_s < WORD_S:
            return []
        self._spoken_s -= WORD_S
        return [HeardWord(self._words.pop(0), max(0.0, end_s - WORD_S), end_s)]

    def _is_loud(self, payload: bytes, begin_s: float, end_s: float) -> bool:
        if self._is_pcm:
            return max(array("h", payload), default=0) > _LOUD_PEAK
        rate = len(payload) / (end_s - begin_s)
        if rate > HIGH_BYTES_PER_S:
            return begin_s % (_TALK_S + _PAUSE_S) < _TALK_S
        self._floor = min(self._floor * 1.0005, rate)
        return rate > _LOUDER_THAN_FLOOR * self._floor
