"""A thousand people connect, talk and leave, over real sockets on both sides of EVAA: nothing of them is left.

What is counted: tasks, open files, blocks of memory and resident memory, in rounds. The first fills caches and pools.
What leaks grows in every further round, so the smallest growth is what counts.
"""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import structlog
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from actors.connection import ConnectionLimits
from actors.persistence import PersistenceLimits
from actors.server import PATH, Server, ServerLimits
from actors.session import Services, SessionLimits
from actors.stt import SttLimits
from evaa.simulators.deepgram import DeepgramSimulator, Fault
from evaa.simulators.deepgram.ear import ClockEar
from evaa.storage.memory import MemoryStore
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess
from evaa.stt.redial import RedialLimits
from protocols.deepgram import FluxOptions, NovaOptions
from protocols.dialects import TYPED_JSON
from protocols.ports import Answer, AnswerSink, SpeechToText, TurnBrief
from protocols.records import Lease
from tests.actors.deepgram_world import library
from tests.actors.harness import STAGES
from tests.actors.interviewers import echoes
from tests.actors.stores import MemorySpill
from tests.actors.writers import FakeWriter
from tests.evaa.recordings import chunks

ROUNDS = 4
PEOPLE = 300
"""In each round."""

AT_ONCE = 20
PATIENCE_S = 60.0

FLUX_EVERY = 10
ABRUPT_EVERY = 4
EARLY_EVERY = 9
CUT_EVERY = 7

NOVA_CHUNKS = 8
"""Enough of the word to be recognised when asked for it, and less than a provider takes at once."""

FLUX_CHUNKS = 10

MOST_BLOCKS = 0.5
"""Allocations that may be left of a session: not even one. A whole session would be some hundreds."""

MOST_BYTES = 2_048

LEFT_SCOPES = 2_000

# One of them may be cut off several times in a row, since all take from one script: no breaker. And on a machine that
# is busy the loop may stand still for seconds, which must not pass for a slow store; nor may a ping come then that
# crosses a person's close frame (see `LatePings`).
LIMITS = ServerLimits(
    connection=ConnectionLimits(ping_interval_s=PATIENCE_S),
    session=SessionLimits(
        persistence=PersistenceLimits(slow_after_s=PATIENCE_S, last_save_s=PATIENCE_S),
        stt=SttLimits(redial=RedialLimits(max_useless=1_000)),
        release_s=PATIENCE_S,
    ),
)

START = msgspec.json.encode({"type": "start", "audio": {"container": "webm", "codec": "opus"}}).decode()
END_OF_SPEECH = msgspec.json.encode({"type": "endOfSpeech"}).decode()


class Echo:
    """An interviewer that remembers nothing."""

    name = "echo"

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        return await echoes(brief, sink)


