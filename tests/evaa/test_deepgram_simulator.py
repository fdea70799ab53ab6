"""The Deepgram simulator as a client sees it: recordings played to it, handshakes, and how conversations end."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionRejected

from evaa.simulators.deepgram import DeepgramSimulator, Fault
from evaa.simulators.deepgram.ear import OPUS_RATE, PyAvEar
from evaa.simulators.deepgram.script import Closed
from tests.evaa.deepgram_client import (
    AUDIO,
    KEY,
    V1,
    V2,
    Client,
    audio,
    final_texts,
    listening,
    newest,
    pieces,
    recording,
    recordings,
    rejection,
)

NAMES = [recording.name for recording in recordings() if not recording.name.endswith(".s16le")]


def known(**settings: Any) -> DeepgramSimulator:
    return DeepgramSimulator(recordings(), **settings)


def as_it_came(name: str) -> list[tuple[float, bytes]]:
    """A browser's chunks of a recording, each with its time in seconds."""
    marks = msgspec.json.decode((AUDIO / f"{name}.chunks.json").read_bytes())
    data = audio("x_firefox.webm" if name.startswith("x") else f"{name}.webm")
    return [(mark["t_ms"] / 1000, data[mark["offset"] : mark["offset"] + mark["size"]]) for mark in marks]


async def play_as_it_came(client: Client, name: str) -> None:
    began_s = trio.current_time()
    for at_s, chunk in as_it_came(name):
        await trio.sleep_until(began_s + at_s)
        await client.connection.send_message(chunk)


# --- recordings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [V1, V2])
@pytest.mark.parametrize("name", NAMES)
async def test_a_whole_recording_gives_exactly_its_text(
    name: str, target: str, autojump_clock: trio.testing.MockClock
) -> None:
    simulator = known()
    async with listening(simulator, target) as client:
        await client.play(pieces(audio(name)))
        await client.close_stream()
    record = newest(simulator)
    assert " ".join(final_texts(client)) == recording(name).text
    assert " ".join(final.text for final in record.finals) == recording(name).text
    assert record.audio == audio(name)
    assert [(span.recording, span.first) for span in record.heard] == [(name, 0)]
    assert record.decoded_samples == pytest.approx(recording(name).duration_s * OPUS_RATE, abs=1)
    assert (record.finals[0].recording, record.finals[0].start_s) == (name, recording(name).words[0].start_s)
    assert record.finals[-1].end_s == recording(name).words[-1].end_s


@pytest.mark.parametrize("target", [V1, V2])
@pytest.mark.parametrize("name", NAMES)
async def test_so_it_does_when_it_is_really_decoded(
    name: str, target: str, autojump_clock: trio.testing.MockClock
) -> None:
    simulator = known(ear=PyAvEar)
    async with listening(simulator, target) as client:
        await client.play(pieces(audio(name)))
        await client.close_stream()
    assert " ".join(final_texts(client)) == recording(name).text
    assert newest(simulator).warnings == []
    assert newest(simulator).decoded_samples == pytest.approx(recording(name).duration_s * OPUS_RATE, abs=1400)


async def test_bare_opus_and_pcm_are_recognised_too(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator, V1 + "&encoding=opus&sample_rate=48000") as client:
        await client.play(recording("d_late.webm").payloads)
        await client.close_stream()
    assert " ".join(final_texts(client)) == recording("d_late.webm").text
    async with listening(simulator, V2 + "&encoding=linear16&sample_rate=16000") as client:
        await client.play(pieces(audio("c_yes.s16le"), 2560))
        await client.close_stream()
    assert " ".join(final_texts(client)) == "Yes."


