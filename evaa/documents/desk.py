"""Where the documents of a session are in work, sans-I/O: what happened in; what is there now, and what to do, out.

Theory of operation. Once the interview is complete, every piece that is outstanding is with a writer; each is stored as
it comes (`drafting.py`). When the version is whole, the client gets it, and the user may correct or confirm it: what
they say is given to a writer to be understood. A correction puts the sections that it touches back into work, and ends
in a new version. What the user says while a version is in work is noted, and looked at in silence once that is whole.
"""

from collections.abc import Callable
from typing import cast

import msgspec

from evaa.documents import drafting
from evaa.documents.formats import json
from protocols.documents import Documents
from protocols.frontend import Completed, Progress, ServerFrame
from protocols.messages import AskAbout, Effect, Reviewed, Send, Write
from protocols.records import SessionRecord
from protocols.writing import Job, ReviewBrief, Written

WRITING = "Thank you, I have noted that. I am still writing your requirements document and will look at it then."
UNREAD = "I could not take that in just now; please say it again in a moment."
IN_SILENCE = 0
"""The turn of a review that nobody waits for."""

_replace = msgspec.structs.replace


class Outcome(msgspec.Struct, frozen=True):
    """What comes of something: the documents, if they have changed, what to do, and what to answer, if anything."""

    documents: Documents | None = None
    effects: tuple[Effect, ...] = ()
    reply: str = ""


class Desk:
    """Which jobs are with a writer. `wall_ms` tells the time for what is stored.

    `language` (BCP 47) is what the documents are written in; empty: the user's own, whichever that is. In another one
    than the user's it could not be checked that what is stated was said.
    """

    def __init__(self, *, wall_ms: Callable[[], int], language: str = "") -> None:
        self._wall_ms = wall_ms
        self._language = language
        self._in_work: set[Job] = set()
        self._has_asked_in_silence = False

    @property
    def idle(self) -> bool:
        """Whether nothing is with a writer."""
        return not self._in_work

    def go_on(self, record: SessionRecord, *, tell: bool) -> Outcome:
        """Begin with what is outstanding; with `tell`, the client learns how the documents stand."""
        if record.interview.stage is not None:
            return Outcome()
        documents = record.documents or drafting.begin(record)
        record = _replace(record, documents=documents)
        effects: list[Effect] = [Send(news(documents, record))] if tell else []
        effects += self._assign(record)
        effects += self._ask_about_unread(record, documents)
        return Outcome(documents, tuple(effects))

    def on_wrote(self, record: SessionRecord, job: Job, result: Written | str) -> Outcome:
        """A job is done, or cannot be done."""
        if job not in self._in_work:
            return Outcome()
        self._in_work.discard(job)
        record = _replace(record, documents=drafting.written(record, job, result))
        version = drafting.finished(record, now_ms=self._wall_ms(), language=self._language)
        return self.go_on(_replace(record, documents=version or record.documents), tell=True)

    def ask_about(self, record: SessionRecord, turn: int, words: str) -> AskAbout | None:
        """What to ask about the user's word on the documents; None while a version is in work."""
        documents = record.documents
        if documents is None or documents.brd is None or not documents.is_finished:
            return None
        brief = ReviewBrief(
            session_id=record.session_id, turn=turn, words=words, interview=record.interview, brd=documents.brd
        )
        return AskAbout(brief)

    def on_reviewed(self, record: SessionRecord, reviewed: Reviewed) -> Outcome:
        """It is known what the user meant, or that nobody can tell."""
        documents, review = record.documents, reviewed.review
        if documents is None or not documents.is_finished:
            return Outcome(reply=WRITING)  # it stays unread until the version in work is whole
        if review is None:
            return Outcome(reply=UNREAD)
        if review.intent == "confirm":
            documents = drafting.confirmed(record, now_ms=self._wall_ms())
        elif review.intent == "correct":
            documents = drafting.corrected(record, review, reviewed.words)
        documents = _replace(documents, read_up_to_turn=len(record.interview.turns))
        self._has_asked_in_silence = False
        done = self.go_on(_replace(record, documents=documents), tell=review.intent != "other")
        return _replace(done, reply=review.reply)

    def _assign(self, record: SessionRecord) -> list[Effect]:
        jobs = [job for job in drafting.outstanding(record) if job not in self._in_work]
        self._in_work.update(jobs)
        return [Write(drafting.brief(record, job, language=self._language)) for job in jobs]

    def _ask_about_unread(self, record: SessionRecord, documents: Documents) -> list[Effect]:
        read = max(documents.up_to_turn, documents.read_up_to_turn)
        turns = [turn for turn in record.interview.turns[read:] if turn.outcome != "pending"]
        words = "\n".join(turn.text for turn in turns)
        question = self.ask_about(record, IN_SILENCE, words) if words else None
        if question is None or self._has_asked_in_silence:
            return []
        self._has_asked_in_silence = True
        return [question]


def news(documents: Documents, record: SessionRecord) -> ServerFrame:
    """What the client is told of how the documents stand."""
    if documents.is_finished and documents.brd is not None and documents.summary is not None:
        written = json.document(documents.brd, documents.summary)
        summary = cast(dict[str, object], written.pop("summary"))
        return Completed(summary=summary, brd=written)
    step, done, total = drafting.progress(record)
    return Progress(step=step, done=done, total=total)
