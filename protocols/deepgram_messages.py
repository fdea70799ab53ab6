"""What is said on a Deepgram connection, in both protocols. Sans-I/O.

Control messages go as text frames, in order with the binary frames of audio; v1's kill a v2 connection. What the
server says is read tolerantly: its sets of types, events, triggers and codes are open, and fields come and go. The
structs carry what EVAA reads, under the wire's own names; times are seconds on the connection's audio clock.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

# --- what the client says ---------------------------------------------------------------------------------------

KEEP_ALIVE = '{"type":"KeepAlive"}'
"""v1 only. No answer; due every 10 s at the latest while no audio goes."""

FINALIZE = '{"type":"Finalize"}'
"""v1 only. Usually answered by `Results` with `from_finalize`, but not if there was little to say."""

FORCE_END_TURN = '{"type":"ForceEndTurn"}'
"""v2 only. Answered by `EndOfTurn`, or by `NO_ACTIVE_TURN`."""

CLOSE_STREAM = '{"type":"CloseStream"}'
"""Last results come, then the close; on v2 no `EndOfTurn` is among them."""


class _Configure(msgspec.Struct, frozen=True, tag_field="type", tag="Configure"):
    keyterms: tuple[str, ...]


def configure(keyterms: Iterable[str]) -> str:
    """The message, the same in both protocols, that replaces the words to expect; they must be fitting.

    v1 knows it for Nova-3 only. Answered by `ConfigureSuccess` or `ConfigureFailure`: one at a time.
    """
    return _ENCODER.encode(_Configure(tuple(keyterms))).decode()


# --- what the server says ---------------------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of what the server says."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """A word that was heard. v2 has it punctuated already, and sometimes without its times."""

    word: str
    punctuated_word: str | None = None
    start: float | None = None
    end: float | None = None

    @property
    def text(self) -> str:
        """The word as it stands in the transcript."""
        return self.punctuated_word or self.word


class Alternative(msgspec.Struct, frozen=True):
    """One reading of a segment."""

    transcript: str = ""
    words: tuple[Word, ...] = ()


class Channel(msgspec.Struct, frozen=True):
    """The readings of a segment, the best first."""

    alternatives: tuple[Alternative, ...] = ()


class Results(Message, frozen=True, tag="Results"):
    """v1: what was heard in a segment of audio, so far, or for good if `is_final`."""

    start: float
    duration: float
    channel: Channel
    is_final: bool = False
    speech_final: bool = False
    from_finalize: bool = False

    @property
    def end(self) -> float:
        """Where the segment ends."""
        return self.start + self.duration

    @property
    def best(self) -> Alternative:
        """The best reading; an empty one if there is none."""
        return self.channel.alternatives[0] if self.channel.alternatives else Alternative()


class SpeechStarted(Message, frozen=True, tag="SpeechStarted"):
    """v1: there is sound. It may repeat within an utterance or be missing before one."""

    timestamp: float | None = None


class UtteranceEnd(Message, frozen=True, tag="UtteranceEnd"):
    """v1: no word followed for a while. `last_word_end` may be -1, or that of an utterance long over."""

    last_word_end: float


class Metadata(Message, frozen=True, tag="Metadata"):
    """v1: the stream is over. A `duration` of 0 means that no audio could be decoded."""

    request_id: str | None = None
    duration: float = 0.0


class NovaError(Message, frozen=True, tag="Error"):
    """v1: a control message was not understood. The stream goes on."""

    variant: str = ""
    description: str = ""


class ConfigureSuccess(Message, frozen=True, tag="ConfigureSuccess"):
    """A `Configure` holds from here on."""


class ConfigureFailure(Message, frozen=True, tag="ConfigureFailure"):
    """A `Configure` was refused; what held before still holds."""

    code: str | None = None
    description: str | None = None


class Connected(Message, frozen=True, tag="Connected"):
    """v2: ready for audio."""

    request_id: str | None = None


class TurnInfo(Message, frozen=True, tag="TurnInfo"):
    """v2: where the turn stands. `transcript` is all of it so far; `trigger` says why it ended.

    `event` is `Update`, `StartOfTurn`, `EagerEndOfTurn`, `TurnResumed`, `EndOfTurn`, or one that is new.
    """

    event: str
    turn_index: int
    audio_window_end: float
    audio_window_start: float = 0.0
    transcript: str = ""
    words: tuple[Word, ...] = ()
    trigger: str | None = None


NO_ACTIVE_TURN = "FORCE_END_TURN_NO_ACTIVE_TURN"


class FluxWarning(Message, frozen=True, tag="Warning"):
    """v2: something was ignored. The stream goes on."""

    code: str = ""
    description: str = ""


class FluxError(Message, frozen=True, tag="Error"):
    """v2: the connection is over; see `protocols.deepgram.flux_failure`."""

    code: str = ""
    description: str = ""


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """A message of a type that is not known here; to be ignored."""

    type: str


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A message that could not be read. `reason` is for the log: it quotes nothing that was said."""

    reason: str


NovaMessage = (
    Results | SpeechStarted | UtteranceEnd | Metadata | NovaError | ConfigureSuccess | ConfigureFailure
    | Unknown | Malformed
)  # fmt: skip
FluxMessage = Connected | TurnInfo | FluxWarning | FluxError | ConfigureSuccess | ConfigureFailure | Unknown | Malformed


def decode_nova(text: str | bytes) -> NovaMessage:
    """Read a message of v1. Never raises."""
    message: NovaMessage = _decode(text, _NOVA)
    return message


def decode_flux(text: str | bytes) -> FluxMessage:
    """Read a message of v2. Never raises."""
    message: FluxMessage = _decode(text, _FLUX)
    return message


class _Kind(msgspec.Struct):
    type: str


_Decoders = Mapping[str, msgspec.json.Decoder[Any]]


def _decoders(*kinds: type[Message]) -> _Decoders:
    return {str(kind.__struct_config__.tag): msgspec.json.Decoder(kind) for kind in kinds}


_ENCODER = msgspec.json.Encoder()
_KIND = msgspec.json.Decoder(_Kind)
_BOTH = (ConfigureSuccess, ConfigureFailure)
_NOVA = _decoders(Results, SpeechStarted, UtteranceEnd, Metadata, NovaError, *_BOTH)
_FLUX = _decoders(Connected, TurnInfo, FluxWarning, FluxError, *_BOTH)


def _decode(text: str | bytes, decoders: _Decoders) -> Any:
    try:
        kind = _KIND.decode(text).type
        decoder = decoders.get(kind)
        return Unknown(kind[:64]) if decoder is None else decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return Malformed(_reason(error))


def _reason(error: Exception) -> str:
    """A `UnicodeError` quotes what it could not encode."""
    return str(error) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
