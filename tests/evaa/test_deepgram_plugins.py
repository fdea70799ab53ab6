"""The Deepgram plug-ins over their wire: opening, refusals, signs of life, ends. The simulator is the other side."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from evaa.simulators.deepgram import DeepgramSimulator, Fault
from evaa.simulators.deepgram.recordings import load_recordings
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess, Dial
from protocols.deepgram import FluxOptions, NovaOptions
from protocols.deepgram_messages import Results, TurnInfo
from protocols.ports import SpeechToText, SttConnection, SttLost, SttRefused
from protocols.speech import SttRequest
from tests.evaa.late_pings import LatePings
from tests.evaa.recordings import AUDIO, recording

KEY = "dg_canary_key"
WEBM = SttRequest(encoding="webm")


def nova(dial: Dial, key: str = KEY) -> SpeechToText[Any]:
    return DeepgramNova(DeepgramAccess(url="ws://deepgram.test:81", api_key=key), NovaOptions(language="en"), dial)


def flux(dial: Dial, key: str = KEY) -> SpeechToText[Any]:
    return DeepgramFlux(DeepgramAccess(url="ws://deepgram.test:81", api_key=key), FluxOptions(), dial)


both = pytest.mark.parametrize("make", [nova, flux])


class Wired:
    """A simulator, and a dial that reaches it in memory."""

    def __init__(self, nursery: trio.Nursery, *faults: Fault) -> None:
        self.simulator = DeepgramSimulator(load_recordings(AUDIO), api_key=KEY)
        self.simulator.script(*faults)
        self.dialled: list[tuple[str, int, bool]] = []
        self._nursery = nursery

    async def dial(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        self.dialled.append((host, port, tls))
        near, far = memory_stream_pair()
        self._nursery.start_soon(self.simulator.handle, near)
        await trio.lowlevel.checkpoint()
        return far


@asynccontextmanager
async def failing(kind: type[Exception]) -> AsyncIterator[list[Any]]:
    """Expect this error, alone or in groups; it is put into the list."""
    caught: list[Any] = []
    try:
        yield caught
    except* kind as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        caught.append(error)
    assert caught, f"{kind.__name__} was not raised"


async def connect(stt: SpeechToText[Any], request: SttRequest = WEBM) -> None:
    async with stt.connect(request):
        pass


async def fail_inside(stt: SpeechToText[Any]) -> None:
    async with stt.connect(WEBM):
        raise ZeroDivisionError


async def heard(connection: SttConnection[Any]) -> list[str]:
    """The final transcripts up to the end."""
    texts = []
    while (message := await connection.receive()) is not None:
        if isinstance(message, Results) and message.is_final:
            texts.append(message.channel.alternatives[0].transcript)
        elif isinstance(message, TurnInfo) and message.event == "EndOfTurn":
            texts.append(message.transcript)
    return texts


@both
async def test_the_last_words_come_before_the_end(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    stt = make(wired.dial)
    async with stt.connect(WEBM) as connection:
        assert connection.request_id == wired.simulator.connections[0].request_id
        await connection.send_audio(recording("c_yes.webm")[:4_500])  # up to the middle of the silence after it
        await trio.sleep(1.0)
        await connection.finish_stream()
        assert "".join(await heard(connection)) == "Yes."
    (record,) = wired.simulator.connections
    await trio.testing.wait_all_tasks_blocked()
    assert record.closed is not None
    assert wired.simulator.counters.open_connections == 0
    assert wired.dialled == [("deepgram.test", 81, False)]


@both
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=400), SttRefused),
        (Fault(status=402), SttRefused),
        (Fault(status=403), SttRefused),
        (Fault(status=429), SttLost),
        (Fault(status=500), SttLost),
        (Fault(status=503), SttLost),
    ],
)
async def test_a_refused_handshake_says_whether_it_may_pass(
    make: Callable[..., SpeechToText[Any]],
    fault: Fault,
    kind: type[Exception],
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    wired = Wired(nursery, fault)
    async with failing(kind) as errors:
        await connect(make(wired.dial))
    assert str(fault.status) in str(errors[0])
    assert KEY not in str(errors[0])
    await trio.testing.wait_all_tasks_blocked()
    assert wired.simulator.counters.open_connections == 0


async def test_when_to_come_back_is_taken_over(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    wired = Wired(nursery, Fault(status=429, retry_after_s=7))
    async with failing(SttLost) as errors:
        await connect(flux(wired.dial))
    assert errors[0].retry_after_s == 7.0


@both
async def test_a_wrong_key_is_refused_for_good(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with failing(SttRefused) as errors:
        await connect(make(Wired(nursery).dial, "wrong"))
    assert "401" in str(errors[0])
    assert "wrong" not in str(errors[0])


@both
async def test_nobody_there(make: Callable[..., SpeechToText[Any]], autojump_clock: MockClock) -> None:
    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(f"{host}:{port}")

    async with failing(SttLost) as errors:
        await connect(make(dial))
    assert "cannot be reached" in str(errors[0])


@both
async def test_a_dial_that_takes_for_ever(make: Callable[..., SpeechToText[Any]], autojump_clock: MockClock) -> None:
    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    async with failing(SttLost):
        await connect(make(dial))
    assert trio.current_time() == 5.0


@both
async def test_a_handshake_without_an_answer(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery, Fault(handshake_hang=True))
    async with failing(SttLost):
        await connect(make(wired.dial))
    assert trio.current_time() == 5.0
    await trio.testing.wait_all_tasks_blocked()
    assert wired.simulator.counters.open_connections == 0


@both
async def test_a_stream_that_ends_in_the_handshake_is_noticed_at_once(
    make: Callable[..., SpeechToText[Any]], autojump_clock: MockClock
) -> None:
    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        near, far = memory_stream_pair()
        await near.send_all(b"HTTP/1.1 101 Switch")
        await near.aclose()
        return far

    async with failing(SttLost) as errors:
        await connect(make(dial))
    assert "ended the handshake" in str(errors[0])
    assert trio.current_time() == 0.0


async def test_flux_that_never_says_connected(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    wired = Wired(nursery, Fault(no_connected=True))
    async with failing(SttLost) as errors:
        await connect(flux(wired.dial))
    assert trio.current_time() == 10.0
    assert "10 s" in str(errors[0])


@both
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(close_code=1011, close_reason="see net0001", close_after_messages=1), SttLost),
        (Fault(close_code=1005, close_after_messages=1), SttLost),
        (Fault(close_code=1008, close_reason="DATA-0000", close_after_messages=1), SttRefused),
        (Fault(cut_after_messages=2), SttLost),
        (Fault(cut_in_message=2), SttLost),
    ],
)
async def test_an_end_that_nobody_asked_for(
    make: Callable[..., SpeechToText[Any]],
    fault: Fault,
    kind: type[Exception],
    nursery: trio.Nursery,
    autojump_clock: MockClock,
) -> None:
    wired = Wired(nursery, fault)
    async with failing(kind), make(wired.dial).connect(WEBM) as connection:
        await connection.send_audio(recording("d_late.webm"))
        await heard(connection)
    await trio.testing.wait_all_tasks_blocked()
    assert wired.simulator.counters.open_connections == 0


async def test_what_flux_calls_an_error_ends_the_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    wired = Wired(nursery, Fault(fatal_error="INTERNAL_SERVER_ERROR"))
    async with failing(SttLost) as errors, flux(wired.dial).connect(WEBM) as connection:
        await heard(connection)
    assert "INTERNAL_SERVER_ERROR" in str(errors[0])


@both
async def test_signs_of_life_keep_a_silent_connection(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    stt = make(wired.dial)
    async with stt.connect(WEBM) as connection:
        await connection.send_audio(recording("c_yes.webm"))
        async with trio.open_nursery() as reader:
            reader.start_soon(heard, connection)
            for _ in range(60):
                await trio.sleep(stt.traits.keep_alive_s)
                await connection.keep_alive()
            reader.cancel_scope.cancel()
        assert wired.simulator.connections[0].closed is None


@both
async def test_without_them_it_is_closed(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with failing(SttLost), make(Wired(nursery).dial).connect(WEBM) as connection:
        await connection.send_audio(recording("c_yes.webm"))
        await heard(connection)
    assert trio.current_time() <= 61.0


@both
async def test_keyterms_are_asked_for_and_changed_one_at_a_time(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    request = SttRequest(encoding="webm", keyterms=("n8n", "Northwind Traders"))
    async with make(wired.dial).connect(request) as connection:
        await connection.send_audio(recording("c_yes.webm")[:2_000])
        for terms in (("one",), ("two",), ("three",)):
            await connection.set_keyterms(terms)
        with trio.move_on_after(1.0):
            await heard(connection)
    (record,) = wired.simulator.connections
    assert record.params["keyterm"] == ["n8n", "Northwind Traders"]
    configures = [text for text in record.texts if "Configure" in text]
    assert configures == ['{"type":"Configure","keyterms":["one"]}', '{"type":"Configure","keyterms":["three"]}']


@both
async def test_raw_audio_that_the_provider_cannot_take_is_refused_before_dialling(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    async with failing(SttRefused):
        await connect(make(wired.dial), SttRequest(encoding="linear16"))
    assert wired.dialled == []


@both
async def test_a_block_that_fails_or_is_cancelled_drops_the_connection_at_once(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    with trio.move_on_after(1.0):
        async with make(wired.dial).connect(WEBM):
            await trio.sleep(2.0)
    assert trio.current_time() == 1.0
    async with failing(ZeroDivisionError):
        await fail_inside(make(wired.dial))
    assert trio.current_time() == 1.0
    await trio.testing.wait_all_tasks_blocked()
    assert wired.simulator.counters.open_connections == 0


@both
async def test_a_ping_that_crosses_our_close_is_no_failure(
    make: Callable[..., SpeechToText[Any]], nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    wired = Wired(nursery)
    streams: list[LatePings] = []

    async def dial(host: str, port: int, tls: bool) -> trio.abc.Stream:
        streams.append(LatePings(await wired.dial(host, port, tls)))
        return streams[-1]

    await connect(make(dial))
    assert [stream.pings for stream in streams] == [1]
    await trio.testing.wait_all_tasks_blocked()
    assert wired.simulator.counters.open_connections == 0
