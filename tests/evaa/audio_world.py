"""A client that records, the audio that is kept of it, and the connections that hear it, beside an obvious model.

The model is lists of all packets that ever came and that each connection was sent; it reads what was sent from the
bytes, as a provider would. All times are multiples of 500 us, so that spans can be compared as sets of such steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from evaa.stt.containers.events import Header, Packet
from evaa.stt.containers.opus import packet_duration_us
from evaa.stt.containers.recognise import AudioIntake
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.kept_audio import COVER_TOLERANCE_US, KeptAudio
from evaa.stt.uplink import MAX_MESSAGE_PACKETS, MAX_MESSAGE_US, Uplink
from protocols.frontend import AudioFormat
from protocols.speech import Encoding
from tests.evaa.recordings import OPUS_HEAD, block, cluster, element, ogg_header, ogg_page, packets, track, webm_header

STEP_US = 500
PCM_BYTES = 8
TRAITS = msgspec.structs.replace(DeepgramNova.traits, rate=1.25, burst_s=0.5)

OPUS_TOCS = {2_500: 0x80, 5_000: 0x88, 10_000: 0x90, 20_000: 0x98, 60_000: 0x18, 120_000: 0x19}
PCM_US = (500, 1_000, 20_000, 300_000)
DURATIONS_US: dict[Encoding, tuple[int, ...]] = {
    "webm": (20_000, 60_000),
    "ogg": (2_500, 20_000, 120_000),
    "opus": tuple(OPUS_TOCS),
    "linear16": PCM_US,
}

RAW_OPUS = AudioFormat(container="raw", codec="opus")
HEADERS = {
    "webm": webm_header(track(more=element("63a2", OPUS_HEAD))),
    "ogg": ogg_header(),
    "opus": b"",
    "linear16": b"",
}


def header(encoding: Encoding, *, raw: bytes | None = None) -> Header:
    rate = None if encoding in ("webm", "ogg") else 48_000
    return Header(encoding, HEADERS[encoding] if raw is None else raw, rate)


def packet(encoding: Encoding, number: int, duration_us: int, at_us: int = 0) -> Packet:
    """A packet that can be told from all others."""
    if encoding == "linear16":
        return Packet(number.to_bytes(PCM_BYTES, "big"), 0, duration_us)
    payload = bytes([OPUS_TOCS[duration_us]]) + (number | 1 << 31).to_bytes(4, "big") + bytes(7)
    if duration_us == 120_000:
        payload += b"\0"  # two frames of the same size
    assert packet_duration_us(payload) == duration_us
    raw = payload
    if encoding == "webm":
        raw = cluster(at_us // 1000, block(0, payload))
    elif encoding == "ogg":
        raw = ogg_page([len(payload)], payload, sequence=number + 2)
    return Packet(raw, len(raw) - len(payload), duration_us)


def steps(from_us: int, until_us: int) -> set[int]:
    assert from_us % STEP_US == until_us % STEP_US == 0
    return set(range(from_us // STEP_US, until_us // STEP_US))


class Ear:
    """Tells which packets are in the bytes that a connection gets."""

    def __init__(self, encoding: Encoding) -> None:
        self._is_pcm = encoding == "linear16"
        self._intake = AudioIntake(RAW_OPUS if encoding == "opus" else None)

    def numbers(self, message: bytes) -> list[int]:
        if self._is_pcm:
            return [int.from_bytes(message[at : at + PCM_BYTES], "big") for at in range(0, len(message), PCM_BYTES)]
        heard = packets(self._intake.feed(message))
        return [int.from_bytes(packet.payload[1:5], "big") & 0x7FFF_FFFF for packet in heard]


class Came(NamedTuple):
    """A packet that came, at its place on the timeline."""

    packet: Packet
    begin_us: int
    recording: int
    at: float

    @property
    def end_us(self) -> int:
        return self.begin_us + self.packet.duration_us


class Heard:
    """What one connection was sent, as it heard it."""

    def __init__(self, world: "AudioWorld", recording: int) -> None:
        self.uplink = Uplink(world.audio, TRAITS, heard_until_us=world.heard_until_us, now=world.now)
        self.began = world.now
        self.recording = recording
        self.encoding = world.headers[recording].encoding
        self.ear = Ear(self.encoding)
        self.numbers: list[int] = []
        self.data = b""
        self.next = world.first
        self.reached_us = world.start_us
        self.passed_on: set[int] = set()
        self.covered_s = 0.0


class AudioWorld:
    """See the module. Each step checks what it does; `check` checks what must hold at any time."""

    def __init__(self, *, max_s: float = 1.0, max_bytes: int = 1 << 20) -> None:
        self.audio = KeptAudio(max_s=max_s, max_bytes=max_bytes)
        self.max_us, self.max_bytes = round(max_s * 1_000_000), max_bytes
        self.now = 100.0
        self.headers: list[Header] = []
        self.came: list[Came] = []
        self.first = 0
        self.finishes: set[int] = set()
        self.connection: Heard | None = None
        self.heard_until_us = 0
        self.missing: set[int] = set()  # steps of the timeline that nobody will hear
        self.told: set[int] = set()  # those of them that were reported

    @property
    def live(self) -> Heard:
        assert self.connection is not None
        return self.connection

    @property
    def end_us(self) -> int:
        return self.came[-1].end_us if self.came else 0

    @property
    def start_us(self) -> int:
        return self.came[self.first].begin_us if self.first < len(self.came) else self.end_us

    def recordings_kept(self) -> list[int]:
        """Those of which something is kept, and the newest."""
        return sorted({came.recording for came in self.came[self.first :]} | {len(self.headers) - 1})

    def kept_bytes(self) -> int:
        headers = sum(len(self.headers[recording].raw) for recording in self.recordings_kept())
        return headers + sum(len(came.packet.raw) for came in self.came[self.first :])

    # --- what comes in ------------------------------------------------------------------------------------------

    def begin(self, encoding: Encoding) -> None:
        self.headers.append(header(encoding))
        self.audio.begin(self.headers[-1])
        self._keep_within_bounds()

    def put(self, durations_us: Sequence[int]) -> None:
        encoding, chunk = self.headers[-1].encoding, []
        for duration_us in durations_us:
            chunk.append(packet(encoding, len(self.came), duration_us, self.end_us))
            self.came.append(Came(chunk[-1], self.end_us, len(self.headers) - 1, self.now))
        self.audio.put(chunk, self.now)
        self._keep_within_bounds()

    def finish(self) -> None:
        self.finishes.add(len(self.came))
        self.audio.finish()

    def _keep_within_bounds(self) -> None:
        while self.first < len(self.came) and (
            self.end_us - self.start_us > self.max_us or self.kept_bytes() > self.max_bytes
        ):
            self.first += 1

    # --- what goes out ------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self.missing |= steps(self.heard_until_us, self.start_us)
        self.connection = Heard(self, self.recordings_kept()[0])
        self._listen_for_skips()

    def disconnect(self, *, well: bool) -> None:
        """`well`: all that was sent was heard, too."""
        heard = self.live
        if well:
            self.cover(heard.uplink.sent_s)
        self.heard_until_us = max(self.heard_until_us, heard.uplink.position_us(heard.covered_s))
        self.connection = None

    def send(self) -> bool:
        """Send a message, as the sender does, or pass on that the utterance ends; False if there is neither."""
        heard = self.live
        is_kept = heard.next >= self.first
        assert heard.uplink.is_at_finish == (is_kept and heard.next in self.finishes - heard.passed_on)
        if heard.uplink.is_at_finish:
            heard.uplink.finish_passed_on()
            heard.passed_on.add(heard.next)
            return True
        return self.take()

    def take(self) -> bool:
        """Take the next message; False if there is none."""
        heard = self.live
        message = heard.uplink.take(self.now)
        self._skip(heard)
        expected = self._next_message(heard) if self.now >= heard.uplink.due_at() or message else []
        assert heard.ear.numbers(message) == expected
        assert bool(message) == bool(expected)
        for number in expected:
            heard.next, heard.reached_us = number + 1, self.came[number].end_us
        heard.numbers += expected
        heard.data += message
        sent_us = sum(self.came[number].packet.duration_us for number in heard.numbers)
        assert heard.uplink.sent_us == sent_us
        assert sent_us <= (TRAITS.burst_s + TRAITS.rate * (self.now - heard.began)) * 1_000_000 + 1
        self._listen_for_skips()
        return bool(message)

    def send_all(self) -> None:
        """Send until nothing is left, waiting as long as it takes."""
        heard = self.live
        while self.send() or heard.uplink.is_behind:
            self.now = max(self.now, heard.uplink.due_at())

    def cover(self, clock_s: float) -> None:
        """A final result covers the connection's audio up to here."""
        heard = self.live
        heard.covered_s = max(heard.covered_s, clock_s)
        until_us = heard.uplink.position_us(heard.covered_s)
        self.audio.cover(until_us)
        while self.first < len(self.came) and self._is_covered(self.came[self.first], until_us):
            assert self.first in heard.numbers
            self.first += 1

    def _is_covered(self, came: Came, until_us: int) -> bool:
        return came.begin_us < until_us and came.end_us <= until_us + COVER_TOLERANCE_US

    def _skip(self, heard: Heard) -> None:
        if heard.next < self.first and not self.is_broken_off(heard):
            self.missing |= steps(heard.reached_us, self.start_us)
            heard.next, heard.reached_us = self.first, self.start_us

    def _next_message(self, heard: Heard) -> list[int]:
        message: list[int] = []
        duration_us = 0
        if self.is_broken_off(heard):
            return []
        for number in self._of(heard.recording):
            if number < heard.next:
                continue
            duration_us += self.came[number].packet.duration_us
            is_full = duration_us > MAX_MESSAGE_US or len(message) == MAX_MESSAGE_PACKETS or heard.encoding == "opus"
            if message and (is_full or number in self.finishes):
                break
            message.append(number)
        return message

    def _of(self, recording: int) -> list[int]:
        return [number for number, came in enumerate(self.came) if came.recording == recording]

    def is_as_it_came(self, heard: Heard) -> bool:
        return bool(heard.numbers) and heard.numbers[0] == self._of(heard.recording)[0]

    def is_broken_off(self, heard: Heard) -> bool:
        is_container = heard.encoding in ("webm", "ogg")
        return heard.next < self.first and is_container and self.is_as_it_came(heard)

    def _listen_for_skips(self) -> None:
        for skipped in self.live.uplink.skipped():
            span = steps(skipped.from_us, skipped.until_us)
            assert span
            assert not span & self.told
            self.told |= span
        assert self.told == self.missing

    # --- what must hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        audio = self.audio
        assert (audio.first, audio.next) == (self.first, len(self.came))
        assert (audio.start_us, audio.end_us) == (self.start_us, self.end_us)
        kept = [came.packet for came in self.came[self.first :]]
        assert audio.packets(self.first, len(self.came)) == kept
        assert audio.packets(self.first + len(kept) // 2, len(self.came)) == kept[len(kept) // 2 :]
        if self.headers:
            assert f" {self.kept_bytes()} bytes" in repr(audio)
            kept_headers = [self.headers[recording] for recording in self.recordings_kept()]
            assert [recording.header for recording in audio.recordings] == kept_headers
        for number, came in enumerate(self.came[-10:], max(0, len(self.came) - 10)):
            assert audio.arrived_at(came.end_us) == audio.arrived_at(came.begin_us + 1) == came.at
            if number >= self.first:
                assert audio.recording_of(number).header is self.headers[came.recording]
        if self.connection is not None:
            self._check_connection(self.connection)

    def _check_connection(self, heard: Heard) -> None:
        uplink, own = heard.uplink, self._of(heard.recording)
        is_broken_off, is_over = self.is_broken_off(heard), heard.recording < len(self.headers) - 1
        assert uplink.is_behind == (any(number >= heard.next for number in own) and not is_broken_off)
        assert uplink.is_at_end == (is_broken_off or (is_over and not uplink.is_behind))
        sent = [self.came[number] for number in heard.numbers]
        as_they_came = self.headers[heard.recording].raw + b"".join(came.packet.raw for came in sent)
        if heard.data and heard.encoding in ("webm", "ogg"):
            assert (heard.data == as_they_came) == self.is_as_it_came(heard)
        clock_us = uplink.sent_us
        for came in sent[:-20:-1]:
            end_us, clock_us = clock_us, clock_us - came.packet.duration_us
            for into_us in (0, came.packet.duration_us // 2):
                assert uplink.position_us((clock_us + into_us) / 1_000_000) == came.begin_us + into_us
                assert uplink.clock_s(came.begin_us + into_us) == (clock_us + into_us) / 1_000_000
            assert uplink.clock_s(came.end_us) == end_us / 1_000_000
