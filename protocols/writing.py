"""The port of the document writers: who reads an interview and writes what the documents say."""

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

import msgspec

from protocols.documents import Brd, EntryStatus, Section, Summary
from protocols.ports import Usage
from protocols.records import Interview

T = TypeVar("T")

Task = Literal["stage", "project", "section"]
Intent = Literal["confirm", "correct", "other"]


class Job(msgspec.Struct, frozen=True):
    """One piece of the documents, written by one request of its own.

    `stage`: the summary of the stage `key`, as the lists `established`, `contradictions` and `open`. `project`: the
    project in a paragraph, as the list `project` of one entry. `section`: the section `key`, as the list `entries`.
    """

    task: Task
    key: str = ""


class WritingBrief(msgspec.Struct, frozen=True, kw_only=True):
    """All that a writer is told for one job.

    `summary` is there for sections. `previous` is the section in the version before, `correction` what the user wants
    changed in it; both only where a version is revised.
    """

    job: Job
    session_id: str
    language: str
    interview: Interview
    summary: Summary | None = None
    previous: Section | None = None
    correction: str = ""


class DraftEntry(msgspec.Struct, frozen=True):
    """One statement as a writer gives it, not checked yet. `entry_id` is that of the previous entry that it keeps."""

    fields: dict[str, str]
    source_turns: tuple[int, ...] = ()
    status: EntryStatus = "inferred"
    entry_id: str = ""


class Written(msgspec.Struct, frozen=True):
    """What a job came to: its lists of statements by their names, who wrote it, and what that cost.

    `cut` are turns of the stage that is summarised of which the writer could not read all. `language` comes with the
    project: the BCP 47 tag of the language that the user speaks, as far as the writer can tell.
    """

    lists: dict[str, tuple[DraftEntry, ...]]
    model: str
    usage: Usage = Usage()
    cut: tuple[int, ...] = ()
    language: str = ""


class ReviewBrief(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said about the finished documents, up to the last turn of `interview`.

    `turn` is the turn that waits for the answer; 0: none does. `first_turn` is the first in which they said it.
    """

    session_id: str
    turn: int
    first_turn: int
    words: str
    interview: Interview
    brd: Brd


class Review(msgspec.Struct, frozen=True):
    """What the user meant: a confirmation, a correction of some sections (their keys), or something else.

    `reply` is what to answer; `change` says in a few words what is to be changed. `usage` is what it cost.
    """

    intent: Intent
    reply: str
    model: str
    sections: tuple[str, ...] = ()
    change: str = ""
    usage: Usage = Usage()


class WriterFailed(Exception):
    """A writer could not do a job, its own retries included; the message quotes nothing of the interview.

    `passing` tells whether the same request may succeed later; `retry_after_s` is the provider's own word on when.
    """

    def __init__(self, message: str, *, passing: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after_s = retry_after_s


class Compute(Protocol):
    """Who does work that takes long and does no I/O: in a thread, say, so that the loop goes on."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do it, and return what it returns, or raise what it raises."""
        ...


class DocumentWriter(Protocol):
    """Writes the documents, one job at a time. Stateless: all it needs is in the brief. May be called concurrently.

    Whether what it says was really said is checked by EVAA (`evaa/documents/checking.py`), not by the writer.
    """

    name: str

    async def write(self, brief: WritingBrief) -> Written:
        """Return what the job came to. Raises `WriterFailed`. Cancellation stops the request."""
        ...

    async def review(self, brief: ReviewBrief) -> Review:
        """Return what the user meant by what they said of the documents. Raises `WriterFailed`."""
        ...
