"""A spoken session is disturbed at every step that any of its tasks takes: nothing is left, and no word is lost.

As in `test_cancel_everywhere`, a short session is run and disturbed at step 1, 2, 3, ... until it gets through. The
audio itself tells the recogniser what to say: it says the same again when it hears the same again.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, ConnectionRejected

from evaa.simulators.deepgram.ear import ClockEar
from protocols.ports import SttLost
from protocols.speech import Final, Heard, Partial, SttRequest
from tests.actors import deepgram_world
from tests.actors.deepgram_world import PROTOCOLS, DeepgramWorld, plan
from tests.actors.harness import SESSION, Client, Closed, Evaa
from tests.actors.interviewers import says
from tests.actors.speech import FakeConnection, FakeEndpointing, FakeStt, Tell, pcm
from tests.actors.test_cancel_everywhere import StepCounter
from tests.actors.wire import Wire

PCM = {"container": "raw", "codec": "linear16", "sampleRate": 8_000}
CHUNK_S = 0.1
PATIENCE_S = 100.0
MOST_STEPS = 2_000

# What a chunk of audio, all bytes alike, means: how far the utterance is; the second one ends it.
MEANINGS = {1: "one", 2: "one two", 3: "three", 4: "three four"}
ENDS = ("one two",)
UTTERANCES = ("one two", "three four")


class EchoEndpointing(FakeEndpointing):
    """Knows that each message is about one chunk more."""

    _heard_s = 0.0

    def connected(self, now: float) -> None:
        super().connected(now)
        self._heard_s = 0.0

    def receive(self, message: Tell, now: float) -> Sequence[Heard]:
        self._heard_s += CHUNK_S
        return super().receive(message, now)

    def conclude(self) -> Sequence[Heard]:
        if heard := super().conclude():
            self.covered_s = self._heard_s
        return heard


class EchoConnection(FakeConnection):
    """Says what the audio means, as soon as it has come. `received` is what EVAA took of that."""

    def __init__(self, request: SttRequest, received: list[str]) -> None:
        super().__init__(request)
        self._received = received
        self._sent_s = 0.0

    async def send_audio(self, data: bytes) -> None:
        await super().send_audio(data)
        for fill in data[:: len(pcm(CHUNK_S))]:
            self._sent_s += CHUNK_S
            text = MEANINGS[fill]
            if text in ENDS:
                self.tell(Final(text, None, "model"), covered_s=self._sent_s)
            else:
                self.tell(Partial(text))

    async def receive(self) -> Tell | None:
        message = await super().receive()
        if message is not None:
            self._received += [event.text for event in message.heard if isinstance(event, Partial | Final)]
        return message


class EchoStt(FakeStt):
    """`received` is what its connections told and EVAA took."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[str] = []

    def endpointing(self, pending: str = "") -> FakeEndpointing:
        return EchoEndpointing(pending)

    @asynccontextmanager
    async def connect(self, request: SttRequest) -> AsyncIterator[FakeConnection]:
        await trio.sleep(0.125)
        if self.refusals:
            raise self.refusals.popleft()
        connection = EchoConnection(request, self.received)
        self.connections.append(connection)
        try:
            yield connection
        finally:
            connection.closed_at = trio.current_time()

    def fail(self, error: Exception) -> None:
        """The connection fails, or if there is none, the next one."""
        if self.open:
            self.last._send.send_nowait(error)
        else:
            self.refusals.append(error)

    @property
    def known(self) -> list[str]:
        """The utterances, as far as they were told of and EVAA took that."""
        return [max(said, key=len) for text in UTTERANCES if (said := [s for s in self.received if text.startswith(s)])]


class Disturbed(Protocol):
    """A session that is disturbed at some step."""

    evaa: Evaa
    got_through: bool

    @property
    def connections(self) -> int: ...
    async def talk(self, wire: Wire) -> None: ...
    async def check(self) -> None: ...


class Echoed:
    """Two utterances, of which the second has not ended when the client leaves."""

    def __init__(self, nursery: trio.Nursery, clients: trio.Nursery) -> None:
        self.stt = EchoStt()
        self.evaa = Evaa(nursery, clients=clients, stt=self.stt)
        self.evaa.interviewer.will(says("Which ", 0.5, "ones?"))
        self.got_through = False

    @property
    def connections(self) -> int:
        return len(self.stt.open)

    async def talk(self, wire: Wire) -> None:
        client = await self.evaa.connect(wire=wire)
        await client.reply()
        await client.send(type="start", sessionId=SESSION, audio=PCM)
        for fill in (1, 2):
            await client.send_raw(pcm(CHUNK_S, fill))
        await client.reply()
        for fill in (3, 4):
            await client.send_raw(pcm(CHUNK_S, fill))
        while (await client.until("transcript"))[-1]["text"] != "three four":
            pass
        await client.leave()

    async def check(self) -> None:
        """What was known of is stored, once."""
        assert await stored(self.evaa) == self.stt.known


class Failing(Echoed):
    """The recogniser's actor has a bug."""

    async def check(self) -> None:
        """Words that were not final yet may be lost, if it fails in the very instant in which the client leaves."""
        final = [text for text in self.stt.known if text in ENDS]
        assert await stored(self.evaa) in (self.stt.known, final)


