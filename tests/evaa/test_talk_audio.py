import wave
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair

from evaa.commands.play import read_recording
from evaa.commands.talk import talk
from evaa.commands.talk_effects import Hearing, Piece, Print, Spoken
from evaa.commands.talk_player import PATIENCE_S, QUIET_S
from evaa.commands.talk_terminal import Key
from tests.evaa.recordings import AUDIO, recording
from tests.evaa.talk_listener import OPENING, YES, Arrival, Listener, at, desk, listening, sent
from tests.evaa.talk_server import NEXT, SESSION

YES_S = 2.104


# --- what is sent, and when -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a_dental.webm", "b_long_pause.webm", "x_firefox.webm", "c_yes.ogg"])
async def test_every_chunk_is_sent_when_it_is_due(
    name: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    heard: list[Arrival] = []

    async def script(peer: Listener) -> None:
        await peer.bind()
        assert peer.audio == {
            "container": name.rpartition(".")[2],
            "codec": "opus",
            "sampleRate": None,
            "channels": None,
        }
        heard.extend(await peer.listen())
        await peer.answer(1, "Invoices.", "Which?")
        await peer.gone()

    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[AUDIO / name], terminal=desk()) == 0

    played = read_recording(AUDIO / name)
    assert [chunk.data for chunk in heard] == [chunk.data for chunk in played.chunks]
    assert at(heard) == pytest.approx([chunk.at_s for chunk in played.chunks], abs=1e-6)
    assert sent(heard) == recording(name)


async def test_a_wave_file_is_sent_as_its_samples(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, tmp_path: Path
) -> None:
    samples = recording("c_yes.s16le")
    with wave.open(str(tmp_path / "yes.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples)
    heard: list[Arrival] = []

    async def script(peer: Listener) -> None:
        await peer.bind()
        assert peer.audio == {"container": "raw", "codec": "linear16", "sampleRate": 16_000, "channels": 1}
        heard.extend(await peer.listen())
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[tmp_path / "yes.wav"], terminal=desk()) == 0

    assert sent(heard) == samples
    assert at(heard) == pytest.approx([0.1 * n for n in range(1, 22)], abs=1e-6)


async def test_nothing_is_said_before_the_opening_question(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.hear("start")
        await peer.ready()
        await trio.sleep(7)
        await peer.reply(0, "What is it?")
        peer.ready_at = trio.current_time()
        assert at(await peer.listen())[0] == pytest.approx(0.1163, abs=1e-6)
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=desk()) == 0


async def test_a_connection_that_is_slow_delays_chunks_but_loses_none(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    heard: list[Arrival] = []

    async def script(peer: Listener) -> None:
        await peer.bind()
        await trio.sleep(1)
        heard.extend(await peer.listen())
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    async with listening(monkeypatch, script, wire=lockstep_stream_pair) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=desk()) == 0

    due = [chunk.at_s for chunk in read_recording(YES).chunks]
    assert sent(heard) == recording("c_yes.webm")
    assert at(heard) == pytest.approx([max(1.0, at_s) for at_s in due], abs=1e-6)


# --- what is shown ----------------------------------------------------------------------------------------------


async def test_partials_finals_and_replies_are_shown(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        for _ in range(9):
            await peer.chunk()
        await peer.heard(1, "Ye", final=False)
        await peer.heard(1, "Ye", final=False)
        await peer.heard(1, "Yes", final=False)
        await peer.listen()
        await peer.heard(1, "Yes.")
        await peer.tell("turnStarted", turn=1, source="voice")
        await peer.tell("delta", turn=1, text="Go")
        await peer.tell("delta", turn=1, text="od.")
        await peer.reply(1, "Good.", NEXT)
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown) == 0

    assert shown.shown == [
        Print("stage", "Stage 1 of 2: Aim"),
        Spoken("What is it?", streamed=False),
        Print("note", "Playing c_yes.webm (2.1 s)."),
        Hearing("Ye"),
        Hearing("Yes"),
        Hearing(""),
        Print("you", "Yes."),
        Piece("Go"),
        Piece("od."),
        Spoken("Good.", streamed=True),
        Print("stage", "Stage 2 of 2: Trigger"),
        Print("note", f"To go on with this session: python run.py talk --session {SESSION}"),
    ]


# --- when it ends -----------------------------------------------------------------------------------------------


async def test_the_next_recording_waits_for_the_reply_and_is_declared(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await trio.sleep(15)
        await peer.heard(1, "Y", final=False)
        await trio.sleep(15)
        await peer.heard(1, "Yes.")
        await peer.tell("turnStarted", turn=1, source="voice")
        await trio.sleep(15)
        await peer.reply(1, "Which?")
        replied_at = trio.current_time()
        lines = ({"role": "user", "text": "Yes.", "turn": 1}, {"role": "assistant", "text": "Which?", "turn": 1})
        await peer.bind(OPENING, *lines)
        assert trio.current_time() - replied_at == pytest.approx(QUIET_S)
        assert peer.audio["container"] == "ogg"
        second = await peer.listen()
        assert at(second)[0] == pytest.approx(0.1, abs=1e-6)
        assert sent(second) == recording("c_yes.ogg")
        await peer.answer(2, "Yes!", "All?")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES, AUDIO / "c_yes.ogg"], terminal=shown) == 0

    assert shown.told("you") == ["Yes.", "Yes!"]
    assert shown.shown.count(Spoken("Which?", streamed=False)) == 1
    assert shown.told("error") == []


