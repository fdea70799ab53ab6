"""Words on one side or the other of a cut through the audio."""

import pytest

from evaa.stt.spoken import NOTHING, Spoken, join
from protocols.deepgram_messages import Word
from tests.evaa.deepgram_builders import timed, untimed

PHONE = Spoken(
    "555, please.", (Word("five five five", "555,", 0.0, 0.8), Word("please", "please.", 1.0, 1.2)), 0.0, 2.0
)


def test_a_word_is_where_its_middle_is() -> None:
    assert [spoken.text for spoken in PHONE.split_at(0.39)] == ["", "555, please."]
    assert [spoken.text for spoken in PHONE.split_at(0.41)] == ["555,", "please."]
    assert [spoken.text for spoken in PHONE.split_at(1.11)] == ["555, please.", ""]


def test_what_is_whole_keeps_the_transcripts_own_formatting() -> None:
    spoken = Spoken("555-1234", timed("five five", 1.0), 1.0, 2.0)
    assert spoken.split_at(0.5) == (NOTHING, spoken)
    assert spoken.split_at(2.0) == (spoken, NOTHING)


@pytest.mark.parametrize("words", [(), untimed("one two"), (*timed("one", 0.0), *untimed("two"))])
def test_untimed_words_are_before_a_cut_only_if_all_of_the_stretch_is(words: tuple[Word, ...]) -> None:
    spoken = Spoken("one two", words, 0.0, 1.0)
    assert not spoken.is_timed
    assert spoken.split_at(0.99) == (NOTHING, spoken)
    assert spoken.split_at(1.0) == (spoken, NOTHING)


def test_nothing_is_before_the_beginning() -> None:
    spoken = Spoken("one")
    assert spoken.split_at(0.0) == (NOTHING, spoken)


def test_where_words_begin_and_end() -> None:
    assert (PHONE.starts_s, PHONE.ends_s) == (0.0, 1.2)
    assert (Spoken("one", (), 0.5, 1.0).starts_s, Spoken("one", (), 0.5, 1.0).ends_s) == (0.5, None)


@pytest.mark.parametrize(("count", "rest"), [(0, "555, please."), (1, "please."), (2, ""), (5, "")])
def test_words_are_cut_by_number(count: int, rest: str) -> None:
    assert PHONE.without_first(count).text == rest


def test_texts_are_joined_without_the_empty_ones() -> None:
    assert join("", "one", "", "two") == "one two"