class Recorded:
    """A short recording, heard by Deepgram's simulator."""

    def __init__(self, nursery: trio.Nursery, clients: trio.Nursery, protocol: deepgram_world.Protocol) -> None:
        self.world = DeepgramWorld(nursery, protocol, ear=ClockEar, clients=clients)
        self.evaa = self.world.evaa
        self.got_through = False
        self._client: Client | None = None

    @property
    def connections(self) -> int:
        return self.world.simulator.counters.open_connections

    async def talk(self, wire: Wire) -> None:
        self._client = client = await self.evaa.connect(wire=wire)
        await client.reply()
        began = trio.current_time()
        for at_s, chunk in plan("c_yes.webm"):
            await trio.sleep_until(began + at_s)
            await client.send_raw(chunk)
        await client.send(type="endOfSpeech")
        await client.reply()
        await client.leave()

    async def check(self) -> None:
        """What the client was told of in the end is stored, once."""
        frames = self._client.everything if self._client is not None else []
        told = [frame["text"] for frame in frames if frame.kind == "transcript" and frame["final"]]
        said = await stored(self.evaa)
        assert said in ([], ["Yes."])
        assert said == ["Yes."] or not told


async def stored(evaa: Evaa) -> list[str]:
    record = await evaa.store.load(SESSION)
    return [] if record is None else [turn.text for turn in record.interview.turns]


Make = Callable[[trio.Nursery, trio.Nursery], Disturbed]
Act = Callable[[Disturbed], None]


async def disturb(nursery: trio.Nursery, make: Make, step: int, act: Act) -> tuple[bool, Disturbed]:
    """Run a session; `act` at `step`. Whether it was reached."""
    try:
        async with trio.open_nursery() as clients:
            session = make(nursery, clients)
            wire = await session.evaa.open_wire(at_once=False)
            counter = StepCounter(wire, step, lambda: act(session))
            trio.lowlevel.add_instrument(counter)
            with trio.fail_after(PATIENCE_S):
                await session.talk(wire)
            session.got_through = True
    except* (Closed, ConnectionClosed, ConnectionRejected, trio.TooSlowError):
        pass  # the server has gone: that is what this is about
    await wire.hang_up()
    await wire.served.wait()
    trio.lowlevel.remove_instrument(counter)
    return counter.has_acted, session


async def sweep(nursery: trio.Nursery, make: Make, act: Act, *, every: int = 1, survives: bool = False) -> None:
    """Run sessions that are disturbed at step 1, 2, 3, ... until one is not reached; with `every`, at some of them."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    for step in range(1, MOST_STEPS, every):
        try:
            was_reached, session = await disturb(nursery, make, step, act)
            await session.evaa.gone()
            await trio.testing.wait_all_tasks_blocked()
            await session.check()
            assert session.got_through or not survives
            assert session.connections == 0
            assert all(wire.closed_at is not None for wire in session.evaa.wires)
            assert session.evaa.spill.kept == []
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            lease = await session.evaa.store.acquire(SESSION, "anybody", 15.0, take_over=False)
            assert lease is not None or await session.evaa.store.load(SESSION) is None
        except BaseException as error:
            error.add_note(f"disturbed at step {step}")
            raise
        if not was_reached:
            assert session.got_through
            assert step > 50  # else nothing was counted
            return
    raise AssertionError("the session never got through")


def cancel(session: Disturbed) -> None:
    session.evaa.wires[0].scope.cancel()


def hang_up(session: Disturbed) -> None:
    session.evaa._nursery.start_soon(session.evaa.wires[0].hang_up)


def drain(session: Disturbed) -> None:
    session.evaa._nursery.start_soon(session.evaa.server.drain)


def take_over(session: Disturbed) -> None:
    async def come() -> None:
        async with trio.open_nursery() as newer:
            client = await session.evaa.connect(nursery=newer)
            await client.reply()
            await client.leave()

    session.evaa._nursery.start_soon(come)


ENDS_OF_SESSIONS = [cancel, hang_up, drain, take_over]


@pytest.mark.parametrize("act", ENDS_OF_SESSIONS)
async def test_a_spoken_session_may_end_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, act: Act
) -> None:
    await sweep(nursery, Echoed, act)


@pytest.mark.parametrize(("make", "error"), [(Echoed, SttLost("cut")), (Failing, ZeroDivisionError("a bug"))])
async def test_the_recogniser_may_fail_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Make, error: Exception
) -> None:
    def fail(session: Disturbed) -> None:
        assert isinstance(session, Echoed)
        session.stt.fail(error)

    await sweep(nursery, make, fail, survives=True)


@pytest.mark.parametrize("act", ENDS_OF_SESSIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_recording_may_be_broken_off_at_any_step(
    nursery: trio.Nursery, autojump_clock: MockClock, protocol: deepgram_world.Protocol, act: Act
) -> None:
    def make(nursery: trio.Nursery, clients: trio.Nursery) -> Recorded:
        return Recorded(nursery, clients, protocol)

    await sweep(nursery, make, act, every=13)
