"""A session in `evaa.v2.msgpack`, from the handshake to its close codes."""

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from protocols.dialects import TYPED_MSGPACK
from protocols.frontend import CloseCode
from tests.actors.harness import OPENING, SESSION, Closed, Evaa
from tests.actors.stores import Said
from tests.actors.test_any_input import json_values, nearly_frames, run_virtually

pack = msgspec.msgpack.encode


async def test_a_conversation_in_binary_messages(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(dialect=TYPED_MSGPACK)
    assert client.websocket.subprotocol == TYPED_MSGPACK
    ready, opening = await client.expect("ready", "reply")
    assert (ready["sessionId"], ready["seq"], opening["response"]) == (SESSION, 0, OPENING)
    reply = await client.ask("Invoices by mail", "a1")
    assert (reply["turn"], reply["response"], reply["id"]) == (1, "1: Invoices by mail", "a1")
    await client.send(type="ping", t=1.5)
    (pong,) = await client.expect("pong")
    assert pong["t"] == 1.5
    assert [frame["seq"] for frame in client.everything] == list(range(len(client.everything)))
    assert await evaa.memory() == [Said("Invoices by mail", "1: Invoices by mail", "answered")]


@pytest.mark.parametrize("is_bound", [False, True])
async def test_a_text_message_is_data_that_this_dialect_does_not_have(
    evaa: Evaa, autojump_clock: MockClock, is_bound: bool
) -> None:
    client = await evaa.connect(SESSION if is_bound else None, TYPED_MSGPACK)
    await client.send_raw('{"type": "ping"}')
    assert await client.close_code() == CloseCode.UNSUPPORTED_DATA == 1003
    assert client.websocket.closed is not None
    assert client.websocket.closed.reason == "evaa.v2.msgpack has binary messages only"


async def test_a_message_that_makes_no_sense_changes_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=TYPED_MSGPACK)
    await client.send_raw(b"\xc1")
    (error,) = await client.expect("error")
    assert (error["code"], error["retryable"]) == ("bad_frame", False)
    assert "one MessagePack map" in error["message"]
    assert (await client.ask("Invoices"))["response"] == "1: Invoices"


async def test_the_first_frame_may_bind(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(None, TYPED_MSGPACK)
    await client.send(type="start", sessionId=SESSION, replay=True)
    ready, _ = await client.expect("ready", "reply")
    assert [line["text"] for line in ready["messages"]] == [OPENING]


def test_any_binary_messages() -> None:
    nearly = nearly_frames.map(msgspec.json.decode)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.binary() | (nearly | json_values).map(_packed), max_size=9))
    def check(messages: list[bytes]) -> None:
        async def test(evaa: Evaa) -> None:
            client = await evaa.join(dialect=TYPED_MSGPACK)
            for message in messages:
                await client.send_raw(message)
                await trio.testing.wait_all_tasks_blocked()
            await client.say("still here")
            try:
                while "still here" not in (await client.reply())["response"]:
                    pass
            except Closed as closed:
                raise AssertionError(messages) from closed

        run_virtually(test)

    check()


def _packed(value: object) -> bytes:
    try:
        return pack(value)
    except OverflowError:  # a number that MessagePack does not have
        return b""
