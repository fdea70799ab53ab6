"""A speech recogniser for tests that does what it is told, and a world of one STT actor on a virtual clock."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from actors.audio_mailbox import AudioMailbox
from actors.outbox import Outbox
from actors.stt import Stt, SttLimits
from evaa.stt.kept_audio import KeptAudio
from protocols.frontend import AudioFormat, ServerFrame
from protocols.messages import Message, PartlyHeard, ProbablySaid, Said, SpokeOn
from protocols.ports import SttLost, SttRefused
from protocols.speech import AskToFinish, Eager, Final, Heard, Partial, Resumed, SttRequest, SttTraits

PCM = AudioFormat(container="raw", codec="linear16", sample_rate=8_000)
BYTES_A_SECOND = 16_000

TRAITS = SttTraits(keep_alive_s=4.0, unused_s=9.0, silence_s=8.0, unheard_s=6.0)


def about(seconds: float) -> Any:
    """A virtual time, but for the rounding of floats."""
    return pytest.approx(seconds)


def pcm(seconds: float, fill: int = 0) -> bytes:
    """So much of 8 kHz PCM, all bytes alike, so that it can be recognised again."""
    return bytes([fill]) * round(seconds * BYTES_A_SECOND)


class Tell(msgspec.Struct, frozen=True):
    """A provider message: what it means, and how far it covers the connection's audio."""

    heard: tuple[Heard, ...]
    covered_s: float | None = None


class FakeEndpointing:
    """Believes every word of a `Tell`. What was partly heard is its pending text once a `Tell` has covered it."""

    def __init__(self, pending: str) -> None:
        self.covered_s = 0.0
        self.pending = pending
        self.deadline: float | None = None
        self.calls: list[tuple[str, float]] = []
        self.kept_from_s: list[float] = []
        self._partial = pending
        self._is_eager = False

    def connected(self, now: float) -> None:
        self.covered_s = 0.0
        self.calls.append(("connected", now))

    def receive(self, message: Tell, now: float) -> Sequence[Heard]:
        if message.covered_s is not None:
            self.covered_s = message.covered_s
        for event in message.heard:
            if isinstance(event, Partial):
                self._partial = event.text
            self._is_eager = isinstance(event, Eager)
            if isinstance(event, Final):
                self._partial = self.pending = ""
        if message.covered_s is not None:
            self.pending = self._partial
        return message.heard

    def tick(self, now: float) -> Sequence[Heard]:
        self.deadline = None
        self.calls.append(("tick", now))
        return self.conclude()

    def finish(self, now: float, sent_s: float) -> Sequence[Heard]:
        self.calls.append(("finish", now))
        return [AskToFinish()]

    def disconnected(self, kept_from_s: float) -> Sequence[Heard]:
        self._partial = self.pending
        was_eager, self._is_eager = self._is_eager, False
        self.kept_from_s.append(kept_from_s)
        self.calls.append(("disconnected", trio.current_time()))
        return [Resumed()] if was_eager else []

    def conclude(self) -> Sequence[Heard]:
        text, self._partial, self.pending = self._partial, "", ""
        return [Final(text, None, "concluded")] if text else []


class FakeConnection:
    """A provider connection: `sent` is what came over it and when, `tell` and `lose` are the provider's side."""

    def __init__(self, request: SttRequest) -> None:
        self.request = request
        self.request_id: str | None = "fake"
        self.opened_at = trio.current_time()
        self.closed_at: float | None = None
        self.sent: list[tuple[float, str | bytes]] = []
        self.keyterms: list[tuple[str, ...]] = []
        self.reads = trio.Event()
        self.reads.set()
        self.finishes_stream = True
        self._send, self._receive = trio.open_memory_channel[Tell | Exception | None](100)

    @property
    def audio(self) -> bytes:
        """All the audio that came."""
        return b"".join(data for _, data in self.sent if isinstance(data, bytes))

    @property
    def controls(self) -> list[tuple[float, str]]:
        """The other things that came, and when."""
        return [(at, data) for at, data in self.sent if isinstance(data, str)]

    def tell(self, *heard: Heard, covered_s: float | None = None) -> None:
        self._send.send_nowait(Tell(heard, covered_s))

    def lose(self, reason: str = "cut") -> None:
        self._send.send_nowait(SttLost(reason))

    def refuse(self, reason: str = "wrong") -> None:
        self._send.send_nowait(SttRefused(reason))

    def stop_reading(self) -> None:
        self.reads = trio.Event()

    async def _take(self, data: str | bytes) -> None:
        await self.reads.wait()
        await trio.lowlevel.checkpoint()
        self.sent.append((trio.current_time(), data))

    async def send_audio(self, data: bytes) -> None:
        assert data
        await self._take(data)

    async def keep_alive(self) -> None:
        await self._take("keep_alive")

    async def finish_utterance(self) -> None:
        await self._take("finish")

    async def finish_stream(self) -> None:
        await self._take("end")
        if self.finishes_stream:
            self._send.send_nowait(None)

    async def set_keyterms(self, keyterms: tuple[str, ...]) -> None:
        self.keyterms.append(keyterms)
        await trio.lowlevel.checkpoint()

    async def receive(self) -> Tell | None:
        message = await self._receive.receive()
        if isinstance(message, Exception):
            raise message
        return message


