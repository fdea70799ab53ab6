"""Recordings as a browser would send them: which bytes when. Reading the files is the only I/O here.

A recorder hands out a chunk once its audio has been spoken, so a chunk is due at the end of what it holds. Where a
list of chunks lies beside a recording, as it was made when a browser sent it, the recording is played exactly so.
"""

import io
import wave
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from evaa.stt.containers.events import Damage, Packet
from evaa.stt.containers.ogg import OggParser
from evaa.stt.containers.ogg_pages import page_bytes
from evaa.stt.containers.recognise import check_format
from evaa.stt.containers.webm import WebmParser
from protocols.frontend import AudioFormat

CHUNK_US = 100_000

_WEBM = b"\x1a\x45\xdf\xa3"
_OGG = b"OggS"
_WAVE = b"RIFF"
_SAMPLE_BYTES = 2


class RecordingRefused(Exception):
    """A file that cannot be played; the message is a sentence that says why."""


class Chunk(NamedTuple):
    """What is sent at once, `at_s` after the recording began."""

    at_s: float
    data: bytes


class Recording(msgspec.Struct, frozen=True):
    """What is to be sent of a file, and how it is declared. A WAVE file is sent as its samples alone."""

    name: str
    audio: AudioFormat
    chunks: tuple[Chunk, ...]

    @property
    def duration_s(self) -> float:
        """When the last chunk is due."""
        return self.chunks[-1].at_s


class _Piece(NamedTuple):
    """The least that is sent at once: a packet of WebM, a page of Ogg."""

    data: bytes
    duration_us: int


class _Listed(msgspec.Struct, frozen=True):
    """One chunk of a list: when it came, in milliseconds, and which bytes of the file it was."""

    t_ms: float
    offset: int
    size: int


_LIST_DECODER = msgspec.json.Decoder(list[_Listed])


# --- files ------------------------------------------------------------------------------------------------------


def read_recording(path: Path) -> Recording:
    """Read a WebM or Ogg file with Opus, or a WAVE file of 16-bit mono PCM. Raises `RecordingRefused`.

    What the file is, is told by its first bytes. Its list of chunks is `NAME_SUFFIX.chunks.json`, or
    `NAME.chunks.json` if the chunks there make up this file: one of the same name may lie beside it.
    """
    try:
        data = path.read_bytes()
        audio, chunks = plan(data)
        if audio.container != "raw":
            chunks = _read_list(path, data) or chunks
    except OSError as error:
        raise RecordingRefused(f"{path} cannot be read: {error.strerror}") from None
    except RecordingRefused as refused:
        raise RecordingRefused(f"{path} cannot be played: {refused}") from None
    return Recording(path.name, audio, chunks)


def _read_list(path: Path, data: bytes) -> tuple[Chunk, ...] | None:
    own = path.with_name(f"{path.stem}_{path.suffix[1:]}.chunks.json")
    if own.exists():
        return as_recorded(data, own.read_bytes(), own.name)
    shared = path.with_name(f"{path.stem}.chunks.json")
    if not shared.exists():
        return None
    try:
        return as_recorded(data, shared.read_bytes(), shared.name)
    except ChunksOfAnother:
        return None


# --- plans ------------------------------------------------------------------------------------------------------


def plan(data: bytes) -> tuple[AudioFormat, tuple[Chunk, ...]]:
    """Return how a file is declared, and its bytes in chunks of about 100 ms. Raises `RecordingRefused`."""
    if data.startswith(_WEBM):
        return AudioFormat("webm", "opus"), _cut(_webm_packets(data))
    if data.startswith(_OGG):
        return AudioFormat("ogg", "opus"), _cut(_ogg_pages(data))
    if data.startswith(_WAVE):
        return _plan_wave(data)
    raise RecordingRefused("it is neither WebM nor Ogg with Opus, nor a WAVE file")


