"""What the Deepgram simulator can be told to do, and what it remembers. Pure: no trio, no I/O, no clock."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

NO_STATUS = 1005
"""Stands for a close frame without a code, which is what a client makes of one (RFC 6455, 7.4.1)."""

_POSITIVE = (
    "handshake_delay_s",
    "retry_after_s",
    "cut_after_messages",
    "cut_after_audio_bytes",
    "cut_after_received_bytes",
    "close_after_messages",
    "fatal_after_messages",
    "stall_after_audio_s",
    "stop_reading_after_audio_s",
    "result_delay_s",
)


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulator treats one connection. The defaults serve it well.

    The handshake: it is answered after `handshake_delay_s`, or never (`handshake_hang`); by `status` other than 101 it
    is refused, with the body known for `error_code` (None: the status' usual one) and, if given, `retry_after_s` in a
    header.

    The end, counted over the messages that were sent to the client, 0 being right after the handshake:
    `cut_after_messages` resets the connection, `cut_in_message` does so in the middle of that message (1: the first),
    `close_code` with `close_reason` closes it after `close_after_messages` (1005: without a code), `fatal_error` says
    `Error` with that code after `fatal_after_messages` and closes. Counted over what came in:
    `cut_after_audio_bytes` over the audio's bytes, `cut_after_received_bytes` over all bytes after the handshake's,
    frame headers included; what lies behind is never read.

    Silence and slowness: `stall_after_audio_s` says nothing more once so much audio was heard, not even an answer, and
    reads on (0: no `Connected` either); `stop_reading_after_audio_s` reads nothing more; `read_bytes_per_s` reads no
    faster than that; `result_delay_s` holds each message back for so long.

    What recognisers do at times: `suppress_speech_final` gives finals, but none says that the speech ended;
    `withhold_finals` leaves all in the interim results until it is asked to finish; `no_finish_answer` ignores
    `Finalize` and `ForceEndTurn`; `no_connected` leaves that message out; `no_word_times` leaves the times out of v2's
    words. Raises ValueError for what makes no sense.
    """

    status: int = 101
    error_code: str | None = None
    retry_after_s: float | None = None
    handshake_delay_s: float = 0.0
    handshake_hang: bool = False
    cut_after_messages: int | None = None
    cut_in_message: int | None = None
    cut_after_audio_bytes: int | None = None
    cut_after_received_bytes: int | None = None
    close_code: int | None = None
    close_reason: str = ""
    close_after_messages: int = 0
    fatal_error: str | None = None
    fatal_after_messages: int = 1
    stall_after_audio_s: float | None = None
    stop_reading_after_audio_s: float | None = None
    read_bytes_per_s: int | None = None
    result_delay_s: float = 0.0
    suppress_speech_final: bool = False
    withhold_finals: bool = False
    no_finish_answer: bool = False
    no_connected: bool = False
    no_word_times: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense, so that a slip in a script is noticed where it is made."""
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a finite number and not negative")
        if any(value is not None and value < 1 for value in (self.cut_in_message, self.read_bytes_per_s)):
            raise ValueError("cut_in_message and read_bytes_per_s count from 1")
        if self.status != 101 and not 400 <= self.status <= 599:
            raise ValueError("status must be 101, or an error from 400 to 599")
        if self.close_code is not None and not 1000 <= self.close_code <= 4999:
            raise ValueError("close_code must be from 1000 to 4999")
        if self.status == 101 and (self.error_code is not None or self.retry_after_s is not None):
            raise ValueError("error_code and retry_after_s need an error status")


# --- refusals ---------------------------------------------------------------------------------------------------


class Refusal(msgspec.Struct, frozen=True):
    """An answer to a handshake that is not 101. Not only v2 has errors of both shapes: `is_new` picks the other one."""

    status: int
    code: str
    message: str
    is_new: bool = False

    def body(self, request_id: str) -> bytes:
        """Return the JSON body."""
        if self.is_new:
            return msgspec.json.encode({"code": self.code, "description": self.message})
        content = {"err_code": self.code, "err_msg": self.message, "request_id": request_id}
        return msgspec.json.encode(content)

    def headers(self, retry_after_s: float | None = None) -> list[tuple[str, str]]:
        """Return the headers that go with it, apart from the request's id."""
        retry = [] if retry_after_s is None else [("retry-after", f"{retry_after_s:g}")]
        return [("dg-error", self.message), *retry]


