"""Whole conversations with Deepgram, replayed: what the provider says, and what a client must make of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evaa.stt.flux_endpointing import FluxEndpointing
from evaa.stt.nova_endpointing import NovaEndpointing
from protocols.deepgram import closure, flux_failure, refusal
from protocols.deepgram_messages import (
    FluxError,
    FluxMessage,
    Malformed,
    NovaMessage,
    Results,
    Unknown,
    UtteranceEnd,
    decode_flux,
    decode_nova,
)
from protocols.ports import SttLost, SttRefused
from protocols.speech import Eager, Final, Heard, Resumed

FILE = Path(__file__).parent.parent / "protocols" / "deepgram_transcripts.json"
SEQUENCES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))["sequences"]

CAUSES = {"CloseStream": "concluded", "client: last Update": "concluded"}
"""What the transcripts call an end, where the endpointing calls it otherwise."""

CLOSED = {"normal": type(None), "abnormal": SttLost, "fatal": SttLost, "permanent": SttRefused}


class Replay:
    """One sequence, on its own clock, as the shell would go through it."""

    def __init__(self, sequence: dict[str, Any]) -> None:
        self.is_v2 = sequence["api"] == "v2"
        self.nova = NovaEndpointing()
        self.flux = FluxEndpointing()
        self.heard: list[Heard] = []
        self.said: list[tuple[NovaMessage | FluxMessage, Sequence[Heard]]] = []
        self.refusals: dict[str, bool] = {}
        self.deadlines: list[float | None] = []
        self.closed: object = "open"
        self._asked = False
        (self.flux if self.is_v2 else self.nova).connected(0.0)
        for message in sequence["messages"]:
            self.now = message["t_ms"] / 1000
            self._tick_until(self.now)
            getattr(self, f"_{message['kind']}")(message)
        if self.closed == "open":
            self._tick_until(self.now + 10.0)

    def _tick_until(self, now: float) -> None:
        endpointing = self.flux if self.is_v2 else self.nova
        while endpointing.deadline is not None and endpointing.deadline <= now:
            self.heard += endpointing.tick(endpointing.deadline)

    def _audio_span(self, message: dict[str, Any]) -> None:
        pass

    def _http_response(self, message: dict[str, Any]) -> None:
        if message["status"] != 101:
            headers = [(name.encode(), value.encode()) for name, value in message["headers"].items()]
            error = refusal(message["status"], headers, json.dumps(message["body"]).encode())
            assert message["headers"]["dg-request-id"] in str(error)
            is_retryable = isinstance(error, SttLost)
            assert self.refusals.setdefault(str(message["status"]), is_retryable) == is_retryable

    def _text(self, message: dict[str, Any]) -> None:
        if message["dir"] == "c2s":
            return self._control(message["msg"]["type"])
        return self._flux(message["msg"]) if self.is_v2 else self._nova(message["msg"])

    def _control(self, kind: str) -> None:
        self._asked = self._asked or kind == "CloseStream"
        if kind in ("Finalize", "ForceEndTurn"):
            # All the audio counts as heard: it is asked at once, as it was here.
            self.heard += (self.flux if self.is_v2 else self.nova).finish(self.now, 0.0)
            self.deadlines.append((self.flux if self.is_v2 else self.nova).deadline)

    def _nova(self, message: dict[str, Any]) -> None:
        decoded = decode_nova(json.dumps(message))
        self._hear(decoded, self.nova.receive(decoded, self.now))

    def _flux(self, message: dict[str, Any]) -> None:
        decoded = decode_flux(json.dumps(message))
        if isinstance(decoded, FluxError):
            self.closed = flux_failure(decoded)
        self._hear(decoded, self.flux.receive(decoded, self.now))

    def _hear(self, message: NovaMessage | FluxMessage, heard: Sequence[Heard]) -> None:
        assert not isinstance(message, Unknown | Malformed)
        self.said.append((message, heard))
        self.heard += heard

    def _close(self, message: dict[str, Any]) -> None:
        endpointing = self.flux if self.is_v2 else self.nova
        meaning = closure("flux" if self.is_v2 else "nova", message["code"], message["reason"], asked=self._asked)
        if self.closed == "open":
            self.closed = meaning
        self.heard += endpointing.conclude() if meaning is None else endpointing.disconnected()

    @property
    def turns(self) -> list[tuple[str, str]]:
        return [(event.text, event.cause) for event in self.heard if isinstance(event, Final)]

    @property
    def speculation(self) -> list[str]:
        return [
            "start" if isinstance(event, Eager) else "cancel" if isinstance(event, Resumed) else "commit"
            for event in self.heard
            if isinstance(event, Eager | Resumed | Final)
        ]

    def ignored(self, what: str) -> bool:
        """Whether all that the transcripts call so meant nothing."""
        matching = [heard for message, heard in self.said if is_called(message, what)]
        assert matching, what
        return not any(matching)


def is_called(message: NovaMessage | FluxMessage, what: str) -> bool:
    match what:
        case "UtteranceEnd":
            return isinstance(message, UtteranceEnd)
        case "UtteranceEnd(stale)":
            return isinstance(message, UtteranceEnd) and message.last_word_end > 0
        case "UtteranceEnd(-1)":
            return isinstance(message, UtteranceEnd) and message.last_word_end == -1
        case "empty from_finalize":
            return isinstance(message, Results) and message.from_finalize and not message.best.transcript
        case "Warning FORCE_END_TURN_NO_ACTIVE_TURN":
            return type(message).__name__ == "FluxWarning"
    raise AssertionError(what)


def test_there_are_all_of_them() -> None:
    assert len(SEQUENCES) == 26


@pytest.mark.parametrize("sequence", SEQUENCES, ids=[sequence["id"] for sequence in SEQUENCES])
def test_a_conversation_with_deepgram_means_what_it_should(sequence: dict[str, Any]) -> None:
    replay = Replay(sequence)
    expected = sequence["expected_client_outcome"]
    if "watchdog" not in expected:  # what is heard there is not over
        ends = [(turn["text"], turn.get("ended_by") or turn["trigger"]) for turn in expected.get("turns", [])]
        assert replay.turns == [(text, CAUSES.get(cause, cause)) for text, cause in ends]
    if "speculation" in expected:
        assert replay.speculation == [step.split()[0] for step in expected["speculation"]]
    assert all(replay.ignored(what) for what in expected.get("ignored", []))
    assert replay.refusals == expected.get("retryable", {})
    if expected.get("closed"):
        assert isinstance(replay.closed, CLOSED[expected["closed"]])
    elif "closed" in expected:
        assert replay.closed == "open"
    if expected.get("client_timeout_required"):
        assert replay.deadlines == [4.0]


def test_a_turn_that_stalls_is_still_open() -> None:
    sequence = next(sequence for sequence in SEQUENCES if sequence["id"] == "v2_silent_stall")
    replay = Replay(sequence)
    assert replay.turns == []
    assert replay.flux.covered_s == 0.0
    replay.flux.disconnected()
    assert [event.text for event in replay.flux.conclude() if isinstance(event, Final)] == ["Uh"]