def _cut(pieces: Iterable[_Piece]) -> tuple[Chunk, ...]:
    """Join pieces until they last 100 ms; what comes last may be shorter. Raises `RecordingRefused`."""
    chunks: list[Chunk] = []
    joined = bytearray()
    began_us = until_us = 0
    for data, duration_us in pieces:
        joined += data
        until_us += duration_us
        if until_us - began_us >= CHUNK_US:
            chunks.append(Chunk(until_us / 1_000_000, bytes(joined)))
            joined.clear()
            began_us = until_us
    if until_us == 0:
        raise RecordingRefused("there is no audio in it")
    if joined:
        chunks.append(Chunk(until_us / 1_000_000, bytes(joined)))
    return tuple(chunks)


def _webm_packets(data: bytes) -> Iterator[_Piece]:
    at = 0
    for event in WebmParser().feed(data):
        if isinstance(event, Damage):
            raise RecordingRefused(event.reason)
        raw_bytes = len(getattr(event, "raw", b""))
        yield _Piece(data[at : at + raw_bytes], event.duration_us if isinstance(event, Packet) else 0)
        at += raw_bytes
    yield _Piece(data[at:], 0)


def _ogg_pages(data: bytes) -> Iterator[_Piece]:
    at = 0
    parser = OggParser()
    while at < len(data):
        page = data[at : at + (page_bytes(data, at) or len(data))]
        duration_us = 0
        for event in parser.feed(page):
            if isinstance(event, Damage):
                raise RecordingRefused(event.reason)
            duration_us += event.duration_us if isinstance(event, Packet) else 0
        yield _Piece(page, duration_us)
        at += len(page)


def _plan_wave(data: bytes) -> tuple[AudioFormat, tuple[Chunk, ...]]:
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, sample_bytes, rate, announced = file.getparams()[:4]
            samples = file.readframes(announced)
    except (wave.Error, EOFError, RuntimeError) as error:  # the last two, without a word, for sizes that are wrong
        reason = str(error) or "a size in it is wrong"
        raise RecordingRefused(f"it is no WAVE file of PCM, or damaged ({reason})") from None
    if sample_bytes != _SAMPLE_BYTES:
        raise RecordingRefused(f"its samples must have 16 bits, not {sample_bytes * 8}")
    audio = AudioFormat("raw", "linear16", rate, channels)
    if (problem := check_format(audio)) is not None:
        raise RecordingRefused(problem)
    if len(samples) < announced * _SAMPLE_BYTES:
        raise RecordingRefused("it is damaged: it ends before its last sample")
    return audio, _cut(_wave_pieces(samples, rate))


def _wave_pieces(samples: bytes, rate: int) -> Iterator[_Piece]:
    size = rate * CHUNK_US // 1_000_000 * _SAMPLE_BYTES
    for at in range(0, len(samples), size):
        piece = samples[at : at + size]
        yield _Piece(piece, len(piece) // _SAMPLE_BYTES * 1_000_000 // rate)


# --- lists of chunks --------------------------------------------------------------------------------------------


class ChunksOfAnother(RecordingRefused):
    """The chunks that are listed make up a file of another size."""


def as_recorded(data: bytes, listed: bytes, name: str) -> tuple[Chunk, ...]:
    """Return the chunks of a recording as the list called `name` has them.

    Raises `ChunksOfAnother` where they do not make up `data`, and `RecordingRefused` for what is no such list.
    """
    try:
        chunks = _LIST_DECODER.decode(listed)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RecordingRefused(f"{name} is no list of chunks ({error})") from None
    if not chunks or not _follow_each_other(chunks):
        raise RecordingRefused(f"{name} is no list of chunks that follow each other")
    if chunks[-1].offset + chunks[-1].size != len(data):
        raise ChunksOfAnother(f"the chunks in {name} are those of a file of another size")
    return tuple(Chunk(one.t_ms / 1000, data[one.offset : one.offset + one.size]) for one in chunks)


def _follow_each_other(chunks: Sequence[_Listed]) -> bool:
    offset, t_ms = 0, 0.0
    for chunk in chunks:
        if chunk.offset != offset or chunk.size < 0 or chunk.t_ms < t_ms:
            return False
        offset, t_ms = chunk.offset + chunk.size, chunk.t_ms
    return True
