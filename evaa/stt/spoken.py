"""Words that a recogniser heard in a stretch of audio, and on which side of a cut through the audio they are. Pure."""

import msgspec

from protocols.deepgram_messages import Word


class Spoken(msgspec.Struct, frozen=True):
    """What was heard from `from_s` to `until_s`, on the clock of one connection. `words` may be missing, or untimed."""

    text: str = ""
    words: tuple[Word, ...] = ()
    from_s: float = 0.0
    until_s: float = 0.0

    @property
    def is_timed(self) -> bool:
        """Whether it is known of every word where it is."""
        return bool(self.words) and all(word.start is not None and word.end is not None for word in self.words)

    @property
    def starts_s(self) -> float:
        """Where the first word starts, or the stretch, where that is not known."""
        start = self.words[0].start if self.words else None
        return self.from_s if start is None else start

    @property
    def ends_s(self) -> float | None:
        """Where the last word ends, where that is known."""
        return self.words[-1].end if self.words else None

    def split_at(self, cut_s: float) -> tuple["Spoken", "Spoken"]:
        """Return what was said before the cut, and after it.

        A word is where its middle is: providers move a word's ends a little from one result to the next. Untimed words
        are before the cut only if the whole stretch is.
        """
        if cut_s <= 0.0:
            return NOTHING, self
        if not self.is_timed:
            return (self, NOTHING) if self.until_s <= cut_s else (NOTHING, self)
        before = tuple(word for word in self.words if _middle_s(word) < cut_s)
        after = tuple(word for word in self.words if _middle_s(word) >= cut_s)
        return self._only(before), self._only(after)

    def without_first(self, count: int) -> "Spoken":
        """What is left without so many words."""
        rest = " ".join(self.text.split()[count:])
        return Spoken(rest, self.words[count:], self.from_s, self.until_s) if rest else NOTHING

    def _only(self, words: tuple[Word, ...]) -> "Spoken":
        if len(words) == len(self.words):
            return self  # with the transcript's own formatting
        return Spoken(" ".join(word.text for word in words), words, self.from_s, self.until_s) if words else NOTHING


NOTHING = Spoken()


def join(*texts: str) -> str:
    """The texts as one, without the empty ones."""
    return " ".join(text for text in texts if text)


def _middle_s(word: Word) -> float:
    assert word.start is not None
    assert word.end is not None
    return (word.start + word.end) / 2
