"""EVAA's frames as the terminal client reads them.

They are read leniently, unlike what EVAA itself reads: a type or a field that is not known here is passed over, and a
code or a status is any text, so that an older client can talk to a newer EVAA.
"""

import unicodedata
from typing import TypeAlias

import msgspec


class SeenStage(msgspec.Struct, frozen=True, rename="camel"):
    """A stage, or the end of all stages (`completed`). What EVAA does not tell of it keeps its default."""

    name: str = ""
    stage_id: str = ""
    order: int = 0
    total_stages: int = 0
    follow_ups_used: int = 0
    max_follow_ups: int | None = None
    completed: bool = False


class Line(msgspec.Struct, frozen=True):
    """One line of the conversation so far."""

    role: str
    text: str
    turn: int
    interrupted: bool = False


class _Frame(msgspec.Struct, frozen=True, tag_field="type", rename="camel"):
    """Base of the frames."""


class Ready(_Frame, frozen=True, tag="ready"):
    """The session is bound."""

    resumed: bool
    status: str
    stage: SeenStage | None = None
    stages: tuple[SeenStage, ...] = ()
    messages: tuple[Line, ...] = ()


class Transcript(_Frame, frozen=True, tag="transcript"):
    """What was heard. Partials replace each other until `final`; an empty one takes back what was shown."""

    text: str
    final: bool
    turn: int


class TurnStarted(_Frame, frozen=True, tag="turnStarted"):
    """A text was acknowledged: it is durable."""

    turn: int
    id: str | None = None


class Delta(_Frame, frozen=True, tag="delta"):
    """The next piece of a reply."""

    turn: int
    text: str


class Reply(_Frame, frozen=True, tag="reply"):
    """A whole reply."""

    turn: int
    response: str
    next_stage: bool
    next_stage_data: SeenStage | None = None
    id: str | None = None


class TurnCancelled(_Frame, frozen=True, tag="turnCancelled"):
    """A turn's pieces are void."""

    turn: int
    reason: str


class Progress(_Frame, frozen=True, tag="progress"):
    """The documents are being written: how many of a step's pieces are there."""

    step: str
    done: int
    total: int


class SeenEntry(msgspec.Struct, frozen=True):
    """A statement of the BRD: how sure it is."""

    status: str = ""


class SeenBrd(msgspec.Struct, frozen=True):
    """A version of the BRD. `missing` are the sections that could not be written, and why."""

    version: int
    state: str
    title: str = ""
    change: str = ""
    sections: dict[str, tuple[SeenEntry, ...]] = {}
    missing: dict[str, str] = {}


class Completed(_Frame, frozen=True, tag="completed"):
    """A version of the documents is written, or its state is another one now."""

    brd: SeenBrd


class WarningFrame(_Frame, frozen=True, tag="warning"):
    """EVAA goes on, but with less."""

    message: str


class ErrorFrame(_Frame, frozen=True, tag="error"):
    """Something was refused, or something failed."""

    code: str
    message: str
    retryable: bool = True


class GoingAway(_Frame, frozen=True, tag="goingAway"):
    """EVAA is being drained; it will close the connection."""

    reconnect_after_ms: int


Frame: TypeAlias = (
    Ready
    | Transcript
    | TurnStarted
    | Delta
    | Reply
    | TurnCancelled
    | Progress
    | Completed
    | WarningFrame
    | ErrorFrame
    | GoingAway
)


class _Tag(msgspec.Struct, frozen=True):
    type: str = ""


_TAGS = frozenset(
    (
        "ready", "transcript", "turnStarted", "delta", "reply", "turnCancelled", "progress", "completed",
        "warning", "error", "goingAway",
    )
)  # fmt: skip
_TAG_DECODER = msgspec.json.Decoder(_Tag)
_DECODER: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)


def read_frame(message: str | bytes) -> Frame | None:
    """Return the frame of a message; None if its type is not known here. Raises `msgspec.MsgspecError`."""
    if isinstance(message, bytes) or _TAG_DECODER.decode(message).type not in _TAGS:
        return None
    return _DECODER.decode(message)


def plain(text: str) -> str:
    """Drop control characters: what a server or a model sends must not steer the terminal."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
