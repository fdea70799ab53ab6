"""The Word file, read by python-docx, by its XML, and by LibreOffice."""

import io
import re
import subprocess
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path

import docx
import msgspec
import pytest
from docx.document import Document as Docx
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph
from hypothesis import given, settings

from evaa.documents.catalogue import BY_KEY, SECTIONS
from evaa.documents.formats import docx as word
from evaa.documents.formats.composing import compose
from evaa.documents.formats.text import shown
from protocols.documents import Brd, Entry, Section, Summary
from protocols.records import TurnRecord
from tests.deploy.files import tool
from tests.evaa.documents.any_documents import BRDS, SAID, SUMMARIES, tame_brd, tame_summary, tame_turns
from tests.evaa.documents.example import BRD, SUMMARY, TURNS

DOCUMENT = compose(BRD, SUMMARY, TURNS)
FILE = word.render(DOCUMENT)
EXAMPLE = docx.Document(io.BytesIO(FILE))


def opened(brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...] = ()) -> Docx:
    return docx.Document(io.BytesIO(word.render(compose(brd, summary, turns))))


def paragraphs(document: Docx) -> list[Paragraph]:
    return [Paragraph(found, document) for found in document.element.body.iter(qn("w:p"))]


def headings(document: Docx, level: int) -> list[str]:
    return [it.text for it in paragraphs(document) if it.style is not None and it.style.name == f"Heading {level}"]


def structure(document: Docx) -> list[str]:
    """The elements of the body in their order, but for line breaks and what turns a text to the right."""
    loose = {qn(f"w:{name}") for name in ("br", "t", "bidi", "rtl", "rPr")} | {qn("w:gridCol"), qn("w:cantSplit")}
    return [element.tag for element in document.element.body.iter() if element.tag not in loose]


@given(BRDS, SUMMARIES, SAID)
@settings(deadline=None, max_examples=12)
def test_no_text_becomes_anything_but_text(brd: Brd, summary: Summary, turns: tuple[TurnRecord, ...]) -> None:
    wild = opened(brd, summary, turns)
    assert structure(wild) == structure(opened(tame_brd(brd), tame_summary(summary), tame_turns(turns)))
    texts = {it.text.casefold() for it in paragraphs(wild)}
    for section in brd.sections:
        for entry in section.entries:
            for text in filter(None, map(shown, entry.fields.values())):
                assert any(it.startswith(text.rstrip(" .").casefold()) for it in texts)


def test_headings_are_headings_and_the_contents_list_them() -> None:
    level_1 = [part.heading for part in DOCUMENT.parts]
    assert headings(EXAMPLE, 1) == level_1
    assert headings(EXAMPLE, 2) == [stage.name for stage in SUMMARY.stages]
    control = EXAMPLE.element.body.find(qn("w:sdt"))
    listed = ["".join(it.text or "" for it in entry.iter(qn("w:t"))) for entry in control.iter(qn("w:hyperlink"))]
    assert listed == [part.heading for _, part in DOCUMENT.contents()]


def test_the_contents_lead_to_the_headings() -> None:
    links = [link.get(qn("w:anchor")) for link in EXAMPLE.element.body.iter(qn("w:hyperlink"))]
    places = [mark.get(qn("w:name")) for mark in EXAMPLE.element.body.iter(qn("w:bookmarkStart"))]
    assert links == places
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name) for name in places)


def test_fields_are_whole_and_no_reader_is_asked_about_them() -> None:
    kinds = Counter(mark.get(qn("w:fldCharType")) for mark in EXAMPLE.element.body.iter(qn("w:fldChar")))
    assert kinds["begin"] == kinds["separate"] == kinds["end"] > 30
    codes = [code.text.split()[0] for code in EXAMPLE.element.body.iter(qn("w:instrText"))]
    assert codes[:2] == ["TOC", "PAGEREF"]
    assert EXAMPLE.settings.element.find(qn("w:updateFields")) is None


def test_the_heads_of_tables_repeat() -> None:
    tables = [Table(found, EXAMPLE) for found in EXAMPLE.element.body.iter(qn("w:tbl"))]
    headed = [table for table in tables if table._tbl.find(f".//{qn('w:tblHeader')}") is not None]
    assert len(headed) == 13
    assert [cell.text for cell in headed[2].rows[0].cells] == ["ID", "Objective", "Baseline", "Target"]
    assert headed[2].rows[1].cells[0].text == "OBJ-1\nstated turns\u00a01, 22"


def test_every_column_has_its_width_and_together_they_fill_the_page() -> None:
    for table in EXAMPLE.element.body.iter(qn("w:tbl")):
        widths = [int(column.get(qn("w:w"))) for column in table.tblGrid.gridCol_lst]
        assert min(widths) > 700
        assert abs(sum(widths) - round(17.4 * 567)) <= len(widths)


TABLES = [kind for kind in SECTIONS if kind.layout == "table"]


@pytest.mark.parametrize("text", ["W" * 4_000, "word " * 800])
@pytest.mark.parametrize("key", [kind.key for kind in TABLES])
def test_no_head_of_a_column_breaks_in_the_middle_of_a_word(key: str, text: str) -> None:
    """In bold letters of 9 points, even of DejaVu Sans, which is as wide as any font that may stand in for Calibri."""
    columns = BY_KEY[key].columns
    for wide in range(len(columns)):
        fields = {column.key: text if place == wide else "a" for place, column in enumerate(columns)}
        brd = msgspec.structs.replace(BRD, sections=(Section(key, (Entry("X-1", fields),)),))
        found = next(it for it in opened(brd, SUMMARY).tables if it.rows[0].cells[-1].text == columns[-1].label)
        widths_cm = [int(column.get(qn("w:w"))) / 567 for column in found._tbl.tblGrid.gridCol_lst[1:]]
        words = [max(map(len, column.label.split())) for column in columns]
        assert all(width >= 0.38 + 0.235 * count for width, count in zip(widths_cm, words, strict=True))


