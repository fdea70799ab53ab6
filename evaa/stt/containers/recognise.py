"""What kind of audio a client sends: told by its first bytes, or by the client where the bytes tell nothing."""

from typing import Protocol

from evaa.stt.containers.events import AudioEvent, Damage
from evaa.stt.containers.ogg import OggParser
from evaa.stt.containers.raw import RawParser
from evaa.stt.containers.webm import WebmParser
from protocols.frontend import AudioFormat

_EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_OGG_MAGIC = b"OggS"
_MAGIC_BYTES = 4
_MP4_BYTES = 8  # the size of a box, then its type

_RAW_RATES = {
    "opus": (8000, 16_000, 24_000, 48_000),  # of Opus' rates those that every provider model takes
    "linear16": (8000, 16_000, 24_000, 44_100, 48_000),
}
_OPUS_RATE = 48_000

_MP4 = (
    "MP4 audio (Safari's default) cannot be transcribed; record audio/webm;codecs=opus where the browser can, "
    "or send raw linear16"
)
_WAVE = (
    "WAVE files cannot be transcribed; declare container raw, codec linear16 and its sampleRate, and send the samples"
)
_UNKNOWN = (
    "the audio is neither WebM nor Ogg: send what MediaRecorder makes of audio/webm;codecs=opus or "
    "audio/ogg;codecs=opus, from its first chunk on, or declare container raw with codec opus or linear16"
)


def check_format(declared: AudioFormat) -> str | None:
    """Return why audio that is declared like this cannot be transcribed, and what would be right; None if it can."""
    if declared.container != "raw":
        if declared.codec == "opus":
            return None
        return f"{declared.container} must carry opus here; send linear16 with container raw and its sampleRate"
    if declared.channels not in (None, 1):
        return f"raw audio must have 1 channel, not {declared.channels}"
    rates = _RAW_RATES[declared.codec]
    if _raw_rate(declared) not in rates:
        told = "none" if declared.sample_rate is None else declared.sample_rate
        return f"sampleRate of raw {declared.codec} must be one of {', '.join(map(str, rates))}, not {told}"
    return None


class _Parser(Protocol):
    @property
    def pending_bytes(self) -> int: ...

    def feed(self, data: bytes) -> list[AudioEvent]: ...


class AudioIntake:
    """Feed it whatever audio a client sends; it gives back what is in it (see `events`).

    Raw audio must be declared; WebM and Ogg are recognised whatever was declared. What is not understood is told once;
    then everything is dropped until a chunk begins like a recording that is. A chunk that begins like a WebM recording
    always begins a new one: browsers that stop a recording leave its last block incomplete.

    Raises `ValueError` for a declaration that `check_format` finds wrong.
    """

    def __init__(self, declared: AudioFormat | None = None) -> None:
        self._parser: _Parser | None = None
        self._begun = b""  # too little to be recognised
        self._is_told = False
        self._is_raw = False
        if declared is not None and (problem := check_format(declared)):
            raise ValueError(problem)
        if declared is not None and declared.container == "raw":
            self._parser = RawParser(declared.codec, _raw_rate(declared) or _OPUS_RATE)
            self._is_raw = True

    @property
    def pending_bytes(self) -> int:
        """How much is kept until more comes."""
        return len(self._begun) + (self._parser.pending_bytes if self._parser else 0)

    def feed(self, data: bytes) -> list[AudioEvent]:
        """Return what `data` completes, in order; nothing for an empty chunk."""
        if self._parser is not None and (self._is_raw or not self._is_another_recording(data)):
            return self._parser.feed(data)
        joined, self._begun = self._begun + data, b""
        for beginning in (joined, data):
            if parser := _parser_for(beginning):
                self._parser, self._is_told = parser, False
                return parser.feed(beginning)
        return self._not_yet(joined)

    def _is_another_recording(self, data: bytes) -> bool:
        if data.startswith(_EBML_MAGIC):
            return True
        return data.startswith(_OGG_MAGIC) and isinstance(self._parser, WebmParser)

    def _not_yet(self, data: bytes) -> list[AudioEvent]:
        """Wait for more, or say what is wrong."""
        may_begin = _EBML_MAGIC.startswith(data) or _OGG_MAGIC.startswith(data)
        if may_begin or (not self._is_told and len(data) < _MP4_BYTES):
            self._begun = data
            return []
        if self._is_told:
            return []
        self._is_told = True
        return [Damage(_reason(data))]


def _parser_for(data: bytes) -> WebmParser | OggParser | None:
    magic = data[:_MAGIC_BYTES]
    if magic == _EBML_MAGIC:
        return WebmParser()
    return OggParser() if magic == _OGG_MAGIC else None


def _reason(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return _MP4
    return _WAVE if data.startswith(b"RIFF") else _UNKNOWN


def _raw_rate(declared: AudioFormat) -> int | None:
    return _OPUS_RATE if declared.codec == "opus" and declared.sample_rate is None else declared.sample_rate
