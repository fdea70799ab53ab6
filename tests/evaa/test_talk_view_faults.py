import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.commands.talk_effects import Piece, Print, Retracted, Spoken
from evaa.commands.talk_view import interrupt, lost, receive, say
from protocols.frontend import (
    Delta,
    ErrorCode,
    ErrorFrame,
    GoingAway,
    Line,
    Pong,
    ServerFrame,
    TurnCancelled,
    WarningFrame,
)
from tests.evaa.talk_builders import (
    ASKED,
    NEW,
    OPENED,
    STAGES,
    current,
    ready,
    reply,
    seen,
    sent,
    started,
)

# --- lost connections -------------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_is_sent_again_under_its_id() -> None:
    view, effects = lost(seen(ASKED, Delta(turn=1, text="Wh"))[0])
    assert effects == (Retracted("Wh", "lost with the connection"),)
    assert not view.bound

    view, effects = say(view, "and letters", "b")
    assert effects == ()

    view, effects = seen(view, ready(Line("assistant", "What is it?", 0), resumed=True))
    assert effects == (sent("Invoices", "a"), sent("and letters", "b"))
    assert view.busy


def test_what_is_acknowledged_is_not_sent_again() -> None:
    view, _ = lost(seen(ASKED, started(1, "a"))[0])
    lines = (Line("assistant", "What is it?", 0), Line("user", "Invoices", 1))
    view, effects = seen(view, ready(*lines, resumed=True))

    assert effects == ()
    assert view.busy

    view, effects = seen(view, reply(1, "Which?"))
    assert effects[0] == Spoken("Which?", streamed=False)
    assert view.idle


def test_a_text_whose_acknowledgement_was_lost_is_known_by_the_replay() -> None:
    lines = (Line("assistant", "What is it?", 0), Line("user", "Invoices", 1), Line("assistant", "Which?", 1))
    view, effects = seen(lost(ASKED)[0], ready(*lines, resumed=True, stage=current(used=1)))

    assert effects == (Print("evaa", "Which?"), Print("stage", "Stage 1 of 3: Aim (follow-up 1 of 3)"))
    assert view.idle


def test_what_was_answered_while_the_store_was_away_is_still_to_be_acknowledged() -> None:
    view, _ = seen(ASKED, reply(1, "Which?", text_id="a"))
    assert view.idle

    lines = (Line("assistant", "What is it?", 0),)
    view, effects = seen(lost(view)[0], ready(*lines, resumed=True, stage=current(used=1)))
    assert effects == (sent("Invoices", "a"),)

    view, _ = seen(view, started(1, "a"))
    assert view.said == ()
    assert view.idle


def test_what_is_owed_is_told_anew_by_the_next_connection() -> None:
    view, _ = lost(seen(OPENED, started(1, "from another client"))[0])
    view, _ = seen(view, ready(resumed=True))

    assert view.idle


def test_going_away_tells_when_to_come_back() -> None:
    view, effects = seen(OPENED, GoingAway(reconnect_after_ms=1500))

    assert view.reconnect_after_s == 1.5
    assert effects == (Print("note", "EVAA is being restarted."),)
    assert seen(lost(view)[0], ready(resumed=True))[0].reconnect_after_s == 0


# --- problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["text_too_long", "rate_limited", "bad_frame"])
def test_the_newest_text_is_the_one_that_was_refused(code: ErrorCode) -> None:
    view, _ = say(ASKED, "and letters", "b")
    view, effects = seen(view, ErrorFrame(code=code, message="No", retryable=False))

    assert effects == (Print("error", f"No ({code})"),)
    assert view.said == ASKED.said
    assert view.failed


def test_what_is_acknowledged_is_not_refused_any_more() -> None:
    view, _ = seen(ASKED, started(1, "a"))

    assert seen(view, ErrorFrame(code="bad_frame", message="No", retryable=False))[0] == view


def test_no_reply_is_waited_for_after_a_failure() -> None:
    view, _ = seen(ASKED, started(1, "a"), ErrorFrame(code="agent_unavailable", message="No", retryable=True))

    assert view.idle
    assert view.failed


def test_a_text_whose_reply_failed_is_kept_until_it_is_acknowledged() -> None:
    view, _ = seen(ASKED, ErrorFrame(code="agent_unavailable", message="No", retryable=True))
    assert view.idle
    assert seen(lost(view)[0], ready(resumed=True))[1] == (sent("Invoices", "a"),)

    view, _ = seen(view, started(1, "a"))
    assert view.idle
    assert view.said == ()


