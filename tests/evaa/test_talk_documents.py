"""The terminal client once the interview is complete: the documents are written, corrected and confirmed."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from evaa.commands.talk import talk
from evaa.commands.talk_client import PATIENCE_S, QUIET_S, STILL_WRITING
from evaa.commands.talk_effects import Print, Spoken, Writing
from evaa.commands.talk_terminal import Key
from evaa.commands.talk_view import lost, say
from protocols.frontend import Completed, Completion, Line, Progress, Ready, ServerFrame
from tests.evaa.talk_builders import ASKED, NEW, SESSION, reply, seen, sent, started
from tests.evaa.talk_listener import OPENING, YES, Listener, listening
from tests.evaa.talk_server import Desk

CLOSED = {"completed": True, "status": "drafting"}
STATEMENT = {"id": "FR-1", "requirement": "It reads", "sourceTurns": [1]}
SECTIONS = {
    "scope": [STATEMENT | {"status": "stated"}, STATEMENT | {"status": "inferred"}],
    "risks": [],
    "data": [STATEMENT | {"status": "stated"}],
    "openQuestions": [STATEMENT | {"status": "stated"}],
}
TO_WRITE_IT = f"To write it out: python run.py brd {SESSION} --format docx"


def brd(version: int = 1, state: str = "draft", **changes: Any) -> dict[str, Any]:
    return {
        "version": version, "state": state, "title": "Invoices", "change": "", "sections": SECTIONS, "missing": {},
    } | changes  # fmt: skip


def completed(version: int = 1, state: str = "draft", **changes: Any) -> Completed:
    return Completed(summary={}, brd=brd(version, state, **changes))


def progress(done: int, step: Any = "brd") -> Progress:
    return Progress(step=step, done=done, total=22)


def told(version: str) -> tuple[Print, ...]:
    """What is shown of the version that `brd` makes, by default."""
    return (
        Print("stage", "Your requirements document: Invoices"),
        Print("note", version),
        Print("note", "Statements: 2 stated, 1 inferred, 0 confirmed. 1 open question, no missing sections."),
    )


BEGUN = Print("note", "Your requirements document is being written.")
AGAIN = Print("note", "A new version of your requirements document is being written.")
DRAFT = (*told("Version 1, draft"), Print("note", f"Say what is wrong, or that it is right. {TO_WRITE_IT}"))
OVER: tuple[ServerFrame, ...] = (started(1, "a"), reply(1, "Thank you.", Completion("drafting")))
CLOSED_VIEW, _ = seen(ASKED, *OVER)

# --- the view -----------------------------------------------------------------------------------------------------


def test_the_writing_is_told_as_it_goes_on_and_then_what_came_of_it() -> None:
    view, effects = seen(CLOSED_VIEW, progress(0, "summary"), progress(7), completed())

    assert effects == (
        BEGUN,
        Writing("Writing the summary of the interview: 0 of 22"),
        Writing("Writing your requirements document: 7 of 22"),
        Writing(""),
        *DRAFT,
    )
    assert (view.is_drafting, view.idle) == (False, True)


def test_what_could_not_be_written_is_counted() -> None:
    questions = SECTIONS | {"openQuestions": []}
    _, effects = seen(CLOSED_VIEW, completed(sections=questions, missing={"scope": "No", "data": "No"}))

    assert effects[2] == Print(
        "note", "Statements: 2 stated, 1 inferred, 0 confirmed. No open questions, 2 missing sections."
    )


def test_a_correction_makes_a_new_version_and_a_confirmation_confirms_it() -> None:
    view, _ = say(seen(CLOSED_VIEW, completed())[0], "50, not 40", "b")
    view, effects = seen(view, started(2, "b"), reply(2, "Changed."), progress(21))

    assert effects == (
        Spoken("Changed.", streamed=False),
        AGAIN,
        Writing("Writing your requirements document: 21 of 22"),
    )
    assert (view.idle, view.is_drafting) == (True, True)

    view, effects = seen(view, completed(2, change="50 instead of 40"))
    assert effects[1:4] == told("Version 2, draft: 50 instead of 40")

    view, effects = seen(view, completed(2, "confirmed"))
    assert effects == (
        *told("Version 2, confirmed"),
        Print("note", f"Say what is wrong, if something is. {TO_WRITE_IT}"),
    )


def test_a_version_is_shown_once_however_often_it_is_told() -> None:
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=(), status="complete")
    view, _ = lost(seen(CLOSED_VIEW, completed())[0])
    assert view.is_drafting

    view, effects = seen(view, over, completed())
    assert effects == ()
    assert (view.is_drafting, view.idle) == (False, True)


def test_asking_where_the_session_stands_brings_no_news_of_the_documents() -> None:
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=(), status="complete")
    assert not seen(CLOSED_VIEW, completed(), over)[0].is_drafting


def test_what_was_not_acknowledged_is_sent_again_also_when_the_interview_is_complete() -> None:
    view, _ = lost(say(seen(CLOSED_VIEW, completed())[0], "50, not 40", "b")[0])
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=(), status="complete")

    assert seen(view, over)[1] == (sent("50, not 40", "b"),)


def test_a_finished_session_shows_where_it_stands() -> None:
    lines = (Line("assistant", "What is it?", 0), Line("user", "Invoices", 1), Line("assistant", "Thank you.", 1))
    over = Ready(session_id=SESSION, resumed=True, stage=None, stages=(), status="complete", messages=lines)
    _, effects = seen(NEW, over, reply(1, "Thank you.", Completion("drafting")), completed())

    assert effects[3:] == (Print("stage", "The interview is complete."), *DRAFT)


def test_a_title_does_not_steer_the_terminal() -> None:
    _, effects = seen(CLOSED_VIEW, completed(title="\x1b[2JInvoices"))

    assert effects[0] == Print("stage", "Your requirements document: [2JInvoices")


# --- piped lines --------------------------------------------------------------------------------------------------


async def closed(peer: Listener) -> None:
    """The first line closes the interview."""
    await peer.bind()
    text = await peer.hear("text")
    await peer.tell("turnStarted", turn=1, source="text", id=text["id"])
    await peer.reply(1, "Thank you.", CLOSED)


async def drafted(peer: Listener, version: int = 1, state: str = "draft", *, step_s: float = 1.0) -> None:
    for done in range(3):
        await peer.tell("progress", step="brd", done=done, total=3)
        await trio.sleep(step_s)
    await peer.tell("completed", summary={}, brd=brd(version, state))


async def test_piped_lines_wait_for_the_documents_and_then_correct_and_confirm_them(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await closed(peer)
        await drafted(peer, step_s=PATIENCE_S * 0.9)
        correction = await peer.hear("text")
        assert correction["text"] == "50, not 40"
        await peer.tell("turnStarted", turn=2, source="text", id=correction["id"])
        await peer.reply(2, "Changed.")
        await trio.sleep(QUIET_S * 0.9)
        await drafted(peer, 2)
        confirmation = await peer.hear("text")
        await peer.tell("turnStarted", turn=3, source="text", id=confirmation["id"])
        await peer.reply(3, "Confirmed.")
        await peer.tell("completed", summary={}, brd=brd(2, "confirmed"))
        await peer.gone()

    desk = Desk("All", "50, not 40", "Yes")
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    notes = desk.told("note")
    assert [note for note in notes if note.startswith("Version")] == [
        "Version 1, draft",
        "Version 2, draft",
        "Version 2, confirmed",
    ]
    assert STILL_WRITING not in notes
    assert notes[-1] == f"To go on with this session: python run.py talk --session {SESSION}"


async def test_the_end_waits_for_the_version_that_the_last_line_asks_for(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await closed(peer)
        await drafted(peer)
        correction = await peer.hear("text")
        await peer.tell("turnStarted", turn=2, source="text", id=correction["id"])
        await peer.reply(2, "Changed.")
        await trio.sleep(QUIET_S * 0.9)
        await drafted(peer, 2)
        await peer.gone()

    desk = Desk("All", "50, not 40")
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert "Version 2, draft" in desk.told("note")


async def test_documents_of_which_nothing_comes_are_given_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await closed(peer)
        silent_from = trio.current_time()
        await peer.gone()
        assert trio.current_time() - silent_from == pytest.approx(PATIENCE_S)

    desk = Desk("All")
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert STILL_WRITING in desk.told("note")


async def test_a_recording_may_close_the_interview_and_the_next_one_confirm(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Yes.")
        await peer.reply(1, "Thank you.", CLOSED)
        await trio.sleep(5)
        await drafted(peer)
        lines = ({"role": "user", "text": "Yes.", "turn": 1}, {"role": "assistant", "text": "Thank you.", "turn": 1})
        await peer.bind(OPENING, *lines)
        await peer.listen()
        await peer.answer(2, "Yes.", "Confirmed.")
        await peer.tell("completed", summary={}, brd=brd(1, "confirmed"))
        await peer.gone()

    desk = Desk(interactive=True)
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES, YES], terminal=desk) == 0

    assert desk.told("error") == []
    assert "Version 1, confirmed" in desk.told("note")


async def test_the_end_waits_for_the_documents_of_what_was_heard(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await peer.bind()
        await peer.listen()
        await peer.heard(1, "Yes.")
        await peer.reply(1, "Thank you.", CLOSED)
        await trio.sleep(PATIENCE_S * 0.9)
        await drafted(peer)
        await peer.gone()

    desk = Desk(interactive=True)
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, audio=[YES], terminal=desk) == 0

    assert "Version 1, draft" in desk.told("note")


# --- a user at the keys -------------------------------------------------------------------------------------------


async def test_the_prompt_goes_on_until_the_user_leaves(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def script(peer: Listener) -> None:
        await desk.type("All")
        await closed(peer)
        await desk.type("And invoices from abroad")
        assert (await peer.hear("text"))["text"] == "And invoices from abroad"
        await drafted(peer)
        await desk.until(DRAFT[-1])
        await desk.type(Key.END)
        await peer.gone()

    desk = Desk(interactive=True)
    async with listening(monkeypatch, script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert desk.shown.count(Writing("")) == 1
