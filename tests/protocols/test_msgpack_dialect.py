"""`evaa.v2.msgpack`: the typed frames in binary messages. What EVAA sends in it is tested with the JSON frames."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dialects import DIALECTS, TYPED_JSON, TYPED_MSGPACK, WrongKind
from protocols.frontend import Audio, ClientFrame, FrameRefused, Ping, Pong
from tests.protocols.test_frontend import CLIENT_FRAMES, JSON_VALUES, START, TEXTS

msgpack, typed = DIALECTS[TYPED_MSGPACK], DIALECTS[TYPED_JSON]
pack = msgspec.msgpack.encode

BIG_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)


def refused(message: bytes) -> FrameRefused:
    with pytest.raises(FrameRefused) as refusal:
        msgpack.decode(message)
    assert refusal.value.code == "bad_frame"
    assert len(refusal.value.message) < 400
    return refusal.value


@given(CLIENT_FRAMES.filter(lambda frame: not isinstance(frame, Ping)) | st.builds(Ping, TEXTS | BIG_NUMBERS))
def test_a_frame_that_is_sent_is_the_frame_that_is_read(frame: ClientFrame) -> None:
    assert msgpack.decode(pack(frame)) == (frame,)


@given(st.binary(max_size=4_096))
def test_audio_is_a_frame_and_arrives_byte_by_byte(data: bytes) -> None:
    assert msgpack.decode(pack({"type": "audio", "data": data})) == (Audio(data),)


@pytest.mark.parametrize(
    "message",
    [
        START,
        {"type": "start"},
        {"type": "text", "text": "Hello", "id": "a1"},
        {"type": "endOfSpeech"},
        {"type": "interrupt", "unknown": [{"a": b"b"}]},
        {"type": "export", "format": "n8n"},
        {"type": "ping", "t": 1.5},
    ],
    ids=lambda message: message["type"],
)
def test_the_frames_are_those_of_the_json_dialect(message: dict[str, Any]) -> None:
    in_json = {key: value for key, value in message.items() if key != "unknown"}
    assert msgpack.decode(pack(message)) == typed.decode(msgspec.json.encode(in_json).decode())


def test_there_are_no_text_messages() -> None:
    for message in ("", '{"type": "ping"}', "\ud800"):
        with pytest.raises(WrongKind, match=r"evaa\.v2\.msgpack has binary messages only"):
            msgpack.decode(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        pack(None),
        pack([]),
        pack("text"),
        pack({}),
        pack({"type": 5}),
        pack({"type": "nothing"}),
        pack({"type": "reply", "turn": 1}),
        pack({"type": "text"}),
        pack({"type": "text", "text": b"bytes"}),
        pack({"type": "audio", "data": 5}),
        pack({"type": "audio", "data": "QUFB"}),
        pack({"type": "audio"}),
        pack({"type": "export", "format": "pdf"}),
        pack({"type": "ping", "t": True}),
        pack({"type": "ping", "t": "x" * 129}),
        pack({"type": "start", "audio": {"container": "raw", "codec": "opus", "sampleRate": 1e99}}),
        pack({"type": "start", "audio": [1]}),
        pack({"type": "ping"})[:-1],
        pack({"type": "ping"}) + b"\x00",
        b"\x82\xa4type\xa4text\xa4text\xa2\xff\xfe",  # not UTF-8
        b"\x82\xa4type\xa4ping\xa1x" + b"\x91" * 100_000,  # nested without end
        b"\x82\xa4type\xa4ping\xa1x\xdd\xff\xff\xff\xff",  # a list said to have four thousand million members
        b"\x82\xa4type\xa5audio\xa4data\xc6\xff\xff\xff\xff",
        b"\xc1",  # never used (the MessagePack specification, "formats")
        b'{"type": "ping"}',
    ],
    ids=lambda message: repr(message[:40]),
)
def test_a_message_that_makes_no_sense_is_refused_with_what_would(message: bytes) -> None:
    told = refused(message).message
    assert "a frame is one MessagePack map whose type is one of audio, start, text, endOfSpeech" in told


def test_a_refusal_names_the_place() -> None:
    assert r"$.text" in refused(pack({"type": "text", "text": 5})).message


def _packed(value: object) -> bytes:
    try:
        return pack(value)
    except OverflowError:  # a number that MessagePack does not have
        return b""


MESSAGES = st.binary(max_size=64) | JSON_VALUES.map(_packed) | CLIENT_FRAMES.map(_packed)


@given(MESSAGES, st.binary(max_size=3), st.integers(0, 64))
def test_any_bytes_are_frames_or_refused(message: bytes, noise: bytes, place: int) -> None:
    try:
        frames = msgpack.decode(message[:place] + noise + message[place + len(noise) :])
    except FrameRefused:
        return
    assert all(isinstance(frame, ClientFrame) for frame in frames)


@given(TEXTS | BIG_NUMBERS)
def test_whatever_ping_was_read_its_pong_can_be_written(t: str | float) -> None:
    (ping,) = msgpack.decode(pack({"type": "ping", "t": t}))
    assert isinstance(ping, Ping)
    message = msgpack.encode(Pong(t=ping.t))
    assert isinstance(message, bytes)
    assert msgspec.msgpack.decode(message)["t"] == t
