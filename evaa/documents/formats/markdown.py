"""Markdown: CommonMark and GitHub's tables, as GitHub and pandoc read them.

Every text is escaped so that it means itself in both, and in pandoc's own dialect. There is no raw HTML, so a line
break within a cell is a dot. A backslash keeps no renderer of GitHub's from making an e-mail address a link, since it
looks for them once all is parsed: so a zero-width space follows an `@`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from evaa.documents.formats.outline import (
    Block,
    Document,
    Facts,
    Grid,
    Legend,
    Note,
    Part,
    Quotes,
    Statement,
    Statements,
)
from evaa.documents.formats.text import ABSENT, GUARD

_SPECIAL = re.compile(r"[\\`*_\[\]{}<>|~&$^@]")
_ADDRESS = re.compile(r"@(?=\w)")
_LINK = re.compile(r"(?<=\S)\.(?=[^\W\d])|(?<=/)/")
_LINE_START = re.compile(r"^(?=[-+=#:])", re.MULTILINE)
_CLOSING = re.compile(r"(?<=\s)(?=#+$)", re.MULTILINE)
_NUMBERED = re.compile(r"^(\(?(?:\d{1,9}|[A-Za-z]|[ivxlcdmIVXLCDM]{1,9}))(?=[.)](?:\s|$))", re.MULTILINE)


def render(document: Document) -> str:
    """Return the document as Markdown."""
    lines = [f"# {_inline(document.title)}", "", _inline(document.subtitle), ""]
    for part in (*document.front, *document.parts):
        lines.extend(_part(part, 2))
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return a text that Markdown takes literally, also at the start of a line or as a heading. Its breaks stay."""
    marked = _SPECIAL.sub(r"\\\g<0>", text)
    unlinked = _LINK.sub(r"\\\g<0>", _ADDRESS.sub(f"@{GUARD}", marked))
    return _NUMBERED.sub(r"\1\\", _LINE_START.sub(r"\\", _CLOSING.sub(r"\\", unlinked)))


def _inline(text: str) -> str:
    """In one line."""
    return " · ".join(escaped(text).split("\n")) or ABSENT


def _lines(text: str, indent: str = "") -> str:
    """With hard line breaks."""
    return f"\\\n{indent}".join(escaped(text).split("\n")) or ABSENT


def _part(part: Part, level: int) -> Iterator[str]:
    if part.title:
        yield f"{'#' * level} {_inline(part.heading)}"
        yield ""
    for block in part.blocks:
        yield from _block(block)
        yield ""
    for inner in part.parts:
        yield from _part(inner, level + 1)


def _block(block: Block) -> Iterable[str]:
    match block:
        case Note(text, is_missing):
            return (f"> **{_inline(text)}**" if is_missing else f"*{_inline(text)}*",)
        case Facts(rows):
            return (f"- **{_inline(label)}:** {_inline(value)}" for label, value in rows)
        case Grid(labels, rows):
            return _table(labels, (map(_inline, row) for row in rows))
        case Legend(rows):
            return _table(("Status", "Meaning", "Statements"), [(it.status, it.meaning, it.amount) for it in rows])
        case Quotes(rows):
            return (f"- **Turn {quote.turn}:** {_lines(quote.text, '  ')}" for quote in rows)
        case Statements("table", labels, rows):
            return _table(("ID", *labels, "Basis"), map(_cells, rows))
        case Statements("prose", _, rows):
            return ("\n\n".join(f"{_lines(row.texts[0])} ({_inline(row.entry_id)}, {_basis(row)})" for row in rows),)
        case Statements(rows=rows):
            return (text for row in rows for text in _point(row))


def _point(row: Statement) -> Iterator[str]:
    yield f"- **{_inline(row.entry_id)}** {_lines(row.texts[0], '  ')} ({_basis(row)})"
    for label, text in row.details:
        yield f"  - {_inline(label)}: {_lines(text, '    ')}"


def _cells(row: Statement) -> Iterator[str]:
    yield from map(_inline, (row.entry_id, *row.texts))
    yield _basis(row)


def _basis(row: Statement) -> str:
    """The status and the turns; what is inferred is to be noticed."""
    return f"**{row.status}**{row.basis.removeprefix(row.status)}" if row.status == "inferred" else row.basis


def _table(labels: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield _row(map(_inline, labels))
    yield _row(["---"] * len(labels))
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
