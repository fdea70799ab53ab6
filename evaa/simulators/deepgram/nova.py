"""Nova-3 on `/v1/listen`, simulated: when it says what about the words that it heard. Pure.

All but the two time-outs runs on the audio clock, as with the real one: no audio, no end of speech. Results cover the
audio without a gap: each final one begins where the last one ended, and an interim one tells what stands since then.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evaa.simulators.deepgram.handshake import MAX_KEYTERM_TOKENS, Params, keyterm_tokens, last
from evaa.simulators.deepgram.listener import EPSILON_S, Close, HeardWord, Out, Say, decode_message
from evaa.simulators.deepgram.script import Fault

NO_AUDIO = (
    "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
)
NO_RESPONSE = "Deepgram did not provide a response message within the timeout window. See https://dpgr.am/net0000"
KNOWN_TYPES = ("CloseStream", "Configure", "Sync", "KeepAlive", "Finalize")

_CHANNEL = [0, 1]
_CLAUSE_ENDS = (".", ",", "?", "!", ";", ":")
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_MODEL_UUID = "40bd3654-e622-47c4-a111-63a61b23bfe8"
_LITTLE_S = 0.2  # with less than this buffered, Finalize is not answered
_VAD_LAG_S = 0.1
_QUIET_S = 0.5  # a final result without words is not cut closer than this behind a voice
_LONGEST_GAP_S = 1.0  # what a pause between two messages of audio counts for at most


class NovaHabits(msgspec.Struct, frozen=True, kw_only=True):
    """What cannot be asked for, in seconds: how often interim results come, how long a segment of speech grows before
    it becomes final, how long the client may be silent, and how long undecodable audio is endured."""

    interim_every_s: float = 1.0
    segment_s: float = 3.5
    idle_s: float = 10.0
    undecodable_s: float = 12.0


class _Features(msgspec.Struct):
    numerals: bool | None = None


class _Configure(msgspec.Struct):
    keyterms: list[str] | None = None
    features: _Features | None = None


class NovaListener:
    """See `Listener`. `created` is the connection's time as `Metadata` tells it."""

    flushed_by = frozenset({"Finalize", "CloseStream"})
    ends_at_empty_audio = True

    def __init__(
        self, params: Params, request_id: str, created: str, fault: Fault, habits: NovaHabits, now: float
    ) -> None:
        self._habits = habits
        self._fault = fault
        self._request_id = request_id
        self._created = created
        self._is_nova_3 = last(params, "model").startswith("nova-3")
        self._has_interim = last(params, "interim_results") == "true"
        self._has_vad = last(params, "vad_events") == "true"
        self._is_punctuated = "true" in (last(params, "smart_format"), last(params, "punctuate"))
        self._is_multi = last(params, "language") == "multi"
        self._endpointing_s = _endpointing_s(last(params, "endpointing", "10"))
        self._utterance_end_s = int(last(params, "utterance_end_ms", "0")) / 1000
        self._metadata = _result_metadata(request_id, last(params, "model", "base"))
        # The audio.
        self._clock_s = 0.0
        self._voice_s = -1.0
        self._pending: list[HeardWord] = []
        self._final_to_s = 0.0
        self._next_interim_s = habits.interim_every_s
        self._last_word_end_s = -1.0
        self._is_in_utterance = False  # as `UtteranceEnd` sees it, by words
        self._is_speech_open = False  # as `speech_final` sees it, by the voice
        self._speech_told = False
        # The wall clock.
        self._last_message_s = now
        self._last_audio_s: float | None = None
        self._undecodable_s = 0.0
        self._configured_s = now

    def open(self, now: float) -> Sequence[Out]:
        """Say nothing: the 101 was all."""
        return ()

    @property
    def deadline(self) -> float:
        """See `Listener`. A `KeepAlive` helps only once there was audio."""
        return self._last_message_s + self._habits.idle_s

    def expire(self, now: float) -> Sequence[Out]:
        """See `Listener`."""
        return [self._whole_metadata(), Close(1011, NO_AUDIO)]

    def alive(self, now: float) -> None:
        """Nothing: pings do not count on v1."""

    def fail(self, code: str) -> Sequence[Out]:
        """Close: v1 has no fatal error message."""
        return [Close(1011, code)]

    def audio(self, now: float, *, was_decodable: bool) -> Sequence[Out]:
        """See `Listener`."""
        before = now if self._last_audio_s is None else self._last_audio_s
        self._last_audio_s = self._last_message_s = now
        self._undecodable_s = 0.0 if was_decodable else self._undecodable_s + min(now - before, _LONGEST_GAP_S)
        if self._undecodable_s < self._habits.undecodable_s - EPSILON_S:
            return ()
        return [Close(1011, NO_RESPONSE)]

    # --- the audio clock ----------------------------------------------------------------------------------------

    def advance(self, clock_s: float, words: Sequence[HeardWord], voice_s: float) -> Sequence[Out]:
        """See `Listener`."""
        self._clock_s, self._voice_s = clock_s, voice_s
        said: list[Out] = []
        if words:
            said += self._hear(words)
        if not self._fault.withhold_finals:
            said += self._conclude()
        if clock_s >= self._next_interim_s - EPSILON_S:
            self._next_interim_s += self._habits.interim_every_s
            if self._has_interim and clock_s > self._final_to_s:
                said.append(self._results(self._pending, clock_s, is_final=False))
                said += self._end_utterance()
        return said

    def _hear(self, words: Sequence[HeardWord]) -> list[Out]:
        self._pending += words
        self._last_word_end_s = words[-1].end_s
        self._is_in_utterance = self._is_speech_open = True
        if not self._has_vad or self._speech_told:
            return []
        self._speech_told = True
        timestamp = round(words[0].start_s + _VAD_LAG_S, 3)
        return [Say({"type": "SpeechStarted", "channel": _CHANNEL, "timestamp": timestamp})]

    def _conclude(self) -> list[Out]:
        """Return a final result if one is due."""
        if self._is_speech_open and self._is_endpoint:
            self._is_speech_open = False
            has_speech_final = not self._fault.suppress_speech_final
            # All words may be final by now: then the end of speech is told by an empty result.
            is_due = bool(self._pending) or has_speech_final
            return [self._final(self._pending, self._clock_s, speech_final=has_speech_final)] if is_due else []
        begin_s = max(self._final_to_s, self._pending[0].start_s) if self._pending else self._final_to_s
        if self._clock_s - begin_s < self._habits.segment_s:
            return []
        if not self._pending:
            return [self._final((), self._clock_s)] if self._silence_s >= _QUIET_S else []
        count = self._segment_size(begin_s)
        return [self._final(self._pending[:count], self._pending[count - 1].end_s)]

    @property
    def _is_endpoint(self) -> bool:
        return self._endpointing_s is not None and self._silence_s >= self._endpointing_s - EPSILON_S

    def _segment_size(self, begin_s: float) -> int:
        """How many words go into the segment: up to the end of a clause, or else all but the newest; in silence all."""
        if self._silence_s >= _QUIET_S:
            return len(self._pending)
        least_s = begin_s + self._habits.segment_s / 2
        clauses = [
            count
            for count, word in enumerate(self._pending, start=1)
            if word.text.endswith(_CLAUSE_ENDS) and word.end_s >= least_s
        ]
        return clauses[-1] if clauses else max(1, len(self._pending) - 1)

    def _end_utterance(self) -> list[Out]:
        if (
            not self._utterance_end_s
            or not self._is_in_utterance
            or self._silence_s < self._utterance_end_s - EPSILON_S
        ):
            return []
        self._is_in_utterance = False
        return [Say({"type": "UtteranceEnd", "channel": _CHANNEL, "last_word_end": self._last_word_end_s})]

    @property
    def _silence_s(self) -> float:
        return self._clock_s - max(self._voice_s, self._last_word_end_s)

    # --- control messages ---------------------------------------------------------------------------------------

    def control(self, text: str, words: Sequence[HeardWord], now: float) -> Sequence[Out]:
        """See `Listener`. What is no proper message is answered with an error that ends nothing."""
        if self._last_audio_s is not None:
            self._last_message_s = now
        message = decode_message(text)
        match message.get("type") if message is not None else None:
            case "KeepAlive":
                return ()
            case "Finalize":
                return self._finalize(words)
            case "CloseStream":
                return self._close_stream(words)
            case "Configure":
                return self._configure(text, now)
            case kind:
                return [_schema_error(text, kind)]

    def _finalize(self, words: Sequence[HeardWord]) -> Sequence[Out]:
        said = self._hear(words) if words else []
        if self._fault.no_finish_answer:
            return said
        if not self._pending and self._clock_s - self._final_to_s < _LITTLE_S:
            return said
        return [*said, self._final(self._pending, self._clock_s, from_finalize=True)]

    def _close_stream(self, words: Sequence[HeardWord]) -> Sequence[Out]:
        said = self._hear(words) if words else []
        if self._pending:
            said.append(self._final(self._pending, self._clock_s))
        return [*said, self._whole_metadata(), Close(1000)]

    def _configure(self, text: str, now: float) -> Sequence[Out]:
        try:
            asked = msgspec.json.decode(text, type=_Configure)
        except msgspec.DecodeError:
            return [_schema_error(text, "Configure")]
        is_pending = now < self._configured_s
        self._configured_s = max(self._configured_s, now + self._fault.result_delay_s)
        answer: dict[str, Any] = {"type": "ConfigureSuccess", "request_id": self._request_id}
        if asked.keyterms is not None:
            answer["keyterms"] = asked.keyterms
        if is_pending:
            answer = self._failure("CONFIGURE_ALREADY_PENDING", "Another Configure is still pending.")
        elif asked.keyterms is not None and not self._is_nova_3:
            answer = self._failure("CONFIGURE_KEYTERMS_NOT_SUPPORTED", "Keyterms are only supported for Nova-3.")
        elif keyterm_tokens(asked.keyterms or ()) > MAX_KEYTERM_TOKENS:
            limit = "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500."
            answer = self._failure("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", limit)
        return [Say(answer)]

    def _failure(self, code: str, description: str) -> dict[str, Any]:
        return {
            "type": "ConfigureFailure",
            "request_id": self._request_id,
            "code": code,
            "description": description,
        }

    # --- messages -----------------------------------------------------------------------------------------------

    def _final(
        self, words: Sequence[HeardWord], end_s: float, *, speech_final: bool = False, from_finalize: bool = False
    ) -> Say:
        words = list(words)
        said = self._results(words, end_s, is_final=True, speech_final=speech_final, from_finalize=from_finalize)
        del self._pending[: len(words)]
        self._final_to_s = end_s
        self._speech_told = False  # so SpeechStarted comes again within one turn, as it does
        return said

    def _results(
        self,
        words: Sequence[HeardWord],
        end_s: float,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Say:
        spoken = [self._word(word) for word in words]
        name = "punctuated_word" if self._is_punctuated else "word"
        alternative = {
            "transcript": " ".join(word[name] for word in spoken),
            "confidence": 0.98 if words else 0.0,
            "words": spoken,
        }
        if self._is_multi:
            alternative["languages"] = ["en"] if words else []
        message = {
            "type": "Results",
            "channel_index": _CHANNEL,
            "duration": round(end_s - self._final_to_s, 3),
            "start": round(self._final_to_s, 3),
            "is_final": is_final,
            "speech_final": speech_final,
            "channel": {"alternatives": [alternative]},
            "metadata": self._metadata,
            "from_finalize": from_finalize,
        }
        return Say(message, tuple(words) if is_final else ())

    def _word(self, word: HeardWord) -> dict[str, Any]:
        bare = word.text.strip(".,!?;:\"'").lower()
        told: dict[str, Any] = {"word": bare, "start": word.start_s, "end": word.end_s, "confidence": 0.97}
        if self._is_punctuated:
            told["punctuated_word"] = word.text
        return told

    def _whole_metadata(self) -> Say:
        was_heard = self._clock_s > 0
        message = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": _EMPTY_SHA256,
            "created": self._created,
            "duration": round(self._clock_s, 3),
            "channels": 1 if was_heard else 0,
        }
        return Say(message)


def _endpointing_s(text: str) -> float | None:
    return None if text == "false" else int(text) / 1000 if text.isdecimal() else 0.01


def _result_metadata(request_id: str, model: str) -> Mapping[str, Any]:
    name, _, rest = model.partition("-")
    info = {"name": f"general-{model}", "version": "2025-04-17.21547", "arch": f"{name}-{rest}" if rest else name}
    return {"request_id": request_id, "model_info": info, "model_uuid": _MODEL_UUID}


def _schema_error(text: str, kind: Any) -> Say:
    expected = ", ".join(f"`{name}`" for name in KNOWN_TYPES)
    if isinstance(kind, str) and kind not in KNOWN_TYPES:
        problem = f"unknown variant `{kind}`, expected one of {expected}"
    else:
        problem = "invalid message" if isinstance(kind, str) else "missing field `type`"
    description = f"Could not deserialize last text message: {problem} at line 1 column {len(text)}"
    return Say({"type": "Error", "variant": "SchemaError", "description": description, "message": text})
