"""The documents that are written from an interview, as they are stored and as they are sent.

A document is sections of entries. An entry is one statement: its text by the columns of its section, the turns that it
comes from, and how sure it is. Which sections there are, with which columns, is the catalogue's affair
(`evaa/documents/catalogue.py`).
"""

from typing import Literal

import msgspec

from protocols.base import Record

EntryStatus = Literal["stated", "inferred", "confirmed"]
BrdState = Literal["draft", "confirmed"]


class Entry(Record, frozen=True):
    """One statement.

    `entry_id` is its name in every version of the document (`FR-3`). `fields` is its text, by the keys of its section's
    columns. `source_turns` are the numbers of the user's turns that it comes from. `stated`: the user said so, in these
    turns; `inferred`: the writer's conclusion; `confirmed`: the user confirmed it.
    """

    entry_id: str
    fields: dict[str, str]
    source_turns: tuple[int, ...] = ()
    status: EntryStatus = "inferred"


class Section(Record, frozen=True):
    """One section, as it was written. `missing` says why it, or a change of it, could not be; empty if it was.

    If a change could not be made, the entries are those from before, and `unmade` is what the user wanted changed, in
    their words: it is to be made with the next correction. `doubtful` is what was called stated but is not borne out by
    what was said; in a finished version there is none of it any more, since it stands among the open questions.
    """

    key: str
    entries: tuple[Entry, ...] = ()
    missing: str = ""
    doubtful: tuple[Entry, ...] = ()
    unmade: str = ""


class StageSummary(Record, frozen=True):
    """What one stage came to: what is established, what contradicts itself between turns, what stayed open."""

    stage_id: str
    name: str
    established: tuple[Entry, ...] = ()
    contradictions: tuple[Entry, ...] = ()
    open: tuple[Entry, ...] = ()
    missing: str = ""
    doubtful: tuple[Entry, ...] = ()


class Summary(Record, frozen=True):
    """The interview in short: the project in a paragraph, then each stage. `up_to_turn` is the last turn read.

    `language` is the BCP 47 tag of the language that the user speaks; empty if nobody could tell.
    """

    project: Entry
    stages: tuple[StageSummary, ...]
    up_to_turn: int
    language: str = ""


Piece = StageSummary | Summary | Section
"""What one request comes to, and what is stored as soon as it is there."""


class Brd(Record, frozen=True):
    """One version of the business requirements document.

    `language` is a BCP 47 tag. `up_to_turn` is the last turn that it considers; `given_after_turn` the last that was
    said before the user was given it: None if they were not yet. `change` says what is new in this version, in words.
    `written_by` names the models. A confirmed version names the turn in which the user confirmed it.
    """

    brd_id: str
    version: int
    session_id: str
    title: str
    language: str
    created_at_ms: int
    up_to_turn: int
    sections: tuple[Section, ...]
    state: BrdState = "draft"
    change: str = ""
    written_by: tuple[str, ...] = ()
    confirmed_at_ms: int | None = None
    confirmed_in_turn: int | None = None
    given_after_turn: int | None = None

    def section(self, key: str) -> Section:
        """The section of this key; an empty one if the document has none."""
        return next((section for section in self.sections if section.key == key), Section(key))


class Documents(Record, frozen=True):
    """All that was written for a session: finished versions, oldest first, and what is there of the one in work.

    Only the newest version is there in whole: an older one has only the sections that became others in the next, so
    that corrections do not make a session ever larger. `version` puts one together.

    `stages` (by stage id) and `sections` (by key) are what is paid for already: after a crash they are not written
    again. `up_to_turn` is the last turn that the work in hand considers; `correction` is what the user wants changed in
    the sections `affected`, `change` the same in a few words, `written_by` the models that it has been written by so
    far. `is_in_work`: a correction of the newest version is.

    What the user said of the documents has been considered up to `read_up_to_turn`; `answer` is what is to be said of
    it, should the user come back for a reply that is still owed.
    """

    summary: Summary | None = None
    versions: tuple[Brd, ...] = ()
    up_to_turn: int = 0
    stages: dict[str, StageSummary] = {}
    sections: dict[str, Section] = {}
    correction: str = ""
    affected: tuple[str, ...] = ()
    change: str = ""
    written_by: tuple[str, ...] = ()
    read_up_to_turn: int = 0
    answer: str = ""
    is_in_work: bool = False

    @property
    def brd(self) -> Brd | None:
        """The newest version."""
        return self.versions[-1] if self.versions else None

    def version(self, number: int) -> Brd | None:
        """The version of this number, in whole."""
        sections: dict[str, Section] = {}
        for brd in reversed(self.versions):
            sections |= {section.key: section for section in brd.sections}
            if brd.version == number:
                return msgspec.structs.replace(brd, sections=tuple(sections.values()))
        return None

    @property
    def is_finished(self) -> bool:
        """Whether there is a version, and none in work."""
        return self.brd is not None and not self.is_in_work
