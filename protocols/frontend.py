"""The frontend's wire contract: what a client sends, and what EVAA sends.

Typed frames are the language inside EVAA as well; a dialect (`protocols.dialects`) turns them into what its client
understands.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from protocols.records import Source, Stage, Status

MAX_ID_CHARS = 128
"""Length of what a client makes up to recognise its own frames by."""

ErrorCode = Literal[
    "bad_frame", "bad_session_id", "session_mismatch", "not_bound", "bad_audio", "audio_overflow", "stt_unavailable",
    "text_too_long", "rate_limited", "agent_unavailable", "storage_unavailable", "not_complete", "internal",
]  # fmt: skip


ExportFormat = Literal["markdown", "html", "docx", "json", "n8n"]


class CloseCode:
    """WebSocket close codes that EVAA uses (RFC 6455 section 7.4, and its own from 4400 up)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    SESSION_FAILED = 1011
    OVERLOADED = 1013
    TOO_MANY_BAD_FRAMES = 4400
    IDLE = 4408
    TAKEN_OVER = 4409
    CLIENT_DOES_NOT_READ = 4413


class FrameRefused(Exception):
    """A frame that cannot be taken. It changes nothing; `code` and the message go back to the client."""

    def __init__(self, code: ErrorCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.retryable = retryable

    def as_error(self) -> "ErrorFrame":
        """The frame that tells the client."""
        return ErrorFrame(code=self.code, message=self.message, retryable=self.retryable)


_SESSION_ID = re.compile(r"[0-9a-f]{24}")


def parse_session_id(text: str) -> str:
    """Return the session id in its one spelling (lower case). Raises `FrameRefused("bad_session_id")`."""
    session_id = text.lower()
    if not _SESSION_ID.fullmatch(session_id):
        raise FrameRefused("bad_session_id", "sessionId must be a MongoDB ObjectId: 24 hexadecimal digits")
    return session_id


# --- what a client sends ----------------------------------------------------------------------------------------


class ClientFrame(msgspec.Struct, frozen=True, tag_field="type", rename="camel"):
    """Base of the typed frames that a client sends."""


class AudioFormat(msgspec.Struct, frozen=True, rename="camel"):
    """How a recording is packed; `sample_rate` and `channels` matter to raw audio only."""

    container: Literal["webm", "ogg", "raw"]
    codec: Literal["opus", "linear16"]
    sample_rate: int | None = None
    channels: int | None = None


class Start(ClientFrame, frozen=True, tag="start"):
    """Binds the connection to a session, and declares the audio that will come."""

    session_id: str | None = None
    audio: AudioFormat | None = None
    language: str | None = None
    replay: bool = False


class Text(ClientFrame, frozen=True, tag="text"):
    """What the user typed."""

    text: str
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)] | None = None


class Audio(ClientFrame, frozen=True, tag="audio"):
    """The next bytes of the recording."""

    data: bytes


class EndOfSpeech(ClientFrame, frozen=True, tag="endOfSpeech"):
    """Push-to-talk was released: finish the utterance now."""


class Interrupt(ClientFrame, frozen=True, tag="interrupt"):
    """Stop generating; what was said so far stays."""


class Export(ClientFrame, frozen=True, tag="export"):
    """Asks for the BRD as a file."""

    format: ExportFormat


class Ping(ClientFrame, frozen=True, tag="ping"):
    """Answered by `Pong` with the same `t`."""

    t: int | float | Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)] | None = None


# --- what EVAA sends --------------------------------------------------------------------------------------------


class StageData(msgspec.Struct, frozen=True, rename="camel"):
    """A stage as the frontend sees it."""

    stage_id: str
    name: str
    description: str
    goal: str
    order: int
    total_stages: int


class PlannedStage(StageData, frozen=True):
    """A stage of the session's interview, with its follow-up budget, and how much of it is spent."""

    max_follow_ups: int
    follow_ups_used: int


class Completion(msgspec.Struct, frozen=True):
    """`nextStageData` once the last stage has closed."""

    status: Literal["drafting", "complete"]
    completed: bool = True


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the conversation, for a replay."""

    role: Literal["user", "assistant"]
    text: str
    turn: int
    interrupted: bool = False


class Timing(msgspec.Struct, frozen=True, rename="camel"):
    """Where a reply's time went, in milliseconds. `overhead_ms` is what EVAA itself spent."""

    stt_ms: float | None
    first_token_ms: float | None
    total_ms: float
    overhead_ms: float


class ServerFrame(msgspec.Struct, kw_only=True, tag_field="type", rename="camel"):
    """Base of the typed frames that EVAA sends. The writer numbers them: `seq` grows by one a frame."""

    seq: int = 0


class Ready(ServerFrame, tag="ready"):
    """The session is bound; where it stands. `messages` is there if a replay was asked for."""

    session_id: str
    resumed: bool
    stage: PlannedStage | None
    stages: tuple[PlannedStage, ...]
    status: Status
    messages: tuple[Line, ...] | msgspec.UnsetType = msgspec.UNSET


class Transcript(ServerFrame, tag="transcript"):
    """What was heard. Partials replace each other until `final`; an empty one takes back what was shown.

    `turn` is the number that the utterance gets, as far as is known yet: of a final transcript, its turn's.
    """

    text: str
    final: bool
    turn: int


class TurnStarted(ServerFrame, tag="turnStarted"):
    """The utterance is acknowledged: it is durable."""

    turn: int
    source: Source
    id: str | msgspec.UnsetType = msgspec.UNSET


class Delta(ServerFrame, tag="delta"):
    """The next piece of a reply."""

    turn: int
    text: str


class Reply(ServerFrame, tag="reply"):
    """A whole reply. It equals the joined deltas of its turn."""

    turn: int
    response: str
    next_stage: bool
    next_stage_data: StageData | Completion | None
    timing: Timing
    id: str | msgspec.UnsetType = msgspec.UNSET


class TurnCancelled(ServerFrame, tag="turnCancelled"):
    """The client should forget this turn's deltas so far."""

    turn: int
    reason: Literal["interrupted", "resumed", "superseded"]


class Progress(ServerFrame, tag="progress"):
    """The documents are being written: how many of a step's pieces are there."""

    step: Literal["summary", "brd"]
    done: int
    total: int


class Completed(ServerFrame, tag="completed"):
    """The documents are written."""

    summary: dict[str, Any]
    brd: dict[str, Any]


class Exported(ServerFrame, tag="exported"):
    """Answer to `Export`: a file. `data` is text, or bytes (base64 in JSON)."""

    format: ExportFormat
    filename: str
    content_type: str
    data: str | bytes


class WarningFrame(ServerFrame, tag="warning"):
    """EVAA goes on, but with less."""

    code: ErrorCode
    message: str
    retryable: bool


class ErrorFrame(ServerFrame, tag="error"):
    """Something that the client sent was refused, or something failed."""

    code: ErrorCode
    message: str
    retryable: bool


class GoingAway(ServerFrame, tag="goingAway"):
    """The server is being drained; after a reconnect the session resumes."""

    reconnect_after_ms: int


class Pong(ServerFrame, tag="pong"):
    """Answer to `Ping`."""

    t: int | float | str | None


def stage_data(stages: tuple[Stage, ...], index: int) -> StageData | Completion:
    """What the frontend is told of the stage at `index`; past the last one, that the interview is complete."""
    if index >= len(stages):
        return Completion(status="drafting")
    stage = stages[index]
    return StageData(
        stage_id=stage.stage_id,
        name=stage.name,
        description=stage.description,
        goal=stage.goal,
        order=stage.order,
        total_stages=len(stages),
    )
