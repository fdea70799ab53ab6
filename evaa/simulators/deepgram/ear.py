"""What a simulated Deepgram connection hears: the packets in the bytes that it is sent, and how long they are.

`ClockEar` only finds the packets and reads their lengths, at little cost. `PyAvEar` decodes them with FFmpeg, so that
a test knows that a real decoder would have heard them; it needs PyAV, which only the tests have.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from evaa.simulators.deepgram.demux import OggDemuxer, Undecodable, WebmDemuxer, opus_samples

OPUS_RATE = 48_000
SLICE_S = 0.02
"""PCM is heard in slices of this length."""

MAX_WARNINGS = 1000
"""The first ones of an ear; what is wrong with all of a stream need not be told of each packet."""

_EBML_MAGIC, _OGG_MAGIC = b"\x1a\x45\xdf\xa3", b"OggS"
_CONTAINERS = (None, "ogg-opus")


class HeardPacket(msgspec.Struct, frozen=True, gc=False):
    """A packet that was understood; `samples` is what the decoder made of it (its nominal length if none decoded)."""

    payload: bytes
    duration_s: float
    samples: int


class Ear(Protocol):
    """Takes a connection's audio messages in their order. `warnings` are the decoder's, oldest first."""

    warnings: list[str]

    def hear(self, data: bytes) -> list[HeardPacket]:
        """Take one message, and return the packets that it completes. Blocks for about as long as decoding takes."""
        ...

    def close(self) -> None:
        """Let go of what the ear holds. Whatever was not heard by now is not heard any more."""
        ...


OpenEar = Callable[[str | None, int], Ear]
"""Opens an ear for an `encoding` (None: a container that tells its own) and a sample rate in Hz."""


class ClockEar:
    """Finds the packets and believes what they say about their length; what cannot be understood is never heard."""

    def __init__(self, encoding: str | None, sample_rate: int) -> None:
        self.warnings: list[str] = []
        self._encoding = encoding
        self._pcm = _PcmSlicer(sample_rate)
        self._head = b""
        self._demuxer: WebmDemuxer | OggDemuxer | None = None
        self._is_lost = False

    def hear(self, data: bytes) -> list[HeardPacket]:
        """See `Ear`."""
        if self._is_lost:
            return []
        if self._encoding == "linear16":
            return self._pcm.feed(data)
        try:
            packets = self._feed_container(data) if self._encoding in _CONTAINERS else self._raw(data)
            heard = [nominal(packet) for packet in packets]
        except Undecodable as error:
            self._is_lost = True
            self.warnings.append(str(error))
            return []
        if self._demuxer is not None and self._demuxer.warnings:
            self.warnings += self._demuxer.warnings[: MAX_WARNINGS - len(self.warnings)]
            self._demuxer.warnings = []
        return heard

    def close(self) -> None:
        """See `Ear`."""

    def _feed_container(self, data: bytes) -> list[bytes]:
        if self._demuxer is None:
            self._head += data
            if len(self._head) < len(_EBML_MAGIC):
                return []
            data, self._head = self._head, b""
            self._demuxer = OggDemuxer() if data.startswith(_OGG_MAGIC) else WebmDemuxer()
        return self._demuxer.feed(data)

    def _raw(self, data: bytes) -> list[bytes]:
        if self._encoding != "opus":
            raise Undecodable(f"encoding {self._encoding} is not simulated")
        if data.startswith((_EBML_MAGIC, _OGG_MAGIC)):
            raise Undecodable("a container where bare packets were promised")
        return [data]


def nominal(packet: bytes) -> HeardPacket:
    """Return an Opus packet with the length that it claims. Raises Undecodable."""
    samples = opus_samples(packet)
    return HeardPacket(packet, samples / OPUS_RATE, samples)


class _PcmSlicer:
    """Cuts signed 16-bit mono PCM into slices, counted from the connection's first sample."""

    def __init__(self, sample_rate: int) -> None:
        self._samples = round(sample_rate * SLICE_S)
        self._duration_s = self._samples / sample_rate
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[HeardPacket]:
        self._rest += data
        size = 2 * self._samples
        whole = len(self._rest) // size * size
        packets = [bytes(self._rest[begin : begin + size]) for begin in range(0, whole, size)]
        del self._rest[:whole]
        return [HeardPacket(packet, self._duration_s, self._samples) for packet in packets]


# --- decoding ---------------------------------------------------------------------------------------------------


