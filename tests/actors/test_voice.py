"""Whole sessions in which the user speaks: from the chunk to the reply, and what is stored of it."""

import base64
from pathlib import Path

import msgspec
import trio
from trio.testing import MockClock

from protocols.dialects import PLAIN, TYPED_JSON, TYPED_MSGPACK
from protocols.speech import Eager, Final, Partial, Resumed
from tests.actors.harness import SESSION, Client, Evaa, Frame
from tests.actors.speech import FakeStt, pcm
from tests.actors.stores import Said

PCM = {"container": "raw", "codec": "linear16", "sampleRate": 8_000}


async def start(client: Client) -> None:
    await client.send(type="start", sessionId=SESSION, audio=PCM)
    await client.until("ready")


async def speaking(nursery: trio.Nursery) -> tuple[Evaa, FakeStt, Client]:
    """A session in which somebody has begun to speak."""
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join()
    await start(client)
    await client.send_raw(pcm(0.1))
    await trio.testing.wait_all_tasks_blocked()
    return evaa, stt, client


async def test_spoken_words_become_a_turn(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join()
    await start(client)
    await client.send_raw(pcm(0.1, 7))
    await trio.testing.wait_all_tasks_blocked()
    assert stt.last.audio == pcm(0.1, 7)
    stt.last.tell(Partial("invoices"))
    frames = await client.until("transcript")
    stt.last.tell(Final("Invoices by mail.", 0.1, "model"), covered_s=0.1)
    frames += await client.until("reply")
    transcripts = [frame for frame in frames if frame.kind == "transcript"]
    assert [(t["text"], t["final"], t["turn"]) for t in transcripts] == [
        ("invoices", False, 1),
        ("Invoices by mail.", True, 1),
    ]
    reply = frames[-1]
    assert (reply["response"], reply["timing"]["sttMs"]) == ("1: Invoices by mail.", 0.0)
    started = (await client.until("turnStarted"))[-1]
    assert (started["turn"], started["source"]) == (1, "voice")
    assert await evaa.memory() == [Said("Invoices by mail.", "1: Invoices by mail.", "answered")]


async def test_the_plain_dialect_speaks_in_base64_and_hears_replies_only(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join(dialect=PLAIN)
    webm = open_recording("c_yes.webm")
    await client.send(audioChunk=base64.b64encode(webm[:1_000]).decode(), textPrompt=None, sessionId=SESSION)
    await client.send_raw(webm[1_000:])
    await trio.sleep(1.5)  # more than a second of it at once is more than a provider takes
    assert stt.last.request.encoding == "webm"
    assert len(stt.last.audio) > 5_000
    assert webm.startswith(stt.last.audio)
    stt.last.tell(Partial("yes"), Final("Yes.", 1.0, "model"))
    reply = await client.receive()
    assert reply["response"] == "1: Yes."
    assert client.waiting == []


async def test_audio_and_text_in_one_plain_frame_are_taken_in_this_order_though_the_audio_is_bad(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa = Evaa(nursery, stt=FakeStt())
    client = await evaa.join(dialect=PLAIN)
    bad = base64.b64encode(b"no recording at all").decode()
    await client.send(audioChunk=bad, textPrompt="typed", sessionId=SESSION)
    assert await client.error() == "bad_audio"
    assert (await client.reply())["response"] == "1: typed"


async def test_msgpack_carries_audio_frames(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.connect(dialect=TYPED_MSGPACK)
    await client.until("reply")
    for frame in ({"type": "start", "sessionId": SESSION, "audio": PCM}, {"type": "audio", "data": pcm(0.1, 3)}):
        await client.send_raw(msgspec.msgpack.encode(frame))
    await trio.testing.wait_all_tasks_blocked()
    assert stt.last.audio == pcm(0.1, 3)


async def test_typed_and_spoken_words_in_one_session(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join()
    await start(client)
    await client.ask("typed")
    await client.send_raw(pcm(0.1))
    await trio.testing.wait_all_tasks_blocked()
    stt.last.tell(Final("spoken", None, "model"))
    await client.until_turn(2)
    assert [(said.text, said.reply) for said in await evaa.memory()] == [("typed", "1: typed"), ("spoken", "2: spoken")]


async def test_a_reply_is_prepared_ahead_and_shown_only_once_the_user_has_finished(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa, stt, client = await speaking(nursery)
    stt.last.tell(Eager("By mail"))
    await client.nothing_for(1.0)
    stt.last.tell(Resumed(), Eager("By mail, forty a day"))
    await client.nothing_for(1.0)
    assert (await evaa.record()).interview.turns == ()
    stt.last.tell(Final("By mail, forty a day", None, "model"))
    assert (await client.reply())["response"] == "1: By mail, forty a day"
    assert await evaa.memory() == [Said("By mail, forty a day", "1: By mail, forty a day", "answered")]


async def test_words_spoken_at_hang_up_are_stored_before_the_session_closes(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa, stt, client = await speaking(nursery)
    stt.last.finishes_stream = False
    stt.last.tell(Partial("and good"))
    await trio.testing.wait_all_tasks_blocked()
    left_at = trio.current_time()
    await client.leave()
    await evaa.gone()
    assert trio.current_time() == left_at + 2.0
    assert await evaa.memory() == [Said("and good", "", "pending")]
    assert stt.open == []


async def test_after_a_hang_up_the_reply_that_is_owed_is_given(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa, stt, client = await speaking(nursery)
    stt.last.tell(Partial("and good"))
    await trio.testing.wait_all_tasks_blocked()
    await client.leave()
    await evaa.gone()
    again = await evaa.connect()
    assert (await again.reply())["response"] == "1: and good"


async def test_without_a_recogniser_audio_is_refused_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    evaa = Evaa(nursery)
    client = await evaa.join(dialect=TYPED_JSON)
    for _ in range(30):
        await client.send_raw(pcm(0.1))
    await client.send(type="endOfSpeech")
    await trio.testing.wait_all_tasks_blocked()
    assert [codes(frame) for frame in client.waiting] == ["stt_unavailable"]
    assert (await client.ask("typed"))["response"] == "1: typed"


async def test_a_declaration_that_makes_no_sense_is_refused_with_what_is_right(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    evaa = Evaa(nursery, stt=FakeStt())
    client = await evaa.join()
    await client.send(type="start", audio={"container": "webm", "codec": "linear16"})
    error = (await client.until("error"))[-1]
    assert error["code"] == "bad_audio"
    assert "raw" in error["message"]
    assert [frame.kind for frame in client.passed] == ["error"], "a frame that is refused changes nothing"
    await client.nothing_for(1.0)


async def test_audio_that_nobody_could_hear_is_told_to_plain_clients_too(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join(dialect=PLAIN)
    webm = open_recording("b_long_pause.webm")
    stt.connect_s = 20.0
    for begin in [*range(0, len(webm), 4_000)] * 2:  # two recordings, 46 s: more than is kept
        await client.send_raw(webm[begin : begin + 4_000])
        await trio.sleep(0.2)
    await trio.sleep(20.0)
    stt.last.tell(Partial("so"))
    assert await client.error() == "audio_overflow"


async def test_a_failing_stt_actor_is_restarted_and_loses_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stt = FakeStt()
    evaa = Evaa(nursery, stt=stt)
    client = await evaa.join()
    await start(client)
    await client.send_raw(pcm(0.1, 1))
    await trio.testing.wait_all_tasks_blocked()
    stt.last._send.send_nowait(ZeroDivisionError("a bug in a plug-in"))
    await client.send_raw(pcm(0.1, 2))
    await trio.sleep(5)
    assert len(stt.connections) == 2
    assert stt.last.audio == pcm(0.1, 1) + pcm(0.1, 2)
    stt.last.tell(Final("still here", None, "model"))
    assert (await client.reply())["response"] == "1: still here"


def codes(frame: Frame) -> object:
    return frame["code"]


def open_recording(name: str) -> bytes:
    return (Path(__file__).parent.parent / "audio" / name).read_bytes()
