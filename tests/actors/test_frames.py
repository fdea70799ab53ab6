"""What a client may send, what it is refused for, and when that is enough."""

import pytest
import trio
from trio.testing import MockClock

from actors.connection import ConnectionLimits
from actors.server import ServerLimits
from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OTHER_SESSION, SESSION, Client, Evaa, error_code
from tests.actors.stores import Said

NOT_TYPED = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"type":"nothing"}',
    '{"type":"text"}',
    '{"type":"text","text":7}',
    '{"type":"text","text":""}',
    '{"type":"text","text":" \\n\\t "}',
    '{"type":"audio","data":"AAAA"}',
    '{"type":"export","format":"pdf"}',
    '{"type":"start","audio":{"container":"mp3","codec":"opus"}}',
    '{"type":"text","text":"\\ud800"}',
    "[" * 100_000,
    "\x00",
]
NOT_PLAIN = [
    "",
    "null",
    "[]",
    '{"textPrompt":7}',
    '{"sessionId":7}',
    '{"audioChunk":"?"}',
    '{"audioChunk":"AAA"}',
    '{"audioChunk":[1]}',
    "[" * 100_000,
]


async def goes_on(evaa: Evaa, client: Client) -> None:
    """What was refused has changed nothing."""
    turns = len((await evaa.record()).interview.turns)
    assert (await client.ask("go on"))["response"] == f"{turns + 1}: go on"


@pytest.mark.parametrize("message", NOT_TYPED)
async def test_a_typed_frame_that_makes_no_sense(evaa: Evaa, autojump_clock: MockClock, message: str) -> None:
    client = await evaa.join()
    await client.send_raw(message)
    (error,) = await client.expect("error")
    assert (error["code"], error["retryable"]) == ("bad_frame", False)
    await goes_on(evaa, client)


@pytest.mark.parametrize("message", NOT_PLAIN)
async def test_a_plain_frame_that_makes_no_sense(evaa: Evaa, autojump_clock: MockClock, message: str) -> None:
    client = await evaa.join(dialect=PLAIN)
    await client.send_raw(message)
    (error,) = await client.expect("error")
    assert (error["response"], error["nextStage"], error["nextStageData"]) == ("", False, None)
    assert (error["error"]["code"], error["error"]["retryable"]) == ("bad_frame", False)
    await goes_on(evaa, client)


@pytest.mark.parametrize(
    "message",
    ['{"type":"text","text":"hi"}', '{"type":"start"}', '{"type":"interrupt"}', b"\x00", b"", '{"type":"ping"}'],
)
async def test_nothing_is_done_for_a_client_that_is_not_bound(
    evaa: Evaa, autojump_clock: MockClock, message: str | bytes
) -> None:
    client = await evaa.connect(session_id=None)
    await client.send_raw(message)
    assert await client.error() == "not_bound"
    await client.send(type="start", sessionId=SESSION)
    await client.expect("ready", "reply")
    await goes_on(evaa, client)