class ForgetfulStore(MemoryStore):
    """Forgets a session when it is released; counts those in which something was said."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = 0

    async def release(self, lease: Lease) -> None:
        record = await self.load(lease.session_id)
        self.spoken += record is not None and [turn.text for turn in record.interview.turns] == ["Yes."]
        await super().release(lease)
        del self._rows[lease.session_id]


class Crowd:
    """A server for each protocol, the simulator behind them, and the people."""

    def __init__(self) -> None:
        self.simulator = DeepgramSimulator(library().values(), ear=ClockEar, keep_connections=0, keep_audio=False)
        self.store = ForgetfulStore()
        self.answered = 0
        self.servers: list[Server] = []
        self._ports: list[int] = []

    async def open(self, nursery: trio.Nursery) -> None:
        await self.store.replace_stages(STAGES)
        url: str = await nursery.start(self.simulator.serve)
        access = DeepgramAccess(url=url, api_key="simulated", connect_timeout_s=PATIENCE_S)
        plug_ins: list[SpeechToText[Any]] = [
            DeepgramNova(access, NovaOptions(language="en")),
            DeepgramFlux(access, FluxOptions(eager_eot_threshold=0.5)),
        ]
        for stt in plug_ins:
            services = Services(
                store=self.store, interviewer=Echo(), spill=MemorySpill(), writer=FakeWriter(), owner="here", stt=stt
            )
            server = Server(services, LIMITS)
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(server.serve, listeners)
            self.servers.append(server)
            self._ports.append(listeners[0].socket.getsockname()[1])

    async def come_and_go(self, numbers: range) -> None:
        """As many at once as `AT_ONCE`; return when nobody is connected any more, and nothing is winding down."""
        left = iter(numbers)

        async def one_after_another() -> None:
            for number in left:
                await self._talk(number)

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(one_after_another)
        with trio.fail_after(PATIENCE_S):
            while any(server.connections for server in self.servers) or self.simulator.counters.open_connections:
                await trio.testing.wait_all_tasks_blocked(0.01)
            await let_go_of_left_scopes()

    async def _talk(self, number: int) -> None:
        is_flux = number % FLUX_EVERY == 0
        if number % CUT_EVERY == 0:
            self.simulator.script(Fault(cut_after_audio_bytes=900))
        with trio.fail_after(PATIENCE_S):
            stream = await trio.open_tcp_stream("127.0.0.1", self._ports[is_flux])
            async with stream, trio.open_nursery() as nursery:
                target = f"{PATH}?sessionId={number:024x}"
                websocket = await wrap_client_stream(nursery, stream, "evaa", target, subprotocols=[TYPED_JSON])
                await websocket.send_message(START)
                if number % EARLY_EVERY:
                    await self._speak(websocket, chunks("c_yes")[: FLUX_CHUNKS if is_flux else NOVA_CHUNKS])
                if number % ABRUPT_EVERY:
                    await websocket.aclose()
                nursery.cancel_scope.cancel()

    async def _speak(self, websocket: WebSocketConnection, pieces: list[bytes]) -> None:
        for piece in pieces:
            await websocket.send_message(piece)
        await websocket.send_message(END_OF_SPEECH)
        with suppress(ConnectionClosed):
            while (frame := msgspec.json.decode(await websocket.get_message())).get("response") != "1: Yes.":
                assert frame["type"] != "error", frame
            self.answered += 1


class Left(msgspec.Struct):
    """What there is when nobody is connected."""

    tasks: int
    files: int
    blocks: int
    resident_bytes: int


def count() -> Left:
    for _ in range(3):
        gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return Left(count_tasks(root), len(os.listdir("/proc/self/fd")), sys.getallocatedblocks(), pages * 4_096)


async def let_go_of_left_scopes() -> None:
    """Have trio forget the cancel scopes that were left before their deadlines.

    It keeps them until then, or until there are a thousand more of them than of live ones. However many there happen
    to be, they would be more blocks than all that is counted here.
    """
    for _ in range(LEFT_SCOPES):
        with trio.move_on_after(PATIENCE_S):  # noqa: ASYNC100
            pass  # all of them between two looks of trio's
    await trio.testing.wait_all_tasks_blocked(0.01)


def count_tasks(task: trio.lowlevel.Task) -> int:
    return 1 + sum(count_tasks(child) for nursery in task.child_nurseries for child in nursery.child_tasks)


@pytest.fixture
def failures() -> Iterator[list[Any]]:
    """What was logged as an error; nothing is printed."""
    errors: list[Any] = []

    def keep_errors(_logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if method in ("error", "critical"):
            errors.append(event)
        raise structlog.DropEvent

    structlog.configure(processors=[keep_errors], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield errors
    structlog.reset_defaults()


@pytest.mark.timeout(300)
async def test_nothing_is_left_of_a_thousand_sessions(nursery: trio.Nursery, failures: list[Any]) -> None:
    crowd = Crowd()
    await crowd.open(nursery)
    await crowd.come_and_go(range(AT_ONCE))
    begun = count()
    left: list[Left] = []
    for first in range(0, ROUNDS * PEOPLE, PEOPLE):
        await crowd.come_and_go(range(first, first + PEOPLE))
        left.append(count())
    assert failures == []
    people = [*range(AT_ONCE), *range(ROUNDS * PEOPLE)]
    assert crowd.answered == crowd.store.spoken == sum(number % EARLY_EVERY > 0 for number in people)
    assert crowd.simulator.counters.accepted > len(people)
    assert [(each.tasks, each.files) for each in left] == [(begun.tasks, begun.files)] * ROUNDS
    assert min(after.blocks - before.blocks for before, after in pairwise(left)) / PEOPLE < MOST_BLOCKS
    assert min(after.resident_bytes - before.resident_bytes for before, after in pairwise(left)) / PEOPLE < MOST_BYTES
