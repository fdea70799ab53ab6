"""Recordings, where in them a connection's audio comes from, and the stand-in for audio that nobody knows."""

from array import array
from itertools import chain, cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.deepgram.ear import HeardPacket
from evaa.simulators.deepgram.hearing import Hearing
from evaa.simulators.deepgram.listener import HeardWord
from evaa.simulators.deepgram.recordings import Library, SpokenRecording, SpokenWord, packets_of, spread_words
from evaa.simulators.deepgram.stock import StockSpeech
from tests.evaa.deepgram_client import recording, recordings
from tests.evaa.recordings import AUDIO

LIBRARY = Library(recordings())
NAMES = [recording.name for recording in recordings()]


def new_hearing(library: Library = LIBRARY, *sentences: str) -> Hearing:
    return Hearing(library, StockSpeech(chain(sentences), None))


def packets(name: str, begin: int = 0, end: int | None = None) -> list[HeardPacket]:
    known = recording(name)
    lengths = [after - before for before, after in zip(known.starts_s, known.starts_s[1:], strict=False)]
    heard = [HeardPacket(payload, length, 1) for payload, length in zip(known.payloads, lengths, strict=True)]
    return heard[begin:end]


def hear(hearing: Hearing, heard: list[HeardPacket]) -> list[HeardWord]:
    return [word for packet in heard for word in hearing.hear(packet, 0.0)]


def texts(words: list[HeardWord]) -> str:
    return " ".join(word.text for word in words)


# --- recordings -------------------------------------------------------------------------------------------------


def test_words_take_their_time_in_proportion_and_fill_the_speech() -> None:
    words = spread_words("I saw it.", [(1.0, 2.0)])
    assert [(word.text, word.start_s, word.end_s) for word in words] == [
        ("I", 1.0, pytest.approx(1 + 3 / 13)),
        ("saw", pytest.approx(1 + 3 / 13), pytest.approx(1 + 8 / 13)),
        ("it.", pytest.approx(1 + 8 / 13), 2.0),
    ]


def test_a_text_is_split_at_the_sentence_end_nearest_to_the_pause() -> None:
    words = recording("b_long_pause.webm").words
    before = [word for word in words if word.end_s <= 11.14]
    after = [word for word in words if word.start_s >= 12.33]
    assert before[-1].text == "day."
    assert after[0].text == "What"
    assert len(before) + len(after) == len(words)


def test_with_too_few_sentences_the_text_is_split_between_words() -> None:
    words = spread_words("one two three four", [(0.0, 1.0), (2.0, 3.0)])
    assert [word.text for word in words if word.end_s <= 1.0] == ["one", "two"]


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_recording_has_its_text_and_its_length(name: str) -> None:
    known = recording(name)
    assert " ".join(word.text for word in known.words) == known.text
    assert known.words[-1].end_s < known.duration_s
    assert len(known.starts_s) == len(known.payloads) + 1


# --- alignment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_recording_gives_each_word_once_at_its_time(name: str) -> None:
    hearing = new_hearing()
    words = hear(hearing, packets(name))
    assert texts(words) == recording(name).text
    assert [(span.recording, span.first) for span in hearing.spans] == [(name, 0)]
    assert hearing.clock_s == recording(name).duration_s
    for word in words:
        assert word.recording == name
        assert word.start_s == pytest.approx(word.recorded_start_s, abs=0.002)
        assert word.end_s == pytest.approx(word.recorded_end_s, abs=0.002)


@given(st.sampled_from(NAMES), st.data())
def test_from_the_middle_exactly_the_words_that_were_heard_are_recognised(name: str, data: st.DataObject) -> None:
    known = recording(name)
    begin = data.draw(st.integers(0, len(known.payloads) - 1))
    end = data.draw(st.integers(begin, len(known.payloads)))
    hearing = new_hearing()
    words = hear(hearing, packets(name, begin, end)) + hearing.flush()
    from_s, to_s = known.starts_s[begin], known.starts_s[end]
    assert [word.recorded_start_s for word in words] == [
        word.start_s for word in known.words if is_heard(word, [(from_s, to_s)])
    ]
    for word in words:
        assert word.start_s == pytest.approx(max(word.recorded_start_s, from_s) - from_s, abs=0.002)


def is_heard(word: SpokenWord, spans: list[tuple[float, float]]) -> bool:
    middle_s = (word.start_s + word.end_s) / 2
    heard_s = sum(max(0.0, min(word.end_s, to_s) - max(word.start_s, from_s)) for from_s, to_s in spans)
    has_middle = any(from_s <= middle_s <= to_s for from_s, to_s in spans)
    return has_middle and heard_s >= 0.6 * (word.end_s - word.start_s) - 1e-6


@given(st.data())
def test_a_gap_loses_the_words_in_it_and_no_others(data: st.DataObject) -> None:
    name = "b_long_pause.webm"
    known = recording(name)
    begin = data.draw(st.integers(1, 360))
    end = data.draw(st.integers(begin + 1, 375))
    hearing = new_hearing()
    words = hear(hearing, packets(name, 0, begin) + packets(name, end)) + hearing.flush()
    spans = [(0.0, known.starts_s[begin]), (known.starts_s[end], known.duration_s)]
    assert [word.recorded_start_s for word in words] == [word.start_s for word in known.words if is_heard(word, spans)]
    assert [(span.first, span.last) for span in hearing.spans] == [(0, begin - 1), (end, 382)]
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)


