"""The frontend's wire contract: names, dialects, and what is refused. The names here are the spec's, spelled out."""

import base64
import json
import math
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dialects import DIALECTS, PLAIN, TYPED_JSON, TYPED_MSGPACK, Dialect, choose_dialect
from protocols.frontend import (
    Audio,
    AudioFormat,
    ClientFrame,
    CloseCode,
    EndOfSpeech,
    ErrorCode,
    Export,
    FrameRefused,
    Interrupt,
    Ping,
    Pong,
    ServerFrame,
    Start,
    Text,
    parse_session_id,
)
from tests.evaa.interviews import SESSION_ID

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
NUMBERS = st.one_of(st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False))
plain, typed = DIALECTS[PLAIN], DIALECTS[TYPED_JSON]


def encoded(dialect: Dialect, frame: ServerFrame) -> dict[str, Any]:
    message = dialect.encode(frame)
    assert isinstance(message, str)
    loaded = json.loads(message)
    assert isinstance(loaded, dict)
    return loaded


# --- what a client sends, typed ---------------------------------------------------------------------------------

START = {
    "type": "start",
    "sessionId": SESSION_ID,
    "audio": {"container": "raw", "codec": "linear16", "sampleRate": 16_000, "channels": 1},
    "language": "de",
    "replay": True,
}


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        (START, Start(SESSION_ID, AudioFormat("raw", "linear16", 16_000, 1), "de", True)),
        ({"type": "start"}, Start()),
        ({"type": "start", "audio": {"container": "webm", "codec": "opus"}}, Start(audio=AudioFormat("webm", "opus"))),
        ({"type": "text", "text": "Hello"}, Text("Hello")),
        ({"type": "text", "text": "", "id": "a1"}, Text("", "a1")),
        ({"type": "endOfSpeech"}, EndOfSpeech()),
        ({"type": "interrupt"}, Interrupt()),
        *(({"type": "export", "format": form}, Export(form)) for form in ("markdown", "html", "docx", "json", "n8n")),
        ({"type": "ping", "t": 12}, Ping(12)),
        ({"type": "ping", "t": "x"}, Ping("x")),
        ({"type": "ping"}, Ping()),
        ({"type": "interrupt", "unknown": [1]}, Interrupt()),
    ],
)
def test_the_frames_of_a_typed_client(message: dict[str, Any], frame: ClientFrame) -> None:
    assert typed.decode(json.dumps(message)) == (frame,)


CLIENT_FRAMES: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(Text, TEXTS, st.none() | TEXTS),
    st.builds(Ping, st.none() | TEXTS | NUMBERS),
    st.builds(Export, st.sampled_from(["markdown", "html", "docx", "json", "n8n"])),
    st.builds(
        Start,
        st.none() | TEXTS,
        st.none()
        | st.builds(
            AudioFormat,
            st.sampled_from(["webm", "ogg", "raw"]),
            st.sampled_from(["opus", "linear16"]),
            st.none() | st.integers(0, 10**6),
            st.none() | st.integers(0, 9),
        ),
        st.none() | TEXTS,
        st.booleans(),
    ),
    st.sampled_from([EndOfSpeech(), Interrupt()]),
)  # fmt: skip


@given(CLIENT_FRAMES)
def test_a_typed_frame_that_is_sent_is_the_frame_that_is_read(frame: ClientFrame) -> None:
    assert typed.decode(msgspec.json.encode(frame).decode()) == (frame,)


@given(st.binary())
def test_a_binary_message_is_audio_in_both_dialects(data: bytes) -> None:
    assert plain.decode(data) == typed.decode(data) == (Audio(data),)


# --- what a client sends, plain ---------------------------------------------------------------------------------


@given(st.none() | st.binary(), st.none() | TEXTS, st.none() | TEXTS)
def test_a_plain_message_binds_then_carries_audio_then_text(
    audio: bytes | None, text: str | None, session_id: str | None
) -> None:
    chunk = None if audio is None else base64.b64encode(audio).decode()
    message = {"audioChunk": chunk, "textPrompt": text, "sessionId": session_id, "somethingElse": {"a": 1}}
    expected: list[ClientFrame] = [Start(session_id)]
    expected += [Audio(audio)] if audio else []  # an empty chunk is dropped
    expected += [] if text is None else [Text(text)]
    assert plain.decode(json.dumps(message)) == tuple(expected)


def test_a_plain_message_may_leave_out_every_key() -> None:
    assert plain.decode("{}") == (Start(),)