async def test_a_bad_session_id_in_a_frame_may_be_put_right(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    await client.send(type="start", sessionId="x")
    assert await client.error() == "bad_session_id"
    await client.send(type="start", sessionId=SESSION)
    await client.expect("ready", "reply")


@pytest.mark.parametrize(
    ("dialect", "frame"),
    [
        (TYPED_JSON, {"type": "start", "sessionId": OTHER_SESSION}),
        (PLAIN, {"sessionId": OTHER_SESSION, "textPrompt": "not for here"}),
    ],
)
async def test_a_frame_for_another_session_is_refused_whole(
    evaa: Evaa, autojump_clock: MockClock, dialect: str, frame: dict[str, str]
) -> None:
    client = await evaa.join(dialect=dialect)
    await client.send(**frame)
    assert await client.error() == "session_mismatch"
    await goes_on(evaa, client)
    assert await evaa.memory() == [Said("go on", "1: go on", "answered")]
    assert await evaa.store.load(OTHER_SESSION) is None


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_text_has_a_longest_length(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    client = await evaa.join(dialect=dialect)
    await client.say("x" * 20_001)
    assert await client.error() == "text_too_long"
    assert (await client.ask("y" * 20_000))["response"] == "1: " + "y" * 20_000


async def test_a_plain_text_of_nothing_is_nothing(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    await client.say(" \n ")
    await client.nothing_for(5)
    await goes_on(evaa, client)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_binary_frame_is_audio_which_cannot_be_heard_here(
    evaa: Evaa, autojump_clock: MockClock, dialect: str
) -> None:
    client = await evaa.join(dialect=dialect)
    await client.send_raw(b"\x1aE\xdf\xa3")
    assert await client.error() == "stt_unavailable"
    await goes_on(evaa, client)


async def test_without_a_recogniser_audio_is_refused_once_and_then_ignored(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    for _ in range(50):
        await client.send_raw(b"\x00")
    await client.send(type="endOfSpeech")
    assert await client.error() == "stt_unavailable"
    await client.nothing_for(1.0)
    await client.send(type="start", audio={"container": "webm", "codec": "opus"})
    assert await client.error() == "stt_unavailable"
    await goes_on(evaa, client)


async def test_plain_audio_and_text_in_one_frame(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    await client.send(audioChunk="AAAA", textPrompt="and a text", sessionId=SESSION)
    error, reply = await client.expect("error", "reply")
    assert (error_code(error), reply["response"]) == ("stt_unavailable", "1: and a text")


@pytest.mark.parametrize("form", ["markdown", "html", "docx", "json", "n8n"])
async def test_there_is_nothing_to_export_yet(evaa: Evaa, autojump_clock: MockClock, form: str) -> None:
    client = await evaa.join()
    await client.send(type="export", format=form)
    (error,) = await client.expect("error")
    assert (error["code"], error["retryable"]) == ("not_complete", True)


@pytest.mark.parametrize("t", [0, 1.5, "now", None])
async def test_a_ping_is_answered_with_its_own_t(evaa: Evaa, autojump_clock: MockClock, t: object) -> None:
    client = await evaa.join()
    await client.send(type="ping", t=t)
    (pong,) = await client.expect("pong")
    assert pong["t"] == t


# --- enough is enough ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_ten_refused_frames_in_a_row_are_too_many(evaa: Evaa, autojump_clock: MockClock, dialect: str) -> None:
    client = await evaa.join(dialect=dialect)
    for _ in range(10):
        await client.send_raw("{")
    assert await client.close_code() == 4400
    assert client.closed_at == 0.0


async def test_each_of_the_ten_is_answered(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    for _ in range(10):
        await client.send_raw("{")
    assert [error_code(frame) for frame in await client.rest()] == ["bad_frame"] * 10


async def test_a_good_frame_ends_the_row(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    for _ in range(5):
        for _ in range(9):
            await client.send_raw("{")
        await client.send(type="ping")
    await goes_on(evaa, client)


async def test_ten_frames_without_being_bound_are_too_many(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.connect(session_id=None)
    for _ in range(10):
        await client.send(type="ping")
    assert await client.close_code() == 4400
    assert client.closed_at == 0.0


async def test_while_a_reply_leaves_sixteen_texts_may_wait(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join(dialect=PLAIN)
    client.wire.stall()
    await client.say("one")
    await trio.sleep(1)
    for number in range(17):
        await client.say(f"more {number}")
    await trio.sleep(1)
    client.wire.flow()
    first, error, second = await client.expect("reply", "error", "reply")
    assert (error_code(error), error["error"]["retryable"]) == ("rate_limited", True)
    assert first["response"] == "1: one"
    assert second["response"] == "17: " + "\n".join(f"more {number}" for number in range(16))
    assert len(await evaa.memory()) == 17


async def test_a_text_that_is_not_utf8_is_closed_with_1007(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await client.wire.far_end.send_all(b"\x81\x82\x00\x00\x00\x00\xff\xfe")
    assert await client.close_code() == 1007
    assert client.closed_at == 0.0


async def test_a_message_over_the_size_limit_is_closed_with_1009(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    limits = ServerLimits(max_message_bytes=1_000, connection=ConnectionLimits(max_text_chars=10_000))
    evaa = Evaa(nursery, limits=limits)
    client = await evaa.join()
    await client.send_raw(" " * 1_000)
    assert await client.error() == "bad_frame"
    await client.send_raw(" " * 1_001)
    assert await client.close_code() == 1009
    await evaa.gone()