@pytest.mark.parametrize("name", ["b_long_pause", "x_firefox_webm"])
async def test_played_in_real_time_results_come_in_real_time(name: str, autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await play_as_it_came(client, name)
        await trio.testing.wait_all_tasks_blocked()
    record = newest(simulator)
    assert 0 < record.ahead_s < 0.5
    text = "Right now" if name == "b_long_pause" else "We"
    early = [m for at, m in client.came if at < 2 and m["type"] == "Results"]
    assert early[0]["channel"]["alternatives"][0]["transcript"].startswith(text)
    for at, message in client.came:
        if message["type"] == "Results" and not message["is_final"]:
            # The end of the audio heard lags behind by one chunk, and the recorder's own start.
            assert 0 < at - message["start"] - message["duration"] < 0.3


async def test_audio_sent_too_fast_is_ahead(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    packets = recording("c_yes.webm").payloads  # of 60 ms
    for every_s, ahead_s in ((0.0, 2.1), (0.03, 2.1 - 1.25 * 0.03 * 34), (0.06, 0.06)):
        async with listening(simulator, V1 + "&encoding=opus&sample_rate=48000") as client:
            await client.play(packets, every_s)
        assert newest(simulator).ahead_s == pytest.approx(ahead_s)


async def test_unknown_audio_is_taken_for_stock_sentences(autojump_clock: trio.testing.MockClock) -> None:
    simulator = DeepgramSimulator(stock_sentences=["Hello there."])
    for _ in range(2):
        async with listening(simulator) as client:
            await client.play(pieces(audio("b_long_pause.webm")[:40_000]))
            await client.close_stream()
        assert " ".join(final_texts(client)) == "Hello there."
    assert newest(simulator).finals[0].recording is None


# --- the end of a conversation ----------------------------------------------------------------------------------


async def test_v1_ends_with_metadata_and_1000(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await client.play(pieces(audio("c_yes.webm")))
        await client.close_stream()
    assert client.messages[-1]["type"] == "Metadata"
    assert client.messages[-1]["duration"] == 2.1
    assert client.close_code == 1000
    assert newest(simulator).closed == Closed("simulator", "close", 1000)


async def test_an_empty_message_ends_v1_and_not_v2(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await client.play([b""])
        await client.wait_closed()
    assert client.close_code == 1000
    assert (client.messages[-1]["duration"], client.messages[-1]["channels"]) == (0.0, 0)
    async with listening(simulator, V2) as client:
        await client.play([b"", *pieces(audio("c_yes.webm"))])
        assert final_texts(client) == ["Yes."]


async def test_v2_ends_without_a_code(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator, V2) as client:
        await client.play(pieces(audio("a_dental.webm")[:60_000]))
        await client.close_stream()
    assert client.close_code == 1005
    assert client.messages[-1]["event"] == "Update"
    assert final_texts(client) == []
    assert newest(simulator).closed == Closed("simulator", "close", 1005)


async def test_the_close_frame_of_v2_holds_nothing(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with near, trio.open_nursery() as nursery:
        nursery.start_soon(known().handle, far)
        upgrade = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n"
        request = f"GET {V2} HTTP/1.1\r\nhost: x\r\nauthorization: Token key\r\n{upgrade}\r\n"
        await near.send_all(request.encode() + b"\x81\x80\0\0\0\0")  # an empty text: fatal
        received = b""
        with trio.fail_after(20):
            async for data in near:
                received += data
    assert received.startswith(b"HTTP/1.1 101")
    assert received.endswith(b"\x88\x00")


@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_the_clients_close_is_answered(code: int, autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await client.play(pieces(audio("c_yes.webm"))[:2])
        await client.connection.aclose(code, "bye")
        await client.wait_closed()
    record = newest(simulator)
    assert record.closed == Closed("client", "close", code, "bye")
    assert [message.kind for message in record.received] == ["audio", "audio", "close"]
    assert simulator.counters.open_connections == 0


async def test_a_client_that_vanishes_is_noticed(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator, V2) as client:
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert newest(simulator).closed == Closed("client", "left")
        assert simulator.counters.open_connections == 0


async def test_a_client_that_breaks_the_protocol_is_told_so(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await client.stream.send_all(b"\xff\xff\xff\xff")
        await client.wait_closed()
    assert client.close_code == 1002
    assert newest(simulator).closed is not None
    assert newest(simulator).closed.by == "simulator"  # type: ignore[union-attr]


async def test_texts_pings_and_audio_are_recorded_with_their_times(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known(keep_audio=False, keep_messages=3)
    async with listening(simulator) as client:
        await client.play([b"rubbish"])
        await trio.sleep(2)
        await client.text('{"type":"KeepAlive"}')
        await trio.sleep(3)
        await client.connection.ping(b"alive")
        await client.play([b"more rubbish"])
    record = newest(simulator)
    assert [(message.at_s, message.kind, message.text) for message in record.received] == [
        (2.0, "text", '{"type":"KeepAlive"}'),
        (5.0, "ping", ""),
        (5.0, "audio", ""),
    ]
    assert (record.audio, record.audio_bytes) == (b"", 19)
    assert record.texts == ['{"type":"KeepAlive"}']
    assert len(record.warnings) == 1


# --- the wall clock ---------------------------------------------------------------------------------------------


async def test_v1_is_closed_after_ten_seconds_of_nothing(autojump_clock: trio.testing.MockClock) -> None:
    simulator = known()
    async with listening(simulator) as client:
        await client.play(pieces(audio("c_yes.webm"))[:2])
        await trio.sleep(7)
        await client.say("KeepAlive")
        await client.wait_closed()
    assert client.closed_at_s == 17.0
    assert client.close_code == 1011
    assert "net0001" in (client.close_reason or "")
    assert client.messages[-1]["type"] == "Metadata"


async def test_keepalive_alone_does_not_save_v1(autojump_clock: trio.testing.MockClock) -> None:
    async with listening(known()) as client:
        await trio.sleep(6)
        await client.say("KeepAlive")
        await client.connection.ping(b"x")
        await client.wait_closed()
    assert client.closed_at_s == 10.0


async def test_undecodable_audio_ends_v1(autojump_clock: trio.testing.MockClock) -> None:
    headerless = audio("b_long_pause.webm")[200:]
    simulator = known()
    async with listening(simulator) as client:
        await client.play(pieces(headerless), 0.1)
    assert client.closed_at_s == pytest.approx(12.0)
    assert client.close_code == 1011
    assert "net0000" in (client.close_reason or "")
    assert client.messages == []
    assert not newest(simulator).heard


async def test_pings_keep_v2_alive_for_more_than_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    async with listening(known(), V2) as client:
        for _ in range(4):
            await trio.sleep(50)
            await client.connection.ping(b"x")
        await client.wait_closed(100)
    assert client.closed_at_s == 260.0
    assert client.close_code == 1005


async def test_a_keepalive_kills_v2(autojump_clock: trio.testing.MockClock) -> None:
    async with listening(known(), V2) as client:
        await client.say("KeepAlive")
        await client.wait_closed()
    assert [message["type"] for message in client.messages] == ["Connected", "Error"]
    assert client.close_code == 1005


# --- handshakes -------------------------------------------------------------------------------------------------


async def refused(target: str, *headers: tuple[str, str], **settings: Any) -> ConnectionRejected:
    simulator = DeepgramSimulator(**settings)
    simulator.script(Fault(cut_after_messages=0))
    rejected = await rejection(simulator, target, headers)
    assert simulator.pending == 1, "what is refused takes nothing from the script"
    assert simulator.counters.refused == 1
    assert newest(simulator).closed == Closed("simulator", "refused")
    return rejected


async def test_a_101_has_its_request_id() -> None:
    simulator = DeepgramSimulator()
    async with listening(simulator) as client:
        headers = dict(client.connection.handshake_headers)
    assert headers[b"dg-request-id"].decode() == newest(simulator).request_id


async def test_a_refusal_has_its_headers_and_its_body() -> None:
    rejected = await refused(V1, ("authorization", "Token"))
    headers = dict(rejected.headers or ())
    assert rejected.status_code == 401
    assert headers[b"dg-error"] == b"Invalid credentials."
    assert msgspec.json.decode(rejected.body or b"") == {
        "err_code": "INVALID_AUTH",
        "err_msg": "Invalid credentials.",
        "request_id": headers[b"dg-request-id"].decode(),
    }


@pytest.mark.parametrize(
    "authorization", ["", "Token", "Token other", "Bearer key", "Bearer a.b", "Basic key", "Tokenkey"]
)
async def test_the_wrong_key_is_refused(authorization: str) -> None:
    headers = [("authorization", authorization)] if authorization else []
    assert (await refused(V2, *headers, api_key="key")).status_code == 401


@pytest.mark.parametrize("authorization", ["Token key", "token key", "Bearer aa.bb.cc-_"])
async def test_the_right_key_is_let_in(authorization: str) -> None:
    async with listening(DeepgramSimulator(api_key="key"), V1, [("authorization", authorization)]) as client:
        assert client.connection.closed is None


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/v3/listen", 404, "NOT_FOUND"),
        ("/v1/listen?model=flux-general-en", 400, "V2_MODEL_ON_V1_LISTEN_ENDPOINT"),
        ("/v1/listen?model=nova-33", 400, "Bad Request"),
        ("/v1/listen?model=nova-3&keywords=a:2", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-2&keyterm=a", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&utterance_end_ms=1000", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&interim_results=true&utterance_end_ms=999", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&interim_results=yes", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&endpointing=0.3", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&encoding=webm-opus&sample_rate=48000", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&encoding=opus", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&language_hint=en", 400, "INVALID_QUERY_PARAMETER"),
        ("/v1/listen?model=nova-3&keyterm=" + "+".join(["word"] * 501), 400, "INVALID_QUERY_PARAMETER"),
        ("/v2/listen?model=flux", 400, "Bad Request"),
        ("/v2/listen", 400, "Bad Request"),
        (V2 + "&smart_format=true", 400, "INVALID_PARAMETER"),
        (V2 + "&eot_threshold=0.49", 400, "INVALID_PARAMETER"),
        (V2 + "&eot_threshold=1.01", 400, "INVALID_PARAMETER"),
        ("/v2/listen?model=flux-general-en&eager_eot_threshold=0.8", 400, "INVALID_PARAMETER"),
        (V2 + "&eot_timeout_ms=60001", 400, "INVALID_PARAMETER"),
        (V2 + "&eot_timeout_ms=soon", 400, "INVALID_PARAMETER"),
        (V2 + "&language_hint=en", 400, "INVALID_PARAMETER"),
        (V2 + "&keyterm=", 400, "INVALID_PARAMETER"),
        (V2 + "&keyterm=" + "x" * 101, 400, "INVALID_PARAMETER"),
        (V2 + "&keyterm=a" * 101, 400, "INVALID_PARAMETER"),
        (V2 + "&encoding=linear16", 400, "INVALID_PARAMETER"),
        (V2 + "&encoding=linear16&sample_rate=22050", 400, "INVALID_PARAMETER"),
    ],
)
async def test_parameters_are_checked(target: str, status: int, code: str) -> None:
    rejected = await refused(target, KEY)
    body = msgspec.json.decode(rejected.body or b"")
    assert (rejected.status_code, body.get("err_code", body.get("code"))) == (status, code)


@pytest.mark.parametrize(
    "target",
    [
        V1 + "&unheard_of=true&keyterm=Kubernetes&tag=interview",
        "/v1/listen?model=nova-3&language=multi&language_hint=en&endpointing=false",
        V2 + "&eot_threshold=1.0&eot_timeout_ms=60000&keyterm=a%20b&tag=interview&numerals=true",
        "/v2/listen?model=flux-general-multi&language_hint=en-GB&language_hint=de",
        V2 + "&encoding=ogg-opus",
    ],
)
async def test_proper_parameters_are_let_in(target: str) -> None:
    async with listening(DeepgramSimulator(), target) as client:
        assert client.connection.closed is None
