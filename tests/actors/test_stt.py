"""The STT actor: what it hears, what it replays, what it says, and how it ends."""

import pytest
import trio
from trio.testing import MockClock

from actors.stt import SttLimits
from actors.stt_link import LinkLimits
from evaa.stt.kept_audio import KeptAudio
from protocols.frontend import AudioFormat, ErrorFrame, FrameRefused, WarningFrame
from protocols.messages import Said
from protocols.ports import SttLost, SttRefused
from protocols.speech import Eager, Final, Partial, Resumed, SttTraits
from tests.actors.speech import PCM, Speech, about, hearing, pcm

OPUS = AudioFormat(container="raw", codec="opus")


# --- hearing ----------------------------------------------------------------------------------------------------


async def test_tells_the_agent_what_is_heard_in_order(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("so"), Partial("so we"), Eager("so we do"))
        speech.stt.last.tell(Resumed(), Partial("so we do it"), Final("So we do it.", 0.9, "model"))
        await speech.settle()
        assert speech.told == [
            ("partly", "so"),
            ("partly", "so we"),
            ("probably", "so we do"),
            "spoke on",
            ("partly", "so we do it"),
            "So we do it.",
        ]


async def test_recognition_is_timed_from_the_last_words_audio(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await trio.sleep(0.25)
        speech.stt.last.tell(Final("So.", 0.5, "model"), covered_s=1.0)
        await speech.settle()
        (said,) = speech.said
        assert said.stt_ms == about(750.0)
        assert (said.source, said.at) == ("voice", about(1.25))


async def test_partials_that_find_no_room_are_dropped_and_finals_wait(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.2)
        for number in range(1_010):
            speech.stt.last.tell(Partial(str(number)))
            await speech.settle()
        speech.stt.last.tell(Final("whole", None, "model"))
        await speech.settle()
        told = speech.told
        assert told[:1_000] == [("partly", str(number)) for number in range(1_000)]
        await speech.settle()
        assert told[1_000:] + speech.told == ["whole"]


async def test_end_of_speech_goes_out_after_the_audio_before_it(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        speech.mailbox.put(pcm(0.1, 1))
        speech.mailbox.finish()
        speech.mailbox.put(pcm(0.1, 2))
        await speech.settle()
        assert [data for _, data in speech.stt.last.sent] == [pcm(0.1, 1), "finish", pcm(0.1, 2)]


async def test_end_of_speech_before_any_audio_means_nothing(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        speech.mailbox.finish()
        await speech.speak(0.2)
        await speech.settle()
        assert speech.stt.last.controls == []


async def test_keyterms_of_the_stage_follow_it(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.terms = ("n8n",)
        speech.mailbox.declare(PCM, "de")
        await speech.speak(0.2)
        assert (speech.stt.last.request.keyterms, speech.stt.last.request.language) == (("n8n",), "de")
        speech.terms = ("webhook",)
        await speech.speak(0.3)
        assert speech.stt.last.keyterms == [("webhook",)]


# --- connections ------------------------------------------------------------------------------------------------


async def test_audio_that_comes_before_the_connection_is_there_waits_for_it(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.connect_s = 0.5
        speech.mailbox.declare(PCM, None)
        await speech.speak(1.0, 1)
        await speech.settle()
        assert speech.stt.last.audio == pcm(1.0, 1)


async def test_what_is_not_covered_is_heard_again_by_the_next_connection(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        for second in range(3):
            await speech.speak(1.0, second)
        await speech.settle()
        speech.stt.last.tell(Partial("one two"), covered_s=1.5)
        await speech.settle()
        speech.stt.last.lose()
        await trio.sleep(1.5)
        assert speech.stt.last.audio == pcm(0.5, 1) + pcm(1.0, 2)
        assert [frame.code for frame in warnings(speech)] == ["stt_unavailable"]
        assert speech.stt.endpointings[0].pending == "one two"


async def test_what_was_probable_is_void_at_once_when_the_connection_is_lost(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.5)
        await speech.settle()
        speech.stt.last.tell(Eager("forty a day"))
        await speech.settle()
        speech.stt.connect_s = 3.0
        speech.stt.last.lose()
        await speech.settle()
        assert speech.told == [("probably", "forty a day"), "spoke on"]


async def test_a_replay_is_no_faster_than_the_provider_allows(autojump_clock: MockClock) -> None:
    async with hearing(traits=SttTraits(keep_alive_s=4.0, unused_s=None, silence_s=100.0, unheard_s=75.0)) as speech:
        await speech.speak(8.0)
        speech.stt.last.lose()
        await trio.sleep(20.0)
        second = speech.stt.last
        began = second.sent[0][0]
        sent_s = 0.0
        for at, data in second.sent:
            if isinstance(data, bytes):
                assert sent_s <= 1.0 + 1.25 * (at - began) + 1e-6
                assert len(data) <= len(pcm(0.25))
                sent_s += len(data) / len(pcm(1.0))
        assert sent_s == about(8.0)
        last = max(at for at, data in second.sent if isinstance(data, bytes))
        assert last - began == pytest.approx((8.0 - 0.25 - 1.0) / 1.25, abs=0.3)


async def test_what_was_forgotten_before_anybody_heard_it_is_told_with_its_span(autojump_clock: MockClock) -> None:
    async with hearing(audio=KeptAudio(max_s=2.0)) as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(covered_s=1.0)
        await speech.settle()
        speech.stt.connect_s = 4.05
        speech.stt.last.lose()
        await speech.speak(6.0)
        await speech.settle()
        speech.stt.last.tell(Partial("so"))
        await speech.settle()
        messages = [frame.message for frame in warnings(speech) if frame.code == "audio_overflow"]
        assert len(messages) == 1
        assert "from 1.0 s to 3.1 s" in messages[0]


async def test_a_second_recording_gets_its_own_connection_once_the_first_is_heard(
    autojump_clock: MockClock,
) -> None:
    async with hearing() as speech:
        await speech.speak(0.5, 1)
        await speech.settle()
        speech.stt.last.tell(Partial("first"))
        speech.mailbox.declare(PCM, None)
        await speech.speak(0.5, 2)
        await speech.settle()
        first, second = speech.stt.connections
        assert first.audio == pcm(0.5, 1)
        assert second.audio == pcm(0.5, 2)
        assert speech.told == [("partly", "first"), "first"]
        assert second.opened_at == first.closed_at


async def test_a_recording_whose_last_results_never_came_is_heard_again(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.5, 1)
        speech.stt.last.finishes_stream = False
        speech.mailbox.declare(PCM, None)
        speech.mailbox.put(pcm(0.1, 2))
        await trio.sleep(2.1)
        first, second, third = speech.stt.connections
        assert first.closed_at == about(2.5)
        assert (first.audio, second.audio, third.audio) == (pcm(0.5, 1), pcm(0.5, 1), pcm(0.1, 2))


async def test_a_declaration_while_a_connection_closes_opens_the_next_at_once(autojump_clock: MockClock) -> None:
    async with hearing(limits=SttLimits(link=LinkLimits(idle_s=1.0))) as speech:
        await speech.speak(0.5)
        speech.stt.last.finishes_stream = False
        await trio.sleep(1.5)
        speech.mailbox.declare(PCM, None)
        speech.stt.last._send.send_nowait(None)
        await speech.settle()
        assert speech.stt.attempts == [0.0, about(2.0)]


async def test_what_one_task_has_begun_to_tell_is_told_before_what_comes_later(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.2)
        for _ in range(1_000):
            await speech.actor._agent.send(Said(text="full", source="text", at=0.0))
        speech.stt.last.tell(Final("one", None, "a"), Final("two", None, "b"))
        await speech.settle()
        speech.stt.endpointings[0]._partial = "three"
        speech.stt.endpointings[0].deadline = trio.current_time() + 1.0
        speech.stt.last.tell()
        await trio.sleep(2.0)
        told: list[object] = []
        while new := speech.told:
            told += new
            await speech.settle()
        assert told[1_000:] == ["one", "two", "three"]


async def test_a_connection_opened_for_another_format_is_replaced(autojump_clock: MockClock) -> None:
    async with hearing(declared=OPUS) as speech:
        speech.mailbox.declare(PCM, None)
        await speech.speak(0.3, 1)
        await speech.settle()
        assert [connection.request.encoding for connection in speech.stt.connections] == ["opus", "linear16"]
        assert speech.stt.last.audio == pcm(0.3, 1)


async def test_of_a_recording_that_is_refused_the_rest_is_dropped_and_the_next_one_is_heard(
    autojump_clock: MockClock,
) -> None:
    async with hearing() as speech:
        await speech.speak(0.5)
        await speech.settle()
        speech.stt.last.tell(Partial("so far"))
        await speech.settle()
        speech.stt.last.refuse()
        await speech.settle()
        assert speech.told == [("partly", "so far"), "so far"]
        assert [(frame.code, frame.retryable) for frame in warnings(speech)] == [("bad_audio", False)]
        await speech.speak(40.0)
        assert not speech.mailbox.has_unheard
        assert len(speech.stt.attempts) == 1
        speech.mailbox.declare(PCM, None)
        await speech.speak(0.5, 9)
        await speech.settle()
        assert speech.stt.last.audio == pcm(0.5, 9)
        assert warnings(speech) == []


async def test_where_no_connection_is_let_in_speech_is_over(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.refusals += [SttRefused("401")]
        speech.mailbox.declare(PCM, None)
        await speech.speak(40.0)
        assert [(frame.code, frame.retryable) for frame in warnings(speech)] == [("stt_unavailable", False)]
        with pytest.raises(FrameRefused, match="not available"):
            speech.mailbox.declare(PCM, None)


async def test_words_whose_audio_is_forgotten_in_an_outage_stay_as_they_were_heard(autojump_clock: MockClock) -> None:
    async with hearing(audio=KeptAudio(max_s=2.0)) as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("forty a day"))
        await speech.settle()
        speech.stt.refusals += [SttLost("503")] * 5
        speech.stt.last.lose()
        await speech.speak(20.0)
        assert len(speech.stt.connections) == 2
        first, *_, last = speech.stt.endpointings[0].kept_from_s
        assert (first, last) == (0.0, about(1.0)), "by then all that the lost connection was sent is gone"


# --- the end ----------------------------------------------------------------------------------------------------


async def test_at_hang_up_what_was_said_is_finalised(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("good"))
        speech.stt.last.finishes_stream = False
        await trio.sleep(0.1)
        speech.actor.stop()
        await trio.sleep(0.3)
        assert speech.stt.last.controls[-1] == (about(1.1), "end")
        speech.stt.last.tell(Final("Good bye.", None, "model"))
        speech.stt.last._send.send_nowait(None)
        await speech.settle()
        assert speech.told == [("partly", "good"), "Good bye."]
        assert speech.ended_at == about(1.4)


async def test_at_hang_up_the_interim_becomes_final_after_two_seconds(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        speech.stt.last.finishes_stream = False
        speech.stt.last.tell(Partial("good"))
        await speech.settle()
        speech.actor.stop()
        await trio.sleep(5.0)
        assert speech.told == [("partly", "good"), "good"]
        assert speech.ended_at == about(3.0)


async def test_at_hang_up_audio_that_nobody_heard_yet_is_heard_first(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.stt.connect_s = 0.5
        speech.mailbox.declare(PCM, None)
        await speech.speak(0.3, 1)
        speech.stt.on_connect = lambda connection: connection.tell(Partial("yes"))
        speech.actor.stop()
        await trio.sleep(3.0)
        assert speech.stt.last.audio == pcm(0.3, 1)
        assert speech.told == [("partly", "yes"), "yes"]
        assert speech.ended_at == about(0.5)


async def test_at_hang_up_during_a_back_off_it_is_dialled_at_once(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(0.5, 1)
        speech.stt.refusals += [lost(), lost(), lost()]
        speech.stt.last.lose()
        await trio.sleep(0.6)
        speech.stt.refusals.clear()
        before = trio.current_time()
        speech.actor.stop()
        await trio.sleep(3.0)
        assert speech.stt.attempts[-1] == before
        assert speech.stt.last.audio == pcm(0.5, 1)


async def test_at_hang_up_without_anything_unheard_nothing_is_waited_for(autojump_clock: MockClock) -> None:
    async with hearing(declared=None) as speech:
        speech.actor.stop()
        await speech.settle()
        assert speech.ended_at == 0.0
        assert speech.stt.attempts == []


async def test_a_stopped_actor_leaves_no_connection_open(autojump_clock: MockClock) -> None:
    async with hearing(limits=SttLimits(link=LinkLimits(end_s=1.0))) as speech:
        await speech.speak(1.0)
        speech.stt.last.stop_reading()
        speech.actor.stop()
        await trio.sleep(3.0)
        assert speech.stt.open == []
        assert speech.ended_at == pytest.approx(2.0, abs=1.0)


async def test_a_restarted_actor_goes_on_with_the_audio_and_the_settled_text(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with hearing() as first:
            await first.speak(1.0, 1)
            await first.speak(1.0, 2)
            first.stt.last.tell(Partial("we have"), covered_s=1.0)
            await first.settle()
            first.stt.last._send.send_nowait(ZeroDivisionError("a bug in a plug-in"))
            await first.settle()
    async with hearing(declared=None, mailbox=first.mailbox) as second:
        assert second.stt.endpointings[0].pending == "we have"
        await trio.sleep(1.0)
        assert second.stt.last.audio == pcm(1.0, 2)
        second.actor.stop()
        await second.settle()
        assert second.told == ["spoke on", "we have"]


async def test_a_cancelled_actor_tells_what_was_heard_first(autojump_clock: MockClock) -> None:
    async with hearing() as speech:
        await speech.speak(1.0)
        await speech.settle()
        speech.stt.last.tell(Partial("we have"))
        await speech.settle()
    assert speech.told == [("partly", "we have"), "we have"]
    assert speech.stt.open == []


def warnings(speech: Speech) -> list[WarningFrame | ErrorFrame]:
    return [frame for frame in speech.frames if isinstance(frame, WarningFrame | ErrorFrame)]


def lost() -> SttLost:
    return SttLost("503")
