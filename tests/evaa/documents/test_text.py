"""What is left of a text before any format sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.formats.text import GUARD, line, shown
from tests.evaa.documents.any_documents import TEXTS


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("  a \t b  \n\n \n c ", "a b\nc"),
        ("a\x00b\x1bc\x7fd\x9fe", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("a\ud800b\uffffc\ufffe", "a\ufffdb\ufffdc\ufffd"),
        ("a\u202eb\u202cc\u2066d\u2069e\ufeff", "abcde"),
        (
            "👩\u200d⚕️ שלום\u200f می\u200c\u062e\u0648\u0627\u0647\u0645",
            "👩\u200d⚕️ שלום\u200f می\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("", ""),
    ],
)
def test_what_acts_is_taken_out_and_what_says_something_stays(text: str, left: str) -> None:
    assert shown(text) == left


@pytest.mark.parametrize(
    "text",
    ["=1", "=SUM(A1)", "+A1", "-A1", "@SUM(1)", "+1+cmd|'x'!A0", "-2+3", "\uff1d1", "- a point", "@anna", "-1|x"],
)
def test_a_formula_is_none_any_more(text: str) -> None:
    assert shown(text) == GUARD + text
    assert shown(f"\u202e \t{text}") == GUARD + text
    assert shown(f"a\n{text}") == f"a\n{GUARD}{text}"


@pytest.mark.parametrize("text", ["-5 %", "+49 (30) 123-45", "-1,200.50", "5=5", "a@b", "–1"])  # noqa: RUF001
def test_figures_and_what_begins_otherwise_stay_as_they_are(text: str) -> None:
    assert shown(text) == text


@given(TEXTS)
def test_what_is_shown_is_valid_everywhere_and_shows_itself(text: str) -> None:
    result = shown(text)
    result.encode()
    assert all(character in "\n" or character.isprintable() or ord(character) > 0x9F for character in result)
    assert shown(result) == result


@given(TEXTS, st.text())
def test_a_line_is_one(text: str, more: str) -> None:
    assert "\n" not in line(f"{text}\n{more}")
