"""Words as they are compared, whatever stands upon their letters."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.words import in_one_form

MARKS = st.text(alphabet="\u0300\u0315\u0323\u0301x \u2013", max_size=30)


@given(st.text() | MARKS)
def test_what_only_looks_different_is_the_same(text: str) -> None:
    assert in_one_form(text) == unicodedata.normalize("NFKC", text)


def test_of_marks_without_end_a_few_are_kept() -> None:
    assert in_one_form("e" + "\u0315\u0301" * 10_000 + "\u2013") == "\u00e9" + "\u0301" * 14 + "\u0315" * 15 + "\u2013"


def test_symbols_without_end_are_kept() -> None:
    line = "\u2500" * 20_000
    assert in_one_form(line) == line