async def test_the_end_waits_for_what_is_still_being_heard(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.chunk()
        await peer.answer(1, "Yes.", "Good.")
        await peer.listen()
        await trio.sleep(QUIET_S * 0.9)  # the reply is there; what was said last is only now recognised
        await peer.heard(2, "And letters", final=False)
        await trio.sleep(5)
        await peer.heard(2, "And letters.")
        await trio.sleep(5)
        await peer.reply(2, "Which letters?")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown) == 0

    assert Spoken("Which letters?", streamed=False) in shown.shown


async def test_nothing_heard_is_given_up(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Hm", final=False)
        await peer.heard(1, "", final=False)
        silent_from = trio.current_time()
        await peer.gone()
        assert trio.current_time() - silent_from == pytest.approx(PATIENCE_S)

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown) == 1

    assert shown.told("error") == ["Nothing was heard in c_yes.webm."]
    assert shown.shown.index(Hearing("")) > shown.shown.index(Hearing("Hm"))


async def test_a_reply_that_does_not_come_is_given_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Yes.")
        silent_from = trio.current_time()
        await peer.bind(OPENING, {"role": "user", "text": "Yes.", "turn": 1})
        assert trio.current_time() - silent_from == pytest.approx(PATIENCE_S)
        await peer.listen()
        await peer.heard(2, "Yes!")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES, YES], terminal=shown) == 1

    assert shown.told("error") == ["There was no reply to c_yes.webm."] * 2


async def test_one_recording_that_was_answered_is_enough(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Yes.")
        await peer.tell("error", code="agent_unavailable", message="No model", retryable=True)
        await peer.bind(OPENING, {"role": "user", "text": "Yes.", "turn": 1})
        await peer.listen()
        await peer.answer(2, "Yes!", "Good.")
        await peer.bind(OPENING)
        await peer.listen()
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES, YES, YES], terminal=shown) == 0

    assert shown.told("error") == [
        "No model (agent_unavailable)",
        "There was no reply to c_yes.webm.",
        "Nothing was heard in c_yes.webm.",
    ]


async def test_ctrl_c_leaves(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.chunk()
        await shown.type(Key.INTERRUPT)
        await peer.gone()
        assert trio.current_time() - peer.ready_at < YES_S

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown) == 1

    assert shown.told("error") == []
