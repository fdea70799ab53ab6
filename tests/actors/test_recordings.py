"""Real recordings, played as browsers sent them, through the whole of EVAA and Deepgram's simulator."""

import pytest
import trio
from trio.testing import MockClock

from tests.actors.deepgram_world import PROTOCOLS, RECORDINGS, SETTLED_S, DeepgramWorld, Protocol, library
from tests.evaa.recordings import recording


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", RECORDINGS)
async def test_the_words_that_reach_the_agent_are_those_that_were_spoken_once(
    name: str, protocol: Protocol, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = DeepgramWorld(nursery, protocol)
    client = await world.evaa.join()
    await world.play(client, name)
    await trio.sleep(SETTLED_S)
    assert " ".join(await world.turns()) == library()[name].text
    (connection,) = world.connections
    assert connection.warnings == []
    assert recording(name).startswith(connection.audio)
    assert connection.ahead_s <= world.stt.traits.burst_s
    finals = [frame["text"] for frame in client.everything if frame.kind == "transcript" and frame["final"]]
    assert finals == await world.turns()
