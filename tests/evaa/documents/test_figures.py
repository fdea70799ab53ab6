"""Figures, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.figures import canonical, claimed, heard, replaced


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("5,000 euros", {"5000"}),
        ("5.000 Euro", {"5000"}),
        ("5 000 euros", {"5000"}),
        ("5'000 francs", {"5000"}),
        ("€500", {"500"}),
        ("500€ and $20", {"500", "20"}),
        ("1,234.50", {"1234.5"}),
        ("2.50", {"2.5"}),
        ("2,5 hours", {"2.5"}),
        ("1,5:00", {"1,5"}),
        ("35", {"35"}),
        ("3pm", {"3"}),
        ("3 p.m.", {"3"}),
        ("9:00", {"9"}),
        ("09:30", {"9:30"}),
        ("30-40", {"30", "40"}),
        ("19%", {"19"}),
        ("5k", {"5000"}),
        ("2 million", {"2000000"}),
        ("31.03.2026", {"31.3.2026"}),
        ("forty", {"40"}),
        ("Twenty-five", {"25"}),
        ("two hundred and fifty", {"250"}),
        ("three thousand five hundred", {"3500"}),
        ("a hundred", {"100"}),
        ("four to five", {"4", "5"}),
        ("forty fifty", {"40", "50"}),
        ("a dozen", {"12"}),
        ("€500 a month", {"500"}),
        ("hundred", {"100"}),
        ("two thousand", {"2000"}),
        ("fünfundzwanzig", {"25"}),
        ("zweihundertfünfzig", {"250"}),
        ("dreitausend", {"3000"}),
        ("one of an 1 and 0", set()),
        ("n8n, S4 and B2B", set()),
        ("n80n", set()),
        ("in vitamin K", set()),
        ("no figures", set()),
    ],
)
def test_figures_are_found_however_they_are_written(text: str, figures: set[str]) -> None:
    assert claimed(text) == figures


@pytest.mark.parametrize(
    ("said", "claim"),
    [
        ("3pm", "15:00"),
        ("3 p.m.", "at 15"),
        ("two hundred", "200"),
        ("2 hundred", "200"),
        ("both", "2"),
        ("40", "forty"),
    ],
)
def test_what_is_heard_bears_out_other_ways_to_write_it(said: str, claim: str) -> None:
    assert claimed(claim) <= heard(said)


@pytest.mark.parametrize(
    ("said", "claim"), [("3.5", "35"), ("5,000", "5"), ("50", "5"), ("forty", "14"), ("3 am", "15")]
)
def test_other_figures_stay_other_figures(said: str, claim: str) -> None:
    assert not claimed(claim) <= heard(said)


@given(st.integers(min_value=2, max_value=10**12))
def test_separators_of_thousands_make_no_difference(number: int) -> None:
    written = {f"{number:,}", f"{number:,}".replace(",", "."), f"{number:,}".replace(",", "'"), str(number)}
    assert {canonical(text) for text in written} == {str(number)}


@given(st.text())
def test_any_text_holds_the_figures_that_it_claims(text: str) -> None:
    assert claimed(text) <= heard(text)


@given(st.text(alphabet="0123456789.,:' k€%-²٣½①hundred and twenty fünfund", max_size=60))
def test_texts_full_of_figures_never_raise(text: str) -> None:
    assert claimed(text) <= heard(text)


def test_figures_of_any_length_are_compared() -> None:
    assert claimed("9" * 20_000) == {"9" * 20_000}


def test_a_figure_is_replaced_wherever_it_is_the_same() -> None:
    text = "€500, 1,500, 500.00 and 5000; 500"
    assert replaced(text, "500", "5,000") == "€5,000, 1,500, 5,000 and 5000; 5,000"
