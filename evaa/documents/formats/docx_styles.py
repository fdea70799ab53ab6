"""How the Word document looks: the page, its styles, its footer, its properties."""

import re

from docx.document import Document as Docx
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor
from docx.styles.style import CharacterStyle, ParagraphStyle

from evaa.documents.formats.docx_xml import field, run

TEXT_WIDTH_CM = 17.4
SHADE = "F0F2F5"
OPEN_SHADE = "FDF3E1"

_FONT = "Calibri"
_INK, _QUIET, _ACCENT = RGBColor(0x1F, 0x29, 0x33), RGBColor(0x5C, 0x68, 0x75), RGBColor(0x1D, 0x4F, 0x7C)
_STATUS = {"stated": _QUIET, "inferred": RGBColor(0x8A, 0x53, 0x00), "confirmed": RGBColor(0x1C, 0x6B, 0x3C)}
_ALARM = RGBColor(0xA3, 0x26, 0x1C)
_SCRIPTS = dict.fromkeys(("ja", "ko", "zh"), "eastAsia") | dict.fromkeys(("ar", "fa", "he", "ur"), "bidi")
"""Which language Word names in another attribute than that for Latin letters."""
_THEMED = ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme")


def prepare(document: Docx, language: str) -> None:
    """Make an empty document of python-docx's own template into one of ours."""
    _page(document)
    _styles(document)
    _rules(document)
    _settings(document)
    if language != "und":
        script = _SCRIPTS.get(language.partition("-")[0].lower(), "val")
        for spoken in document.styles.element.iter(qn("w:lang")):
            spoken.set(qn(f"w:{script}"), language)


def footer(document: Docx, reference: str) -> None:
    """Number the pages, except the title page."""
    section = document.sections[0]
    section.different_first_page_header_footer = True
    paragraph = section.footer.paragraphs[0]
    paragraph.add_run(f"{reference}\t")
    paragraph._p.extend([*field("PAGE", "1"), run(" / "), *field("NUMPAGES", "1")])


def _page(document: Docx) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(1.8)
    section.top_margin, section.bottom_margin = Cm(2), Cm(2)


def _styles(document: Docx) -> None:
    _change(document, "Normal", size=10.5, after=6, line=1.15, colour=_INK)
    _change(document, "Title", size=26, before=6, after=18, colour=_INK, bold=True)
    _change(document, "Subtitle", size=12, before=60, after=0, colour=_QUIET, italic=False)
    _change(document, "Heading 1", size=16, before=24, after=8, colour=_ACCENT)
    _change(document, "Heading 2", size=12.5, before=14, after=4, colour=_INK)
    _change(document, "Heading 3", size=10.5, before=8, after=2, colour=_QUIET)
    _change(document, "TOC Heading", size=16, before=0, after=10, colour=_ACCENT)
    _change(document, "List Bullet", size=10.5, after=4, colour=_INK)
    _change(document, "Footer", size=8.5, colour=_QUIET)
    for level in (1, 2):
        style = _new(document, f"toc {level}", after=2 if level == 2 else 3)
        style.paragraph_format.left_indent = Cm(0.8 * (level - 1))
        style.paragraph_format.tab_stops.add_tab_stop(Cm(TEXT_WIDTH_CM), WD_TAB_ALIGNMENT.RIGHT)
    stops = document.styles["Footer"]
    assert isinstance(stops, ParagraphStyle)
    stops.paragraph_format.tab_stops.clear_all()
    stops.paragraph_format.tab_stops.add_tab_stop(Cm(TEXT_WIDTH_CM), WD_TAB_ALIGNMENT.RIGHT)
    front = _new(document, "Front heading", size=12, before=16, after=5, bold=True)
    front.paragraph_format.keep_with_next = True
    _new(document, "Table text", size=9, before=1.5, after=1.5, line=1.05)
    _new(document, "Table heading", size=9, before=2, after=2, bold=True)
    _new(document, "Label", size=9, before=1.5, after=1.5, colour=_QUIET)
    _new(document, "Nothing", colour=_QUIET).font.italic = True
    _new(document, "Missing", colour=_ALARM, bold=True)
    _new(document, "Gap", size=7, after=0, line=1)
    for status, colour in _STATUS.items():
        _character(document, status.capitalize(), colour, bold=status != "stated")
    _character(document, "Sources", _QUIET)


def _change(
    document: Docx, name: str, *, size: float | None = None, before: float = 0, after: float = 6,
    line: float | None = None, colour: RGBColor | None = None, bold: bool | None = None, italic: bool | None = None,
) -> ParagraphStyle:  # fmt: skip
    style = document.styles[name]
    assert isinstance(style, ParagraphStyle)
    _font(style, size, colour, bold)
    if italic is not None:
        style.font.italic = italic
    spacing = style.paragraph_format
    spacing.space_before, spacing.space_after = Pt(before), Pt(after)
    if line is not None:
        spacing.line_spacing_rule, spacing.line_spacing = WD_LINE_SPACING.MULTIPLE, line
    for border in style.element.iter(qn("w:pBdr")):
        border.getparent().remove(border)
    return style


def _new(
    document: Docx, name: str, *, size: float | None = None, before: float = 0, after: float = 6,
    line: float | None = None, colour: RGBColor | None = None, bold: bool | None = None,
) -> ParagraphStyle:  # fmt: skip
    style = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH, builtin=name.startswith("toc"))
    style.base_style = document.styles["Normal"]
    return _change(document, name, size=size, before=before, after=after, line=line, colour=colour, bold=bold)


def _character(document: Docx, name: str, colour: RGBColor, *, bold: bool | None = None) -> None:
    style = document.styles.add_style(name, WD_STYLE_TYPE.CHARACTER)
    assert isinstance(style, CharacterStyle)
    style.font.size, style.font.bold, style.font.color.rgb = Pt(8), bold, colour


def _font(style: ParagraphStyle, size: float | None, colour: RGBColor | None, bold: bool | None) -> None:
    style.font.name = _FONT
    fonts = style.element.rPr.rFonts
    for attribute in _THEMED:
        fonts.attrib.pop(qn(f"w:{attribute}"), None)
    fonts.set(qn("w:cs"), _FONT)
    if size is not None:
        style.font.size = Pt(size)
    if colour is not None:
        style.font.color.rgb = colour
    if bold is not None:
        style.font.bold = bold


def _rules(document: Docx) -> None:
    """Light horizontal lines between a table's rows instead of the template's black grid."""
    grid = document.styles["Table Grid"].element
    for borders in grid.iter(qn("w:tblBorders")):
        for border in borders:
            inside = re.sub(r"\{.*\}", "", border.tag)
            border.set(qn("w:color"), "C9D0D8")
            if inside in ("left", "right", "insideV"):
                border.set(qn("w:val"), "nil")


def _settings(document: Docx) -> None:
    """Drop the template's preview picture, and the mode in which Word takes the file for one of an older version."""
    relations = document.part.package.rels
    for key in [key for key, it in relations.items() if it.reltype == RELATIONSHIP_TYPE.THUMBNAIL]:
        del relations[key]
    for setting in document.settings.element.iter(qn("w:compatSetting")):
        if setting.get(qn("w:name")) == "compatibilityMode":
            setting.set(qn("w:val"), "15")
    for preview in list(document.settings.element.iter(qn("w:savePreviewPicture"))):
        preview.getparent().remove(preview)
