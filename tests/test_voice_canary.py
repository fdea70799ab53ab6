"""Nothing that was spoken, and no key, is in the logs: level debug, and everything that can go wrong with speech."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
import trio
from trio.testing import MockClock

from evaa.observability.logs import configure_logs
from evaa.simulators.deepgram import Fault
from tests.actors.deepgram_world import KEY, PROTOCOLS, SETTLED_S, DeepgramWorld, Protocol, library

NAME = "a_dental.webm"
TROUBLES = [
    Fault(),
    Fault(status=401, error_code="INVALID_AUTH"),
    Fault(status=503),
    Fault(cut_after_messages=9),
    Fault(cut_in_message=9),
    Fault(close_code=1011, close_reason="net0001", close_after_messages=9),
    Fault(close_code=1008, close_reason="DATA-0000", close_after_messages=9),
    Fault(fatal_error="INTERNAL_SERVER_ERROR", fatal_after_messages=9),
    Fault(stall_after_audio_s=3.0),
    Fault(suppress_speech_final=True, no_finish_answer=True),
]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    configure_logs("json", "debug", output)
    yield output
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", TROUBLES, ids=range(len(TROUBLES)))
async def test_no_word_and_no_key_comes_out(
    protocol: Protocol,
    fault: Fault,
    nursery: trio.Nursery,
    log: io.StringIO,
    capfd: pytest.CaptureFixture[str],
    autojump_clock: MockClock,
) -> None:
    world = DeepgramWorld(nursery, protocol, fault)
    client = await world.evaa.join()
    await world.play(client, NAME)
    await client.send_raw(b"not audio any more" * 100)
    await trio.sleep(SETTLED_S)
    await client.leave()
    await world.evaa.gone()
    output = log.getvalue() + "".join(capfd.readouterr())
    canaries = [KEY, *(word.strip(".,") for word in library()[NAME].text.split() if len(word) > 5)]
    assert len(canaries) > 4
    assert [canary for canary in canaries if canary in output] == []
    assert '"stt.connected"' in output or '"stt.refused"' in output
