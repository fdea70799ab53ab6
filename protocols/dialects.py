"""The dialects: how a client's messages become typed frames, and EVAA's frames messages.

The plain dialect tells whole replies and errors, and nothing else. The typed ones are the same tagged frames in JSON
and in MessagePack. Decoders and encoders are made once for the process.
"""

import binascii
from typing import Any, Protocol

import msgspec

from protocols.frontend import (
    Audio,
    ClientFrame,
    Completed,
    Completion,
    EndOfSpeech,
    ErrorFrame,
    Export,
    FrameRefused,
    Interrupt,
    Ping,
    Reply,
    ServerFrame,
    StageData,
    Start,
    Text,
)

PLAIN = "evaa.v1.json"
TYPED_JSON = "evaa.v2.json"
TYPED_MSGPACK = "evaa.v2.msgpack"
TOKEN_PREFIX = "evaa.token."


class WrongKind(Exception):
    """A text or binary message in a dialect that has no messages of that kind: the connection is of no use (1003)."""


class Dialect(Protocol):
    """How one client speaks. Stateless: one instance serves every connection."""

    name: str
    tells_deltas: bool

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """Return the frames that a message stands for, in order. Raises `FrameRefused`, `WrongKind`."""
        ...

    def encode(self, frame: ServerFrame) -> str | bytes | None:
        """Return the message for a frame; None where this dialect does not speak of such a thing."""
        ...


_JSON_ENCODER = msgspec.json.Encoder()
_MSGPACK_ENCODER = msgspec.msgpack.Encoder()
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


# --- plain ------------------------------------------------------------------------------------------------------


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


class _PlainCompletion(msgspec.Struct, frozen=True):
    summary: dict[str, Any]
    brd: dict[str, Any]
    completed: bool = True
    status: str = "complete"


class _PlainCompleted(msgspec.Struct, frozen=True):
    nextStageData: _PlainCompletion
    response: str = ""
    nextStage: bool = True


_PLAIN_DECODER = msgspec.json.Decoder(_PlainMessage)


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
        """A reply, an error or the documents in the three promised keys; None for every other frame."""
        if isinstance(frame, Reply):
            return _JSON_ENCODER.encode(_PlainReply(frame.response, frame.next_stage, frame.next_stage_data)).decode()
        if isinstance(frame, Completed):
            written = _PlainCompletion(frame.summary, frame.brd)
            return _JSON_ENCODER.encode(_PlainCompleted(written)).decode()
        if isinstance(frame, ErrorFrame):
            return _JSON_ENCODER.encode(_PlainError(_PlainProblem(frame.code, frame.message, frame.retryable))).decode()
        return None


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one, too
        raise FrameRefused("bad_frame", "audioChunk must be base64 (RFC 4648 section 4), or null") from None


# --- typed ------------------------------------------------------------------------------------------------------


_TYPES = "start, text, endOfSpeech, interrupt, export, ping"
_JSON_DECODER = msgspec.json.Decoder(Start | Text | EndOfSpeech | Interrupt | Export | Ping)
_MSGPACK_DECODER = msgspec.msgpack.Decoder(Start | Text | Audio | EndOfSpeech | Interrupt | Export | Ping)


class TypedJsonDialect:
    """`evaa.v2.json`: tagged frames."""

    name = TYPED_JSON
    tells_deltas = True

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """A text message is one tagged frame; a binary one is audio."""
        if isinstance(message, bytes):
            return (Audio(message),)
        try:
            return (_JSON_DECODER.decode(message),)
        except _UNDECODABLE as error:
            hint = f"a frame is one JSON object whose type is one of {_TYPES}"
            raise FrameRefused("bad_frame", f"{error}; {hint}") from None

    def encode(self, frame: ServerFrame) -> str:
        """Every frame, as JSON."""
        return _JSON_ENCODER.encode(frame).decode()


class TypedMsgpackDialect:
    """`evaa.v2.msgpack`: the same tagged frames in binary messages, audio among them."""

    name = TYPED_MSGPACK
    tells_deltas = True

    def decode(self, message: str | bytes) -> tuple[ClientFrame, ...]:
        """A binary message is one tagged frame; there are no text messages."""
        if isinstance(message, str):
            raise WrongKind(f"{TYPED_MSGPACK} has binary messages only")
        try:
            return (_MSGPACK_DECODER.decode(message),)
        except _UNDECODABLE as error:
            hint = f"a frame is one MessagePack map whose type is one of audio, {_TYPES}"
            raise FrameRefused("bad_frame", f"{error}; {hint}") from None

    def encode(self, frame: ServerFrame) -> bytes:
        """Every frame, as MessagePack."""
        return _MSGPACK_ENCODER.encode(frame)


# --- which one --------------------------------------------------------------------------------------------------


_ALL: tuple[Dialect, ...] = (PlainDialect(), TypedJsonDialect(), TypedMsgpackDialect())
DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}


def choose_dialect(offered: tuple[str, ...]) -> Dialect | None:
    """Return the first offered dialect that is known; the plain one if none was offered; None if all are unknown.

    A token that travels as a subprotocol (`evaa.token.<token>`) is no offer of a dialect.
    """
    names = [name for name in offered if not name.startswith(TOKEN_PREFIX)]
    if not names:
        return DIALECTS[PLAIN]
    return next((DIALECTS[name] for name in names if name in DIALECTS), None)
