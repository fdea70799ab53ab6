"""A session whose interview is over, and its documents, for the tests of the turn engine."""

from collections.abc import Sequence

from evaa.documents import drafting
from evaa.documents.catalogue import BY_KEY, TEXT
from evaa.interview.engine import TurnEngine
from protocols.documents import Brd
from protocols.frontend import Completed, Reply
from protocols.messages import (
    AskAbout,
    CompletedWritten,
    Effect,
    Message,
    ReplyTaken,
    ReplyWritten,
    Reviewed,
    Save,
    Saved,
    Write,
    Wrote,
)
from protocols.records import SessionRecord
from protocols.writing import DraftEntry, Intent, Review, ReviewBrief, Written
from tests.evaa.interviews import answer, converse, engine, of_type, record, said, sent, tell

MODEL = "fake"
NOT_HAD = "It could not be had."


def drafting_engine() -> tuple[TurnEngine, list[Effect]]:
    """An engine whose last stage has just closed, and what it wants."""
    subject = engine(record(1))
    return subject, converse(subject, "We type 40 invoices", answer("Thank you.", wants_next=True))


def finished_session() -> SessionRecord:
    """A session with the first version of its documents."""
    subject, effects = drafting_engine()
    write_all(subject, effects)
    documents = subject.record.documents
    assert documents is not None
    assert documents.is_finished
    return subject.record


def finished_engine() -> TurnEngine:
    """A client is back at a session with the first version of its documents."""
    return joined(finished_session())


def joined(record: SessionRecord, *, said_already: int = 0) -> TurnEngine:
    """A client is back, and has what it is sent."""
    subject = engine(record)
    received(subject, subject.greet(resumed=True, replay=False, now=0.0, said_already=said_already))
    return subject


def received(subject: TurnEngine, effects: Sequence[Effect]) -> list[Effect]:
    """The documents among what was sent have been written to the socket."""
    return tell(subject, *(CompletedWritten(frame.brd["version"]) for frame in sent(effects, Completed)))


def wrote(task: Write, words: str = "We type 40 invoices") -> Wrote:
    """The writer has done it: this was said in the first turn."""
    job = task.brief.job
    columns = BY_KEY[job.key].columns if job.task == "section" else (TEXT,)
    draft = DraftEntry({columns[0].key: words, columns[-1].key: words}, (1,), "stated")
    name = {"stage": "established", "project": "project", "section": "entries"}[job.task]
    return Wrote(job, drafting.piece(task.record, job, Written({name: (draft,)}, MODEL)), MODEL)


def could_not(task: Write) -> Wrote:
    """The writer could not do it."""
    return Wrote(task.brief.job, drafting.piece(task.record, task.brief.job, NOT_HAD))


def write_all(subject: TurnEngine, effects: Sequence[Effect], failing: str = "") -> list[Effect]:
    """Write what is wanted until nothing is; return all that was wanted on the way. Nothing is saved meanwhile.

    `failing` is the key of a piece that cannot be had.
    """
    wanted, everything = of_type(effects, Write), list[Effect]()
    while wanted:
        task = wanted.pop(0)
        news = subject.handle(could_not(task) if task.brief.job.key == failing else wrote(task))
        everything += news
        wanted += of_type(news, Write)
    return everything


def question_of(effects: Sequence[Effect]) -> ReviewBrief:
    """The only question about the user's words."""
    (ask,) = of_type(effects, AskAbout)
    return ask.brief


def meant(brief: ReviewBrief, intent: Intent, *sections: str) -> Reviewed:
    """What the user meant."""
    return Reviewed(brief, Review(intent, f"I see: {intent}.", MODEL, sections, "changed"), 1.0)


def delivered(turn: int) -> tuple[Message, Message]:
    """The reply of the turn is taken and written."""
    return ReplyTaken(turn), ReplyWritten(turn, 2.0)


def saved(subject: TurnEngine, effects: Sequence[Effect]) -> list[Effect]:
    """The store has the newest of what was to be saved."""
    told = tell(subject, Saved(of_type(effects, Save)[-1].revision, 0.01))
    return [*told, *received(subject, told)]


def newest(subject: TurnEngine) -> Brd:
    """The newest version of its documents."""
    documents = subject.record.documents
    assert documents is not None
    assert documents.brd is not None
    return documents.brd


def replies(effects: list[Effect]) -> list[str]:
    """What the replies among these say."""
    return [reply.response for reply in sent(effects, Reply)]


def corrected(subject: TurnEngine, turn: int, words: str, section: str, failing: str = "") -> list[Effect]:
    """A correction from the words to the new version; returns what its beginning wants."""
    subject.handle(meant(question_of(subject.handle(said(words))), "correct", section))
    begun = tell(subject, *delivered(turn))
    saved(subject, write_all(subject, begun, failing=failing))
    return begun


def spoken_meanwhile(words: str) -> tuple[TurnEngine, list[Effect]]:
    """An engine with a version whose user said something while it was in work; and what it wants."""
    subject, effects = drafting_engine()
    subject.handle(said(words))
    tell(subject, *delivered(2))
    effects = write_all(subject, effects)
    return subject, effects + saved(subject, effects)
