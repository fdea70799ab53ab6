from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from evaa.commands.arguments import parse_arguments
from evaa.commands.talk import talk
from evaa.commands.talk_effects import Hearing, Print, Retracted, Spoken
from evaa.commands.talk_player import PATIENCE_S
from tests.evaa.recordings import chunks, recording
from tests.evaa.talk_listener import OPENING, URL, YES, Listener, at, desk, listening, sent
from tests.evaa.talk_server import SESSION

# --- reconnecting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [0, 3])
async def test_a_recording_that_was_cut_off_is_played_again(
    delay_s: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def first(peer: Listener) -> None:
        await peer.bind()
        for _ in range(8):
            await peer.chunk()
        await peer.heard(1, "Ye", final=False)
        await peer.socket.aclose(1011, "out of luck")

    async def second(peer: Listener) -> None:
        await peer.bind(OPENING)
        assert peer.audio["container"] == "webm"
        again = await peer.listen()
        assert [chunk.data for chunk in again] == chunks("c_yes")
        assert at(again)[0] == pytest.approx(0.1163, abs=1e-6)
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, first, second) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown, retry_delays_s=[delay_s]) == 0

    assert shown.shown[3:6] == [
        Hearing("Ye"),
        Hearing(""),
        Print("note", f"The connection was lost: out of luck (1011); reconnecting in {delay_s} s (attempt 1 of 1)."),
    ]
    again = "Playing c_yes.webm again from its beginning: the connection was lost before all was heard."
    assert shown.told("note").count(again) == 1


async def test_what_was_heard_and_stored_is_not_played_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def first(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Yes.")
        await peer.tell("delta", turn=1, text="Go")
        await peer.socket.aclose(1001)

    async def second(peer: Listener) -> None:
        await peer.bind(OPENING, {"role": "user", "text": "Yes.", "turn": 1})
        await peer.tell("turnStarted", turn=1, source="voice")
        await trio.sleep(PATIENCE_S * 0.9)
        await peer.reply(1, "Good.")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, first, second) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown, retry_delays_s=[30]) == 0

    assert shown.told("you") == ["Yes."]
    assert Retracted("Go", "lost with the connection") in shown.shown
    assert len([note for note in shown.told("note") if note.startswith("Playing")]) == 1


@pytest.mark.parametrize("is_final", [True, False])
async def test_what_was_heard_but_not_stored_is_played_again(
    is_final: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def first(peer: Listener) -> None:
        await peer.bind()
        await peer.chunk()
        await peer.answer(1, "We get invoices.", "Which?")
        await peer.listen()
        await peer.heard(2, "Yes.", final=is_final)
        await peer.socket.aclose(1011)

    async def second(peer: Listener) -> None:
        lines = (
            {"role": "user", "text": "We get invoices.", "turn": 1},
            {"role": "assistant", "text": "Which?", "turn": 1},
        )
        await peer.bind(OPENING, *lines)
        assert sent(await peer.listen()) == recording("c_yes.webm")
        await peer.answer(2, "Yes.", "Good.")
        await peer.gone()

    shown = desk()
    async with listening(monkeypatch, first, second) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown, retry_delays_s=[0]) == 0

    assert Spoken("Good.", streamed=False) in shown.shown


async def test_a_connection_that_idleness_closed_is_opened_again_at_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def first(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.socket.aclose(4408)

    async def second(peer: Listener) -> None:
        await peer.bind(OPENING)
        await peer.listen()
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    async with listening(monkeypatch, first, second) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=desk(), retry_delays_s=[0]) == 0


# --- what does not work -----------------------------------------------------------------------------------------


async def test_without_speech_recognition_there_is_nothing_to_play_for(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.tell("error", code="stt_unavailable", message="Send text", retryable=False)
        await peer.gone()
        assert trio.current_time() == peer.ready_at

    shown = desk()
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=shown) == 1

    assert shown.told("error") == ["Send text (stt_unavailable)"]


async def test_speech_recognition_that_comes_back_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.chunk()
        await peer.tell("error", code="stt_unavailable", message="Tried again", retryable=True)
        await peer.tell("error", code="bad_audio", message="A gap", retryable=False)
        await peer.listen()
        await peer.answer(1, "Yes.", "Good.")
        await peer.gone()

    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=desk()) == 0


@pytest.mark.parametrize("name", ["missing.webm", "words.txt"])
async def test_a_file_that_cannot_be_played_is_told_before_anything_is_done(name: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Yes.", "utf-8")
    shown = desk()

    assert await talk(URL, audio=[YES, tmp_path / name], terminal=shown) == 1
    (told,) = shown.shown
    assert isinstance(told, Print)
    assert (told.kind, told.text.startswith(str(tmp_path / name))) == ("error", True)


def test_the_command_line_takes_several_recordings() -> None:
    assert parse_arguments(["talk", "--audio", "a.webm", "b.ogg", "--audio", "c.wav"], "").audio == [
        "a.webm",
        "b.ogg",
        "c.wav",
    ]
    assert parse_arguments(["talk"], "").audio == []
