"""The client leaves in the middle of a word, between two, before the first: what could be known of is stored, once.

What could be known of: the words that lie wholly inside the audio that was sent. A recogniser may know a word of which
only most was sent, and Flux tells what it has heard only so often.
"""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from evaa.simulators.deepgram import ConnectionRecord, Fault
from evaa.simulators.deepgram.ear import ClockEar
from protocols.ports import SttLost
from protocols.speech import Final, Partial
from tests.actors.deepgram_world import PROTOCOLS, DeepgramWorld, Protocol, library, plan
from tests.actors.harness import SESSION
from tests.actors.speech import hearing, pcm
from tests.evaa.recordings import chunks

HANG_UP_S = 2.0
UPDATE_S = 0.25
"""Flux tells what it has heard once in so much audio."""

REPLAYED_S = 1.0 + 1.25 * HANG_UP_S
"""So much audio can be heard again until then."""

C_YES = range(len(chunks("c_yes")) + 1)
A_DENTAL = range(0, len(chunks("a_dental")) + 1, 4)


class Departure:
    """Somebody who left after some chunks of a recording; `stored` are the words that the store has of it."""

    def __init__(self, protocol: Protocol, name: str, count: int, *, abruptly: bool = False) -> None:
        self.protocol = protocol
        self.stored: list[str] = []
        self.left_at = self.lasted_s = 0.0
        self.world: DeepgramWorld
        self._name = name
        self._count = count
        self._abruptly = abruptly

    async def play(self, *faults: Fault, default: Fault | None = None) -> "Departure":
        async with trio.open_nursery() as nursery:
            self.world = world = DeepgramWorld(nursery, self.protocol, *faults, ear=ClockEar)
            world.simulator.default = default or Fault()
            client = await world.evaa.join()
            await client.send(type="start", sessionId=SESSION, audio={"container": "webm", "codec": "opus"})
            began = trio.current_time()
            for at_s, chunk in plan(f"{self._name}.webm")[: self._count]:
                await trio.sleep_until(began + at_s)
                await client.send_raw(chunk)
            self.left_at = trio.current_time()
            await (client.wire.hang_up() if self._abruptly else client.leave())
            await world.evaa.gone()
            self.lasted_s = trio.current_time() - self.left_at
            self.stored = " ".join(await world.turns()).split()
            assert world.evaa.spill.kept == []
            await trio.testing.wait_all_tasks_blocked()
            assert world.simulator.counters.open_connections == 0
            nursery.cancel_scope.cancel()
        assert self.lasted_s <= HANG_UP_S + 1e-9
        return self

    @property
    def sent_s(self) -> float:
        """How much audio was sent, as far as packets of it were whole."""
        data = b"".join(chunks(self._name)[: self._count])
        return sum(packet.duration_s for packet in ClockEar(None, 48_000).hear(data))

    def check_words(self) -> None:
        """All that could be known is stored, in its order, and nothing else."""
        words = library()[f"{self._name}.webm"].words
        told_s = self.sent_s - (UPDATE_S if self.protocol == "flux" else 0.0)
        least = sum(word.end_s <= told_s for word in words)
        most = sum(word.start_s < self.sent_s for word in words)
        assert self.stored == [word.text for word in words[: len(self.stored)]]
        assert least <= len(self.stored) <= most

    def check_told(self) -> None:
        """What the one connection told is stored, and nothing else."""
        (connection,) = self.world.simulator.connections or [None]
        assert self.stored == (told(connection, self.protocol) if connection else [])


def told(connection: ConnectionRecord, protocol: Protocol) -> list[str]:
    """The words that a connection told of, final or not."""
    settled: list[str] = []
    open_words: list[str] = []
    for message in connection.messages:
        if protocol == "nova" and message["type"] == "Results":
            words = message["channel"]["alternatives"][0]["transcript"].split()
            is_final = message["is_final"]
        elif protocol == "flux" and message["type"] == "TurnInfo":
            words, is_final = message["transcript"].split(), message["event"] == "EndOfTurn"
        else:
            continue
        settled, open_words = (settled + words, []) if is_final else (settled, words)
    return settled + open_words


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_at_every_chunk_of_a_single_word(protocol: Protocol, abruptly: bool, autojump_clock: MockClock) -> None:
    stored = []
    for count in C_YES:
        departure = await Departure(protocol, "c_yes", count, abruptly=abruptly).play()
        departure.check_words()
        stored.append(departure.stored)
    assert stored[0] == []
    assert stored[-1] == ["Yes."]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_anywhere_in_a_sentence(protocol: Protocol, autojump_clock: MockClock) -> None:
    for count in A_DENTAL:
        (await Departure(protocol, "a_dental", count).play()).check_words()


@pytest.mark.parametrize("result_delay_s", [0.3, 1.1, 1.6])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_provider_that_answers_slowly(
    protocol: Protocol, result_delay_s: float, autojump_clock: MockClock
) -> None:
    for count in (*C_YES[::3], C_YES[-1]):
        departure = await Departure(protocol, "c_yes", count).play(default=Fault(result_delay_s=result_delay_s))
        departure.check_words()
    for count in A_DENTAL[1::3]:
        (await Departure(protocol, "a_dental", count).play(default=Fault(result_delay_s=result_delay_s))).check_words()


@pytest.mark.parametrize("result_delay_s", [2.03, 2.53])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_provider_that_answers_too_late(
    protocol: Protocol, result_delay_s: float, autojump_clock: MockClock
) -> None:
    for count in A_DENTAL[1::2]:
        (await Departure(protocol, "a_dental", count).play(default=Fault(result_delay_s=result_delay_s))).check_told()


