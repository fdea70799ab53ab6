"""What the terminal client's view makes of what is heard while recordings are played."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from evaa.commands.talk_effects import Hearing, Piece, Print, Retracted, Send
from evaa.commands.talk_state import View
from evaa.commands.talk_view import declare, end_speech, lost, start_message
from protocols.frontend import (
    AudioFormat,
    Delta,
    ErrorFrame,
    Line,
    Reply,
    ServerFrame,
    Transcript,
    TurnCancelled,
    TurnStarted,
)
from tests.evaa.talk_builders import NEW, OPENED, SESSION, ready, reply, seen

WEBM = AudioFormat("webm", "opus")
WAVE = AudioFormat("raw", "linear16", 16_000, 1)
PLAYING = msgspec.structs.replace(OPENED, audio=WEBM)


def partial(turn: int, text: str) -> Transcript:
    return Transcript(turn=turn, text=text, final=False)


def final(turn: int, text: str) -> Transcript:
    return Transcript(turn=turn, text=text, final=True)


def spoken(turn: int) -> TurnStarted:
    return TurnStarted(turn=turn, source="voice")


# --- declaring --------------------------------------------------------------------------------------------------


def test_the_first_message_declares_the_recording() -> None:
    assert json.loads(start_message(View(SESSION, audio=WAVE)))["audio"] == {
        "container": "raw",
        "codec": "linear16",
        "sampleRate": 16_000,
        "channels": 1,
    }


def test_a_recording_is_declared_at_once_or_with_the_next_connection() -> None:
    view, effects = declare(OPENED, WEBM)
    assert effects == (Send(start_message(PLAYING)),)
    assert not view.open

    view, effects = seen(view, ready(Line("assistant", "What is it?", 0)))
    assert effects == ()
    assert view.open

    assert declare(NEW, WEBM) == (View(SESSION, audio=WEBM), ())


def test_the_end_of_a_recording_is_the_end_of_speech() -> None:
    assert end_speech(PLAYING) == (PLAYING, (Send('{"type":"endOfSpeech"}'),))


# --- hearing ----------------------------------------------------------------------------------------------------


def test_partials_replace_each_other_until_one_is_final() -> None:
    view, effects = seen(PLAYING, partial(1, "We"), partial(1, "We g\x1bet"), partial(1, "We get"), final(1, "We get."))

    assert effects == (Hearing("We"), Hearing("We get"), Hearing(""), Print("you", "We get."))
    assert (view.heard, view.partial, view.busy) == (1, "", True)


def test_nobody_waits_while_something_is_being_heard() -> None:
    view, _ = seen(PLAYING, partial(1, "Hm"))
    assert (view.open, view.idle) == (True, False)

    view, effects = seen(view, partial(1, ""))
    assert (view.idle, view.heard) == (True, -1)
    assert effects == (Hearing(""),)


def test_what_was_heard_is_owed_a_reply() -> None:
    view, effects = seen(PLAYING, final(1, "Yes."))
    assert effects == (Print("you", "Yes."),)
    assert not view.idle

    view, _ = seen(view, spoken(1), reply(1, "Good."))
    assert view.idle
    assert view.heard == view.settled == 1


def test_of_two_utterances_the_second_is_answered() -> None:
    view, _ = seen(PLAYING, final(1, "We get"), spoken(1), Delta(turn=1, text="Wh"), final(2, "invoices."))
    view, effects = seen(view, TurnCancelled(turn=1, reason="superseded"))
    assert effects == (Retracted("Wh", "taken back: the answer begins anew"),)
    assert not view.idle

    view, _ = seen(view, spoken(2), reply(2, "Which?"))
    assert view.idle


def test_a_reply_that_fails_is_not_waited_for() -> None:
    view, _ = seen(PLAYING, final(1, "Yes."), ErrorFrame(code="agent_unavailable", message="No", retryable=True))

    assert view.idle
    assert view.heard > view.settled


# --- lost connections -------------------------------------------------------------------------------------------

ASKED = (Line("assistant", "What is it?", 0), Line("user", "Yes.", 1))


def test_what_is_stored_is_neither_missed_nor_shown_again() -> None:
    view, _ = lost(seen(PLAYING, final(1, "Yes."))[0])
    view, effects = seen(view, ready(*ASKED, resumed=True))

    assert effects == ()
    assert (view.missed, view.heard, view.losses) == (False, 1, 1)


def test_what_is_not_stored_was_missed() -> None:
    view, _ = lost(seen(PLAYING, final(1, "Yes."))[0])
    view, _ = seen(view, ready(ASKED[0], resumed=True))

    assert (view.missed, view.heard) == (True, 0)
    assert not seen(view, final(1, "Yes."))[0].missed


def test_what_was_being_heard_was_missed_however_often_the_connection_is_lost() -> None:
    view, effects = lost(seen(PLAYING, partial(1, "Ye"))[0])
    assert effects == (Hearing(""),)

    view, effects = lost(view)
    assert effects == ()
    assert (view.missed, view.partial) == (True, "")


def test_without_speech_recognition_a_recording_is_of_no_use() -> None:
    deaf = ErrorFrame(code="stt_unavailable", message="No", retryable=False)

    assert seen(PLAYING, deaf)[0].is_refused
    assert not seen(OPENED, deaf)[0].is_refused
    assert not seen(PLAYING, msgspec.structs.replace(deaf, retryable=True))[0].is_refused


# --- for all ----------------------------------------------------------------------------------------------------

FRAMES: st.SearchStrategy[ServerFrame | str] = st.one_of(
    st.builds(
        Transcript, turn=st.integers(1, 4), text=st.sampled_from(["", "We", "We get", "\x1b"]), final=st.booleans()
    ),
    st.builds(Delta, turn=st.integers(0, 4), text=st.text(max_size=3)),
    st.builds(reply, st.integers(0, 4), st.text(max_size=3)),
    st.builds(spoken, st.integers(0, 4)),
    st.builds(lambda resumed: ready(*ASKED, resumed=resumed), st.booleans()),
    st.just("lost"),
)


@given(st.lists(FRAMES))
def test_what_is_shown_as_being_heard_is_what_is_being_heard(steps: list[ServerFrame | str]) -> None:
    view = PLAYING
    shown = coming = ""
    for step in steps:
        view, effects = lost(view) if isinstance(step, str) else seen(view, step)
        for effect in effects:
            if isinstance(effect, Hearing):
                assert effect.text != shown
                shown = effect.text
            elif isinstance(effect, Piece):
                coming += effect.text
            elif isinstance(effect, Retracted) or isinstance(step, Reply):
                coming = ""
        assert (view.partial, view.streamed) == (shown, coming)
