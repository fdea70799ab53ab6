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
from protocols.records import SessionRecord, TurnRecord
from protocols.writing import Job, ReviewBrief, Written

WRITING = "Thank you, I have noted that. I am still writing your requirements document and will look at it then."
TAKEN_IN = "Thank you, I have taken that in."
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
        effects += self._ask_about_unread(record)
        return Outcome(documents, tuple(effects))

    def on_wrote(self, record: SessionRecord, job: Job, result: Written | str) -> Outcome:
        """A job is done, or cannot be done."""
        if job not in self._in_work:
            return Outcome()
        self._in_work.discard(job)
        record = _replace(record, documents=drafting.written(record, job, result))
        version = drafting.finished(record, now_ms=self._wall_ms(), language=self._language)
        return self.go_on(_replace(record, documents=version or record.documents), tell=True)

    def ask_about(self, record: SessionRecord, turn: int) -> AskAbout | None:
        """What to ask about all that the user said of the documents and nobody has considered.

        None if there is nothing, or while a version is in work.
        """
        documents = record.documents
        words = "\n".join(it.text for it in unread(record))
        if documents is None or documents.brd is None or not documents.is_finished or not words:
            return None
        brief = ReviewBrief(
            session_id=record.session_id, turn=turn, words=words, interview=record.interview, brd=documents.brd
        )
        return AskAbout(brief)

    def stock_answer(self, record: SessionRecord) -> str:
        """What to answer where nobody is asked."""
        documents = record.documents
        return TAKEN_IN if documents is not None and documents.is_finished else WRITING

    def on_reviewed(self, record: SessionRecord, reviewed: Reviewed) -> Outcome:
        """It is known what the user meant, or that nobody can tell. Without a reply, it is asked anew."""
        documents, brief, review = record.documents, reviewed.brief, reviewed.review
        if documents is None or documents.brd is None or not documents.is_finished:
            return Outcome(reply=WRITING)  # it stays unread until the version in work is whole
        if documents.brd.version != brief.brd.version and (question := self.ask_about(record, brief.turn)) is not None:
            return Outcome(effects=(question,))
        if review is None:
            return Outcome(effects=(Send(news(documents, record)),) if brief.turn == IN_SILENCE else (), reply=UNREAD)
        # What was said before the version was there cannot confirm it.
        if review.intent == "confirm" and brief.turn != IN_SILENCE:
            documents = drafting.confirmed(record, now_ms=self._wall_ms())
        elif review.intent == "correct":
            documents = drafting.corrected(record, review, brief.words)
        documents = _replace(documents, read_up_to_turn=len(brief.interview.turns))
        self._has_asked_in_silence = False
        is_news = review.intent != "other" or brief.turn == IN_SILENCE
        done = self.go_on(_replace(record, documents=documents), tell=is_news)
        return _replace(done, reply=review.reply.strip() or TAKEN_IN)

    def _assign(self, record: SessionRecord) -> list[Effect]:
        jobs = [job for job in drafting.outstanding(record) if job not in self._in_work]
        self._in_work.update(jobs)
        return [Write(drafting.brief(record, job, language=self._language)) for job in jobs]

    def _ask_about_unread(self, record: SessionRecord) -> list[Effect]:
        waits = any(turn.outcome == "pending" for turn in unread(record))  # it will ask itself
        question = None if waits or self._has_asked_in_silence else self.ask_about(record, IN_SILENCE)
        if question is None:
            return []
        self._has_asked_in_silence = True
        return [question]


def unread(record: SessionRecord) -> tuple[TurnRecord, ...]:
    """What the user said of the documents, and nobody has considered yet."""
    return record.interview.turns[record.documents.read_up_to_turn :] if record.documents is not None else ()


def news(documents: Documents, record: SessionRecord) -> ServerFrame:
    """What the client is told of how the documents stand."""
    if documents.is_finished and documents.brd is not None and documents.summary is not None:
        written = json.document(documents.brd, documents.summary)
        summary = cast(dict[str, object], written.pop("summary"))
        return Completed(summary=summary, brd=written)
    step, done, total = drafting.progress(record)
    return Progress(step=step, done=done, total=total)
