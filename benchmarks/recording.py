"""What is said, as a browser cut it, and the messages that it travels in."""

import base64
import json
from collections.abc import Callable

import msgspec

from benchmarks.processes import ROOT

RECORDING = ROOT / "tests/audio/b_long_pause"
"""23 s of Chromium's, in 192 chunks: one every 120 ms, but here they are sent one every 100 ms."""

CHUNK_INTERVAL_S = 0.1

HELD_BACK_BYTES = 2
"""So much of a chunk's end may wait for the next one: Chromium's last byte there begins another block."""

DIALECTS = {"binary": "evaa.v2.json", "base64": "evaa.v1.json", "msgpack": "evaa.v2.msgpack"}
FORMAT = {"container": "webm", "codec": "opus"}


class _Packed(msgspec.Struct):
    data: bytes | None = None


_WRITING_APP = b"WA\x86Chrome"
_NAME_CHARS = 6
_DECODE = msgspec.msgpack.Decoder(_Packed).decode
_ENCODE = msgspec.msgpack.Encoder().encode


def chunks(speaker: str) -> list[bytes]:
    """The recording; its header names who speaks, in at most 6 characters, in place of the browser."""
    recording = RECORDING.with_suffix(".webm").read_bytes()
    assert recording.count(_WRITING_APP) == 1
    recording = recording.replace(_WRITING_APP, _WRITING_APP[:-_NAME_CHARS] + speaker.rjust(_NAME_CHARS).encode())
    cuts = json.loads(RECORDING.with_suffix(".chunks.json").read_text())
    return [recording[cut["offset"] : cut["offset"] + cut["size"]] for cut in cuts]


def packing(dialect: str, session_id: str) -> Callable[[bytes], str | bytes]:
    """What makes a message of a chunk."""
    if dialect == DIALECTS["base64"]:
        return lambda chunk: json.dumps(
            {"audioChunk": base64.b64encode(chunk).decode(), "textPrompt": None, "sessionId": session_id}
        )
    if dialect == DIALECTS["msgpack"]:
        return lambda chunk: _ENCODE({"type": "audio", "data": chunk})
    return lambda chunk: chunk


def unpacking(dialect: str) -> Callable[[str | bytes], bytes | None]:
    """What takes a chunk out of a message again; None if there is none in it."""
    if dialect == DIALECTS["base64"]:
        return lambda message: base64.b64decode(json.loads(message)["audioChunk"] or b"")
    if dialect == DIALECTS["msgpack"]:
        return lambda message: _DECODE(message).data if isinstance(message, bytes) else None
    return lambda message: message if isinstance(message, bytes) else None


def start(dialect: str, session_id: str, *, declares: bool) -> str | bytes:
    """What binds a connection, and declares the audio where the dialect can."""
    if dialect == DIALECTS["base64"]:
        return json.dumps({"audioChunk": None, "textPrompt": None, "sessionId": session_id})
    frame = {"type": "start", "sessionId": session_id, **({"audio": FORMAT} if declares else {})}
    return _ENCODE(frame) if dialect == DIALECTS["msgpack"] else json.dumps(frame)
