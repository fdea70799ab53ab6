"""Flux on `/v2/listen`, simulated: the turns that it makes of the words that it heard. Pure.

    no turn    --a word-->            the turn has begun                               StartOfTurn
    the turn   --some silence-->      it may be over (with `eager_eot_threshold`)      EagerEndOfTurn
    eager      --a word-->            it is not                                        TurnResumed
    the turn   --more silence-->      it is over; so it is by `eot_timeout_ms`, or when asked to      EndOfTurn

How sure Flux is that a turn is over is made to depend on the silence alone, so that tests can tell when it will say so.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from evaa.simulators.deepgram.handshake import (
    FLUX_LANGUAGES,
    MAX_FLUX_KEYTERMS,
    Params,
    last,
    threshold_error,
)
from evaa.simulators.deepgram.listener import EPSILON_S, Close, HeardWord, Out, Say, decode_message
from evaa.simulators.deepgram.script import Fault

CONFIDENCE = ((0.0, 0.02), (0.2, 0.4), (0.45, 0.7), (0.8, 0.85), (1.2, 0.9), (3.0, 0.95), (10.0, 0.99))
"""How sure Flux is after so many seconds of silence that the turn is over; straight lines between."""

MAX_PENDING_CONFIGURES = 1

_NO_TURN = "Received ForceEndTurn while no turn was active; the request was ignored."
_UNPARSABLE = "Text message received from client did not match any of the formats we expect."


class FluxHabits(msgspec.Struct, frozen=True, kw_only=True):
    """What cannot be asked for, in seconds: how often an `Update` comes if nothing else does, and how long a client may
    send nothing at all, not even a ping."""

    update_every_s: float = 0.24
    idle_s: float = 60.0


class _Thresholds(msgspec.Struct, forbid_unknown_fields=True):
    eager_eot_threshold: float | None = None
    eot_threshold: float | None = None
    eot_timeout_ms: int | None = None


class _Configure(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    thresholds: _Thresholds | None = None
    keyterms: list[str] | None = None
    language_hints: list[str] | None = None
    numerals: bool | None = None


class _Bare(msgspec.Struct, forbid_unknown_fields=True):
    type: str


class _Settings(msgspec.Struct, frozen=True):
    """What a client can change while it talks."""

    eot: float
    eager: float | None
    timeout_ms: int
    keyterms: Sequence[str]
    language_hints: Sequence[str]
    numerals: bool


def confidence_after(silence_s: float) -> float:
    """Return how sure Flux is that a turn is over."""
    for (from_s, low), (to_s, high) in pairwise(CONFIDENCE):
        if silence_s < to_s:
            return round(low + (high - low) * max(0.0, silence_s - from_s) / (to_s - from_s), 4)
    return CONFIDENCE[-1][1]


class FluxListener:
    """See `Listener`."""

    flushed_by = frozenset({"CloseStream"})
    ends_at_empty_audio = False

    def __init__(self, params: Params, request_id: str, fault: Fault, habits: FluxHabits, now: float) -> None:
        self._habits = habits
        self._fault = fault
        self._request_id = request_id
        self._is_multi = last(params, "model") == "flux-general-multi"
        self._settings = _Settings(
            eot=float(last(params, "eot_threshold", "0.7")),
            eager=float(last(params, "eager_eot_threshold")) if "eager_eot_threshold" in params else None,
            timeout_ms=int(last(params, "eot_timeout_ms", "5000")),
            keyterms=params.get("keyterm", ()),
            language_hints=params.get("language_hint", ()),
            numerals=last(params, "numerals") == "true",
        )
        self._sequence_id = 0
        self._clock_s = 0.0
        self._silence_s = 0.0
        self._said_at_s = 0.0
        self._turn_index = 0
        self._turn_start_s = 0.0
        self._words: list[HeardWord] = []
        self._told = 0  # how many of the words the client was told
        self._is_eager = False
        self._last_message_s = now
        self._configures_due_s: list[float] = []

    def open(self, now: float) -> Sequence[Out]:
        """See `Listener`."""
        if self._fault.no_connected:
            return ()
        return [self._say({"type": "Connected", "request_id": self._request_id})]

    @property
    def deadline(self) -> float:
        """See `Listener`. Pings count."""
        return self._last_message_s + self._habits.idle_s

    def expire(self, now: float) -> Sequence[Out]:
        """See `Listener`. Nobody wrote down how the real one closes."""
        return [Close(None)]

    def alive(self, now: float) -> None:
        """See `Listener`."""
        self._last_message_s = now

    def fail(self, code: str) -> Sequence[Out]:
        """See `Listener`."""
        description = _UNPARSABLE if code == "UNPARSABLE_CLIENT_MESSAGE" else "An internal server error occurred."
        return [self._say({"type": "Error", "code": code, "description": description}), Close(None)]

    def audio(self, now: float, *, was_decodable: bool) -> Sequence[Out]:
        """See `Listener`. What the real one does about undecodable audio is not known: this one says nothing."""
        self._last_message_s = now
        return ()

    # --- the audio clock ----------------------------------------------------------------------------------------

    def advance(self, clock_s: float, words: Sequence[HeardWord], voice_s: float) -> Sequence[Out]:
        """See `Listener`."""
        self._clock_s = clock_s
        said = self._hear(words) if words else []
        self._silence_s = clock_s - max(voice_s, self._words[-1].end_s if self._words else 0.0)
        if self._words and not words:
            said += self._judge_silence()
        if not said and clock_s - self._said_at_s >= self._habits.update_every_s - EPSILON_S:
            said.append(self._turn_info("Update"))
        return said

    def _hear(self, words: Sequence[HeardWord]) -> list[Out]:
        event = "TurnResumed" if self._is_eager else None if self._words else "StartOfTurn"
        self._words += words
        self._silence_s = 0.0
        self._is_eager = False
        return [self._turn_info(event)] if event else []

    def _judge_silence(self) -> list[Out]:
        settings, confidence = self._settings, confidence_after(self._silence_s + EPSILON_S)
        said: list[Out] = []
        if settings.eager is not None and not self._is_eager and confidence >= settings.eager:
            self._is_eager = True
            said.append(self._turn_info("EagerEndOfTurn"))
        if confidence >= settings.eot:
            said.append(self._end_turn("model"))
        elif self._silence_s * 1000 >= settings.timeout_ms - EPSILON_S:
            said.append(self._end_turn("timeout"))
        return said

    def _end_turn(self, trigger: str) -> Say:
        said = self._turn_info("EndOfTurn", trigger)
        self._turn_index += 1
        self._turn_start_s = self._clock_s
        self._words = []
        self._is_eager = False
        return said

    # --- control messages ---------------------------------------------------------------------------------------

    def control(self, text: str, words: Sequence[HeardWord], now: float) -> Sequence[Out]:
        """See `Listener`. What is no proper message is fatal."""
        self._last_message_s = now
        message = decode_message(text)
        answers: dict[Any, Callable[[], Sequence[Out]]] = {
            "ForceEndTurn": self._force_end_turn,
            "CloseStream": lambda: self._close_stream(words),
            "Configure": lambda: self._configure(text, now),
        }
        kind = message.get("type") if message is not None else None
        answer = answers.get(kind) if isinstance(kind, str) else None
        try:
            if answer is not None:
                if kind != "Configure":
                    msgspec.json.decode(text, type=_Bare)
                return answer()
        except msgspec.DecodeError:
            pass
        return self.fail("UNPARSABLE_CLIENT_MESSAGE")

    def _force_end_turn(self) -> Sequence[Out]:
        """End the turn with what the client was told of it; nothing is decoded for the occasion, as documented."""
        if self._fault.no_finish_answer:
            return ()
        if self._words:
            del self._words[self._told :]
            return [self._end_turn("manual")]
        warning = {"type": "Warning", "request_id": self._request_id, "code": "FORCE_END_TURN_NO_ACTIVE_TURN"}
        return [self._say(warning | {"description": _NO_TURN})]

    def _close_stream(self, words: Sequence[HeardWord]) -> Sequence[Out]:
        said = self._hear(words) if words else []
        return [*(said or [self._turn_info("Update")]), Close(None)]

    def _configure(self, text: str, now: float) -> Sequence[Out]:
        asked = msgspec.json.decode(text, type=_Configure)
        self._configures_due_s = [due_s for due_s in self._configures_due_s if due_s > now]
        settings = self._changed(asked)
        error = self._refuse(settings)
        self._configures_due_s.append(now + self._fault.result_delay_s)
        if error is not None:
            failure = {"type": "ConfigureFailure", "request_id": self._request_id, "code": error[0]}
            return [self._say(failure | {"description": error[1]})]
        self._settings = settings
        success = {
            "type": "ConfigureSuccess",
            "request_id": self._request_id,
            "thresholds": _thresholds(settings),
            "keyterms": list(settings.keyterms),
            "language_hints": list(settings.language_hints),
            "numerals": settings.numerals,
        }
        return [self._say(success)]

    def _changed(self, asked: _Configure) -> _Settings:
        thresholds = asked.thresholds or _Thresholds()
        changes = {
            "eot": thresholds.eot_threshold,
            "eager": thresholds.eager_eot_threshold,
            "timeout_ms": thresholds.eot_timeout_ms,
            "keyterms": asked.keyterms,
            "language_hints": asked.language_hints,
            "numerals": asked.numerals,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        return msgspec.structs.replace(self._settings, **given)

    def _refuse(self, settings: _Settings) -> tuple[str, str] | None:
        """Return the code and the description of what is wrong. Only the first code is known from the real one."""
        if error := threshold_error(settings.eot, settings.eager, settings.timeout_ms):
            return "INVALID_THRESHOLD", error
        if len(self._configures_due_s) >= MAX_PENDING_CONFIGURES:
            return "TOO_MANY_PENDING", "Too many pending Configure messages"
        if len(settings.keyterms) > MAX_FLUX_KEYTERMS:
            return "TOO_MANY_KEYTERMS", f"at most {MAX_FLUX_KEYTERMS} keyterms are allowed"
        if settings.language_hints and not self._is_multi:
            return "INVALID_LANGUAGE_HINTS", "language_hints are not supported for model flux-general-en"
        if any(hint.partition("-")[0] not in FLUX_LANGUAGES for hint in settings.language_hints):
            return "INVALID_LANGUAGE_HINTS", "unsupported language hint"
        return None

    # --- messages -----------------------------------------------------------------------------------------------

    def _turn_info(self, event: str, trigger: str | None = None) -> Say:
        self._said_at_s = self._clock_s
        words, self._told = tuple(self._words), len(self._words)
        message = {
            "type": "TurnInfo",
            "request_id": self._request_id,
            "event": event,
            "turn_index": self._turn_index,
            "audio_window_start": round(self._turn_start_s, 3),
            "audio_window_end": round(self._clock_s, 3),
            "transcript": " ".join(word.text for word in words),
            "words": [self._word(word) for word in words],
            "end_of_turn_confidence": confidence_after(self._silence_s) if words else 0.01,
        }
        if trigger is not None:
            message["trigger"] = trigger
        if self._is_multi:
            message |= {"languages": ["en"] if words else [], "languages_hinted": list(self._settings.language_hints)}
        return self._say(message, words if event == "EndOfTurn" else ())

    def _word(self, word: HeardWord) -> dict[str, Any]:
        told: dict[str, Any] = {"word": word.text, "confidence": 0.95}
        return told if self._fault.no_word_times else told | {"start": word.start_s, "end": word.end_s}

    def _say(self, message: dict[str, Any], final: tuple[HeardWord, ...] = ()) -> Say:
        message["sequence_id"] = self._sequence_id
        self._sequence_id += 1
        return Say(message, final)


def _thresholds(settings: _Settings) -> dict[str, float]:
    told = {"eot_threshold": settings.eot, "eot_timeout_ms": settings.timeout_ms}
    return told if settings.eager is None else told | {"eager_eot_threshold": settings.eager}
