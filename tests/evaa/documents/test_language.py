"""In which language somebody speaks, as far as the commonest words tell."""

import pytest

from evaa.documents.scripted_writer import write
from evaa.documents.words import language_of
from tests.evaa.writing_helpers import brief, interview, turn


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("We type the invoices into SAP, and it takes an hour of the day.", "en"),
        ("Wir tippen die Rechnungen in SAP, und das ist nicht schön, weil der Import fehlt.", "de"),
        ("Nous tapons les factures à la main, et cela prend une heure.", ""),
        ("Invoices, SAP, 40 a day.", ""),
        ("The invoices and the letters, und das ist nicht die Regel.", ""),
        ("請求書を手で入力します。", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_text(text: str, tag: str) -> None:
    assert language_of(text) == tag


@pytest.mark.parametrize(("words", "tag"), [("We type the bills, and it takes the whole day.", "en"), ("Ja. SAP.", "")])
def test_the_scripted_writer_names_the_language_with_the_project(words: str, tag: str) -> None:
    held = interview(turn(1, words, reply="And?"))
    assert write(brief("project", interview=held)).language == tag
    assert write(brief(interview=held)).language == ""