def test_what_is_played_again_is_heard_again() -> None:
    hearing = new_hearing()
    words = hear(hearing, packets("c_yes.webm") + packets("c_yes.webm") + packets("a_dental.ogg"))
    assert texts(words) == f"Yes. Yes. {recording('a_dental.ogg').text}"
    assert words[1].start_s == pytest.approx(2.1 + 0.3, abs=0.002)


def test_packets_that_are_alike_are_placed_by_what_follows() -> None:
    silence, other = HeardPacket(b"s", 0.02, 1), HeardPacket(b"t", 0.02, 1)
    speech = [HeardPacket(bytes([number]), 0.02, 1) for number in range(10)]
    words = [SpokenWord("one", 0.2, 0.3), SpokenWord("two.", 0.3, 0.4)]
    known = SpokenRecording("made", "one two.", words, [silence] * 10 + speech + [silence] * 5)
    hearing = new_hearing(Library([known]))
    assert hear(hearing, [silence] * 4) == []
    assert not hearing.spans
    assert texts(hear(hearing, speech + [silence] * 5)) == "one two."
    assert [(span.first, span.last) for span in hearing.spans] == [(6, 24)]
    # The silence goes on, and who knows where in it: only the next speech tells.
    assert hear(hearing, [silence] * 3) == []
    assert texts(hear(hearing, speech)) == "one two."
    assert [(span.first, span.last) for span in hearing.spans] == [(6, 24), (7, 19)]
    # Silence before something unknown is not the silence before the speech.
    assert texts(hear(hearing, [silence, silence, other, *speech])) == "one two."
    assert [(span.recording, span.first, span.last) for span in hearing.spans][2:] == [(None, 0, 0), ("made", 10, 19)]


def test_a_flush_tells_a_word_at_once_and_not_again() -> None:
    word = recording("c_yes.webm").words[0]
    most = round((word.start_s + 0.8 * (word.end_s - word.start_s)) / 0.06)
    hearing = new_hearing()
    assert hear(hearing, packets("c_yes.webm", 0, most)) == []
    assert texts(hearing.flush()) == "Yes."
    assert hearing.flush() == []
    assert hear(hearing, packets("c_yes.webm", most)) == []


def test_the_voice_lasts_until_the_last_word_ends() -> None:
    hearing = new_hearing()
    hear(hearing, packets("c_yes.webm", 0, 4))
    assert hearing.voice_s < 0
    hear(hearing, packets("c_yes.webm", 4))
    assert hearing.voice_s == pytest.approx(1.071, abs=0.001)


# --- the stand-in -----------------------------------------------------------------------------------------------


def test_whoever_talks_is_heard_to_say_the_next_sentence() -> None:
    hearing = new_hearing(Library(), "One two three.", "Four.")
    numbers = cycle(range(256))
    quiet = [HeardPacket(bytes([next(numbers)]) * 60, 0.06, 1) for _ in range(10)]
    loud = [HeardPacket(bytes([next(numbers)]) * 160, 0.06, 1) for _ in range(12)]
    assert hear(hearing, quiet) == []
    begun = hear(hearing, loud)
    assert texts(begun) == "One two"
    assert hearing.voice_s == pytest.approx(1.32)
    words = begun + hear(hearing, quiet)
    assert texts(words) == "One two three."
    assert [word.end_s for word in words] == sorted(word.end_s for word in words)
    assert texts(hear(hearing, loud + quiet)) == "Four."
    assert hear(hearing, loud[:3] + quiet) == []
    assert hear(hearing, loud + quiet) == []  # there are no more sentences
    assert len(hearing.spans) == 1


def test_the_voice_in_pcm_is_told_by_its_peaks() -> None:
    stock = StockSpeech(iter(["Hello."]), "linear16")
    quiet, loud = array("h", [20, -20] * 160).tobytes(), array("h", [3000, -3000] * 160).tobytes()
    slices = [quiet] * 10 + [loud] * 20 + [quiet] * 20
    words = [word for at, pcm in enumerate(slices) for word in stock.hear(pcm, at * 0.02, at * 0.02 + 0.02)]
    assert [word.text for word in words] == ["Hello."]


@pytest.mark.parametrize("path", sorted(AUDIO.glob("*.webm")) + sorted(AUDIO.glob("*.ogg")), ids=lambda path: path.name)
def test_whatever_the_bit_rate_somebody_is_heard_to_talk(path: Path) -> None:
    stock = StockSpeech(iter(["Hello there."] * 9), None)
    words, at_s = [], 0.0
    for packet in packets_of(path):
        words += stock.hear(packet.payload, at_s, at_s + packet.duration_s)
        at_s += packet.duration_s
    assert [word.text for word in words][:2] == ["Hello", "there."]