# The first of a status is its usual one.
KNOWN_REFUSALS = (
    Refusal(400, "Bad Request", "Bad Request: No such model/language/tier combination found."),
    Refusal(400, "INVALID_QUERY_PARAMETER", "Invalid query string."),
    Refusal(401, "INVALID_AUTH", "Invalid credentials."),
    Refusal(
        402,
        "ASR_PAYMENT_REQUIRED",
        "Project does not have enough credits for an ASR request and does not have an overage agreement.",
    ),
    Refusal(403, "INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),
    Refusal(429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
    Refusal(500, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
    Refusal(503, "SERVICE_UNAVAILABLE", "Service Unavailable"),
)


def refusal_for(status: int, code: str | None) -> Refusal:
    """Return the known refusal for a status and code, or a plain one."""
    known = (refusal for refusal in KNOWN_REFUSALS if refusal.status == status and code in (None, refusal.code))
    return next(known, Refusal(status, code or "SIMULATED", f"Simulated refusal {status}"))


# --- what is remembered -----------------------------------------------------------------------------------------


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message of the client: what it was, its size in bytes, and its text if it was no audio."""

    at_s: float
    kind: Literal["audio", "text", "ping", "pong", "close"]
    size_bytes: int
    text: str = ""


class Sent(msgspec.Struct, frozen=True):
    """One message that left for the client."""

    at_s: float
    message: dict[str, Any]


class Final(msgspec.Struct, frozen=True, gc=False):
    """A final transcript that was sent, and where its words lie in the recording (None: in none)."""

    text: str
    recording: str | None
    start_s: float
    end_s: float


class HeardSpan(msgspec.Struct):
    """Packets of one recording that were heard one after another, from `first` up to and with `last`.

    Audio of no known recording has no name, and its packets are counted from 0.
    """

    recording: str | None
    first: int
    last: int
    at_s: float


class Closed(msgspec.Struct, frozen=True):
    """How a connection ended: who ended it, how, and the code and reason if it was a close frame.

    `how` is "close" (a close frame), "left" (end of stream or a broken one), "cut" (a scripted reset), "refused",
    "stuck" (the client did not take what was sent) or "cancelled".
    """

    by: Literal["client", "simulator"]
    how: Literal["close", "left", "cut", "refused", "stuck", "cancelled"]
    code: int | None = None
    reason: str = ""


class ConnectionRecord:
    """What happened on one connection; `at_s` are times on trio's clock.

    `target` is the path with its query, `params` the query decoded. `received` and `sent` hold the newest
    `keep_messages` messages, `audio` all bytes of audio in their order, unless they are not kept. `ahead_s` is the most
    by which the audio was ahead of 1.25 times real time. `heard` tells which packets of which recordings were heard, in
    the connection's order (the newest spans), `decoded_samples` how many samples they were decoded to, `warnings` what
    the decoder said, `finals` the final transcripts that were sent. `closed` is None as long as it is open.
    """

    def __init__(
        self, number: int, target: str, params: Mapping[str, Sequence[str]], opened_s: float, keep_messages: int
    ) -> None:
        self.number = number
        self.target = target
        self.params = params
        self.opened_s = opened_s
        self.request_id = f"00000000-0000-4000-8000-{number:012d}"
        self.status: int | None = None
        self.received: deque[Received] = deque(maxlen=keep_messages)
        self.sent: deque[Sent] = deque(maxlen=keep_messages)
        self.sent_count = 0
        self.audio_pieces: list[bytes] = []
        self.audio_bytes = 0
        self.audio_s = 0.0
        self.first_audio_s: float | None = None
        self.ahead_s = 0.0
        self.decoded_samples = 0
        self.heard: Sequence[HeardSpan] = ()
        self.warnings: list[str] = []
        self.finals: deque[Final] = deque(maxlen=keep_messages)
        self.closed: Closed | None = None

    def __repr__(self) -> str:
        return f"<ConnectionRecord {self.number} {self.target} audio_s={self.audio_s:.2f} {self.closed}>"

    @property
    def audio(self) -> bytes:
        """All audio, as it came."""
        return b"".join(self.audio_pieces)

    @property
    def texts(self) -> list[str]:
        """The client's text messages."""
        return [message.text for message in self.received if message.kind == "text"]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was sent to the client."""
        return [sent.message for sent in self.sent]

    def summary(self) -> dict[str, Any]:
        """Return what the control path tells of it."""
        names = ("number", "target", "opened_s", "request_id", "status", "sent_count", "audio_bytes", "audio_s")
        more = ("ahead_s", "decoded_samples", "warnings", "closed", "texts")
        told = {name: getattr(self, name) for name in (*names, *more)}
        return told | {"heard": list(self.heard), "finals": list(self.finals)}


class Counters(msgspec.Struct, kw_only=True):
    """What happened since the start or the last reset; `open_connections` is what is so now, control paths included.

    `handshakes` counts requests for a recogniser; each is `refused`, `hung` or `accepted`, or the client left before.
    """

    connections: int = 0
    open_connections: int = 0
    handshakes: int = 0
    accepted: int = 0
    refused: int = 0
    hung: int = 0
