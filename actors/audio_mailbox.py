"""The STT actor's mailbox: the audio that the reader took, until a final result covers it."""

import trio

from evaa.stt.containers.events import Gap, Header, Packet
from evaa.stt.containers.recognise import AudioIntake, check_format
from evaa.stt.kept_audio import KeptAudio
from protocols.frontend import AudioFormat, FrameRefused
from protocols.speech import Encoding, SttRequest

OPUS_RATE = 48_000
STT_UNAVAILABLE = "Speech recognition is not available here; send text"


class AudioMailbox:
    """Never blocks who puts; what is over its bound is dropped oldest first (see `KeptAudio`).

    It outlives the actors on both sides: what was put in, and `pending`, the text that is settled of the current
    utterance, are not lost when one of them is restarted. `is_used`: an STT actor has begun to hear it. `is_open`:
    there is a recogniser to hear it.
    """

    def __init__(self, *, is_open: bool, audio: KeptAudio | None = None) -> None:
        self.audio = KeptAudio() if audio is None else audio
        self.pending = ""
        self.is_used = False
        self.declared: AudioFormat | None = None
        self.language: str | None = None
        self.is_open = is_open
        self.is_closing = False
        self.wants_connection = False
        self.last_chunk_at = 0.0
        self._expected: tuple[Encoding, int | None] | None = None  # the newest of what was declared and what came
        self._has_told_unavailable = False
        self._intake = AudioIntake()
        self._is_dropping = False
        self._stt = trio.lowlevel.ParkingLot()

    def declare(self, declared: AudioFormat, language: str | None) -> None:
        """The client says what it will send: a connection should be ready by then. Raises `FrameRefused`.

        A declaration of raw audio begins a recording, for nothing else tells where one begins. WebM and Ogg tell it
        themselves: to declare them in the middle of a recording does no harm to it.
        """
        if (reason := check_format(declared)) is not None:
            raise FrameRefused("bad_audio", reason)
        if not self.is_open:
            self._has_told_unavailable = True
            raise FrameRefused("stt_unavailable", STT_UNAVAILABLE)
        was_raw = self.declared is not None and self.declared.container == "raw"
        if was_raw or declared.container == "raw":
            self._intake = AudioIntake(declared)
        self.declared = declared
        self._expected = _declared_encoding(declared)
        self.language = language
        self.wants_connection = True
        self.wake()

    def put(self, data: bytes) -> tuple[str, ...]:
        """Take the next bytes of the recording; return what is missing before them, a phrase for each gap.

        Raises `FrameRefused`; what was right before the damage, or after it, is kept.
        """
        if not self.is_open:
            self._refuse_once()
            return ()
        now = trio.current_time()
        packets: list[Packet] = []
        damage: str | None = None
        gaps: tuple[str, ...] = ()
        for event in self._intake.feed(data):
            if isinstance(event, Packet):
                packets.append(event)
            elif isinstance(event, Header):
                self._keep(packets, now)
                packets = []
                self._begin(event)
            elif isinstance(event, Gap):
                gaps += (event.missing,)
            elif damage is None:
                damage = event.reason
        self._keep(packets, now)
        if damage is not None:
            raise FrameRefused("bad_audio", "; ".join((damage, *gaps)))
        return gaps

    def finish(self) -> None:
        """The client says that the utterance ends here."""
        if not self.is_open:
            self._refuse_once()
            return
        self.audio.finish()
        self.wake()

    def shut(self) -> None:
        """There is no recogniser any more; what was kept for it is dropped."""
        self.is_open = False
        self._has_told_unavailable = True  # by whoever shuts it
        self.pending = ""
        self._intake = AudioIntake()
        self.audio.forget()

    def drop_recording(self) -> None:
        """The recording cannot be heard: what came of it is dropped, and what comes until another one begins."""
        self.pending = ""
        self._is_dropping = True
        self.audio.forget()

    def close(self) -> None:
        """No more will come: what is kept should be heard to its end."""
        self.is_closing = True
        self.wake()

    @property
    def has_unheard(self) -> bool:
        """Whether there is audio that no final result covers."""
        return self.audio.first < self.audio.next

    def request(self, keyterms: tuple[str, ...]) -> SttRequest:
        """What a connection must be opened with for the audio that is next to be heard, or else that is expected.

        Something has come, or was declared.
        """
        expected = self._expected
        if self.has_unheard:
            expected = _encoding_of(self.audio.recording_of(self.audio.first).header)
        assert expected is not None, "nothing has come, nothing was declared"
        encoding, sample_rate = expected
        return SttRequest(encoding=encoding, sample_rate=sample_rate, language=self.language, keyterms=keyterms)

    async def wait(self) -> None:
        """Wait until something was put in, or something else changed. For the STT actor's tasks."""
        await self._stt.park()

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._stt:  # mostly nobody does: to see that is ten times as quick
            self._stt.unpark_all()

    def _begin(self, header: Header) -> None:
        self.audio.begin(header)
        self._is_dropping = False
        self._expected = _encoding_of(header)
        self.wake()  # the recording before it is over

    def _keep(self, packets: list[Packet], now: float) -> None:
        if packets and not self._is_dropping:
            self.audio.put(packets, now)
            self.last_chunk_at = now
            self.wake()

    def _refuse_once(self) -> None:
        if not self._has_told_unavailable:
            self._has_told_unavailable = True
            raise FrameRefused("stt_unavailable", STT_UNAVAILABLE)


def _encoding_of(header: Header) -> tuple[Encoding, int | None]:
    return header.encoding, header.sample_rate


def _declared_encoding(declared: AudioFormat) -> tuple[Encoding, int | None]:
    """What a connection carries for a declared format; a container tells its rate itself."""
    if declared.container != "raw":
        return declared.container, None
    return declared.codec, declared.sample_rate or OPUS_RATE
