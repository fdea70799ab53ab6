import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.commands.talk_view import (
    Change,
    Effect,
    Piece,
    Print,
    Retracted,
    Send,
    Spoken,
    View,
    interrupt,
    lost,
    receive,
    say,
    start_message,
)
from protocols.frontend import (
    TYPED_JSON,
    Completion,
    CurrentStage,
    Delta,
    ErrorCode,
    ErrorFrame,
    GoingAway,
    Line,
    Pong,
    Ready,
    Reply,
    ServerFrame,
    StageData,
    Timing,
    TurnCancelled,
    TurnStarted,
    TypedJsonDialect,
    WarningFrame,
)

SESSION = "5f" * 12
ENCODE = TypedJsonDialect().encode
STAGES = tuple(StageData(f"{n:024x}", name, "", "", n * 10, 3) for n, name in enumerate(("Aim", "Trigger", "Steps")))
TIMING = Timing(None, 1.0, 2.0, 1.0)


def current(index: int = 0, used: int = 0, most: int = 3) -> CurrentStage:
    return CurrentStage(**msgspec.structs.asdict(STAGES[index]), follow_ups_used=used, max_follow_ups=most)


def ready(*messages: Line, resumed: bool = False, stage: CurrentStage | None = None) -> Ready:
    return Ready(
        session_id=SESSION,
        resumed=resumed,
        stage=stage or current(),
        stages=STAGES,
        status="interviewing",
        messages=messages,
    )


def reply(turn: int, text: str, to: StageData | Completion | None = None, text_id: str | None = None) -> Reply:
    return Reply(
        turn=turn,
        response=text,
        next_stage=to is not None,
        next_stage_data=to,
        timing=TIMING,
        id=msgspec.UNSET if text_id is None else text_id,
    )


def started(turn: int, text_id: str) -> TurnStarted:
    return TurnStarted(turn=turn, source="text", id=text_id)


def seen(view: View, *frames: ServerFrame) -> Change:
    """The view after these frames, and all effects on the way."""
    effects: list[Effect] = []
    for frame in frames:
        message = ENCODE(frame)
        assert message is not None
        view, more = receive(view, message)
        effects += more
    return view, tuple(effects)


def sent(text: str, text_id: str) -> Send:
    return Send(json.dumps({"type": "text", "text": text, "id": text_id}, separators=(",", ":")))


NEW = View(SESSION)
OPENED, _ = seen(NEW, ready(), reply(0, "What is it?"))
ASKED, _ = say(OPENED, "Invoices", "a")


def test_the_dialect_under_test_is_the_one_the_client_asks_for() -> None:
    assert TypedJsonDialect.name == TYPED_JSON


# --- binding ----------------------------------------------------------------------------------------------------


def test_a_connection_begins_by_asking_for_the_conversation() -> None:
    assert json.loads(start_message(NEW)) == {
        "type": "start",
        "sessionId": SESSION,
        "audio": None,
        "language": None,
        "replay": True,
    }


def test_a_new_session_waits_for_its_opening_question() -> None:
    view, effects = seen(NEW, ready())

    assert (view.bound, view.idle) == (True, False)
    assert effects == (Print("stage", "Stage 1 of 3: Aim"),)

    view, effects = seen(view, reply(0, "What is it?"))

    assert (view.idle, view.follow_ups) == (True, 0)
    assert effects == (Spoken("What is it?", streamed=False),)


def test_a_resumed_session_is_drawn_and_its_last_reply_is_not_shown_twice() -> None:
    lines = (
        Line("assistant", "What is it?", 0),
        Line("user", "Invoices", 1),
        Line("assistant", "Which?", 1),
        Line("user", "All", 2),
        Line("assistant", "I s", 2, interrupted=True),
    )
    view, effects = seen(NEW, ready(*lines, resumed=True, stage=current(1, used=2)), reply(1, "Which?"))

    assert view.idle
    assert effects == (
        Print("evaa", "What is it?"),
        Print("you", "Invoices"),
        Print("evaa", "Which?"),
        Print("you", "All"),
        Print("evaa", "I s (interrupted)"),
        Print("stage", "Stage 2 of 3: Trigger (follow-up 2 of 3)"),
    )


def test_a_session_that_is_over_ends_at_once() -> None:
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=STAGES, status="drafting")
    view, effects = seen(NEW, over)

    assert view.ending == "complete"
    assert effects == (Print("stage", "The interview is complete. Thank you!"),)


# --- turns ------------------------------------------------------------------------------------------------------


def test_a_turn_is_streamed_and_spends_a_follow_up() -> None:
    view, effects = say(OPENED, "Invoices", "a")
    assert effects == (sent("Invoices", "a"),)
    assert view.busy

    view, effects = seen(
        view, Delta(turn=1, text="Wh"), started(1, "a"), Delta(turn=1, text="ich"), reply(1, "Which?", text_id="a")
    )

    assert effects == (
        Piece("Wh"),
        Piece("ich"),
        Piece("?"),
        Spoken("Which?", streamed=True),
        Print("stage", "Stage 1 of 3: Aim (follow-up 1 of 3)"),
    )
    assert view.idle
    assert view.said == ()


def test_a_reply_that_closes_a_stage_shows_the_next_one() -> None:
    view, _ = seen(ASKED, started(1, "a"), reply(1, "Which?"))
    view, _ = say(view, "All", "b")
    view, effects = seen(view, started(2, "b"), reply(2, "I see. When?", STAGES[1]))

    assert effects == (Spoken("I see. When?", streamed=False), Print("stage", "Stage 2 of 3: Trigger"))
    assert (view.follow_ups, view.idle) == (0, True)


