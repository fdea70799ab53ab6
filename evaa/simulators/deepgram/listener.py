"""What the two simulated recognisers have in common: what they are fed and what they answer. Pure."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

EPSILON_S = 1e-6
"""Times on the audio clock are sums of packets; two that differ by less are the same."""


class HeardWord(msgspec.Struct, frozen=True, gc=False):
    """A word that was recognised: where on the connection's audio clock, and where in its recording (None: in none)."""

    text: str
    start_s: float
    end_s: float
    recording: str | None = None
    recorded_start_s: float = 0.0
    recorded_end_s: float = 0.0


class Say(msgspec.Struct, frozen=True):
    """A message to the client. `final` are the words of a final transcript, empty for any other message."""

    message: dict[str, Any]
    final: tuple[HeardWord, ...] = ()


class Close(msgspec.Struct, frozen=True):
    """The end: a close frame with this code (None: with none at all)."""

    code: int | None
    reason: str = ""


Out = Say | Close


class Listener(Protocol):
    """A recogniser's half of a conversation. `now` is in seconds on the wall clock, `clock_s` on the audio clock.

    `flushed_by` are the control messages before which all that was heard must be recognised: `control` is given what
    that brought. `ends_at_empty_audio` makes an empty message of audio count as `CloseStream`. After a `Close` it is
    not asked any more.
    """

    flushed_by: frozenset[str]
    ends_at_empty_audio: bool

    def open(self, now: float) -> Sequence[Out]:
        """Begin."""
        ...

    @property
    def deadline(self) -> float:
        """When to call `expire`, unless something comes before."""
        ...

    def expire(self, now: float) -> Sequence[Out]:
        """Nothing came until the deadline."""
        ...

    def alive(self, now: float) -> None:
        """The client sent a ping or a pong."""
        ...

    def audio(self, now: float, *, was_decodable: bool) -> Sequence[Out]:
        """A message of audio came; what was heard in it, `advance` was told before."""
        ...

    def advance(self, clock_s: float, words: Sequence[HeardWord], voice_s: float) -> Sequence[Out]:
        """Audio was heard up to `clock_s`, and these words in it; `voice_s` is when there was last a voice."""
        ...

    def control(self, text: str, words: Sequence[HeardWord], now: float) -> Sequence[Out]:
        """A text message came."""
        ...

    def fail(self, code: str) -> Sequence[Out]:
        """Fail for a reason of the server's own."""
        ...


def message_type(text: str) -> str | None:
    """Return the `type` of a client's JSON message, None if it has none."""
    message = decode_message(text)
    kind = message.get("type") if message is not None else None
    return kind if isinstance(kind, str) else None


def decode_message(text: str) -> dict[str, Any] | None:
    """Return a client's message if it is a JSON object."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
