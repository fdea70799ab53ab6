"""What the terminal client's view wants done."""

from typing import Literal, TypeAlias

import msgspec

Kind = Literal["note", "stage", "you", "evaa", "warning", "error"]


class Print(msgspec.Struct, frozen=True):
    """Show a whole text on lines of its own."""

    kind: Kind
    text: str


class Piece(msgspec.Struct, frozen=True):
    """Show the next piece of the reply that is coming."""

    text: str


class Spoken(msgspec.Struct, frozen=True):
    """The reply is complete. With `streamed`, its pieces have shown all of it."""

    text: str
    streamed: bool


class Retracted(msgspec.Struct, frozen=True):
    """The pieces shown so far, together `text`, will not become a reply."""

    text: str
    why: str


class Hearing(msgspec.Struct, frozen=True):
    """Show what is being heard, in place of what was before. Empty: it is over, be it final or taken back."""

    text: str


class Writing(msgspec.Struct, frozen=True):
    """Show how far the documents are, in place of what was before. Empty: they are written."""

    text: str


class Send(msgspec.Struct, frozen=True):
    """Send this message, if there is a connection."""

    message: str


Shown: TypeAlias = Print | Piece | Spoken | Retracted | Hearing | Writing
Effect: TypeAlias = Shown | Send
