"""The frontend's wire contract: what a client sends, what EVAA sends, and the dialects that encode them.

Typed frames are the language inside EVAA as well; a dialect turns them into what its client understands. The plain
dialect tells whole replies and errors, and nothing else. Decoders and encoders are made once for the process.
"""

import base64
import binascii
import re
from typing import Annotated, Literal, Protocol

import msgspec

from protocols.records import Source, Stage, Status

PLAIN = "evaa.v1.json"
TYPED_JSON = "evaa.v2.json"
TOKEN_PREFIX = "evaa.token."

MAX_ID_CHARS = 128
"""Length of what a client makes up to recognise its own frames by."""

ErrorCode = Literal[
    "bad_frame", "bad_session_id", "session_mismatch", "not_bound", "bad_audio", "audio_overflow", "stt_unavailable",
    "text_too_long", "rate_limited", "agent_unavailable", "storage_unavailable", "not_complete", "internal",
]  # fmt: skip


class CloseCode:
    """WebSocket close codes that EVAA uses (RFC 6455 section 7.4, and its own from 4400 up)."""

    NORMAL = 1000
    GOING_AWAY = 1001
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

    format: Literal["markdown", "html", "docx", "json", "n8n"]


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


# --- dialects ---------------------------------------------------------------------------------------------------


class Dialect(Protocol):
    """How one client speaks. Stateless: one instance serves every connection."""

    name: str
    tells_deltas: bool

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """Return the frames that a message stands for, in order. Raises `FrameRefused`."""
        ...

    def encode(self, frame: ServerFrame) -> str | None:
        """Return the message for a frame; None where this dialect does not speak of such a thing."""
        ...


class _PlainMessage(msgspec.Struct, frozen=True):
    audioChunk: str | None = None
    textPrompt: str | None = None
    sessionId: str | None = None


class _PlainReply(msgspec.Struct, frozen=True):
    response: str
    nextStage: bool
    nextStageData: StageData | Completion | None


class _PlainProblem(msgspec.Struct, frozen=True):
    code: str
    message: str
    retryable: bool


class _PlainError(msgspec.Struct, frozen=True):
    error: _PlainProblem
    response: str = ""
    nextStage: bool = False
    nextStageData: None = None


_ENCODER = msgspec.json.Encoder()
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_PLAIN_DECODER = msgspec.json.Decoder(_PlainMessage)
_TYPED_DECODER = msgspec.json.Decoder(Start | Text | EndOfSpeech | Interrupt | Export | Ping)
_TYPES = "start, text, endOfSpeech, interrupt, export, ping"


class PlainDialect:
    """`evaa.v1.json`: what the existing frontend was promised."""

    name = PLAIN
    tells_deltas = False

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """A text message binds and may carry audio, then text; a binary one is audio."""
        if isinstance(message, bytes):
            return (Audio(message),)
        try:
            plain = _PLAIN_DECODER.decode(message)
        except _UNDECODABLE as error:
            keys = "audioChunk, textPrompt and sessionId, each a string or null"
            raise FrameRefused("bad_frame", f"{error}; a frame is one JSON object with {keys}") from None
        frames: list[ClientFrame] = [Start(session_id=plain.sessionId)]
        if plain.audioChunk:  # an empty chunk is dropped
            frames.append(Audio(_from_base64(plain.audioChunk)))
        if plain.textPrompt is not None:
            frames.append(Text(plain.textPrompt))
        return tuple(frames)

    def encode(self, frame: ServerFrame) -> str | None:
        """A reply or an error in the three promised keys; None for every other frame."""
        if isinstance(frame, Reply):
            return _ENCODER.encode(_PlainReply(frame.response, frame.next_stage, frame.next_stage_data)).decode()
        if isinstance(frame, ErrorFrame):
            return _ENCODER.encode(_PlainError(_PlainProblem(frame.code, frame.message, frame.retryable))).decode()
        return None


class TypedJsonDialect:
    """`evaa.v2.json`: tagged frames."""

    name = TYPED_JSON
    tells_deltas = True

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """A text message is one tagged frame; a binary one is audio."""
        if isinstance(message, bytes):
            return (Audio(message),)
        try:
            return (_TYPED_DECODER.decode(message),)
        except _UNDECODABLE as error:
            hint = f"a frame is one JSON object whose type is one of {_TYPES}"
            raise FrameRefused("bad_frame", f"{error}; {hint}") from None

    def encode(self, frame: ServerFrame) -> str | None:
        """Every frame, as JSON."""
        return _ENCODER.encode(frame).decode()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FrameRefused("bad_frame", "audioChunk must be base64 (RFC 4648 section 4), or null") from None


DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (PlainDialect(), TypedJsonDialect())}


def choose_dialect(offered: tuple[str, ...]) -> Dialect | None:
    """Return the first offered dialect that is known; the plain one if none was offered; None if all are unknown.

    A token that travels as a subprotocol (`evaa.token.<token>`) is no offer of a dialect.
    """
    names = [name for name in offered if not name.startswith(TOKEN_PREFIX)]
    if not names:
        return DIALECTS[PLAIN]
    return next((DIALECTS[name] for name in names if name in DIALECTS), None)