def test_a_budget_that_was_not_told_is_not_made_up() -> None:
    view, _ = seen(OPENED, reply(1, "When?", STAGES[1]))
    _, effects = seen(view, reply(2, "And then?"))

    assert effects[-1] == Print("stage", "Stage 2 of 3: Trigger (follow-up 1)")


def test_the_budget_is_taken_from_the_list_of_stages_where_it_is_told() -> None:
    first = msgspec.to_builtins(ready())
    first["stages"] = [msgspec.to_builtins(current(index, most=5 + index)) for index in range(3)]
    view, _ = receive(NEW, json.dumps({**first, "type": "ready"}))
    _, effects = seen(view, reply(0, "What?"), reply(1, "When?", STAGES[1]), reply(2, "And then?"))

    assert effects[-1] == Print("stage", "Stage 2 of 3: Trigger (follow-up 1 of 6)")


def test_the_last_reply_ends_the_interview() -> None:
    view, effects = seen(ASKED, started(1, "a"), reply(1, "Thank you.", Completion("drafting")))

    assert view.ending == "complete"
    assert effects == (
        Spoken("Thank you.", streamed=False),
        Print("stage", "The interview is complete. Thank you!"),
    )


def test_a_reply_that_is_not_what_was_streamed_takes_its_place() -> None:
    _, effects = seen(ASKED, Delta(turn=1, text="Wrong"), reply(1, "Right"))

    assert effects[:3] == (Piece("Wrong"), Retracted("Wrong", "replaced"), Spoken("Right", streamed=False))


def test_a_reply_is_shown_once() -> None:
    view, _ = seen(ASKED, started(1, "a"), reply(1, "Which?"))
    again, effects = seen(view, Delta(turn=1, text="Which?"), reply(1, "Which?"))

    assert effects == ()
    assert again.follow_ups == view.follow_ups == 1


# --- cancelled turns --------------------------------------------------------------------------------------------


def test_after_an_interruption_no_reply_is_owed() -> None:
    view, effects = interrupt(ASKED)
    assert effects == (Send('{"type":"interrupt"}'),)

    view, effects = seen(view, started(1, "a"), Delta(turn=1, text="Wh"), TurnCancelled(turn=1, reason="interrupted"))

    assert effects == (Piece("Wh"), Retracted("Wh", "interrupted"))
    assert view.idle
    assert view.follow_ups == 0


def test_an_interruption_may_overtake_the_acknowledgement() -> None:
    view, _ = seen(ASKED, TurnCancelled(turn=1, reason="interrupted"))
    assert view.busy

    view, _ = seen(view, started(1, "a"))
    assert view.idle


def test_one_reply_answers_all_that_was_said_before_it() -> None:
    view, _ = seen(ASKED, started(1, "a"))
    view, _ = say(view, "and letters", "b")
    view, _ = seen(view, TurnCancelled(turn=1, reason="superseded"), started(2, "b"))
    assert [said.id for said in view.said] == ["a", "b"]
    assert view.busy

    view, _ = seen(view, reply(2, "Which?"))
    assert view.idle
    assert view.said == ()


def test_pieces_that_were_taken_back_come_again() -> None:
    view, effects = seen(
        ASKED,
        Delta(turn=1, text="Wh"),
        TurnCancelled(turn=1, reason="superseded"),
        Delta(turn=2, text="What"),
        reply(2, "What?"),
    )

    assert effects[:5] == (
        Piece("Wh"),
        Retracted("Wh", "taken back: EVAA answers all you said at once"),
        Piece("What"),
        Piece("?"),
        Spoken("What?", streamed=True),
    )
    assert view.streamed == ""


def test_there_is_nothing_to_interrupt_while_evaa_waits() -> None:
    assert interrupt(OPENED) == (OPENED, (Print("note", "There is nothing to interrupt."),))


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


def test_going_away_tells_when_to_come_back() -> None:
    view, effects = seen(OPENED, GoingAway(reconnect_after_ms=1500))

    assert view.reconnect_after_s == 1.5
    assert effects == (Print("note", "EVAA is being restarted."),)
    assert seen(lost(view)[0], ready(resumed=True))[0].reconnect_after_s == 0


# --- problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["text_too_long", "rate_limited", "bad_frame"])
def test_a_refused_text_is_no_longer_waited_for(code: ErrorCode) -> None:
    first, _ = seen(ASKED, started(1, "a"))
    view, _ = say(first, "and letters", "b")
    view, effects = seen(view, ErrorFrame(code=code, message="No", retryable=False))

    assert effects == (Print("error", f"No ({code})"),)
    assert view.said == first.said
    assert view.failed


@pytest.mark.parametrize("code", ["agent_unavailable", "internal"])
def test_no_reply_is_waited_for_after_a_failure(code: ErrorCode) -> None:
    view, _ = seen(ASKED, started(1, "a"), ErrorFrame(code=code, message="No", retryable=True))

    assert view.idle
    assert view.failed


def test_an_error_that_is_about_nothing_said_is_only_told() -> None:
    view, effects = seen(ASKED, ErrorFrame(code="storage_unavailable", message="Wait", retryable=True))

    assert (view, effects) == (ASKED, (Print("error", "Wait (storage_unavailable)"),))


def test_a_session_that_cannot_be_bound_ends() -> None:
    view, _ = seen(NEW, ErrorFrame(code="session_mismatch", message="Another", retryable=False))

    assert view.ending == "refused"


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

    assert view.ending is None