@pytest.mark.parametrize("stall_s", [0.0, 1.5, 3.1])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_provider_that_has_fallen_silent(
    protocol: Protocol, stall_s: float, autojump_clock: MockClock
) -> None:
    for count in (0, 16, 32, 40):  # before the watchdog finds out
        departure = await Departure(protocol, "a_dental", count).play(Fault(stall_after_audio_s=stall_s))
        if departure.world.simulator.connections:
            known = told(departure.world.simulator.connections[0], protocol)
            assert departure.stored[: len(known)] == known


@pytest.mark.parametrize("handshake_delay_s", [0.0, 0.4])
@pytest.mark.parametrize("cut_after_s", [0.5, 1.2, 2.5])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_while_the_provider_is_being_reconnected(
    protocol: Protocol, cut_after_s: float, handshake_delay_s: float, autojump_clock: MockClock
) -> None:
    cut_after = sum(len(chunk) for at_s, chunk in plan("a_dental.webm") if at_s <= cut_after_s)
    for count in range(4, 32, 4):
        departure = await Departure(protocol, "a_dental", count).play(
            Fault(cut_after_audio_bytes=cut_after), default=Fault(handshake_delay_s=handshake_delay_s)
        )
        departure.check_words()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_cut_right_at_the_hang_up(protocol: Protocol, autojump_clock: MockClock) -> None:
    for count in range(4, 33, 4):
        sent = sum(map(len, chunks("a_dental")[:count]))
        for missing in (0, 1, 300):
            fault = Fault(cut_after_audio_bytes=max(1, sent - missing))
            departure = await Departure(protocol, "a_dental", count).play(fault)
            first = departure.world.simulator.connections[0]
            if first.closed is not None and first.closed.how == "cut":
                known = told(first, protocol)
                assert departure.stored[: len(known)] == known
            if departure.sent_s < REPLAYED_S:
                departure.check_words()


async def test_with_a_cut_while_the_last_words_are_waited_for(autojump_clock: MockClock) -> None:
    """More was said than could be heard again: but only what was not told of yet has to be."""
    late = 0
    for messages in range(15, 21):
        fault = Fault(result_delay_s=1.2, cut_after_messages=messages)
        departure = await Departure("flux", "a_dental", 46).play(fault)
        first, *others = departure.world.simulator.connections
        if others and first.sent[-1].at_s > departure.left_at:
            late += 1
            departure.check_words()
    assert late


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(handshake_hang=True), Fault(cut_after_messages=0)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_provider_that_cannot_be_had_any_more(
    protocol: Protocol, fault: Fault, autojump_clock: MockClock
) -> None:
    for count in (8, 24, 40):
        sent = sum(map(len, chunks("a_dental")[:count]))
        departure = await Departure(protocol, "a_dental", count).play(
            Fault(cut_after_audio_bytes=sent - 1), default=fault
        )
        first, *others = departure.world.simulator.connections
        assert len(others) <= 5, "that is a storm"
        assert departure.stored == told(first, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_a_lost_connection_had_heard_is_kept_though_there_is_no_time_to_hear_it_again(
    protocol: Protocol, autojump_clock: MockClock
) -> None:
    count = 46
    sent = sum(map(len, chunks("a_dental")[: count - 2]))
    for default in (Fault(), Fault(handshake_hang=True), Fault(status=503), Fault(status=401)):
        departure = await Departure(protocol, "a_dental", count).play(
            Fault(cut_after_audio_bytes=sent), default=default
        )
        known = told(departure.world.simulator.connections[0], protocol)
        assert len(known) > 8
        assert departure.stored[: len(known)] == known


# --- the actor by itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2, 3, 1_000])
async def test_a_provider_that_cannot_be_reached_at_hang_up_is_not_stormed(
    failures: int, autojump_clock: MockClock
) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        speech.stt.refusals.extend([SttLost("no route")] * failures)
        speech.actor.stop()
        speech.stt.last.lose()
        await trio.sleep(3.0)
        assert speech.ended_at is not None
        assert speech.ended_at <= 1.0 + HANG_UP_S + 1e-9
        assert len(speech.stt.attempts) <= 6


async def test_a_back_off_is_cut_short_by_the_hang_up(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        speech.stt.refusals.extend([SttLost("no route", retry_after_s=20.0)])
        speech.stt.last.lose()
        await trio.sleep(2.0)
        speech.stt.on_connect = lambda connection: connection.tell(Partial("so"))
        speech.actor.stop()
        await speech.settle()
        assert speech.ended_at == 3.0
        assert speech.told == [("partly", "so"), "so"]


async def test_a_final_that_waits_for_room_outlives_its_connection_and_is_told_once(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        for number in range(1_000):
            speech.mailbox.put(pcm(0.001))
            speech.stt.last.tell(Partial(str(number)))
            await speech.settle()
        await speech.speak(1.0, 1)
        first = speech.stt.last
        first.tell(Final("whole", None, "model"), covered_s=2.0)
        await speech.settle()
        first.stop_reading()
        await speech.speak(1.0, 2)
        await trio.sleep(7.0)
        assert first.closed_at is not None
        assert speech.told[1_000:] == ["whole"]
        await trio.sleep(2.0)
        assert speech.told == []
        assert speech.stt.last.audio == pcm(1.0, 2)


async def test_a_final_that_comes_with_the_end_of_its_connection_is_told(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0, 1)
        first = speech.stt.last

        async def end(data: bytes) -> None:
            first.tell(Final("whole", None, "model"), covered_s=1.0)
            await trio.lowlevel.checkpoint()
            raise SttLost("cut")

        first.send_audio = end  # type: ignore[method-assign]
        await speech.speak(0.1, 2)
        await trio.sleep(2.0)
        assert speech.told == ["whole"]
        assert speech.stt.last.audio == pcm(0.1, 2)
