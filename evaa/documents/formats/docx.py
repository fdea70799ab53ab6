"""DOCX, for Word, LibreOffice and what else reads it: real styles, headings, tables and fields; nothing external.

The table of contents is a field whose entries are there already, each a link to its heading. Its page numbers are
fields of their own, without a value: only a program that lays out the pages can know it. Word fills them in with
"Update field"; it is not told to do so on opening, since it would ask the reader about it.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import starmap

import docx
from docx.document import Document as Docx
from docx.oxml.xmlchemy import BaseOxmlElement as Element

from evaa.documents.formats import docx_styles
from evaa.documents.formats import docx_xml as xml
from evaa.documents.formats.docx_styles import OPEN_SHADE, SHADE, TEXT_WIDTH_CM
from evaa.documents.formats.outline import (
    Block,
    Document,
    Facts,
    Grid,
    Legend,
    Measure,
    Note,
    Part,
    Quotes,
    Statement,
    Statements,
)
from evaa.documents.formats.text import ABSENT

_AUTHOR = "EVAA"
_MAX_PROPERTY_CHARS = 255
_NAME_CM, _LABEL_CM = 3.0, 3.2
_LEGEND_CM = (2.5, 12.4, 2.5)
_CELL_PADDING_CM, _CHAR_CM, _HEAD_CHAR_CM = 0.4, 0.18, 0.24
_MAX_WORD_CHARS, _MAX_WEIGHT_CHARS = 14, 80
_MAX_WHOLE_ROW_CHARS = 1_200
"""A longer row may be split between pages: not every program copes with one that is longer than a page."""

_PACKED = (1980, 1, 1, 0, 0, 0)
"""The time of every member of the package, so that the same document is the same bytes."""


def render(document: Document) -> bytes:
    """Return the document as a Word file."""
    made = docx.Document()
    docx_styles.prepare(made, document.language)
    docx_styles.footer(made, document.reference)
    _properties(made, document)
    _Writer(made).write(document)
    packed = io.BytesIO()
    made.save(packed)
    return _repacked(packed)


def _properties(made: Docx, document: Document) -> None:
    properties = made.core_properties
    properties.title = document.title[:_MAX_PROPERTY_CHARS]
    properties.subject = document.subtitle
    properties.identifier = document.reference[:_MAX_PROPERTY_CHARS]
    properties.language = document.language
    properties.author = properties.last_modified_by = _AUTHOR
    properties.comments = properties.keywords = ""
    properties.created = properties.modified = datetime.fromtimestamp(document.created_at_ms / 1000, UTC)


def _repacked(packed: io.BytesIO) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name, _PACKED), source.read(name), zipfile.ZIP_DEFLATED)
    return result.getvalue()


class _Writer:
    """Puts one element after the other into the body; bookmarks are numbered as they come."""

    def __init__(self, made: Docx) -> None:
        self._end = made.element.body[-1]
        self._bookmarks = 0

    def write(self, document: Document) -> None:
        self._put(xml.written("Subtitle", document.subtitle))
        self._put(xml.written("Title", document.title))
        for part in document.front:
            if part.title:
                self._put(xml.written("Front heading", part.title))
            self._blocks(part.blocks)
        self._put(_contents(document))
        for part in document.parts:
            self._part(part, 1)

    def _put(self, element: Element) -> None:
        self._end.addprevious(element)

    def _part(self, part: Part, level: int) -> None:
        runs = [xml.run(part.heading)]
        if part.anchor:
            self._bookmarks += 1
            runs = xml.bookmark(_bookmark(part), self._bookmarks, *runs)
        self._put(xml.paragraph(f"Heading {level}", *runs, new_page=part.anchor == "summary"))
        self._blocks(part.blocks)
        for inner in part.parts:
            self._part(inner, level + 1)

    def _blocks(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            for element in _elements(block):
                self._put(element)


def _bookmark(part: Part) -> str:
    """The name of a heading's place. Word allows no hyphen in one."""
    return part.anchor.replace("-", "_")


def _contents(document: Document) -> Element:
    entries = [
        xml.paragraph(f"toc {level}", xml.page_link(_bookmark(part), part.heading))
        for level, part in document.contents()
    ]
    first, last = entries[0], entries[-1]
    for offset, element in enumerate(xml.begin_field(r'TOC \o "1-2" \h \z \u'), 1):
        first.insert(offset, element)
    last.append(xml.end_field())
    return xml.contents(xml.paragraph("TOC Heading", xml.run("Contents"), new_page=True), entries)


# --- blocks -------------------------------------------------------------------------------------------------------


def _elements(block: Block) -> Iterable[Element]:
    match block:
        case Note(text, is_missing):
            return (xml.written("Missing" if is_missing else "Nothing", text),)
        case Facts(rows):
            return _table([_LABEL_CM, TEXT_WIDTH_CM - _LABEL_CM], starmap(_pair, rows))
        case Grid(labels, rows):
            widths_cm = _widths(labels, rows)
            return _table(widths_cm, (_texts(widths_cm, row) for row in rows), labels)
        case Legend(rows):
            return _table(_LEGEND_CM, map(_measure, rows), ("Status", "Meaning", "Statements"))
        case Quotes(rows):
            quotes = (_pair(f"Turn {quote.turn}", quote.text) for quote in rows)
            return _table([_LABEL_CM, TEXT_WIDTH_CM - _LABEL_CM], quotes)
        case Statements("table"):
            return _statements(block)
        case Statements("prose", _, rows):
            return (_statement("Normal", row) for row in rows)
        case Statements("list", _, rows):
            return (_statement("List Bullet", row) for row in rows)
        case Statements(rows=rows):
            return (element for row in rows for element in _card(row))


