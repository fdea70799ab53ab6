from typing import cast

import pytest
import trio

from evaa.commands import talk_client
from evaa.commands.address import Address, Stream, dial
from evaa.commands.talk import talk
from evaa.commands.talk_effects import Print, Retracted, Spoken
from evaa.commands.talk_terminal import Key
from tests.evaa.late_pings import LatePings
from tests.evaa.talk_server import SESSION, Desk, Peer, serving


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


async def test_a_ping_that_crosses_the_close_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    streams: list[LatePings] = []

    async def dial_to_late_pings(address: Address) -> Stream:
        streams.append(LatePings(await dial(address)))
        return cast(Stream, streams[-1])

    monkeypatch.setattr(talk_client, "dial", dial_to_late_pings)

    async def script(peer: Peer) -> None:
        await peer.open()
        await peer.gone()

    async with serving(script) as url:
        assert await talk(url, SESSION, terminal=Desk()) == 0
    assert [stream.pings for stream in streams] == [1]
