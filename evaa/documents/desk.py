"""Where the documents of a session are in work, sans-I/O: what happened in; what is there now, and what to do, out.

Theory of operation. Once the interview is complete, every piece that is outstanding is with a writer; each is stored as
it comes (`drafting.py`). When the version is whole, the client gets it, and the user may correct or confirm it: what
they say is given to a writer to be understood, answered, and taken in once the answer was delivered. A correction puts
the sections that it touches back into work, and ends in a new version. What the user says while a version is in work is
noted, and looked at in silence once that is whole.
"""

from collections.abc import Callable
from typing import cast

import msgspec

from evaa.documents import drafting
from evaa.documents.formats import json
from protocols.documents import Documents
from protocols.frontend import Completed, Progress, ServerFrame
from protocols.messages import AskAbout, Effect, Reviewed, Send, Write, Wrote
from protocols.records import SessionRecord, TurnRecord
from protocols.writing import Job, Review, ReviewBrief

WRITING = "Thank you, I have noted that. I am still writing your requirements document and will look at it then."
TAKEN_IN = "Thank you, I have taken that in."
UNREAD = "I could not take that in just now; please say it again in a moment."
IN_SILENCE = 0
"""The turn of a review that nobody waits for."""

_replace = msgspec.structs.replace


class Outcome(msgspec.Struct, frozen=True):
    """What comes of something: the documents, if they have changed, and what to do."""

    documents: Documents | None = None
    effects: tuple[Effect, ...] = ()


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

    def go_on(self, record: SessionRecord, *, tell: bool, is_turn_live: bool = False) -> Outcome:
        """Begin with what is outstanding; with `tell`, the client learns how the documents stand.

        What was said of them and not considered yet is asked about, unless a turn is live: that comes first.
        """
        if record.interview.stage is not None:
            return Outcome()
        documents = record.documents or drafting.begin(record)
        record = _replace(record, documents=documents)
        effects: list[Effect] = [Send(news(documents, record))] if tell else []
        effects += self._assign(record)
        effects += [] if is_turn_live else self._ask_about_unread(record)
        return Outcome(documents, tuple(effects))

    def on_wrote(self, record: SessionRecord, wrote: Wrote, *, is_turn_live: bool) -> Outcome:
        """A job is done, or cannot be done."""
        if wrote.job not in self._in_work:
            return Outcome()
        self._in_work.discard(wrote.job)
        documents = drafting.with_piece(record.documents or drafting.begin(record), wrote.piece, wrote.model)
        record = _replace(record, documents=documents)
        version = drafting.finished(record, now_ms=self._wall_ms(), language=self._language)
        record = _replace(record, documents=version or documents)
        return self.go_on(record, tell=True, is_turn_live=is_turn_live)

    def ask_about(self, record: SessionRecord, turn: int) -> AskAbout | None:
        """What to ask about all that the user said of the documents and nobody has considered.

        None if there is nothing, or while a version is in work. A live turn's question takes the silent one's place.
        """
        documents = record.documents
        words = "\n".join(it.text for it in unread(record))
        if documents is None or documents.brd is None or not documents.is_finished or not words:
            return None
        self._has_asked_in_silence = turn == IN_SILENCE
        brief = ReviewBrief(
            session_id=record.session_id, turn=turn, words=words, interview=record.interview, brd=documents.brd
        )
        return AskAbout(brief)

    def stock_answer(self, record: SessionRecord) -> str:
        """What to answer where nobody is asked."""
        documents = record.documents
        return TAKEN_IN if documents is not None and documents.is_finished else WRITING

    def take_in(self, record: SessionRecord, reviewed: Reviewed) -> Outcome:
        """It is known what the user meant, and they have the answer, or nobody waits for one.

        What was meant of another version than the newest is asked anew.
        """
        documents, brief, review = record.documents, reviewed.brief, reviewed.review
        in_silence = brief.turn == IN_SILENCE
        if documents is None or not documents.is_finished or documents.brd is None:
            return Outcome()
        if review is None or documents.brd.version != brief.brd.version:
            return self.go_on(record, tell=in_silence)
        turn = len(brief.interview.turns)
        # Who is answered sees the version; who is not must have spoken after it was there.
        if review.intent == "confirm" and (not in_silence or turn > documents.brd.ready_at_turn):
            documents = drafting.confirmed(documents, turn=turn, now_ms=self._wall_ms())
        elif review.intent == "correct":
            documents = drafting.corrected(documents, review, brief)
        self._has_asked_in_silence = False
        documents = _replace(documents, read_up_to_turn=turn)
        return self.go_on(_replace(record, documents=documents), tell=in_silence or review.intent != "other")

    def _assign(self, record: SessionRecord) -> list[Effect]:
        jobs = [job for job in drafting.outstanding(record) if job not in self._in_work]
        self._in_work.update(jobs)
        return [Write(drafting.brief(record, job, language=self._language), record) for job in jobs]

    def _ask_about_unread(self, record: SessionRecord) -> list[Effect]:
        question = None if self._has_asked_in_silence else self.ask_about(record, IN_SILENCE)
        return [] if question is None else [question]


def unread(record: SessionRecord) -> tuple[TurnRecord, ...]:
    """What the user said of the documents, and nobody has considered yet."""
    return record.interview.turns[record.documents.read_up_to_turn :] if record.documents is not None else ()


def answer_to(review: Review | None) -> str:
    """What to say to the user whose words were considered; None: nobody could tell what they meant."""
    return UNREAD if review is None else review.reply.strip() or TAKEN_IN


def news(documents: Documents, record: SessionRecord) -> ServerFrame:
    """What the client is told of how the documents stand."""
    if documents.is_finished and documents.brd is not None and documents.summary is not None:
        written = json.document(documents.brd, documents.summary)
        summary = cast(dict[str, object], written.pop("summary"))
        return Completed(summary=summary, brd=written)
    step, done, total = drafting.progress(record)
    return Progress(step=step, done=done, total=total)