def _statement(style: str, row: Statement) -> Element:
    return xml.written(style, row.texts[0] or ABSENT, xml.run(f"  {row.entry_id} ", "Sources"), *_basis(row))


def _statements(block: Statements) -> Iterable[Element]:
    widths_cm = _widths(block.labels, [row.texts for row in block.rows], TEXT_WIDTH_CM - _NAME_CM)
    fill = OPEN_SHADE if block.is_open else ""
    rows = (_texts(widths_cm, row.texts, _name(row, _NAME_CM, fill)) for row in block.rows)
    return _table([_NAME_CM, *widths_cm], rows, ("ID", *block.labels))


def _card(row: Statement) -> Iterable[Element]:
    """A table a statement, kept on one page with its heading as far as it fits."""
    more = row.details
    headline = xml.written("Table heading", row.texts[0] or ABSENT, keep_next=bool(more))
    name = _name(row, _LABEL_CM, SHADE, keep_next=bool(more))
    is_whole = len(row.texts[0]) <= _MAX_WHOLE_ROW_CHARS
    head = xml.row(name, xml.cell(TEXT_WIDTH_CM - _LABEL_CM, headline, fill=SHADE), is_whole=is_whole)
    pairs = [_pair(label, text, keep_next=pair < len(more)) for pair, (label, text) in enumerate(more, 1)]
    return _table([_LABEL_CM, TEXT_WIDTH_CM - _LABEL_CM], [head, *pairs])


def _table(widths_cm: Sequence[float], rows: Iterable[Element], labels: Sequence[str] = ()) -> Iterable[Element]:
    """A table and a little room below it: two tables that touch become one."""
    cells = [
        xml.cell(width_cm, xml.written("Table heading", label, keep_next=True), fill=SHADE)
        for width_cm, label in zip(widths_cm, labels, strict=False)
    ]
    head = [xml.row(*cells, is_head=True)] if labels else []
    return xml.table("Table Grid", widths_cm, [*head, *rows]), xml.paragraph("Gap")


def _texts(widths_cm: Sequence[float], texts: Sequence[str], *before: Element) -> Element:
    cells = (_text(width_cm, text) for width_cm, text in zip(widths_cm, texts, strict=True))
    return xml.row(*before, *cells, is_whole=sum(map(len, texts)) <= _MAX_WHOLE_ROW_CHARS)


def _pair(label: str, text: str, *, keep_next: bool = False) -> Element:
    name = xml.cell(_LABEL_CM, xml.written("Label", label, keep_next=keep_next))
    return xml.row(name, _text(TEXT_WIDTH_CM - _LABEL_CM, text), is_whole=len(text) <= _MAX_WHOLE_ROW_CHARS)


def _measure(measure: Measure) -> Element:
    status = xml.paragraph("Table text", xml.run(measure.status, measure.status.capitalize()))
    name_cm, meaning_cm, amount_cm = _LEGEND_CM
    return xml.row(xml.cell(name_cm, status), _text(meaning_cm, measure.meaning), _text(amount_cm, measure.amount))


def _text(width_cm: float, text: str) -> Element:
    return xml.cell(width_cm, xml.written("Table text", text or ABSENT))


def _name(row: Statement, width_cm: float, fill: str = "", *, keep_next: bool = False) -> Element:
    name = xml.written("Table heading", row.entry_id, keep_next=keep_next)
    return xml.cell(width_cm, name, xml.paragraph("Table text", *_basis(row), keep_next=keep_next), fill=fill)


def _basis(row: Statement) -> list[Element]:
    status = xml.run(row.status, row.status.capitalize())
    return [status, xml.run(f" {row.sources}", "Sources")] if row.turns else [status]


def _widths(labels: Sequence[str], rows: Sequence[Sequence[str]], whole_cm: float = TEXT_WIDTH_CM) -> list[float]:
    """Return widths for columns: room for the words of their heads; for their longest words; the rest by their texts.

    A head is never broken in the middle of a word, not even where another font stands in for Calibri. A word of a text
    is, if it is very long, or if the columns are many.
    """
    columns = list(zip(*rows, strict=True))
    heads = [_CELL_PADDING_CM + _HEAD_CHAR_CM * _longest_word([label]) for label in labels]
    words = [_CELL_PADDING_CM + _CHAR_CM * min(_longest_word(texts), _MAX_WORD_CHARS) for texts in columns]
    wishes = [max(0.0, word - head) for word, head in zip(words, heads, strict=True)]
    granted = min(1.0, (whole_cm - sum(heads)) / (sum(wishes) or 1.0))
    narrowest = [head + wish * granted for head, wish in zip(heads, wishes, strict=True)]
    averages = [min(sum(map(len, texts)) / len(texts), _MAX_WEIGHT_CHARS) + 1 for texts in columns]
    rest_cm = whole_cm - sum(narrowest)
    return [low + rest_cm * share / sum(averages) for low, share in zip(narrowest, averages, strict=True)]


def _longest_word(texts: Iterable[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)