@pytest.mark.parametrize(
    "chunk", ["a", "a===", "****", "YQ", "YQ=", "YQ==\n", "Y Q==", "é", "-_-_", "YQ==YQ==", "=YQ="]
)
def test_audio_that_is_not_base64_is_refused(chunk: str) -> None:
    with pytest.raises(FrameRefused, match="base64") as refused:
        plain.decode(json.dumps({"audioChunk": chunk}))
    assert (refused.value.code, refused.value.retryable) == ("bad_frame", False)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        '{"sessionId": 5, "type": 5}',
        '{"sessionId": true, "type": "audio", "data": ""}',
        '{"textPrompt": {}, "type": "nothing"}',
        '{"audioChunk": 1, "type": "text"}',
        '{"audioChunk": 1, "type": "export", "format": "pdf"}',
        '{"audioChunk": 1, "type": "start", "audio": {"container": "mp4", "codec": "opus"}}',
        '{"audioChunk": 1, "type": "start", "audio": {"container": "raw", "codec": "opus", "sampleRate": 1e99}}',
        '{"textPrompt": 1e400, "type": "ping", "t": 1e400}',
        '{"textPrompt": 1, "type": "ping", "t": ' + "1" * 5_000 + "}",
        '{"textPrompt": 1, "type": "ping", "t": true}',
        '{"textPrompt": "\\ud800", "type": "text", "text": "\\ud800"}',
        '{"textPrompt": 1, "type": "text", "text": "' + "\ud800" + '"}',
        '{"textPrompt": ' + "[" * 100_000,
        '{"a":' * 100_000,
        '{"textPrompt": 1} {}',
    ],
    ids=lambda message: message[:40].encode("unicode_escape").decode(),
)
def test_a_message_that_makes_no_sense_is_refused_with_what_would(message: str) -> None:
    for dialect in (plain, typed):
        with pytest.raises(FrameRefused) as refused:
            dialect.decode(message)
        assert refused.value.code == "bad_frame"
        assert "a frame is one JSON object" in refused.value.message
        assert len(refused.value.message) < 400


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(FrameRefused, match=r"textPrompt"):
        plain.decode('{"textPrompt": 5}')
    with pytest.raises(FrameRefused, match=r"\$\.text.*start, text, endOfSpeech, interrupt, export, ping"):
        typed.decode('{"type": "text", "text": 5}')


@given(st.one_of(st.text(st.characters()), JSON_VALUES.map(json.dumps)))
def test_any_text_is_frames_or_refused(message: str) -> None:
    for dialect in (plain, typed):
        try:
            frames = dialect.decode(message)
        except FrameRefused:
            continue
        assert all(isinstance(frame, ClientFrame) for frame in frames)


@given(TEXTS | NUMBERS)
def test_whatever_ping_was_read_its_pong_can_be_written(t: str | float) -> None:
    (ping,) = typed.decode(json.dumps({"type": "ping", "t": t}))
    assert isinstance(ping, Ping)
    told = encoded(typed, Pong(t=ping.t))["t"]
    assert told == t or math.isclose(told, float(t))


# --- session ids, dialects, codes -------------------------------------------------------------------------------


@given(st.from_regex(r"[0-9a-fA-F]{24}", fullmatch=True))
def test_a_session_id_has_one_spelling(text: str) -> None:
    assert parse_session_id(text) == text.lower() == parse_session_id(text.upper())


@pytest.mark.parametrize(
    "text", ["", "0" * 23, "0" * 25, "g" * 24, "0" * 24 + "\n", " " + "0" * 23, "\u0660" * 24, "0x" + "0" * 22]
)
def test_what_is_no_session_id_is_refused(text: str) -> None:
    with pytest.raises(FrameRefused, match="24 hexadecimal digits") as refused:
        parse_session_id(text)
    assert refused.value.code == "bad_session_id"


@given(st.text(st.characters(), max_size=26))
def test_only_twenty_four_hexadecimal_digits_are_a_session_id(text: str) -> None:
    try:
        session_id = parse_session_id(text)
    except FrameRefused:
        return
    assert len(session_id) == 24
    assert set(session_id) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), PLAIN),
        ((PLAIN,), PLAIN),
        ((TYPED_JSON,), TYPED_JSON),
        (("evaa.v2.msgpack",), TYPED_MSGPACK),
        ((TYPED_MSGPACK, TYPED_JSON), TYPED_MSGPACK),
        ((TYPED_JSON, PLAIN), TYPED_JSON),
        ((PLAIN, TYPED_JSON), PLAIN),
        (("evaa.v9.json", TYPED_JSON), TYPED_JSON),
        (("evaa.token.abc",), PLAIN),
        (("evaa.token.abc", TYPED_JSON), TYPED_JSON),
        (("evaa.v9.json",), None),
        (("evaa.v9.json", "evaa.token.abc"), None),
        (("EVAA.V2.JSON",), None),
    ],
)
def test_the_first_known_dialect_that_is_offered_is_chosen(offered: tuple[str, ...], chosen: str | None) -> None:
    dialect = choose_dialect(offered)
    assert (dialect and dialect.name) == chosen


def test_the_codes_are_those_of_the_spec() -> None:
    assert set(get_args(ErrorCode)) == {
        "bad_frame", "bad_session_id", "session_mismatch", "not_bound", "bad_audio", "audio_overflow",
        "stt_unavailable", "text_too_long", "rate_limited", "agent_unavailable", "storage_unavailable", "not_complete",
        "internal",
    }  # fmt: skip
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}
    assert codes <= {1000, 1001, 1003, 1007, 1009, 1011, 1013, 4400, 4401, 4403, 4408, 4409, 4413}
