"""The elements of a Word document's body.

python-docx has words for many of them, but it looks a style up by reading them all: seconds a document.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement

_TWIPS_A_CM = 567


def element(tag: str, *children: BaseOxmlElement, **attributes: str) -> BaseOxmlElement:
    """Return `<w:tag w:name="value">` with these children."""
    made: BaseOxmlElement = OxmlElement(f"w:{tag}", {qn(f"w:{name}"): value for name, value in attributes.items()})
    made.extend(children)
    return made


def style_id(name: str) -> str:
    """The id by which a style is referred to."""
    return name.replace(" ", "")


# --- text ---------------------------------------------------------------------------------------------------------


def paragraph(style: str, *runs: BaseOxmlElement, new_page: bool = False, keep_next: bool = False) -> BaseOxmlElement:
    """Return a paragraph. `keep_next`: it stays on one page with the next."""
    marks = (*(["keepNext"] if keep_next else []), *(["pageBreakBefore"] if new_page else []))
    properties = element("pPr", element("pStyle", val=style_id(style)), *map(element, marks))
    return element("p", properties, *runs)


def written(style: str, text: str, *more: BaseOxmlElement, keep_next: bool = False) -> BaseOxmlElement:
    """Return a paragraph of a text, beginning at the right if its first letter is one of a script that does."""
    made = paragraph(style, run(text), *more, keep_next=keep_next)
    if runs_from_right(text):
        made[0].append(element("bidi"))
    return made


def run(text: str, style: str = "") -> BaseOxmlElement:
    """Return a text in a character style. Its line breaks become breaks."""
    made: BaseOxmlElement = OxmlElement("w:r")
    if style:
        made.append(element("rPr", element("rStyle", val=style_id(style))))
    elif runs_from_right(text):
        made.append(element("rPr", element("rtl")))
    for number, line in enumerate(text.split("\n")):
        made.extend([element("br")] * (number > 0))
        made.append(_plain(line))
    return made


def runs_from_right(text: str) -> bool:
    """Whether a paragraph of this text begins at the right."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((it for it in directions if it in ("L", "R", "AL")), "L") != "L"


def _plain(text: str) -> BaseOxmlElement:
    made = element("t")
    made.text = text
    made.set(qn("xml:space"), "preserve")
    return made


# --- fields and links ---------------------------------------------------------------------------------------------


def field(code: str, value: str = "") -> list[BaseOxmlElement]:
    """Return the runs of a field, with a value that stands until the field is updated."""
    return [*begin_field(code), *([run(value)] if value else []), end_field()]


def begin_field(code: str) -> list[BaseOxmlElement]:
    """Return the runs that begin a field; what follows, up to its end, is its value."""
    instruction = element("instrText")
    instruction.text = f" {code} "
    instruction.set(qn("xml:space"), "preserve")
    return [
        element("r", element("fldChar", fldCharType="begin")),
        element("r", instruction),
        element("r", element("fldChar", fldCharType="separate")),
    ]


def end_field() -> BaseOxmlElement:
    """Return the run that ends a field."""
    return element("r", element("fldChar", fldCharType="end"))


def bookmark(name: str, number: int, *runs: BaseOxmlElement) -> list[BaseOxmlElement]:
    """Return runs under a name that links lead to. `number` is the bookmark's own in the document."""
    start = element("bookmarkStart", id=str(number), name=name)
    return [start, *runs, element("bookmarkEnd", id=str(number))]


def page_link(name: str, text: str) -> BaseOxmlElement:
    """Return a link to a bookmark, followed by the number of its page."""
    page = field(f"PAGEREF {name} \\h")
    return element("hyperlink", run(text), element("r", element("tab")), *page, anchor=name, history="1")


def contents(heading: BaseOxmlElement, entries: Iterable[BaseOxmlElement]) -> BaseOxmlElement:
    """Return the frame by which Word knows a table of contents."""
    part = element("docPartObj", element("docPartGallery", val="Table of Contents"), element("docPartUnique"))
    return element("sdt", element("sdtPr", part), element("sdtContent", heading, *entries))


# --- tables -------------------------------------------------------------------------------------------------------


def table(style: str, widths_cm: Sequence[float], rows: Iterable[BaseOxmlElement]) -> BaseOxmlElement:
    """Return a table with fixed columns, so that no word however long can widen one."""
    properties = element(
        "tblPr",
        element("tblStyle", val=style_id(style)),
        element("tblW", type="dxa", w=_twips(sum(widths_cm))),
        element("tblLayout", type="fixed"),
        element("tblLook", val="0020", firstRow="1"),
    )
    grid = element("tblGrid", *(element("gridCol", w=_twips(width)) for width in widths_cm))
    return element("tbl", properties, grid, *rows)


def row(*cells: BaseOxmlElement, is_head: bool = False, is_whole: bool = True) -> BaseOxmlElement:
    """Return a row. A head is repeated on each page that the table goes on to; a whole row is not split."""
    marks = (*(["cantSplit"] if is_whole else []), *(["tblHeader"] if is_head else []))
    return element("tr", element("trPr", *map(element, marks)), *cells)


def cell(width_cm: float, *paragraphs: BaseOxmlElement, fill: str = "") -> BaseOxmlElement:
    """Return a cell, filled with a colour (`RRGGBB`) if one is given."""
    shade = [element("shd", val="clear", color="auto", fill=fill)] if fill else []
    return element("tc", element("tcPr", element("tcW", w=_twips(width_cm), type="dxa"), *shade), *paragraphs)


def _twips(length_cm: float) -> str:
    return str(round(length_cm * _TWIPS_A_CM))
