"""Where the documents of a session are in work, sans-I/O: what happened in; what is there now, and what to do, out.

Theory of operation. Once the interview is complete, every piece that is outstanding is with a writer; each is stored as
it comes (`drafting.py`). When the version is whole, the client gets it, and the user may correct or confirm it: what
they say is given to a writer to be understood, answered, and taken in once the answer was delivered. A correction puts
the sections that it touches back into work, and ends in a new version. What the user says while a version is in work is
noted, and looked at in silence once that is whole. A confirmation counts only of a version that they had when they
spoke.
"""

from collections.abc import Callable
from typing import cast

import msgspec

from evaa.documents import drafting
from evaa.documents.formats import json
from protocols.documents import Documents
from protocols.frontend import Completed, Progress, ServerFrame, WarningFrame
from protocols.messages import AskAbout, Effect, Reviewed, Send, Settled, Write, Wrote
from protocols.records import SessionRecord, TurnRecord
from protocols.writing import Job, Review, ReviewBrief

WRITING = "Thank you, I have noted that. I am still writing your requirements document and will look at it then."
TAKEN_IN = "Thank you, I have taken that in."
LOOK_FIRST = "Thank you. Please look at the document as it is now, and tell me then whether it is right."
UNREAD = "I could not take that in just now; please say it again in a moment."
IN_SILENCE = 0
"""The turn of a review that nobody waits for."""

_replace = msgspec.structs.replace


class Outcome(msgspec.Struct, frozen=True):
    """What comes of something: the documents, if they have changed, and what to do."""

    documents: Documents | None = None
    effects: tuple[Effect, ...] = ()


class Desk:
    """Which jobs are with a writer, and what is being asked. `wall_ms` tells the time for what is stored."""

    def __init__(self, *, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._in_work: set[Job] = set()
        self._is_asking_in_silence = False
        self._may_ask_in_silence = True

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
        if not is_turn_live:
            effects += self._ask_about_unread(record)
            effects += [] if self._in_work or self._is_asking_in_silence else [Settled()]
        return Outcome(documents, tuple(effects))

    def on_wrote(self, record: SessionRecord, wrote: Wrote, *, is_turn_live: bool) -> Outcome:
        """A job is done, or cannot be done."""
        if wrote.job not in self._in_work:
            return Outcome()
        self._in_work.discard(wrote.job)
        documents = drafting.with_piece(record.documents or drafting.begin(record), wrote.piece, wrote.model)
        record = _replace(record, documents=documents)
        version = drafting.finished(record, now_ms=self._wall_ms())
        record = _replace(record, documents=version or documents)
        return self.go_on(record, tell=True, is_turn_live=is_turn_live)

    def ask_about(self, record: SessionRecord, turn: int) -> AskAbout | None:
        """What to ask about all that the user said of the documents and nobody has considered.

        None if there is nothing, or while a version is in work. A live turn's question takes the silent one's place.
        """
        documents, said = record.documents, unread(record)
        if documents is None or documents.brd is None or not documents.is_finished or not said:
            return None
        self._is_asking_in_silence = turn == IN_SILENCE
        self._may_ask_in_silence = turn != IN_SILENCE
        brief = ReviewBrief(
            session_id=record.session_id,
            turn=turn,
            first_turn=said[0].turn,
            words="\n".join(it.text for it in said),
            interview=record.interview,
            brd=documents.brd,
        )
        return AskAbout(brief)

    def stock_answer(self, record: SessionRecord, turn: int) -> str:
        """What to answer to a turn where nobody is asked: what was considered without the user has its answer."""
        documents = record.documents
        if documents is None or turn > documents.read_up_to_turn:
            return WRITING
        return documents.answer or TAKEN_IN

    def take_in(self, record: SessionRecord, reviewed: Reviewed, *, is_attended: bool) -> Outcome:
        """It is known what the user meant, and they have the answer, or nobody waits for one.

        What was meant of another version than the newest is asked anew. `is_attended`: somebody hears what is sent.
        """
        documents, brief, review = record.documents, reviewed.brief, as_it_counts(reviewed)
        self._is_asking_in_silence &= brief.turn != IN_SILENCE
        if documents is None or not documents.is_finished or documents.versions[-1].version != brief.brd.version:
            return self.go_on(record, tell=False)
        if review is None:
            return self._not_understood(record, reviewed, is_told=is_attended)
        self._may_ask_in_silence = True
        turn = len(brief.interview.turns)
        after = documents
        if review.intent == "confirm":
            after = drafting.confirmed(documents, turn=turn, now_ms=self._wall_ms())
        elif review.intent == "correct":
            after = drafting.corrected(documents, review, brief)
        is_news = after is not documents
        after = _replace(after, read_up_to_turn=turn, answer=answer_to(review) if brief.turn == IN_SILENCE else "")
        return self.go_on(_replace(record, documents=after), tell=is_news)

    def _not_understood(self, record: SessionRecord, reviewed: Reviewed, *, is_told: bool) -> Outcome:
        """Who asked for it is told to say it again. What nobody will ever understand is not asked about again."""
        if not reviewed.may_pass and record.documents is not None:
            turn = len(reviewed.brief.interview.turns)
            read = _replace(record.documents, read_up_to_turn=turn, answer="" if is_told else UNREAD)
            record = _replace(record, documents=read)
        outcome = self.go_on(record, tell=False)
        if reviewed.brief.turn != IN_SILENCE:
            return outcome
        told = Send(WarningFrame(code="agent_unavailable", message=UNREAD, retryable=True))
        return Outcome(outcome.documents, (told, *outcome.effects))

    def _assign(self, record: SessionRecord) -> list[Effect]:
        jobs = [job for job in drafting.outstanding(record) if job not in self._in_work]
        self._in_work.update(jobs)
        return [Write(drafting.brief(record, job), record) for job in jobs]

    def _ask_about_unread(self, record: SessionRecord) -> list[Effect]:
        question = self.ask_about(record, IN_SILENCE) if self._may_ask_in_silence else None
        return [] if question is None else [question]


def unread(record: SessionRecord) -> tuple[TurnRecord, ...]:
    """What the user said of the documents, and nobody has considered yet."""
    return record.interview.turns[record.documents.read_up_to_turn :] if record.documents is not None else ()


def as_it_counts(reviewed: Reviewed) -> Review | None:
    """What the user meant. What was said before they had the version, or broken off, confirms nothing."""
    brief, review = reviewed.brief, reviewed.review
    if review is None or review.intent != "confirm":
        return review
    given_after = brief.brd.given_after_turn
    said = brief.interview.turns[brief.first_turn - 1 :]
    counts = given_after is not None and all(it.turn > given_after and it.outcome != "interrupted" for it in said)
    return review if counts else _replace(review, intent="other", reply=LOOK_FIRST)


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
