import json

import msgspec

from evaa.commands.talk_effects import Piece, Print, Retracted, Send, Spoken
from evaa.commands.talk_view import interrupt, receive, say, start_message
from protocols.frontend import Completion, Delta, Line, Ready, TurnCancelled
from tests.evaa.talk_builders import (
    ASKED,
    NEW,
    OPENED,
    SESSION,
    STAGES,
    current,
    ready,
    reply,
    seen,
    sent,
    started,
)

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


def test_a_reply_that_was_cut_short_and_is_told_again_is_no_follow_up() -> None:
    lines = (Line("assistant", "What is it?", 0), Line("user", "All", 1), Line("assistant", "I s", 1, interrupted=True))
    view, effects = seen(NEW, ready(*lines, resumed=True), reply(1, "I s"))

    assert effects[-1] == Print("stage", "Stage 1 of 3: Aim")
    assert (view.follow_ups, view.idle) == (0, True)


def test_a_reply_that_is_owed_to_a_resumed_session_is_waited_for() -> None:
    lines = (Line("assistant", "What is it?", 0), Line("user", "All", 1))
    view, _ = seen(NEW, ready(*lines, resumed=True))
    assert view.idle

    view, _ = seen(view, started(1, "from another client"))
    assert not view.idle

    view, _ = seen(view, reply(1, "Which?"))
    assert view.idle


def test_a_session_whose_interview_is_complete_is_told_so_once() -> None:
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=ready().stages, status="drafting")
    view, effects = seen(NEW, over, over)

    assert view.is_complete
    assert effects == (Print("stage", "The interview is complete."),)


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


def test_the_budget_of_a_later_stage_is_told_by_ready() -> None:
    view, _ = seen(OPENED, reply(1, "When?", STAGES[1]))
    _, effects = seen(view, reply(2, "And then?"))

    assert effects[-1] == Print("stage", "Stage 2 of 3: Trigger (follow-up 1 of 3)")


def test_the_budget_is_taken_from_the_list_of_stages_where_it_is_told() -> None:
    first = msgspec.to_builtins(ready())
    first["stages"] = [msgspec.to_builtins(current(index, most=5 + index)) for index in range(3)]
    view, _ = receive(NEW, json.dumps({**first, "type": "ready"}))
    _, effects = seen(view, reply(0, "What?"), reply(1, "When?", STAGES[1]), reply(2, "And then?"))

    assert effects[-1] == Print("stage", "Stage 2 of 3: Trigger (follow-up 1 of 6)")


def test_the_last_reply_completes_the_interview() -> None:
    view, effects = seen(ASKED, started(1, "a"), reply(1, "Thank you.", Completion("drafting")))

    assert (view.is_complete, view.idle) == (True, True)
    assert effects == (
        Spoken("Thank you.", streamed=False),
        Print("stage", "The interview is complete."),
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
        Retracted("Wh", "taken back: the answer begins anew"),
        Piece("What"),
        Piece("?"),
        Spoken("What?", streamed=True),
    )
    assert view.streamed == ""


def test_there_is_nothing_to_interrupt_while_evaa_waits() -> None:
    assert interrupt(OPENED) == (OPENED, (Print("note", "There is nothing to interrupt."),))
