import pytest
import trio

from evaa.commands.talk import fresh_session_id, talk
from evaa.commands.talk_effects import Piece, Print, Retracted, Spoken
from evaa.commands.talk_terminal import Key
from protocols.dialects import TYPED_JSON
from protocols.frontend import parse_session_id
from tests.evaa.talk_server import NEXT, SESSION, Desk, Peer, serving

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