def test_pages_are_numbered_but_for_the_first() -> None:
    section = EXAMPLE.sections[0]
    assert section.different_first_page_header_footer
    assert section.footer.paragraphs[0].text == "BRD-5e1a0000000000000000beef, version 2\t1 / 1"
    codes = [code.text.strip() for code in section.footer.paragraphs[0]._p.iter(qn("w:instrText"))]
    assert codes == ["PAGE", "NUMPAGES"]


def test_the_properties_tell_what_it_is() -> None:
    properties = EXAMPLE.core_properties
    assert (properties.title, properties.author) == (BRD.title, "EVAA")
    assert properties.identifier == "BRD-5e1a0000000000000000beef, version 2"
    assert properties.created is not None
    assert properties.created.replace(tzinfo=None) == datetime(2026, 11, 30, 0, 53, 20)
    assert EXAMPLE.styles.element.find(f".//{qn('w:lang')}").get(qn("w:val")) == "en"


@pytest.mark.parametrize(
    ("language", "kind", "others"),
    [
        ("de-AT", "val", {"eastAsia": "en-US", "bidi": "ar-SA"}),
        ("zh-Hant", "eastAsia", {"val": "en-US", "bidi": "ar-SA"}),
        ("he", "bidi", {"val": "en-US", "eastAsia": "en-US"}),
        ("und", "val", {"val": "en-US", "eastAsia": "en-US", "bidi": "ar-SA"}),
    ],
)
def test_the_language_is_named_for_its_own_script(language: str, kind: str, others: dict[str, str]) -> None:
    """For Chinese signs, and for what runs from the right, Word asks other attributes."""
    document = opened(msgspec.structs.replace(BRD, language=language), SUMMARY)
    spoken = document.styles.element.find(f".//{qn('w:lang')}")
    found = {name: spoken.get(qn(f"w:{name}")) for name in ("val", "eastAsia", "bidi")}
    assert found == {kind: language, **others}


def test_nothing_in_the_file_is_external_or_active() -> None:
    with zipfile.ZipFile(io.BytesIO(FILE)) as package:
        names = package.namelist()
        relations = [package.read(name).decode() for name in names if name.endswith(".rels")]
    assert not [name for name in names if re.search("vba|macro|embed|activeX|thumbnail|oleObject", name, re.IGNORECASE)]
    assert relations
    assert not [text for text in relations if "External" in text]


def test_the_same_document_is_the_same_bytes() -> None:
    assert word.render(DOCUMENT) == FILE


def test_what_is_written_from_the_right_begins_there() -> None:
    entries = (Entry("IN-1", {"text": "שלום עולם"}), Entry("IN-2", {"text": "12 hello"}))
    document = opened(msgspec.structs.replace(BRD, sections=(Section("scopeIn", entries),)), SUMMARY)
    first, second = (it for it in paragraphs(document) if it.text.startswith(("שלום", "12 hello")))
    assert first._p.pPr is not None
    assert first._p.pPr.find(qn("w:bidi")) is not None
    assert first.runs[0].font.rtl
    assert second._p.pPr is not None
    assert second._p.pPr.find(qn("w:bidi")) is None


def test_a_text_longer_than_a_page_may_be_split() -> None:
    rows = (Entry("GL-1", {"term": "a", "meaning": "word " * 4_000}), Entry("GL-2", {"term": "a", "meaning": "b"}))
    document = opened(msgspec.structs.replace(BRD, sections=(Section("glossary", rows),)), SUMMARY)
    table = document.tables[-1]
    assert [row._tr.find(f".//{qn('w:cantSplit')}") is not None for row in table.rows] == [True, False, True]
    assert len(table.rows[1].cells[2].text) == 19_999


def test_a_headline_longer_than_a_page_may_be_split() -> None:
    rows = (Entry("FR-1", {"title": "word " * 4_000, "then": "b"}), Entry("FR-2", {"title": "a", "then": "b"}))
    document = opened(msgspec.structs.replace(BRD, sections=(Section("requirements", rows),)), SUMMARY)
    heads = [table.rows[0] for table in document.tables if table.rows[0].cells[0].text.startswith("FR-")]
    assert [row._tr.find(f".//{qn('w:cantSplit')}") is not None for row in heads] == [False, True]


def test_libreoffice_reads_it(tmp_path: Path) -> None:
    """Through to a PDF, with the longest and oddest of texts among the others."""
    odd = ("W" * 20_000, "word " * 4_000, "مرحبا " * 50, "👩\u200d⚕️ 🇩🇪 e\u0301", "<w:p/>&\x00\ud800", "=SUM(A1)")
    entries = tuple(Entry(f"GL-{number}", {"term": text, "meaning": text}) for number, text in enumerate(odd, 1))
    sections = (*(it for it in BRD.sections if it.key != "glossary"), Section("glossary", entries))
    path = tmp_path / "brd.docx"
    path.write_bytes(word.render(compose(msgspec.structs.replace(BRD, sections=sections), SUMMARY, TURNS)))
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = [tool("soffice"), profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(path)]
    subprocess.run(command, check=True, timeout=50, capture_output=True)
    pdf = path.with_suffix(".pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 15  # it has not given up half-way
