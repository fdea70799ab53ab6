"""The terminal client against a scripted server; the server's script is the clock, so nothing here sleeps."""

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from evaa.commands.talk import fresh_session_id, talk
from evaa.commands.talk_terminal import Key, PlainTerminal, PromptTerminal
from evaa.commands.talk_view import Piece, Print, Retracted, Shown, Spoken
from protocols.frontend import TYPED_JSON, parse_session_id

SESSION = "5f" * 12
STAGE = {"stageId": "0" * 24, "name": "Aim", "description": "", "goal": "", "order": 1, "totalStages": 2}
NEXT = {**STAGE, "stageId": "1" * 24, "name": "Trigger", "order": 2}


class Peer:
    """The server's side of one connection."""

    def __init__(self, request: WebSocketRequest, socket: WebSocketConnection) -> None:
        self.request = request
        self.socket = socket

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame, which has to be of this type."""
        frame: dict[str, Any] = json.loads(await self.socket.get_message())
        assert frame["type"] == kind
        return frame

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send_message(json.dumps({"type": kind, **fields}))

    async def ready(self, *messages: dict[str, Any], resumed: bool = False, used: int = 0) -> None:
        stage = {**STAGE, "followUpsUsed": used, "maxFollowUps": 3}
        await self.tell(
            "ready",
            sessionId=SESSION,
            resumed=resumed,
            status="interviewing",
            stage=stage,
            stages=[STAGE, NEXT],
            messages=messages,
        )

    async def reply(self, turn: int, text: str, to: dict[str, Any] | None = None) -> None:
        await self.tell("reply", turn=turn, response=text, nextStage=to is not None, nextStageData=to)

    async def open(self) -> None:
        """Bind a new session and ask its first question."""
        await self.hear("start")
        await self.ready()
        await self.reply(0, "What is it?")

    async def gone(self) -> None:
        """Wait until the client has closed, having sent nothing more."""
        with pytest.raises(ConnectionClosed):
            await self.socket.get_message()


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(*scripts: Script | tuple[int, bytes], dialect: str | None = TYPED_JSON) -> AsyncIterator[str]:
    """Run one script for each connection; refuse a connection where a status and a body stand in its place.

    Yields the URL; all scripts have run to their end when the block is left.
    """
    waiting = list(scripts)

    async def handle(request: WebSocketRequest) -> None:
        script = waiting.pop(0)
        if isinstance(script, tuple):
            await request.reject(script[0], body=script[1])
        else:
            await script(Peer(request, await request.accept(subprotocol=dialect)))
        if not waiting:
            done.set()

    done = trio.Event()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}/ws"
        await done.wait()
        nursery.cancel_scope.cancel()


class Desk:
    """A terminal that is a list: what was shown, and the lines that a test hands in."""

    def __init__(self, *lines: str, interactive: bool = False) -> None:
        self.interactive = interactive
        self.shown: list[Shown] = []
        self._lines = list(lines)
        self._type, self._typed = trio.open_memory_channel[str | Key](10)
        self._changed = trio.Event()

    async def read(self) -> str | Key:
        if self.interactive:
            return await self._typed.receive()
        await trio.lowlevel.checkpoint()
        return self._lines.pop(0) if self._lines else Key.END

    def show(self, effect: Shown) -> None:
        self.shown.append(effect)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def type(self, line: str | Key) -> None:
        await self._type.send(line)

    async def until(self, effect: Shown) -> None:
        while effect not in self.shown:
            await self._changed.wait()

    def told(self, kind: str) -> list[str]:
        return [effect.text for effect in self.shown if isinstance(effect, Print) and effect.kind == kind]


# --- piped lines ------------------------------------------------------------------------------------------------


async def test_piped_lines_are_said_one_by_one_and_all_answered() -> None:
    async def script(peer: Peer) -> None:
        assert peer.socket.subprotocol == TYPED_JSON
        start = await peer.hear("start")
        assert (start["sessionId"], start["replay"]) == (SESSION, True)
        await peer.ready()
        await peer.reply(0, "What is it?")
        first = await peer.hear("text")
        assert first["text"] == "Invoices"
        await peer.tell("turnStarted", turn=1, source="text", id=first["id"])
        await peer.tell("delta", turn=1, text="Wh")
        await peer.tell("delta", turn=1, text="ich?")
        await peer.reply(1, "Which?")
        second = await peer.hear("text")
        assert (second["text"], second["id"] == first["id"]) == ("All", False)
        await peer.tell("turnStarted", turn=2, source="text", id=second["id"])
        await peer.reply(2, "When?", NEXT)
        await peer.gone()

    desk = Desk(" Invoices ", "", "All")
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert desk.shown == [
        Print("stage", "Stage 1 of 2: Aim"),
        Spoken("What is it?", streamed=False),
        Piece("Wh"),
        Piece("ich?"),
        Spoken("Which?", streamed=True),
        Print("stage", "Stage 1 of 2: Aim (follow-up 1 of 3)"),
        Spoken("When?", streamed=False),
        Print("stage", "Stage 2 of 2: Trigger"),
        Print("note", f"To go on with this session: python run.py talk --session {SESSION}"),
    ]


async def test_a_line_that_is_refused_shows_in_the_status() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.hear("text")
        await peer.tell("error", code="text_too_long", message="Too long", retryable=False)
        await peer.gone()

    desk = Desk("x")
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 1

    assert desk.told("error") == ["Too long (text_too_long)"]


async def test_a_complete_interview_ends_the_client_whatever_is_left_to_say() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        text = await peer.hear("text")
        await peer.tell("turnStarted", turn=1, source="text", id=text["id"])
        await peer.reply(1, "Thank you.", {"completed": True, "status": "drafting"})
        await peer.gone()

    desk = Desk("All", "said", "and done")
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert desk.shown[-1] == Print("stage", "The interview is complete. Thank you!")


async def test_a_new_session_gets_an_id_and_the_command_to_resume_it() -> None:
    ids = []

    async def script(peer: Peer) -> None:
        ids.append((await peer.hear("start"))["sessionId"])
        await peer.ready()
        await peer.reply(0, "What is it?")
        await peer.gone()

    desk = Desk()
    async with serving(script) as url:
        assert await talk(url, terminal=desk, resume_command="evaa talk") == 0

    assert parse_session_id(ids[0]) == ids[0]
    assert desk.told("note")[0] == f"Session {ids[0]}. To come back to it: evaa talk {ids[0]}"


def test_fresh_ids_differ() -> None:
    ids = {fresh_session_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(parse_session_id(one) == one for one in ids)


async def test_a_token_travels_in_a_header() -> None:
    async def script(peer: Peer) -> None:
        assert (b"authorization", b"Bearer secret") in peer.request.headers
        await peer.open()
        await peer.gone()

    desk = Desk()
    async with serving(script) as url:
        assert await talk(url, SESSION, token="secret", terminal=desk) == 0

    assert "secret" not in str(desk.shown)


# --- connections that are lost ----------------------------------------------------------------------------------


async def test_an_unacknowledged_text_is_sent_again_with_its_id() -> None:
    texts = []

    async def first(peer: Peer) -> None:
        await peer.open()
        texts.append(await peer.hear("text"))
        await peer.tell("delta", turn=1, text="Wh")
        await peer.socket.aclose(1011, "out of luck")

    async def second(peer: Peer) -> None:
        assert (await peer.hear("start"))["sessionId"] == SESSION
        await peer.ready({"role": "assistant", "text": "What is it?", "turn": 0}, resumed=True)
        texts.append(await peer.hear("text"))
        await peer.tell("turnStarted", turn=1, source="text", id=texts[1]["id"])
        await peer.reply(1, "Which?")
        await peer.gone()

    desk = Desk("Invoices")
    async with serving(first, second) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 0

    assert texts[0] == texts[1]
    assert Retracted("Wh", "lost with the connection") in desk.shown
    lost = "The connection was lost: out of luck (1011); reconnecting in 0 s (attempt 1 of 1)."
    assert lost in desk.told("note")
    assert desk.shown.count(Spoken("What is it?", streamed=False)) == 1


async def test_an_acknowledged_text_is_not_sent_again_and_its_reply_is_awaited() -> None:
    async def first(peer: Peer) -> None:
        await peer.open()
        text = await peer.hear("text")
        await peer.tell("turnStarted", turn=1, source="text", id=text["id"])
        await peer.tell("goingAway", reconnectAfterMs=0)
        await peer.socket.aclose(1001)

    async def second(peer: Peer) -> None:
        await peer.hear("start")
        lines = ({"role": "assistant", "text": "What is it?", "turn": 0}, {"role": "user", "text": "All", "turn": 1})
        await peer.ready(*lines, resumed=True)
        await peer.reply(1, "Which?")
        await peer.gone()

    desk = Desk("All")
    async with serving(first, second) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 0

    assert desk.told("note")[:2] == [
        "EVAA is being restarted.",
        "The connection was lost (1001); reconnecting in 0 s (attempt 1 of 1).",
    ]
    assert Spoken("Which?", streamed=False) in desk.shown


async def test_a_connection_that_is_cut_without_a_word_is_opened_again() -> None:
    async def first(peer: Peer) -> None:
        await peer.open()
        await peer.hear("text")
        await peer.socket._stream.aclose()

    async def second(peer: Peer) -> None:
        await peer.hear("start")
        await peer.ready(resumed=True)
        text = await peer.hear("text")
        await peer.tell("turnStarted", turn=1, source="text", id=text["id"])
        await peer.reply(1, "Which?")
        await peer.gone()

    desk = Desk("All")
    async with serving(first, second) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 0

    assert desk.told("note")[0].startswith("The connection was lost (1006); reconnecting")


async def test_reconnecting_is_given_up_after_the_last_delay() -> None:
    async def first(peer: Peer) -> None:
        await peer.hear("start")
        await peer.ready()
        await peer.socket.aclose(1013)

    desk = Desk("All")
    async with serving(first, (503, b"full"), (503, b"full")) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0, 0]) == 1

    refused = "EVAA refused the connection: HTTP 503: full"
    assert desk.told("error") == [f"{refused}; gave up after 2 attempts to reconnect."]
    assert f"{refused}; reconnecting in 0 s (attempt 2 of 2)." in desk.told("note")


async def test_a_connection_that_was_of_use_earns_new_attempts() -> None:
    async def turn(peer: Peer, number: int) -> None:
        text = await peer.hear("text")
        await peer.tell("turnStarted", turn=number, source="text", id=text["id"])
        await peer.reply(number, f"{number}?")

    async def first(peer: Peer) -> None:
        await peer.open()
        await turn(peer, 1)
        await peer.socket.aclose(1011)

    async def second(peer: Peer) -> None:
        await peer.hear("start")
        await peer.ready(resumed=True, used=1)
        await turn(peer, 2)
        await peer.socket.aclose(1011)

    async def third(peer: Peer) -> None:
        await peer.hear("start")
        await peer.ready(resumed=True, used=2)
        await turn(peer, 3)
        await peer.gone()

    desk = Desk(*"abc")
    async with serving(first, second, third) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 0

    assert Spoken("3?", streamed=False) in desk.shown


@pytest.mark.parametrize(
    ("code", "why"), [(4409, "this session was opened elsewhere"), (4403, "the token is not for this session")]
)
async def test_some_closures_are_final(code: int, why: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.socket.aclose(code)

    desk = Desk(interactive=True)
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 1

    assert desk.told("error") == [f"EVAA closed the connection: {why} ({code})"]


async def test_a_connection_closed_for_idleness_is_opened_again_when_the_user_goes_on() -> None:
    async def first(peer: Peer) -> None:
        await peer.open()
        await peer.socket.aclose(4408)

    async def second(peer: Peer) -> None:
        await peer.hear("start")
        await peer.ready(resumed=True)
        assert (await peer.hear("text"))["text"] == "All"
        await desk.type("/quit")
        await peer.gone()

    desk = Desk(interactive=True)
    async with serving(first, second) as url, trio.open_nursery() as nursery:

        async def go_on() -> None:
            await desk.until(
                Print(
                    "note",
                    "The connection was closed because nothing was said for long; it is opened again when you go on.",
                )
            )
            await desk.type("All")

        nursery.start_soon(go_on)
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[0]) == 0


async def test_quitting_does_not_wait_for_the_next_attempt() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.socket.aclose(1011)

    desk = Desk(interactive=True)
    async with serving(script) as url, trio.open_nursery() as nursery:

        async def leave() -> None:
            lost = "The connection was lost (1011); reconnecting in 1e+06 s (attempt 1 of 1)."
            await desk.until(Print("note", lost))
            await desk.type(Key.END)

        nursery.start_soon(leave)
        assert await talk(url, SESSION, terminal=desk, retry_delays_s=[1e6]) == 0


# --- no connection at all ---------------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound, but not listening: a connection is refused
        desk = Desk("All")
        status = await talk(f"ws://127.0.0.1:{port}/ws?token=secret", SESSION, terminal=desk, retry_delays_s=[0])

    assert status == 1
    (shown,) = desk.shown
    assert isinstance(shown, Print)
    assert shown.kind == "error"
    assert shown.text.startswith(f"EVAA cannot be reached at 127.0.0.1:{port}/ws (")
    assert shown.text.endswith("Is it running? Start it with: make run")


async def test_a_refused_handshake_shows_its_status_and_body() -> None:
    desk = Desk("All")
    async with serving((401, b"the token has \x1bexpired\n")) as url:
        assert await talk(url, SESSION, terminal=desk) == 1

    assert desk.shown == [Print("error", "EVAA refused the connection: HTTP 401: the token has expired")]


async def test_a_server_that_does_not_know_the_dialect() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    desk = Desk("All")
    async with serving(script, dialect=None) as url:
        assert await talk(url, SESSION, terminal=desk) == 1

    assert desk.told("error") == ["There is a server, but it does not speak evaa.v2.json: is it EVAA?"]


async def test_a_session_that_cannot_be_bound() -> None:
    async def script(peer: Peer) -> None:
        await peer.hear("start")
        await peer.tell("error", code="session_mismatch", message="Another session", retryable=False)
        await peer.gone()

    desk = Desk("All")
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 1

    assert desk.told("error") == ["Another session (session_mismatch)"]


@pytest.mark.parametrize(
    ("url", "session_id", "problem"),
    [
        ("http://127.0.0.1/ws", SESSION, "http://127.0.0.1/ws is not the URL of a WebSocket"),
        ("ws:///ws", SESSION, "ws:///ws is not the URL of a WebSocket"),
        ("ws://127.0.0.1:port/ws", SESSION, "Port could not be cast"),
        ("ws://127.0.0.1/ws", "5f", "sessionId must be a MongoDB ObjectId"),
    ],
)
async def test_arguments_are_checked_before_anything_is_done(url: str, session_id: str, problem: str) -> None:
    desk = Desk("All")

    assert await talk(url, session_id, terminal=desk) == 1
    assert len(desk.shown) == 1
    assert desk.told("error")[0].startswith(problem)


# --- a user at the keys -----------------------------------------------------------------------------------------


async def test_ctrl_c_interrupts_a_reply_and_otherwise_asks_to_quit() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await desk.type("Invoices")
        text = await peer.hear("text")
        await peer.tell("delta", turn=1, text="Wh")
        await peer.tell("turnStarted", turn=1, source="text", id=text["id"])
        await desk.until(Piece("Wh"))
        await desk.type(Key.INTERRUPT)
        await peer.hear("interrupt")
        await peer.tell("turnCancelled", turn=1, reason="interrupted")
        await desk.until(Retracted("Wh", "interrupted"))
        await desk.type(Key.INTERRUPT)
        await desk.until(Print("note", "To quit, press Ctrl-C again, or Ctrl-D."))
        await desk.type("/help")
        await desk.type(Key.INTERRUPT)
        await desk.type(Key.INTERRUPT)
        await peer.gone()

    desk = Desk(interactive=True)
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    assert desk.told("note").count("To quit, press Ctrl-C again, or Ctrl-D.") == 2


async def test_commands_are_not_said() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        for line in ("/help", "/interrupt", "/quiet please", "/quit"):
            await desk.type(line)
        await peer.gone()

    desk = Desk(interactive=True)
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0

    notes = desk.told("note")
    assert notes[0].startswith("Type what you want to say")
    assert notes[1] == "There is nothing to interrupt."
    assert desk.told("error") == ["/quiet is no command here; /help lists them."]


async def test_a_user_need_not_wait_for_the_reply() -> None:
    async def script(peer: Peer) -> None:
        await peer.open()
        await desk.type("Invoices")
        await peer.hear("text")
        await desk.type("and letters")
        assert (await peer.hear("text"))["text"] == "and letters"
        await desk.type(Key.END)
        await peer.gone()

    desk = Desk(interactive=True)
    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=desk) == 0


# --- the faces --------------------------------------------------------------------------------------------------


def plain_terminal(lines: str = "") -> tuple[PlainTerminal, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    terminal = PlainTerminal(io.StringIO(lines), Console(file=out, width=40), Console(file=err, width=40))
    return terminal, out, err


async def test_a_plain_terminal_reads_lines_to_their_end_and_shows_them() -> None:
    terminal, out, _ = plain_terminal("[b]one[/b]\r\n\nlast")

    assert [await terminal.read() for _ in range(4)] == ["[b]one[/b]", "", "last", Key.END]
    assert out.getvalue() == "you: [b]one[/b]\nyou: last\n"


def test_a_plain_terminal_writes_a_reply_as_it_comes() -> None:
    terminal, out, err = plain_terminal()
    long = "a text that is much longer than a line of this console is wide"
    for effect in (
        Piece("Wh"),
        Print("warning", "slow"),
        Piece("ich [x]?"),
        Spoken("Which [x]?", streamed=True),
        Piece("So"),
        Retracted("So", "interrupted"),
        Spoken(long, streamed=False),
        Print("stage", "Stage 2"),
    ):
        terminal.show(effect)

    assert out.getvalue().splitlines() == [
        "EVAA: Wh",
        "EVAA: ich [x]?",
        "EVAA: So",
        "[interrupted]",
        f"EVAA: {long}",
        "Stage 2",
    ]
    assert err.getvalue() == "warning: slow\n"


@asynccontextmanager
async def prompt_terminal() -> AsyncIterator[tuple[PromptTerminal, PipeInput, io.StringIO]]:
    out = io.StringIO()
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield PromptTerminal(Console(file=out, width=40)), keys, out


async def test_a_prompt_gives_lines_and_keys() -> None:
    async with prompt_terminal() as (terminal, keys, out):
        keys.send_text("hello\r")
        assert await terminal.read() == "hello"
        keys.send_text("half\x03")
        assert await terminal.read() is Key.INTERRUPT
        keys.send_text("\x04")
        assert await terminal.read() is Key.END

    assert out.getvalue() == "you: hello\n"


async def test_a_prompt_that_is_no_longer_wanted_ends_and_can_be_opened_again() -> None:
    async with prompt_terminal() as (terminal, keys, _):
        with trio.CancelScope() as early:
            early.cancel()
            await terminal.read()
        assert early.cancelled_caught

        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminal.read)
            await trio.to_thread.run_sync(wait_for_prompt, terminal)
            nursery.cancel_scope.cancel()
        assert not terminal._session.app.is_running

        keys.send_text("still here\r")
        assert await terminal.read() == "still here"


def wait_for_prompt(terminal: PromptTerminal) -> None:
    while not terminal._session.app.is_running:
        pass


def test_a_prompt_shows_a_reply_above_itself_until_it_is_complete() -> None:
    out = io.StringIO()
    with create_app_session(output=DummyOutput()):
        terminal = PromptTerminal(Console(file=out, width=40))
        terminal.show(Piece("Wh"))
        terminal.show(Piece("ich"))
        assert terminal._prompt()[0] == ("", "EVAA: Which\n")
        assert out.getvalue() == ""

        terminal.show(Spoken("Which?", streamed=True))
        terminal.show(Piece("So"))
        terminal.show(Retracted("So", "interrupted"))
        terminal.show(Print("note", "Bye."))
        assert terminal._prompt()[0] == ("", "")

    assert out.getvalue() == "EVAA: Which?\nEVAA: So [interrupted]\nBye.\n"
