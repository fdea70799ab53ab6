"""The HTML page, read by an HTML parser: nothing but our elements, and nothing of the user's in an attribute."""

import base64
import hashlib
import re

import msgspec
import pytest
from hypothesis import given, settings

from evaa.documents.catalogue import SECTIONS
from evaa.documents.formats import html
from evaa.documents.formats.composing import compose
from evaa.documents.formats.text import line, shown
from protocols.documents import Brd, Entry, Section, Summary
from protocols.records import TurnRecord
from tests.evaa.documents.any_documents import BRDS, SAID, SUMMARIES, tame_brd, tame_summary, tame_turns
from tests.evaa.documents.example import BRD, SUMMARY, TURNS
from tests.evaa.documents.tags import read

PAGE = html.render(compose(BRD, SUMMARY, TURNS))
EXAMPLE = read(PAGE)

ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "footer", "h1", "h2", "h3",
    "h4", "p", "br", "a", "b", "span", "div", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
LABELS = {column.label for kind in SECTIONS for column in kind.columns} | {"Part", "Reason", "Meaning", "Statements"}
CLASSES = {
    "kind", "number", "nothing", "missing", "facts", "quotes", "grid", "legend", "statements", "name", "basis",
    "status", "stated", "inferred", "confirmed", "sources", "mark", "list", "cards", "open", "level-1", "level-2",
    "long",
}  # fmt: skip
VALUES = {
    ("html", "lang"): re.compile(r"en|und|[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*"),
    ("a", "href"): re.compile(r"#(turn-\d+|turns|summary|stage-\d+|section-[A-Za-z]+)"),
    ("dt", "id"): re.compile(r"turn-\d+"),
    ("section", "id"): re.compile(r"turns|summary|stage-\d+|section-[A-Za-z]+"),
    ("nav", "aria-label"): re.compile("Contents"),
    ("th", "scope"): re.compile("row|col"),
    **{(tag, "id"): re.compile(r"[A-Z][A-Z0-9]*(-[A-Z])?-\d+") for tag in ("th", "li", "p")},
}


def is_ours(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return set(value.split()) <= CLASSES
    if name == "dir":
        return value in ("auto", "ltr")
    if name == "data-label":
        return value in LABELS
    if tag == "meta":
        return value in PAGE
    return bool((pattern := VALUES.get((tag, name))) and pattern.fullmatch(value))


@given(BRDS, SUMMARIES, SAID)
@settings(deadline=None, max_examples=60)
def test_no_text_becomes_markup(brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...]) -> None:
    page = read(html.render(compose(brd, summary, turns)))
    assert {tag.removeprefix("/") for tag in page.tags} <= ELEMENTS | {"span.long"}
    assert page.declarations == ["DOCTYPE html"]
    assert [odd for odd in page.attributes if not is_ours(*odd)] == []
    twin = read(html.render(compose(tame_brd(brd), tame_summary(summary), tame_turns(turns))))
    loose = ("br", "span.long", "/span.long")
    assert [tag for tag in page.tags if tag not in loose] == [tag for tag in twin.tags if tag not in loose]


@given(BRDS, SUMMARIES, SAID)
@settings(deadline=None, max_examples=30)
def test_every_text_is_there_as_it_is(brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...]) -> None:
    text = "".join(read(html.render(compose(brd, summary, turns))).text).casefold()
    for section in brd.sections:
        for entry in section.entries:
            assert all(shown(value).rstrip(" .").casefold() in text for value in entry.fields.values())


def test_the_policy_forbids_whatever_is_not_the_one_style_sheet() -> None:
    policy = next(value for tag, name, value in EXAMPLE.attributes if tag == "meta" and value.startswith("default-src"))
    style = re.search("<style>(.*)</style>", PAGE, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import|//|expression|<", style[1])


def test_no_attribute_loads_or_runs_anything() -> None:
    names = {name for _, name, _ in EXAMPLE.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "srcset", "style", "action", "data"}
    assert all(value.startswith("#") for _, name, value in EXAMPLE.attributes if name == "href")


def test_every_link_leads_somewhere() -> None:
    ids = [value for _, name, value in EXAMPLE.attributes if name == "id"]
    links = {value[1:] for _, name, value in EXAMPLE.attributes if name == "href"}
    assert len(ids) == len(set(ids))
    assert links <= set(ids)
    assert {f"section-{kind.key}" for kind in SECTIONS} | {"summary", "turns", "turn-24"} <= links
    assert {"FR-1", "OQ-3", "ES-1", "S5-C-1"} <= set(ids)


@pytest.mark.parametrize("entry_id", ['FR-1"><b>', "FR-1 onclick=x", "fr-1", "FR-1\nx", "turn-1", ""])
def test_an_id_of_another_form_is_shown_but_names_no_place(entry_id: str) -> None:
    entries = (Entry(entry_id, {"text": "a"}), Entry("IN-2", {"text": "b"}))
    page = read(html.render(compose(msgspec.structs.replace(BRD, sections=(Section("scopeIn", entries),)), SUMMARY)))
    assert [value for tag, name, value in page.attributes if tag == "li" and name == "id" and "S" not in value] == [
        "IN-2"
    ]
    assert line(entry_id) in "".join(page.text)


def test_without_the_turns_their_numbers_are_no_links() -> None:
    page = read(html.render(compose(BRD, SUMMARY)))
    assert not [value for _, name, value in page.attributes if name == "href" and value.startswith("#turn")]


def test_only_words_that_are_very_long_may_break_in_a_table() -> None:
    text = "Unternehmen <b>https://a.example/b&c</b>\nDonaudampfschifffahrt"
    entries = (Entry("OBJ-1", {"objective": text, "target": "Authentication"}),)
    page = html.render(compose(msgspec.structs.replace(BRD, sections=(Section("objectives", entries),)), SUMMARY))
    assert (
        'Unternehmen <span class="long">&lt;b&gt;https://a.example/b&amp;c&lt;/b&gt;</span><br>'
        '<span class="long">Donaudampfschifffahrt</span></td>'
    ) in page
    assert ">Authentication</td>" in page
    for rule in ("td { min-width: 6.2rem; overflow-wrap: break-word; }", ".long { overflow-wrap: anywhere; }"):
        assert rule in html.STYLE


def test_line_breaks_stay() -> None:
    assert "of a test environment.<br>DATEV holds" in PAGE


def test_the_page_is_laid_out_for_phones_and_paper() -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in PAGE
    for rule in ("@media screen and (max-width", "@media print", "size: A4", "table-header-group", "attr(data-label)"):
        assert rule in html.STYLE
