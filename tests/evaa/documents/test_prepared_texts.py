"""Texts that are prepared once and asked about in any combination answer as they would if they were one text."""

from hypothesis import given
from hypothesis import strategies as st

from evaa.documents.figures import Figures, claimed, heard
from evaa.documents.words import Vocabulary, words

ENGLISH = "twenty five twenty-five hundred and thousand million a k 40 5,000 2.5 10:30 3pm invoices automatically"
OTHERS = "zwei fünfundzwanzig tausend Rechnungen SAP in-house e-mail Anna İstanbul ﬁne n8n 東京 user@x.example"
WORDS = f"{ENGLISH} {OTHERS}".split()
TEXTS = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
SOME_TEXTS = st.lists(TEXTS, min_size=1, max_size=5)


@given(SOME_TEXTS, st.data(), TEXTS)
def test_figures(texts: list[str], data: st.DataObject, claim: str) -> None:
    among = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True).map(sorted))
    together = heard("\n".join(texts[index] for index in among)).union(*(heard(texts[index]) for index in among))
    heard_there = Figures(*texts).among(among)
    assert all(figure in heard_there for figure in claimed(claim)) == (claimed(claim) <= together)


def test_a_figure_may_go_on_in_the_next_text_or_not() -> None:
    figures = Figures("twenty", "five hundred")
    assert all(it in figures.among([0, 1]) for it in ("20", "500", "2500"))
    assert "2500" not in figures.among([1])


@given(SOME_TEXTS, st.data(), TEXTS)
def test_words(texts: list[str], data: st.DataObject, claim: str) -> None:
    among = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True))
    prepared, together = Vocabulary(*texts), Vocabulary("\n".join(texts[index] for index in among))
    for word in words(claim):
        assert prepared.holds(word, sum(1 << index for index in among)) == together.holds(word)


def test_figures_in_words_that_never_end() -> None:
    for text in ("million " * 2_500, "hundred thousand " * 1_200, "nine " * 4_000, "1 million " * 2_000):
        assert heard(text)
        assert claimed(text)
