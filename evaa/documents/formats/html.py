"""HTML: one file that stands for itself, on a screen, on a phone and on paper. No script, and nothing is loaded.

The policy in its head forbids both, whatever a text might smuggle in; the one style sheet is allowed by its hash.
Attributes hold nothing but names of this module's and ids that are checked.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import starmap

from evaa.documents.formats.outline import (
    Block,
    Document,
    Facts,
    Grid,
    Legend,
    Measure,
    Note,
    Part,
    Quote,
    Quotes,
    Statement,
    Statements,
)
from evaa.documents.formats.text import ABSENT

STYLE = files("evaa.documents.formats").joinpath("style.css").read_text("utf-8").strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"

_TEXT = 'dir="auto"'
"""Where a text of the user's stands, in a language that may run from right to left."""

_LONG_WORD = re.compile("[^ <>]{17,}")
"""What may break anywhere in a cell, so that it does not widen the table. All shorter words stay whole."""

_ENTRY_ID = re.compile(r"[A-Z][A-Z0-9]{0,7}(-[A-Z])?-[0-9]{1,9}")


def render(document: Document) -> str:
    """Return the document as an HTML page."""
    return "\n".join(_page(document))


def _page(document: Document) -> Iterator[str]:
    page = _Page(document.quoted)
    yield "<!DOCTYPE html>"
    yield f'<html lang="{document.language}">'
    yield f"<head>{_head(document)}</head>"
    yield "<body>"
    yield f'<header><p class="kind">{_text(document.subtitle)}</p><h1 dir="auto">{_text(document.title)}</h1>'
    for part in document.front:
        yield from page.part(part, 2)
    yield "</header>"
    yield from _contents(document)
    yield "<main>"
    for part in document.parts:
        yield from page.part(part, 2)
    yield "</main>"
    yield f"<footer>{_text(document.reference)}</footer>"
    yield "</body>"
    yield "</html>"
    yield ""


def _head(document: Document) -> str:
    return (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="format-detection" content="telephone=no, date=no, email=no, address=no">'
        f"<title>{_text(document.title)}</title>"
        f"<style>{STYLE}</style>"
    )


def _contents(document: Document) -> Iterator[str]:
    yield '<nav aria-label="Contents"><h2>Contents</h2><ul>'
    for level, part in document.contents():
        yield f'<li class="level-{level}"><a href="#{part.anchor}">{_heading(part)}</a></li>'
    yield "</ul></nav>"


class _Page:
    """What is made of parts. `quoted` are the turns that can be linked to."""

    def __init__(self, quoted: frozenset[int]) -> None:
        self._quoted = quoted

    def part(self, part: Part, level: int) -> Iterator[str]:
        yield f'<section id="{part.anchor}">' if part.anchor else "<section>"
        if part.title:
            yield f'<h{level} dir="auto">{_heading(part)}</h{level}>'
        for block in part.blocks:
            yield from self._block(block)
        for inner in part.parts:
            yield from self.part(inner, level + 1)
        yield "</section>"

    def _block(self, block: Block) -> Iterable[str]:
        match block:
            case Note(text, is_missing):
                return (f'<p class="{"missing" if is_missing else "nothing"}">{_text(text)}</p>',)
            case Facts(rows):
                return ('<dl class="facts">', *(_fact(label, value) for label, value in rows), "</dl>")
            case Grid(labels, rows):
                return _table("grid", labels, ("".join(map(_cell, labels, row)) for row in rows))
            case Legend(rows):
                labels = ("Status", "Meaning", "Statements")
                return _table("legend", labels, map(_measure, rows))
            case Quotes(rows):
                return ('<dl class="quotes">', *map(_quote, rows), "</dl>")
            case Statements("table", labels, rows):
                table = _table("statements", ("ID", *labels), (self._row(row, labels) for row in rows))
                return ('<div class="open">', *table, "</div>") if block.is_open else table
            case Statements("prose", _, rows):
                return (f"<p{_name(row)} {_TEXT}>{_text(row.texts[0])} {self._mark(row)}</p>" for row in rows)
            case Statements(layout, _, rows):
                return (f'<ul class="{layout}{" open" * block.is_open}">', *map(self._point, rows), "</ul>")

    def _row(self, row: Statement, labels: Sequence[str]) -> str:
        first = f'<th scope="row" class="name"{_name(row)}>{_text(row.entry_id)}{self._basis(row)}</th>'
        return first + "".join(map(_cell, labels, row.texts))

    def _point(self, row: Statement) -> str:
        details = f"<dl>{''.join(starmap(_fact, row.details))}</dl>" if row.details else ""
        return f"<li{_name(row)}><p {_TEXT}>{_text(row.texts[0])} {self._mark(row)}</p>{details}</li>"

    def _mark(self, row: Statement) -> str:
        """What a statement in running text is called, and what it rests on."""
        return f'<span class="mark" dir="ltr"><b>{_text(row.entry_id)}</b>{self._basis(row)}</span>'

    def _basis(self, row: Statement) -> str:
        turns = ", ".join(self._turn(turn) for turn in row.turns)
        sources = f' <span class="sources">turn{"s" * (len(row.turns) > 1)}&nbsp;{turns}</span>' if turns else ""
        return f' <span class="basis"><span class="status {row.status}">{row.status}</span>{sources}</span>'

    def _turn(self, turn: int) -> str:
        return f'<a href="#turn-{turn}">{turn}</a>' if turn in self._quoted else str(turn)


def _table(kind: str, labels: Iterable[str], rows: Iterable[str]) -> Iterator[str]:
    head = "".join(f'<th scope="col">{_text(label)}</th>' for label in labels)
    yield f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>'
    yield from (f"<tr>{row}</tr>" for row in rows)
    yield "</tbody></table>"


def _cell(label: str, text: str) -> str:
    words = _LONG_WORD.sub(r'<span class="long">\g<0></span>', _text(text))
    return f'<td data-label="{_text(label)}" {_TEXT}>{words}</td>'


def _fact(label: str, value: str) -> str:
    return f"<dt>{_text(label)}</dt><dd {_TEXT}>{_text(value)}</dd>"


def _measure(measure: Measure) -> str:
    status = f'<td><span class="status {measure.status}">{measure.status}</span></td>'
    return f"{status}{_cell('Meaning', measure.meaning)}{_cell('Statements', measure.amount)}"


def _quote(quote: Quote) -> str:
    return f'<dt id="turn-{quote.turn}">Turn {quote.turn}</dt><dd {_TEXT}>{_text(quote.text)}</dd>'


def _heading(part: Part) -> str:
    return f'<span class="number">{part.number}</span> {_text(part.title)}' if part.number else _text(part.title)


def _name(row: Statement) -> str:
    """The place that a link to an entry leads to. An id that is not of the usual form gets none."""
    return f' id="{row.entry_id}"' if _ENTRY_ID.fullmatch(row.entry_id) else ""


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>") or ABSENT
