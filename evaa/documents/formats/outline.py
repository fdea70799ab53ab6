"""A document as every format shows it: what is said, in which order, under which heading. How it looks is theirs.

Texts are ready to be shown (`text.shown`), but not escaped: that is different in each format.
"""

from collections.abc import Iterator

import msgspec

from evaa.documents.catalogue import Layout
from protocols.documents import EntryStatus


class Statement(msgspec.Struct, frozen=True):
    """One statement: its texts by the labels of its block, the first of them its headline, and what it rests on.

    A card has its headline only, and the `details` that it has, each with its label.
    """

    entry_id: str
    status: EntryStatus
    turns: tuple[int, ...]
    texts: tuple[str, ...]
    details: tuple[tuple[str, str], ...] = ()

    @property
    def sources(self) -> str:
        """The turns in words: `turns 3, 7`, with a space that does not break after the first of them."""
        if not self.turns:
            return ""
        return f"turn{'s' * (len(self.turns) > 1)}\u00a0{', '.join(map(str, self.turns))}"

    @property
    def basis(self) -> str:
        """The status and the turns in words: `stated, turns 3, 7`."""
        return ", ".join(filter(None, (self.status, self.sources)))


class Statements(msgspec.Struct, frozen=True):
    """Statements, laid out as the catalogue says. `is_open`: they wait for somebody's answer and should be noticed."""

    layout: Layout
    labels: tuple[str, ...]
    rows: tuple[Statement, ...]
    is_open: bool = False


class Note(msgspec.Struct, frozen=True):
    """A word of the document's own. `is_missing`: something should be here and is not."""

    text: str
    is_missing: bool = False


class Facts(msgspec.Struct, frozen=True):
    """Labels and their values."""

    rows: tuple[tuple[str, str], ...]


class Grid(msgspec.Struct, frozen=True):
    """A table that holds no statements."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Measure(msgspec.Struct, frozen=True):
    """What a status means, and how much of the document has it."""

    status: EntryStatus
    meaning: str
    amount: str


class Legend(msgspec.Struct, frozen=True):
    """All the statuses."""

    rows: tuple[Measure, ...]


class Quote(msgspec.Struct, frozen=True):
    """What the user said in a turn."""

    turn: int
    text: str


class Quotes(msgspec.Struct, frozen=True):
    """The turns that the document cites."""

    rows: tuple[Quote, ...]


Block = Statements | Note | Facts | Grid | Legend | Quotes


class Part(msgspec.Struct, frozen=True):
    """A heading and what stands under it. A part with an `anchor` belongs into the table of contents."""

    title: str
    blocks: tuple[Block, ...] = ()
    parts: tuple["Part", ...] = ()
    anchor: str = ""
    number: str = ""

    @property
    def heading(self) -> str:
        """The title with its number."""
        return f"{self.number} {self.title}".strip()


class Document(msgspec.Struct, frozen=True):
    """The whole. `quoted` are the turns whose words it holds.

    `language` is a well-formed BCP 47 tag, `und` if it is unknown. `reference` names the document in a line's end.
    """

    title: str
    subtitle: str
    reference: str
    language: str
    created_at_ms: int
    front: tuple[Part, ...]
    parts: tuple[Part, ...]
    quoted: frozenset[int] = frozenset()

    def contents(self) -> Iterator[tuple[int, Part]]:
        """The table of contents: parts with their level, from 1."""
        for part in self.parts:
            yield 1, part
            yield from ((2, inner) for inner in part.parts if inner.anchor)
