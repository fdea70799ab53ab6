"""Interviews to their end, and what a writer could have made of them: of ordinary length, and as long as may be."""

import random
from dataclasses import dataclass

from evaa.documents import drafting
from evaa.documents.catalogue import SECTIONS, SectionKind
from evaa.interview import reducer
from evaa.interview.stages import default_stages
from protocols.documents import Documents
from protocols.records import Interview, SessionRecord
from protocols.writing import DraftEntry, Job, Written

_WORDS = (
    "we type forty supplier invoices into the accounting system by hand each day before Maria checks them again in"
    " SAP and Outlook above 5,000 euros the finance team approves or rejects within 2 days if the order differs"
)


@dataclass(frozen=True)
class Size:
    """How long each answer is, how many entries a section has, how long their fields are, and of how many turns."""

    name: str
    answer_chars: int
    entries: int
    field_chars: int
    turns: int


ORDINARY = Size("ordinary", 200, 10, 120, 2)
LARGEST = Size("largest", 20_000, 60, 4_000, 32)


class Interviewed:
    """One interview of a size, with every follow-up used, and the drafts of its sections; always the same."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._random = random.Random(1)
        self.record = self._record()
        self.texts = [turn.text for turn in self.record.interview.turns]

    def drafts(self, kind: SectionKind) -> Written:
        """A section as a writer might give it: half of each field quoted from one of its turns."""
        size, entries = self._size, []
        for _ in range(size.entries):
            sources = sorted(self._random.sample(range(1, len(self.texts) + 1), size.turns))
            fields = {column.key: self._field(sources[0]) for column in kind.columns if not column.choices}
            entries.append(DraftEntry(fields, tuple(sources), "stated"))
        return Written({"entries": tuple(entries)}, "model")

    def documents(self) -> Documents:
        """A whole version."""
        documents = drafting.begin(self.record)
        jobs = [*(Job("stage", stage.stage_id) for stage in self.record.interview.stages), Job("project")]
        for job in jobs:
            record = SessionRecord("0" * 24, self.record.interview, 0, 0, documents=documents)
            documents = drafting.with_piece(documents, drafting.piece(record, job, Written({}, "model")), "model")
        for kind in SECTIONS:
            piece = drafting.piece(self.record, Job("section", kind.key), self.drafts(kind))
            documents = drafting.with_piece(documents, piece, "model")
        record = SessionRecord("0" * 24, self.record.interview, 0, 0, documents=documents)
        finished = drafting.finished(record, now_ms=0)
        assert finished is not None
        return finished

    def _record(self) -> SessionRecord:
        interview = Interview(default_stages())
        while (stage := interview.stage) is not None:
            text = self._text(self._size.answer_chars)
            interview = reducer.said(interview, text=text, source="text", client_id=None, at_ms=0)
            reply = (*stage.follow_ups, "What comes next?")[interview.follow_ups_used]
            interview = reducer.answered(interview, reply, wants_next=False, facts={})
        record = SessionRecord("0" * 24, interview, 0, 0)
        return SessionRecord("0" * 24, interview, 0, 0, documents=drafting.begin(record))

    def _field(self, turn: int) -> str:
        half = self._size.field_chars // 2
        text = self.texts[turn - 1]
        at = self._random.randrange(max(1, len(text) - half))
        return f"{text[at : at + half].strip()} {self._text(half)}"

    def _text(self, chars: int) -> str:
        words: list[str] = []
        while sum(map(len, words)) + len(words) < chars:
            words.append(self._random.choice(_WORDS.split()) + ("." if self._random.random() < 0.1 else ""))
        return " ".join(words)[:chars]