class PyAvEar:
    """Demuxes and decodes as FFmpeg does, in a thread of its own and in lockstep with its caller.

    PyAV reads from an object whose `read` blocks, so it needs a thread; but `hear` waits until that thread wants more
    than there is, so that what comes out depends on the bytes alone, and a test on a virtual clock stays exact.
    Logging is per process in FFmpeg: its level is set to warnings.
    """

    def __init__(self, encoding: str | None, sample_rate: int) -> None:
        self.warnings: list[str] = []
        self._packets: list[HeardPacket] = []
        self._encoding = encoding
        self._pcm = _PcmSlicer(sample_rate) if encoding == "linear16" else None
        self._codec: Any = None
        self._logs: list[tuple[int, str, str]] = []
        self._source = _Starving()
        self._thread: threading.Thread | None = None

    def hear(self, data: bytes) -> list[HeardPacket]:
        """See `Ear`."""
        if self._pcm is not None:
            return self._pcm.feed(data)
        if self._encoding not in _CONTAINERS:
            self._decode_bare(data)
        else:
            self._source.give(data)
            if self._thread is None and self._source.starts_with(len(_EBML_MAGIC)):
                self._thread = threading.Thread(target=self._listen, name="a decoder", daemon=True)
                self._thread.start()
            if self._thread is not None:
                self._source.wait_starving()
            self._take_logs()
        heard, self._packets = self._packets, []
        return heard

    def close(self) -> None:
        """See `Ear`. The thread has ended when this returns; what it says about the end is not the audio's fault."""
        self._source.end()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        import av  # noqa: PLC0415 - the tests alone have it

        av.logging.set_level(av.logging.WARNING)
        with av.logging.Capture(local=True) as self._logs:
            try:
                # Without a format FFmpeg would read on and guess; what is no container here is nothing that it knows.
                kind = "ogg" if self._source.head == _OGG_MAGIC else "matroska"
                with av.open(self._source, "r", format=kind) as container:
                    for packet in container.demux(audio=0):
                        if packet.size:
                            self._decode(packet, packet.stream)
            except (av.error.FFmpegError, IndexError) as error:
                if not self._source.is_ended:
                    self.warnings.append(str(error))
            finally:
                self._source.retire()

    def _take_logs(self) -> None:
        logs = [f"{name}: {message.strip()}" for _, name, message in self._logs]
        self.warnings += logs[: MAX_WARNINGS - len(self.warnings)]
        self._logs.clear()

    def _decode(self, packet: Any, decoder: Any) -> None:
        import av  # noqa: PLC0415

        payload = bytes(packet)
        try:
            samples = sum(frame.samples for frame in decoder.decode(packet))
            duration_s = opus_samples(payload) / OPUS_RATE
        except (av.error.FFmpegError, Undecodable) as error:
            self.warnings.append(str(error))
        else:
            self._packets.append(HeardPacket(payload, duration_s, samples))

    def _decode_bare(self, data: bytes) -> None:
        import av  # noqa: PLC0415

        if self._codec is None:
            self._codec = av.CodecContext.create("opus" if self._encoding == "opus" else str(self._encoding), "r")
            self._codec.sample_rate, self._codec.layout = OPUS_RATE, "mono"
        self._decode(av.Packet(data), self._codec)


class _Starving:
    """What PyAV reads from: bytes that come piece by piece, and whoever gives them can wait until all were wanted.

    A plain class with `read` alone: PyAV treats an `io.RawIOBase` differently and loses packets.
    """

    def __init__(self) -> None:
        self.head = b""
        self._turn = threading.Condition()
        self._bytes = bytearray()
        self.is_ended = False
        self._is_starving = self._is_retired = False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; block until there are some, or return none at the end."""
        with self._turn:
            while not self._bytes and not self.is_ended:
                self._is_starving = True
                self._turn.notify_all()
                self._turn.wait()
            self._is_starving = False
            data = bytes(self._bytes[:size])
            del self._bytes[:size]
            return data

    def starts_with(self, size: int) -> bool:
        """Tell whether the first `size` bytes came; the first time that they have, `head` holds them."""
        self.head = self.head or (bytes(self._bytes[:size]) if len(self._bytes) >= size else b"")
        return bool(self.head)

    def give(self, data: bytes) -> None:
        """Add bytes; after the reader has retired they are dropped."""
        with self._turn:
            if not self._is_retired:
                self._bytes += data
            self._turn.notify_all()

    def wait_starving(self) -> None:
        """Block until the reader has taken all and wants more, or has retired."""
        with self._turn:
            while not self._is_retired and (self._bytes or not self._is_starving):
                self._turn.wait()

    def end(self) -> None:
        """No more bytes come."""
        with self._turn:
            self.is_ended = True
            self._turn.notify_all()

    def retire(self) -> None:
        """The reader reads no more."""
        with self._turn:
            self._is_retired = True
            self._bytes.clear()
            self._turn.notify_all()
