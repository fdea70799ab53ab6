"""What the actors of a session say to one another.

Times called `at` are seconds on the session's monotonic clock (`trio.current_time()`).
"""

import msgspec

from protocols.documents import Brd, Piece
from protocols.frontend import ExportFormat, ServerFrame
from protocols.ports import Answer, TurnBrief, Usage
from protocols.records import SessionRecord, Source, Stage
from protocols.writing import Job, Review, ReviewBrief, WritingBrief


class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of all messages: immutable, so that it can be handed to any actor."""


# --- to the agent, from the reader ------------------------------------------------------------------------------


class Said(Message, frozen=True, gc=False):
    """The user said `text`, in whole; `client_id` is what the client called it.

    `stt_ms` is how long recognition took, from the arrival of the last word's audio to this text.
    """

    text: str
    source: Source
    at: float
    client_id: str | None = None
    stt_ms: float | None = None


class PartlyHeard(Message, frozen=True, gc=False):
    """The user is speaking: the utterance so far. Empty: what was partly heard came to nothing."""

    text: str


class ProbablySaid(Message, frozen=True, gc=False):
    """The user has probably finished saying `text`: a reply may be prepared, but nothing of it may show."""

    text: str
    at: float


class SpokeOn(Message, frozen=True, gc=False):
    """The user had not finished: what `ProbablySaid` set off is void."""


class InterruptAsked(Message, frozen=True, gc=False):
    """The user wants the reply to stop."""


class ExportAsked(Message, frozen=True, gc=False):
    """The client wants the BRD as a file."""

    form: ExportFormat


class ReplayAsked(Message, frozen=True, gc=False):
    """The client asks where the session stands, with the conversation so far if `replay`."""

    replay: bool


# --- to the agent, from the interviewer -------------------------------------------------------------------------


class Requested(Message, frozen=True, gc=False):
    """The request of this turn is about to leave for the provider."""

    turn: int
    at: float


class ReplyPiece(Message, frozen=True, gc=False):
    """The next visible piece of the reply."""

    turn: int
    text: str
    at: float


class ReplyReceived(Message, frozen=True, gc=False):
    """The last byte of the reply has come from the provider."""

    turn: int
    at: float


class ReplyRestarted(Message, frozen=True, gc=False):
    """What came of the reply so far is void; it begins anew."""

    turn: int
    reason: str


class Answered(Message, frozen=True):
    """The interviewer's answer is whole."""

    turn: int
    answer: Answer
    at: float


class AnswerFailed(Message, frozen=True, gc=False):
    """No interviewer could answer; the reply stays owed."""

    turn: int
    reason: str


# --- to the agent, from the document writer ---------------------------------------------------------------------


class Wrote(Message, frozen=True):
    """A job of the documents is done, and what it came to has been checked; by which model, if any, at what cost."""

    job: Job
    piece: Piece
    model: str = ""
    usage: Usage = Usage()


class Reviewed(Message, frozen=True):
    """What the user meant by what the brief holds of their words; None: nobody could tell.

    `may_pass`: somebody may be able to tell later.
    """

    brief: ReviewBrief
    review: Review | None
    at: float
    may_pass: bool = True


# --- to the agent, from the writer ------------------------------------------------------------------------------


class DeltaTaken(Message, frozen=True, gc=False):
    """The writer has taken these words for the socket; they cannot be withdrawn any more."""

    turn: int
    text: str


class ReplyTaken(Message, frozen=True, gc=False):
    """The writer has taken the whole reply for the socket."""

    turn: int


class ReplyWritten(Message, frozen=True, gc=False):
    """The whole reply has been written to the socket: it counts as delivered."""

    turn: int
    at: float


class CompletedWritten(Message, frozen=True, gc=False):
    """Documents that are whole have been written to the socket: this version is with the user."""

    version: int


# --- to the agent, from the server ------------------------------------------------------------------------------


class StagesStored(Message, frozen=True, gc=False):
    """These are the stages that new sessions begin with; some may have been imposed on running ones."""

    stages: tuple[Stage, ...]


# --- to the agent, from persistence -----------------------------------------------------------------------------


class Saved(Message, frozen=True, gc=False):
    """Everything up to `revision` is durable; the save took `took_s`."""

    revision: int
    took_s: float


class StoreTroubled(Message, frozen=True, gc=False):
    """The store cannot be reached; saves wait, and nothing is acknowledged."""


# --- what the turn engine wants done ----------------------------------------------------------------------------


class Send(Message, frozen=True):
    """Put the frame into the outbox."""

    frame: ServerFrame


class Withdraw(Message, frozen=True, gc=False):
    """Take back what the outbox still holds of this turn."""

    turn: int


class Ask(Message, frozen=True):
    """Ask the interviewer."""

    brief: TurnBrief


class StopAsking(Message, frozen=True, gc=False):
    """Cancel the interviewer's work on this turn; nothing of it may take effect any more."""

    turn: int


class Save(Message, frozen=True):
    """Make this state durable. A later revision contains all earlier ones, so that only the newest need be saved."""

    record: SessionRecord
    revision: int


class TurnCompleted(Message, frozen=True):
    """A reply was delivered; figures for the log, in milliseconds and tokens."""

    turn: int
    source: Source
    stage: int
    closed_stage: bool
    model: str
    followed_protocol: bool
    stt_ms: float | None
    first_token_ms: float | None
    total_ms: float
    overhead_ms: float
    store_ms: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int


class Write(Message, frozen=True):
    """Let a piece of the documents be written, and checked against `record`."""

    brief: WritingBrief
    record: SessionRecord


class AskAbout(Message, frozen=True):
    """Let somebody find out what the user meant by what they said of the documents."""

    brief: ReviewBrief


class Render(Message, frozen=True):
    """Make a file of a version, and send it."""

    record: SessionRecord
    brd: Brd
    form: ExportFormat


class Settled(Message, frozen=True, gc=False):
    """Nothing of the documents is in work any more, nor asked about, and all of it is durable if the store is there."""


class SpeculationEnded(Message, frozen=True, gc=False):
    """A reply that was prepared ahead was `used`, or thrown away; `ahead_ms` is how long it had a start for."""

    used: bool
    ahead_ms: float


Effect = (
    Send | Withdraw | Ask | StopAsking | Save | Write | AskAbout | Render | Settled | TurnCompleted | SpeculationEnded
)
