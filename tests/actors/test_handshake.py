"""Who is let in: what a handshake is refused for, and what the refusal says."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.server import PATH, ServerLimits
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OTHER_SESSION, SESSION, Evaa
from tests.actors.interviewers import says

BOUND = f"{PATH}?sessionId={SESSION}"
GOOD_HANDSHAKE = (
    f"GET {BOUND} HTTP/1.1\r\nHost: evaa\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
).encode()


@pytest.mark.parametrize("path", ["/", "/ws/", "/wss", f"/other?sessionId={SESSION}", "*"])
async def test_another_path_is_not_found(evaa: Evaa, autojump_clock: MockClock, path: str) -> None:
    status, body = await evaa.refused(path)
    assert status == 404
    assert PATH in body


@pytest.mark.parametrize("path", ["//[", "//[ws", "http://[/ws"])
async def test_a_path_that_is_no_url_is_refused_too(evaa: Evaa, autojump_clock: MockClock, path: str) -> None:
    assert (await evaa.refused(path))[0] == 404


async def test_unknown_dialects_are_refused_with_the_known_ones_named(evaa: Evaa, autojump_clock: MockClock) -> None:
    status, body = await evaa.refused(BOUND, "evaa.v9", "soap")
    assert status == 400
    assert PLAIN in body
    assert TYPED_JSON in body


async def test_one_known_dialect_among_others_will_do(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(dialect=TYPED_JSON)
    assert client.websocket.subprotocol == TYPED_JSON
    with pytest.raises(AssertionError, match="not refused"):
        await evaa.refused(BOUND, "evaa.token.abc", "evaa.v9", PLAIN)


async def test_a_token_alone_is_no_offer_of_a_dialect(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(dialect="evaa.token.abc")
    assert client.websocket.subprotocol is None
    assert "response" in await client.receive()


@pytest.mark.parametrize("session_id", ["x", "5e1a", "g" * 24, SESSION + "0", "%00" * 24, f"{SESSION[:-1]}%20"])
async def test_a_bad_session_id_is_refused(evaa: Evaa, autojump_clock: MockClock, session_id: str) -> None:
    status, body = await evaa.refused(f"{PATH}?sessionId={session_id}")
    assert status == 400
    assert body.startswith("bad_session_id: ")


async def test_session_ids_are_the_same_in_either_case(evaa: Evaa, autojump_clock: MockClock) -> None:
    await (await evaa.join()).ask("one")
    again = await evaa.connect(session_id=SESSION.upper())
    assert (await again.receive())["resumed"]


async def test_too_many_sessions(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(max_sessions=2))
    first = await evaa.join()
    await evaa.join(OTHER_SESSION)
    third = f"{PATH}?sessionId={'c' * 24}"
    status, body = await evaa.refused(third)
    assert status == 503
    assert "too many" in body
    await first.leave()
    await trio.testing.wait_all_tasks_blocked()
    await evaa.join("c" * 24)


async def test_origins(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    evaa = Evaa(nursery, limits=ServerLimits(allowed_origins=frozenset({"https://good.example"})))
    for name in ("Origin", "origin", "ORIGIN"):
        assert (await evaa.refused(BOUND, headers={name: "https://bad.example"}))[0] == 403
    with pytest.raises(AssertionError, match="not refused"):
        await evaa.refused(BOUND, headers={"Origin": "https://good.example"})
    await evaa.join()  # what is no browser sends no origin


async def test_a_server_that_drains_takes_nobody(evaa: Evaa, autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    evaa.interviewer.will(says(5.0, "late"))
    client = await evaa.join()
    await client.say("one")
    await client.until("turnStarted")
    nursery.start_soon(evaa.server.drain)
    await client.until("goingAway")
    status, body = await evaa.refused(f"{PATH}?sessionId={OTHER_SESSION}")
    assert status == 503
    assert "going away" in body


async def test_who_says_nothing_is_dropped_after_the_handshake_timeout(evaa: Evaa, autojump_clock: MockClock) -> None:
    wire = await evaa.open_wire()
    await evaa.gone()
    assert wire.closed_at == 10.0


async def test_who_never_ends_a_handshake_is_dropped_too(evaa: Evaa, autojump_clock: MockClock) -> None:
    wire = await evaa.open_wire()
    for byte in GOOD_HANDSHAKE[:9]:
        await wire.far_end.send_all(bytes([byte]))
        await trio.sleep(1)
    await evaa.gone()
    assert wire.closed_at == 10.0


async def test_a_handshake_may_come_byte_by_byte(evaa: Evaa, autojump_clock: MockClock) -> None:
    wire = await evaa.open_wire()
    for byte in GOOD_HANDSHAKE + b"\r\n":
        await wire.far_end.send_all(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked()
    assert (await wire.far_end.receive_some()).startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 9_000, b"\r\n\r\n"]
)
async def test_garbage_costs_its_own_connection_only(evaa: Evaa, autojump_clock: MockClock, garbage: bytes) -> None:
    client = await evaa.join()
    wire = await evaa.open_wire()
    await wire.far_end.send_all(garbage)
    await trio.sleep(10.5)
    assert wire.closed_at is not None
    assert evaa.server.connections == 1
    assert (await client.ask("still there?"))["response"] == "1: still there?"


async def test_who_hangs_up_before_the_handshake_is_forgotten(evaa: Evaa, autojump_clock: MockClock) -> None:
    wire = await evaa.open_wire()
    await wire.hang_up()
    await trio.sleep(10.5)
    assert evaa.server.connections == 0


@pytest.mark.parametrize("said", [b"", GOOD_HANDSHAKE[:40], b"\r\n"])
async def test_who_leaves_before_the_handshake_keeps_no_place(
    evaa: Evaa, autojump_clock: MockClock, said: bytes
) -> None:
    wire = await evaa.open_wire()
    await wire.far_end.send_all(said)
    await wire.hang_up()
    await evaa.gone()
    assert trio.current_time() == 0.0


@pytest.mark.parametrize("said", [b"", GOOD_HANDSHAKE[:40]])
async def test_a_drain_does_not_wait_for_a_handshake(evaa: Evaa, autojump_clock: MockClock, said: bytes) -> None:
    wire = await evaa.open_wire()
    await wire.far_end.send_all(said)
    await trio.testing.wait_all_tasks_blocked()
    await evaa.server.drain()
    assert trio.current_time() == 0.0
