"""What is said on a Deepgram connection. The spellings here are Deepgram's, spelled out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.deepgram_messages import (
    CLOSE_STREAM,
    FINALIZE,
    FORCE_END_TURN,
    KEEP_ALIVE,
    ConfigureFailure,
    ConfigureSuccess,
    Connected,
    FluxError,
    FluxMessage,
    FluxWarning,
    Malformed,
    Metadata,
    NovaError,
    NovaMessage,
    Results,
    SpeechStarted,
    TurnInfo,
    Unknown,
    UtteranceEnd,
    Word,
    configure,
    decode_flux,
    decode_nova,
)

RESULTS: dict[str, Any] = {
    "type": "Results", "channel_index": [0, 1], "duration": 3.32, "start": 0.5, "is_final": True, "speech_final": True,
    "channel": {"alternatives": [{"transcript": "I led.", "confidence": 0.98, "words": [
        {"word": "i", "start": 0.52, "end": 0.66, "confidence": 0.97, "punctuated_word": "I"},
        {"word": "led.", "start": 0.7, "end": 0.9, "confidence": 0.97}]}]},
    "metadata": {"request_id": "4f0c"}, "from_finalize": False,
}  # fmt: skip
TURN_INFO: dict[str, Any] = {
    "type": "TurnInfo", "request_id": "0b7e", "sequence_id": 11, "event": "EndOfTurn", "turn_index": 2,
    "audio_window_start": 0.0, "audio_window_end": 2.77, "transcript": "I would.",
    "words": [{"word": "I", "confidence": 0.95, "start": 0.5, "end": 0.64}, {"word": "would.", "confidence": 0.93}],
    "end_of_turn_confidence": 0.83, "trigger": "model",
}  # fmt: skip


def nova(message: object) -> NovaMessage:
    return decode_nova(json.dumps(message))


def flux(message: object) -> FluxMessage:
    return decode_flux(json.dumps(message))


# --- what the client says ---------------------------------------------------------------------------------------


def test_control_messages_are_text() -> None:
    said = [json.loads(text) for text in (KEEP_ALIVE, FINALIZE, FORCE_END_TURN, CLOSE_STREAM)]
    assert said == [{"type": kind} for kind in ("KeepAlive", "Finalize", "ForceEndTurn", "CloseStream")]


def test_configure_replaces_the_keyterms() -> None:
    assert json.loads(configure(["Kubernetes", "Zoë"])) == {"type": "Configure", "keyterms": ["Kubernetes", "Zoë"]}
    assert json.loads(configure(())) == {"type": "Configure", "keyterms": []}


# --- v1 ---------------------------------------------------------------------------------------------------------


def test_results() -> None:
    results = nova(RESULTS)
    assert isinstance(results, Results)
    assert (results.start, results.end) == (0.5, 3.82)
    assert (results.is_final, results.speech_final, results.from_finalize) == (True, True, False)
    assert results.best.transcript == "I led."
    assert [word.text for word in results.best.words] == ["I", "led."]
    assert results.best.words[0] == Word("i", "I", 0.52, 0.66)


def test_results_with_the_least_that_they_can_say() -> None:
    results = nova({"type": "Results", "start": 0, "duration": 1, "channel": {}})
    assert isinstance(results, Results)
    assert (results.is_final, results.speech_final, results.from_finalize) == (False, False, False)
    assert (results.best.transcript, results.best.words) == ("", ())


def test_a_word_without_times() -> None:
    alternative = {"transcript": "so", "words": [{"word": "so"}]}
    results = nova({"type": "Results", "start": 0, "duration": 1, "channel": {"alternatives": [alternative]}})
    assert isinstance(results, Results)
    assert results.best.words == (Word("so", None, None, None),)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 9.54}, SpeechStarted(9.54)),
        ({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.395}, UtteranceEnd(2.395)),
        ({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}, UtteranceEnd(-1.0)),
        ({"type": "Metadata", "request_id": "8c8e", "duration": 0.0, "channels": 0}, Metadata("8c8e", 0.0)),
        ({"type": "ConfigureSuccess", "keyterms": ["Deepgram"]}, ConfigureSuccess()),
        ({"type": "ConfigureFailure", "code": "NEW"}, ConfigureFailure("NEW", None)),
        ({"type": "Error", "variant": "SchemaError", "description": "d"}, NovaError("SchemaError", "d")),
        ({"type": "Sync"}, Unknown("Sync")),
        ({"type": "TurnInfo"}, Unknown("TurnInfo")),
    ],
)
def test_the_other_messages_of_v1(message: object, expected: NovaMessage) -> None:
    assert nova(message) == expected


# --- v2 ---------------------------------------------------------------------------------------------------------


def test_turn_info() -> None:
    info = flux(TURN_INFO)
    words = (Word("I", None, 0.5, 0.64), Word("would.", None, None, None))
    assert info == TurnInfo("EndOfTurn", 2, 2.77, 0.0, "I would.", words, "model")


def test_turn_info_with_news() -> None:
    info = flux(
        {"type": "TurnInfo", "event": "TurnMulledOver", "turn_index": 0, "audio_window_end": 1, "mood": [1, {}]}
    )
    assert info == TurnInfo("TurnMulledOver", 0, 1.0)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "Connected", "request_id": "0b7e", "sequence_id": 0}, Connected("0b7e")),
        ({"type": "Warning", "code": "NEW", "description": "d"}, FluxWarning("NEW", "d")),
        (
            {"type": "Error", "code": "INTERNAL_SERVER_ERROR", "description": "d"},
            FluxError("INTERNAL_SERVER_ERROR", "d"),
        ),
        ({"type": "ConfigureSuccess", "thresholds": {}, "sequence_id": 5}, ConfigureSuccess()),
        ({"type": "ConfigureFailure", "sequence_id": 6}, ConfigureFailure(None, None)),
        ({"type": "Results"}, Unknown("Results")),
    ],
)
def test_the_other_messages_of_v2(message: object, expected: FluxMessage) -> None:
    assert flux(message) == expected


# --- what makes no sense ----------------------------------------------------------------------------------------

NONSENSE = [
    "", "null", "[]", "7", '"Results"', "{", "{}", '{"type":null}', '{"type":7}', '{"type":"Results"}',
    '{"type":"Results","start":"0","duration":1,"channel":{}}',
    '{"type":"Results","start":0,"duration":1,"channel":[]}',
    '{"type":"Results","start":1e999,"duration":1,"channel":{}}', '{"type":"UtteranceEnd"}',
    '{"type":"TurnInfo","event":"Update"}', '{"type":"TurnInfo","event":7,"turn_index":0,"audio_window_end":1}',
    '{"type":"\ud800"}', '{"type":"Error","x":' + "[" * 100_000, b"\xff\xfe", b'{"type":"\xff"}',
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_malformed(text: str | bytes) -> None:
    for message in (decode_nova(text), decode_flux(text)):
        assert isinstance(message, Malformed | Unknown)
    assert any(isinstance(message, Malformed) for message in (decode_nova(text), decode_flux(text)))


def test_the_reason_quotes_nothing_that_was_said() -> None:
    secret = "my salary"
    channel = {"alternatives": [{"transcript": secret, "words": [{"word": secret, "start": secret}]}]}
    message = nova({"type": "Results", "start": 0, "duration": 1, "channel": channel})
    assert isinstance(message, Malformed)
    assert "start" in message.reason
    assert secret not in message.reason
    broken = decode_nova('{"type":"Results","transcript":"' + secret + "\ud800")
    assert isinstance(broken, Malformed)
    assert secret not in broken.reason


def test_the_name_of_an_unknown_type_is_short() -> None:
    assert nova({"type": "x" * 1000}) == Unknown("x" * 64)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["Results", "UtteranceEnd", "TurnInfo", "Connected", "Error", "Warning", "Metadata"])


@given(TYPES, st.dictionaries(st.sampled_from([*RESULTS, *TURN_INFO, "last_word_end"]), JSON))
def test_any_message_is_read_without_raising(kind: str, fields: dict[str, object]) -> None:
    for known in (RESULTS, TURN_INFO, {}):
        text = json.dumps({**known, **fields, "type": kind})
        decode_nova(text)
        decode_flux(text)


@given(st.text() | st.binary())
def test_any_text_is_read_without_raising(text: str | bytes) -> None:
    decode_nova(text)
    decode_flux(text)
