"""The STT actor's clocks, each to the exact virtual second."""

from itertools import pairwise

import trio
from trio.testing import MockClock

from actors.stt import SttLimits
from actors.stt_link import LinkLimits
from evaa.stt.redial import RedialLimits
from protocols.frontend import ErrorFrame, WarningFrame
from protocols.ports import SttLost, SttRefused
from protocols.speech import Final, Partial, SttTraits
from tests.actors.speech import PCM, TRAITS, Speech, about, hearing, pcm


async def test_connects_when_audio_is_declared_before_any_comes(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        assert speech.stt.attempts == [0.0]
        assert speech.stt.last.request.encoding == "linear16"
        assert speech.stt.last.request.sample_rate == 8_000


async def test_an_unused_connection_is_given_up_before_the_provider_does(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await trio.sleep(20)
        assert [connection.closed_at for connection in speech.stt.connections] == [9.0]
        assert speech.frames == []
        speech.mailbox.put(pcm(0.1, 1))
        await speech.settle()
        assert speech.stt.attempts == [0.0, 20.0]
        assert speech.stt.last.audio == pcm(0.1, 1)


async def test_keep_alive_so_long_after_the_last_thing_sent(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(covered_s=1.0)
        await trio.sleep(10)
        assert speech.stt.last.controls == [(5.0, "keep_alive"), (9.0, "keep_alive")]
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(covered_s=2.0)
        await trio.sleep(4.5)
        assert speech.stt.last.controls[2:] == [(about(16.0), "keep_alive")]


async def test_idle_close_and_reopening_by_the_next_chunk(autojump_clock: MockClock) -> None:
    async with hearing(limits=SttLimits(link=LinkLimits(idle_s=30.0))) as speech:
        await speech.speak(1.0)
        await trio.sleep(60)
        assert speech.stt.connections[0].closed_at == 31.0
        assert speech.stt.connections[0].controls[-1] == (31.0, "end")
        assert len(speech.stt.attempts) == 1
        await speech.speak(0.5, 7)
        assert speech.stt.attempts[1:] == [61.1]
        assert speech.stt.last.audio == pcm(0.4, 7)
        await speech.settle()
        assert speech.stt.last.audio == pcm(0.5, 7)
        assert speech.frames == []


async def test_a_silent_provider_is_left_after_the_watchdogs_time_of_audio(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(2.0)
        await speech.settle()
        speech.stt.last.tell(Partial("so"))
        await speech.speak(9.0)
        assert speech.stt.connections[0].closed_at == about(10.1)
        assert speech.stt.attempts == [0.0, about(10.1)]
        await speech.speak(3.0)
        assert speech.stt.last.audio.startswith(pcm(2.0))


async def test_a_silent_provider_is_not_left_while_no_audio_flows(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await trio.sleep(25)
        await speech.speak(3.0)
        assert len(speech.stt.attempts) == 1


async def test_audio_that_flows_again_has_the_whole_time_for_an_answer(autojump_clock: MockClock) -> None:
    traits = SttTraits(keep_alive_s=15.0, unused_s=None, silence_s=3.0, unheard_s=2.25)
    async with hearing(traits=traits) as speech:
        await speech.speak(0.2)
        await trio.sleep(4.8)
        await speech.speak(2.0)
        assert len(speech.stt.attempts) == 1
        await speech.speak(3.0)
        assert len(speech.stt.attempts) == 2


async def test_a_provider_that_does_not_read_is_left(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.stop_reading()
        await speech.speak(6.5)
        assert speech.stt.connections[0].closed_at == about(6.1)
        assert speech.stt.attempts == [0.0, about(6.1)]


async def test_an_utterance_is_finished_when_no_audio_comes(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("so"))
        await trio.sleep(3.0)
        assert speech.stt.last.controls == [(about(2.1), "finish")]


async def test_large_chunks_are_no_pause(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        speech.stt.last.tell(Partial("so"))
        await speech.speak(6.0, chunk_s=1.5)
        assert speech.stt.last.controls == []


async def test_a_short_word_that_nothing_was_heard_of_yet_is_finished_too(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.8)
        await trio.sleep(3.0)
        assert speech.stt.last.controls == [(about(1.9), "finish")]


async def test_a_pause_after_audio_that_is_covered_finishes_nothing(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("so"), Final("so", None, "model"), covered_s=1.0)
        await trio.sleep(3.0)
        assert speech.stt.last.controls == []


async def test_endpointings_own_deadline(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        speech.stt.endpointings[0].deadline = 2.5
        speech.stt.last.tell(Partial("so"))
        await trio.sleep(3.0)
        assert ("tick", 2.5) in speech.stt.endpointings[0].calls
        assert speech.told == [("partly", "so"), "so"]


async def test_a_good_connection_that_is_lost_is_replaced_at_once_then_with_growing_delays(
    autojump_clock: MockClock,
) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(covered_s=0.5)
        await speech.settle()
        speech.stt.refusals += [SttLost("503")] * 7
        speech.stt.last.lose()
        await trio.sleep(60)
        attempts = speech.stt.attempts
        gaps = [later - earlier for earlier, later in pairwise(attempts[1:])]
        assert speech.stt.attempts[:2] == [0.0, about(1.0)]
        assert gaps == [about(gap) for gap in (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)]
        assert speech.stt.last.audio == pcm(0.5)


async def test_the_providers_own_word_on_when_to_come_back(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.refusals += [SttLost("429", retry_after_s=7.0)]
        speech.mailbox.declare(PCM, None)
        await speech.speak(8.0)
        assert speech.stt.attempts == [0.0, 7.0]


async def test_while_nobody_speaks_it_is_not_dialled_again(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.refusals += [SttLost("503")]
        speech.mailbox.declare(PCM, None)
        await trio.sleep(100.0)
        assert speech.stt.attempts == [0.0]
        await speech.speak(0.1)
        await speech.settle()
        assert speech.stt.attempts == [0.0, about(100.1)]


async def test_instant_ends_open_the_breaker(autojump_clock: MockClock) -> None:
    async with hearing(limits=SttLimits(redial=RedialLimits(breaker_s=30.0))) as speech:
        speech.stt.on_connect = lambda connection: connection.lose("instant")
        await speech.speak(0.1)
        await speech.settle()
        speech.stt.last.lose("instant")
        await trio.sleep(70.0)
        # Lost after 0.1 s: again at once; then after 0.5 s; from then on the breaker lets one through every 30 s.
        assert speech.stt.attempts == [about(at) for at in (0.0, 0.1, 0.6, 30.6, 60.6)]
        kinds = [(type(frame), frame.retryable) for frame in told(speech)]
        assert kinds == [(WarningFrame, True), (ErrorFrame, True)], "each is told once an outage"


async def test_connections_over_which_nothing_is_heard_open_the_breaker_too(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(100.0)
        gaps = [later - earlier for earlier, later in pairwise(speech.stt.attempts)]
        assert gaps[:4] == [about(8.1), about(8.5), about(38.0), about(38.0)]
        assert [type(frame) for frame in told(speech) if frame.code == "stt_unavailable"] == [WarningFrame, ErrorFrame]


async def test_a_long_outage_is_told_once_more(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(covered_s=1.0)
        await speech.settle()
        speech.stt.refusals += [SttLost("503")] * 30
        speech.stt.last.lose()
        await speech.speak(100.0)
        frames = [frame for frame in told(speech) if frame.code == "stt_unavailable"]
        assert [type(frame) for frame in frames] == [WarningFrame, ErrorFrame]
        assert len(speech.stt.attempts) > 10


async def test_what_is_refused_for_good_is_told_once_and_not_tried_again(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.refusals += [SttRefused("401")]
        speech.mailbox.declare(PCM, None)
        await speech.speak(30.0)
        assert speech.stt.attempts == [0.0]
        (frame,) = speech.frames
        assert isinstance(frame, ErrorFrame)
        assert (frame.code, frame.retryable) == ("stt_unavailable", False)


def told(speech: Speech) -> list[ErrorFrame | WarningFrame]:
    return [frame for frame in speech.frames if isinstance(frame, ErrorFrame | WarningFrame)]


async def test_traits_are_what_the_tests_assume(autojump_clock: MockClock) -> None:
    assert (TRAITS.keep_alive_s, TRAITS.unused_s, TRAITS.silence_s) == (4.0, 9.0, 8.0)
