"""Recordings whose text is known, and where in them the audio of a connection comes from. Pure, but for loading them.

Encoded audio is recognised by its packets: hardly two are alike, apart from digital silence. So what a connection is
sent needs no decoding to be transcribed exactly, wherever it begins and whatever is missing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import msgspec

from evaa.simulators.deepgram.ear import ClockEar, HeardPacket

PCM_RATE = 16_000
"""Recordings of bare PCM have this many samples a second."""

_SENTENCE_ENDS = (".", "!", "?")
_WORD_CHARS = 2
"""A word takes as long as its letters and this many more."""


class SpokenWord(msgspec.Struct, frozen=True, gc=False):
    """A word as it is written, with its punctuation, and where it lies in its recording."""

    text: str
    start_s: float
    end_s: float


class SpokenRecording:
    """Encoded audio with its text. `packets` are in their order, `starts_s` where each begins in the recording."""

    def __init__(self, name: str, text: str, words: Sequence[SpokenWord], packets: Sequence[HeardPacket]) -> None:
        self.name = name
        self.text = text
        self.words = tuple(words)
        self.payloads = tuple(packet.payload for packet in packets)
        begins_us = list(accumulate((round(packet.duration_s * 1e6) for packet in packets), initial=0))
        self.starts_s = tuple(begin_us / 1e6 for begin_us in begins_us)
        self.words_in = tuple(_overlapping(self.words, *span) for span in pairwise(self.starts_s))

    def __repr__(self) -> str:
        return f"<SpokenRecording {self.name} {self.duration_s:.2f} s>"

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.starts_s[-1]


def load_recordings(folder: Path) -> list[SpokenRecording]:
    """Load what `manifest.json` in the folder names: NAME.webm, NAME.ogg and NAME.s16le, as far as they are there.

    Each file is a recording of its own, named as the file. Raises OSError, msgspec.DecodeError.
    """
    manifest: dict[str, dict[str, Any]] = msgspec.json.decode((folder / "manifest.json").read_bytes())
    loaded: list[SpokenRecording] = []
    for name, entry in manifest.items():
        text = entry["text"]
        spans = [(mark["from_s"], mark["to_s"]) for mark in entry["marks"] if mark["kind"] == "speech"]
        words = spread_words(text, spans)
        paths = [path for suffix in ("webm", "ogg", "s16le") if (path := folder / f"{name}.{suffix}").exists()]
        loaded += [SpokenRecording(path.name, text, words, packets_of(path)) for path in paths]
    return loaded


def packets_of(path: Path) -> list[HeardPacket]:
    """Return the packets of a file, or its slices if it is bare PCM (.s16le). Raises OSError."""
    ear = ClockEar("linear16" if path.suffix == ".s16le" else None, PCM_RATE)
    return ear.hear(path.read_bytes())


def spread_words(text: str, spans: Sequence[tuple[float, float]]) -> list[SpokenWord]:
    """Spread a text's words over its spans of speech (seconds), each word in proportion to its length.

    With several spans the text is split between them at the ends of sentences that fit their lengths best, or between
    any two words if there are fewer sentences than spans.
    """
    texts = text.split()
    return [word for group, span in zip(_split(texts, spans), spans, strict=True) for word in _spread(group, *span)]


def _split(texts: Sequence[str], spans: Sequence[tuple[float, float]]) -> Iterator[Sequence[str]]:
    reached = list(accumulate(len(text) + _WORD_CHARS for text in texts))
    ends = [index for index, text in enumerate(texts[:-1], start=1) if text.endswith(_SENTENCE_ENDS)]
    if len(ends) < len(spans) - 1:
        ends = list(range(1, len(texts)))
    spoken_s = list(accumulate(end_s - begin_s for begin_s, end_s in spans))
    begin = 0
    for passed_s in spoken_s[:-1]:
        due = reached[-1] * passed_s / spoken_s[-1]
        end = min((end for end in ends if end > begin), key=lambda end: abs(reached[end - 1] - due))
        yield texts[begin:end]
        begin = end
    yield texts[begin:]


def _spread(texts: Sequence[str], begin_s: float, end_s: float) -> Iterator[SpokenWord]:
    reached = list(accumulate((len(text) + _WORD_CHARS for text in texts), initial=0))
    times_s = [begin_s + (end_s - begin_s) * chars / (reached[-1] or 1) for chars in reached]
    return (SpokenWord(text, *times) for text, times in zip(texts, pairwise(times_s), strict=True))


def _overlapping(words: Sequence[SpokenWord], begin_s: float, end_s: float) -> tuple[int, ...]:
    return tuple(index for index, word in enumerate(words) if word.start_s < end_s and word.end_s > begin_s)


class Library:
    """The known recordings, and which of their packets tells on its own where it comes from."""

    def __init__(self, recordings: Iterable[SpokenRecording] = ()) -> None:
        self.recordings = tuple(recordings)
        self._places: dict[bytes, tuple[SpokenRecording, int] | None] = {}
        for recording in self.recordings:
            for index, payload in enumerate(recording.payloads):
                self._places[payload] = None if payload in self._places else (recording, index)

    @property
    def places(self) -> Mapping[bytes, tuple[SpokenRecording, int] | None]:
        """Every known payload, with its recording and index, or None if it is found at several."""
        return self._places