class FakeStt:
    """`refusals` are raised by the next attempts to connect, an exception each; `connect_s` is how long each takes."""

    name = "fake"

    def __init__(self, traits: SttTraits = TRAITS) -> None:
        self.traits = traits
        self.connections: list[FakeConnection] = []
        self.attempts: list[float] = []
        self.refusals: deque[Exception] = deque()
        self.connect_s = 0.0
        self.on_connect: Callable[[FakeConnection], None] = lambda connection: None
        self.endpointings: list[FakeEndpointing] = []

    @property
    def last(self) -> FakeConnection:
        return self.connections[-1]

    @property
    def open(self) -> list[FakeConnection]:
        return [connection for connection in self.connections if connection.closed_at is None]

    def endpointing(self, pending: str = "") -> FakeEndpointing:
        self.endpointings.append(FakeEndpointing(pending))
        return self.endpointings[-1]

    @asynccontextmanager
    async def connect(self, request: SttRequest) -> AsyncIterator[FakeConnection]:
        self.attempts.append(trio.current_time())
        await trio.sleep(self.connect_s)
        if self.refusals:
            raise self.refusals.popleft()
        connection = FakeConnection(request)
        self.connections.append(connection)
        self.on_connect(connection)
        try:
            yield connection
        finally:
            connection.closed_at = trio.current_time()


class Speech:
    """One STT actor, what it is given, and what it tells."""

    def __init__(self, stt: FakeStt, limits: SttLimits, mailbox: AudioMailbox) -> None:
        self.stt = stt
        self.mailbox = mailbox
        self.outbox = Outbox(tells_deltas=True)
        self.terms: tuple[str, ...] = ()
        self.ended_at: float | None = None
        self._to_agent, self._mail = trio.open_memory_channel[Message](1_000)
        self.actor = Stt(
            self.mailbox,
            stt,
            self.outbox,
            self._to_agent,
            limits,
            keyterms=lambda: self.terms,
            session_id="5e1a0000000000000000000a",
            jitter=lambda: 1.0,
        )

    async def run(self) -> None:
        await self.actor.run()
        self.ended_at = trio.current_time()

    async def speak(self, seconds: float, fill: int = 0, chunk_s: float = 0.1) -> None:
        """Audio in real time; the last chunk comes at the end of its time."""
        for _ in range(round(seconds / chunk_s)):
            await trio.sleep(chunk_s)
            self.mailbox.put(pcm(chunk_s, fill))

    async def settle(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    @property
    def told(self) -> list[Any]:
        """What the agent was told since the last look; `Said`s without their times."""
        told: list[Any] = []
        while True:
            try:
                message = self._mail.receive_nowait()
            except trio.WouldBlock:
                return told
            match message:
                case Said(text):
                    told.append(text)
                case PartlyHeard(text):
                    told.append(("partly", text))
                case ProbablySaid(text):
                    told.append(("probably", text))
                case SpokeOn():
                    told.append("spoke on")

    @property
    def said(self) -> list[Said]:
        """The utterances since the last look, whole."""
        said: list[Said] = []
        while True:
            try:
                message = self._mail.receive_nowait()
            except trio.WouldBlock:
                return said
            if isinstance(message, Said):
                said.append(message)

    @property
    def frames(self) -> list[ServerFrame]:
        """What the client was told since the last look."""
        frames, self.outbox._frames = list(self.outbox._frames), deque()
        return frames


@asynccontextmanager
async def hearing(
    *,
    traits: SttTraits = TRAITS,
    limits: SttLimits | None = None,
    audio: KeptAudio | None = None,
    mailbox: AudioMailbox | None = None,
    declared: AudioFormat | None = PCM,
) -> AsyncIterator[Speech]:
    """A running STT actor, with 8 kHz PCM declared; it is ended with the block."""
    speech = Speech(FakeStt(traits), limits or SttLimits(), mailbox or AudioMailbox(is_open=True, audio=audio))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speech.run)
        if declared is not None:
            speech.mailbox.declare(declared, None)
        await speech.settle()
        yield speech
        nursery.cancel_scope.cancel()