def test_an_agent_that_began_anew_is_told_again_what_it_did_not_acknowledge() -> None:
    view, _ = say(seen(ASKED, started(1, "a"))[0], "and letters", "b")
    after, effects = seen(view, ErrorFrame(code="internal", message="Restarted", retryable=True))

    assert effects == (Print("error", "Restarted (internal)"), sent("and letters", "b"))
    assert after == view


def test_an_error_that_is_about_nothing_said_is_only_told() -> None:
    view, effects = seen(ASKED, ErrorFrame(code="storage_unavailable", message="Wait", retryable=True))

    assert (view, effects) == (ASKED, (Print("error", "Wait (storage_unavailable)"),))


def test_a_session_that_cannot_be_bound_ends() -> None:
    view, _ = seen(NEW, ErrorFrame(code="session_mismatch", message="Another", retryable=False))

    assert view.is_refused


def test_a_warning_is_shown_without_what_could_steer_the_terminal() -> None:
    frame = WarningFrame(code="stt_unavailable", message="\x1b[2JHm\r\u009b1m\n!", retryable=True)

    assert seen(OPENED, frame) == (OPENED, (Print("warning", "[2JHm1m\n!"),))


def test_unknown_types_fields_and_codes_are_passed_over() -> None:
    assert seen(OPENED, Pong(t=1)) == (OPENED, ())
    assert receive(OPENED, '{"type":"novelty","turn":"x"}') == (OPENED, ())
    assert receive(OPENED, b"\x00") == (OPENED, ())
    assert receive(OPENED, '{"type":"delta","turn":1,"text":"x","colour":"red"}')[1] == (Piece("x"),)
    assert receive(OPENED, '{"type":"error","code":"novelty","message":"m"}')[1] == (Print("error", "m (novelty)"),)


def test_a_frame_that_is_known_but_wrong_is_told() -> None:
    view, (effect,) = receive(OPENED, '{"type":"delta","turn":"x"}')

    assert view == OPENED
    assert isinstance(effect, Print)
    assert effect.kind == "warning"
    assert effect.text.startswith("EVAA sent something that this client cannot read: ")


# --- for all ----------------------------------------------------------------------------------------------------

FRAMES: st.SearchStrategy[ServerFrame | str] = st.one_of(
    st.builds(Delta, turn=st.integers(0, 4), text=st.text(max_size=3)),
    st.builds(reply, st.integers(0, 4), st.text(max_size=3), st.sampled_from([None, STAGES[1]])),
    st.builds(started, st.integers(0, 4), st.sampled_from("abc")),
    st.builds(TurnCancelled, turn=st.integers(0, 4), reason=st.sampled_from(["interrupted", "resumed", "superseded"])),
    st.builds(
        lambda lines, resumed: ready(*lines, resumed=resumed),
        st.lists(
            st.builds(
                Line, st.sampled_from(["user", "assistant"]), st.sampled_from("abc"), st.integers(0, 4), st.booleans()
            )
        ),
        st.booleans(),
    ),
    st.builds(
        ErrorFrame,
        code=st.sampled_from(["internal", "agent_unavailable", "bad_frame"]),
        message=st.just("No"),
        retryable=st.booleans(),
    ),
    st.sampled_from(["lost", "interrupt", "a", "b", "c"]),
)


@given(st.lists(FRAMES))
def test_pieces_always_become_a_reply_or_are_retracted(steps: list[Any]) -> None:
    view = NEW
    shown = ""
    for step in steps:
        match step:
            case "lost":
                view, effects = lost(view)
            case "interrupt":
                view, effects = interrupt(view)
            case str():
                view, effects = say(view, step, step)
            case _:
                view, effects = seen(view, step)
        for effect in effects:
            match effect:
                case Piece(text):
                    shown += text
                case Spoken(text, streamed):
                    assert shown == (text if streamed else "")
                    shown = ""
                case Retracted(text):
                    assert shown == text
                    shown = ""
        assert view.streamed == shown


@given(st.text() | st.builds(json.dumps, st.dictionaries(st.sampled_from(["type", "turn", "text"]), st.text())))
def test_no_message_is_too_odd(message: str) -> None:
    view, _ = receive(OPENED, message)

    assert not view.is_refused


def test_a_message_that_is_nested_too_deeply_is_told() -> None:
    _, (effect,) = receive(OPENED, '{"type":"delta","turn":' + "[" * 100_000)

    assert isinstance(effect, Print)
    assert effect.kind == "warning"
