"""A speaker whose words are known, and what of them came out of an endpointing, for property tests."""

from collections.abc import Sequence
from random import Random

from hypothesis import strategies as st

from evaa.stt.flux_endpointing import FluxEndpointing
from evaa.stt.nova_endpointing import NovaEndpointing
from protocols.deepgram_messages import Word
from protocols.speech import AskToFinish, Eager, Final, Heard, Partial, Resumed

LENGTHS_S = st.sampled_from([0.1, 0.15, 0.3, 0.6])
GAPS_S = st.sampled_from([0.0, 0.02, 0.3, 1.0, 4.0])
SPEECH = st.lists(st.tuples(GAPS_S, LENGTHS_S), min_size=1, max_size=15)
SECONDS = st.sampled_from([0.1, 0.3, 1.0, 3.0])


class Speech:
    """Words on the session's timeline, named for their number."""

    def __init__(self, parts: Sequence[tuple[float, float]]) -> None:
        self.words: list[tuple[str, float, float]] = []
        at = 0.0
        for number, (gap_s, length_s) in enumerate(parts):
            self.words.append((f"w{number}", at + gap_s, at + gap_s + length_s))
            at += gap_s + length_s
        self.end_s = at

    def between(self, from_s: float, until_s: float) -> list[tuple[str, float, float]]:
        """The words that begin there, to a recogniser (a word that is mostly cut off is none), and have ended."""
        return [word for word in self.words if (word[1] + word[2]) / 2 >= from_s and word[2] <= until_s + 1e-9]

    def pause_before(self, time_s: float) -> float:
        """The same time, or the start of the word that is being spoken then."""
        return next((start for _, start, end in self.words if start < time_s < end), time_s)

    def pauses(self, from_s: float, until_s: float) -> list[float]:
        """Places between words."""
        starts = [start for _, start, _ in self.words if from_s <= start <= until_s]
        return [*starts, max(from_s, self.pause_before(until_s))]


class World:
    """What one endpointing was told, and what it made of it. Times on the connection's clock begin at `offset_s`."""

    def __init__(self, speech: Speech, endpointing: NovaEndpointing | FluxEndpointing, jitter_s: float) -> None:
        self.speech = speech
        self.endpointing = endpointing
        self.now = 0.0
        self.offset_s = 0.0
        self.heard_until_s = 0.0
        self.has_asked = False
        self.finals: list[str] = []
        self._jitter_s = jitter_s
        self._random = Random(1)
        self._shown = ""
        self._eager = False
        self._covered_s = 0.0
        endpointing.connected(0.0)

    def hear(self, heard: Sequence[Heard]) -> None:
        for event in heard:
            match event:
                case Final(text):
                    assert text
                    self.finals += text.split()
                    self._shown, self._eager = "", False
                case Partial(text):
                    assert text != self._shown
                    self._shown = text
                case Eager(text):
                    assert text
                    assert not self._eager
                    self._eager = True
                case Resumed():
                    assert self._eager
                    self._eager = False
                case AskToFinish():
                    self.has_asked = True

    def check(self) -> None:
        assert self.finals == [word for word, _, _ in self.speech.words][: len(self.finals)]
        assert self.endpointing.covered_s >= self._covered_s
        self._covered_s = self.endpointing.covered_s

    def word(self, spoken: tuple[str, float, float], *, exact: bool) -> Word:
        """The word as the recogniser tells it; not quite the same each time, unless it is exact."""
        text, start, end = spoken
        shift = 0.0 if exact else self._random.uniform(-self._jitter_s, self._jitter_s)
        return Word(text, None, start - self.offset_s + shift, end - self.offset_s + shift)

    def wait(self, seconds: float) -> None:
        """Let time pass, and the timers with it."""
        until = self.now + seconds
        while self.endpointing.deadline is not None and self.endpointing.deadline <= until:
            self.now = max(self.now, self.endpointing.deadline)
            self.hear(self.endpointing.tick(self.now))
        self.now = until

    def lose(self, kept_from_s: float = 0.0) -> None:
        """The connection is lost; another one hears the audio that is not covered, and that is still kept."""
        self.hear(self.endpointing.disconnected(kept_from_s))
        assert self.endpointing.deadline is None
        self.check()
        self.offset_s += max(self.endpointing.covered_s, kept_from_s)
        self.heard_until_s = self.offset_s
        self.endpointing.connected(self.now)
        self.has_asked = False
        self._covered_s = 0.0

    def conclude(self) -> None:
        self.hear(self.endpointing.conclude())
        assert self.finals == [word for word, _, _ in self.speech.words]
