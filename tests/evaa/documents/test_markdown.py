"""Markdown, read by markdown-it (with links wherever it can see one) and by GitHub's own parser."""

import cmarkgfm
import msgspec
import pytest
from hypothesis import example, given, settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

from evaa.documents.formats import markdown
from evaa.documents.formats.composing import compose
from evaa.documents.formats.text import GUARD, shown
from protocols.documents import Brd, Summary
from protocols.records import TurnRecord
from tests.evaa.documents.any_documents import (
    ATTACKS,
    BRDS,
    SAID,
    SUMMARIES,
    TEXTS,
    tame_brd,
    tame_summary,
    tame_turns,
)
from tests.evaa.documents.example import BRD, SUMMARY, TURNS
from tests.evaa.documents.tags import read

PARSER = MarkdownIt("gfm-like")
EXAMPLE = markdown.render(compose(BRD, SUMMARY, TURNS))


def tokens(text: str) -> list[Token]:
    return [inner for token in PARSER.parse(text) for inner in (token, *(token.children or ()))]


def structure(text: str) -> list[str]:
    """What kinds of things there are, but for line breaks and empty texts."""
    kinds = [
        token.type for token in tokens(text) if token.type != "hardbreak" and (token.type != "text" or token.content)
    ]
    return [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if (kind, before) != ("text", "text")]


def words(text: str) -> str:
    return "".join(
        "\n" if token.type == "hardbreak" else token.content
        for token in tokens(text)
        if token.type in ("text", "hardbreak")
    )


@given(BRDS, SUMMARIES, SAID)
@settings(deadline=None, max_examples=60)
def test_no_text_becomes_markup(brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...]) -> None:
    wild = markdown.render(compose(brd, summary, turns))
    mild = markdown.render(compose(tame_brd(brd), tame_summary(summary), tame_turns(turns)))
    assert structure(wild) == structure(mild)
    assert github(wild) == github(mild)


def github(text: str) -> list[str]:
    return [tag for tag in read(cmarkgfm.github_flavored_markdown_to_html(text)).tags if tag != "br"]


@given(TEXTS)
@settings(deadline=None, max_examples=300)
@example("\n".join(filter(str.strip, ATTACKS)))
def test_a_text_means_itself(text: str) -> None:
    expected = shown(text).replace("\u200b", "")
    block = markdown.escaped(shown(text)).replace("\n", "\\\n")
    cell = markdown.escaped(shown(text)).replace("\n", " ")
    assert words(block).replace("\u200b", "") == expected
    assert words(f"| a |\n| - |\n| {cell} |").replace("\u200b", "") == "a" + expected.replace("\n", " ")


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if shown(attack)])
def test_every_attack_is_a_mere_paragraph_to_both_parsers(attack: str) -> None:
    text = markdown.escaped(shown(attack)).replace("\n", "\\\n")
    assert set(structure(f"x\n\n{text}")) == {"paragraph_open", "inline", "text", "paragraph_close"}
    assert github(f"x\n\n{text}") == ["p", "/p", "p", "/p"]


@pytest.mark.parametrize("title", ["Over to C #", "##", "A ## #", "a #b #\t", "#", "C#", "# a #"])
def test_a_heading_keeps_its_hashes(title: str) -> None:
    heading = markdown.render(compose(msgspec.structs.replace(BRD, title=title), SUMMARY)).split("\n")[0]
    assert words(heading) == title.strip()
    assert github(heading) == ["h1", "/h1"]
    assert title.strip() in cmarkgfm.github_flavored_markdown_to_html(heading)


def test_an_address_is_kept_apart_from_itself() -> None:
    assert markdown.escaped("a@b.example") == f"a\\@{GUARD}b\\.example"


def test_ordinary_text_stays_readable_as_it_is() -> None:
    plain = "Frau Lindqvist's list (about 40 a week, 3.5 hours): e.g. “invoices” - yes/no? 50 % of them!"
    assert markdown.escaped(plain) == plain.replace("e.g.", "e\\.g.")


def test_the_example_has_all_its_headings_and_tables() -> None:
    parsed = PARSER.parse(EXAMPLE)
    headings = [parsed[place + 1].content for place, token in enumerate(parsed) if token.type == "heading_open"]
    assert headings[:4] == [BRD.title, "To be settled", "Missing", "How sure each statement is"]
    assert headings[-2:] == ["22 Glossary", "Appendix: what was said"]
    assert sum(token.type == "table_open" for token in parsed) == 13
    assert "| OBJ-3 | Time from arrival to approval | up to a week | \u2013 | **inferred**, turn\u00a08 |" in EXAMPLE
    assert "- **FR-2** Stop duplicates (stated, turn\u00a013)\n  - Priority: Must\n" in EXAMPLE
    assert "> **Missing: The model did not answer in time, three times in a row.**" in EXAMPLE
    assert "- **Turn 12:** For approvals" in EXAMPLE
