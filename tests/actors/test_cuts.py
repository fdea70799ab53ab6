"""No word is lost: the provider's connection is cut anywhere, up to five times in a recording.

What is checked: the audio that the provider's decoders got, put together, has every packet that no final result had
covered when a connection was lost, without a word of complaint from FFmpeg; and the words come out complete, in their
order, and not twice.
"""

from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from evaa.simulators.deepgram import ConnectionRecord, Fault
from evaa.stt.flux_endpointing import ONSET_S
from tests.actors.deepgram_world import PROTOCOLS, SETTLED_S, DeepgramWorld, Protocol, library

RECORDINGS = ("a_dental.webm", "x_firefox.webm", "d_late.webm", "a_dental.ogg", "d_late.ogg", "b_long_pause.webm")
PACKET_S = 0.060
SIZES = {"nova": 15, "flux": 30}  # messages in a short recording, about


async def play_with_cuts(name: str, protocol: Protocol, faults: Sequence[Fault]) -> DeepgramWorld:
    """Play a recording while the connections fail in their turn; check what was heard."""
    async with trio.open_nursery() as nursery:
        world = DeepgramWorld(nursery, protocol, *faults)
        client = await world.evaa.join()
        await world.play(client, name)
        await trio.sleep(SETTLED_S)
        assert " ".join(await world.turns()) == library()[name].text
        if all(fault.stall_after_audio_s is None for fault in faults):  # else EVAA gives out what it has by itself
            check_audio(world, name)
        nursery.cancel_scope.cancel()
    return world


def check_audio(world: DeepgramWorld, name: str) -> None:
    spoken = library()[name]
    reached = 0  # the packets before this one have been covered, or lie after the cut
    for connection in world.connections:
        assert connection.warnings == []
        assert connection.ahead_s <= world.stt.traits.burst_s + 1e-6
        for span in connection.heard:
            assert span.recording == name
            assert span.first <= reached
            reached = max(reached, covered_by(connection, world.protocol, spoken.starts_s, span.first), span.first)
    last = world.connections[-1].heard[-1]
    assert last.last == len(spoken.payloads) - 1


def covered_by(connection: ConnectionRecord, protocol: Protocol, starts_s: Sequence[float], first: int) -> int:
    """The first packet of the recording that no result of this connection covers."""
    covered_s = 0.0
    for message in connection.messages:
        if protocol == "nova" and message.get("is_final"):
            covered_s = max(covered_s, message["start"] + message["duration"])
        elif message.get("event") == "EndOfTurn":
            covered_s = max(covered_s, message["audio_window_end"])
        elif message.get("event") == "Update" and not message["transcript"]:
            covered_s = max(covered_s, message["audio_window_end"] - ONSET_S)
    begun_s = starts_s[first]
    return max(index for index, start_s in enumerate(starts_s) if start_s <= begun_s + covered_s + 0.001)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["a_dental.webm", "x_firefox.webm", "d_late.ogg"])
async def test_a_cut_after_every_third_message(name: str, protocol: Protocol, autojump_clock: MockClock) -> None:
    for messages in range(0, SIZES[protocol], 3):
        world = await play_with_cuts(name, protocol, [Fault(cut_after_messages=messages)])
        if messages < 5:
            assert len(world.simulator.connections) > 1, "the cut came too late to be one"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("every", [3, 7, 13, 29])
@pytest.mark.parametrize("name", RECORDINGS)
async def test_five_cuts_each_after_so_many_messages(
    name: str, protocol: Protocol, every: int, autojump_clock: MockClock
) -> None:
    await play_with_cuts(name, protocol, [Fault(cut_after_messages=every)] * 5)


cuts = st.one_of(
    st.builds(Fault, cut_after_audio_bytes=st.integers(0, 40_000)),
    st.builds(Fault, cut_after_received_bytes=st.integers(0, 40_000)),
    st.builds(Fault, cut_in_message=st.integers(1, 60)),
    st.builds(Fault, cut_after_messages=st.integers(0, 60), result_delay_s=st.sampled_from([0.1, 0.7])),
    st.builds(Fault, close_code=st.sampled_from([1011, 1005, 1000]), close_after_messages=st.integers(1, 60)),
    st.builds(Fault, stall_after_audio_s=st.floats(0.0, 10.0)),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", RECORDINGS)
def test_cuts_at_any_byte(name: str, protocol: Protocol) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(cuts, min_size=1, max_size=5))
    def check(faults: list[Fault]) -> None:
        trio.run(play_with_cuts, name, protocol, faults, clock=MockClock(autojump_threshold=0))

    check()
