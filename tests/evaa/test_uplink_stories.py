"""Whatever is recorded, finished, covered and forgotten, whenever connections come and go: see `audio_world`."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.speech import Encoding
from tests.evaa.audio_world import DURATIONS_US, AudioWorld

pytestmark = pytest.mark.timeout(300)  # a story that fails takes a while to shorten

ENCODINGS: st.SearchStrategy[Encoding] = st.sampled_from(["webm", "ogg", "opus", "linear16"])


class AnyAudio(RuleBasedStateMachine):
    @initialize(encoding=ENCODINGS, max_bytes=st.sampled_from([1_500, 1 << 20]))
    def record(self, encoding: Encoding, max_bytes: int) -> None:
        self.world = AudioWorld(max_bytes=max_bytes)
        self.world.begin(encoding)

    @rule(encoding=ENCODINGS, times=st.sampled_from([1, 1, 1, 2, 3]))
    def record_anew(self, encoding: Encoding, times: int) -> None:
        for _ in range(times):
            self.world.begin(encoding)

    @rule(kinds=st.lists(st.integers(0, 5), max_size=8), times=st.sampled_from([1, 1, 1, 8]))
    def put(self, kinds: list[int], times: int) -> None:
        possible = DURATIONS_US[self.world.headers[-1].encoding]
        for _ in range(times):
            self.world.put([possible[kind % len(possible)] for kind in kinds])

    @rule()
    def finish(self) -> None:
        self.world.finish()

    @rule(seconds=st.sampled_from([0.02, 0.1, 1.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.world.connection is None)
    @rule()
    def connect(self) -> None:
        self.world.connect()

    @precondition(lambda self: self.world.connection is not None)
    @rule(times=st.integers(1, 6))
    def send(self, times: int) -> None:
        for _ in range(times):
            self.world.send()

    @precondition(lambda self: self.world.connection is not None)
    @rule()
    def send_all(self) -> None:
        self.world.send_all()

    @precondition(lambda self: self.world.connection is not None)
    @rule(tenths=st.integers(0, 10))
    def cover(self, tenths: int) -> None:
        self.world.cover(round(self.world.live.uplink.sent_s * tenths / 10, 3))

    @precondition(lambda self: self.world.connection is not None)
    @rule(well=st.booleans())
    def disconnect(self, well: bool) -> None:
        self.world.disconnect(well=well)

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


AnyAudio.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestAnyAudio = AnyAudio.TestCase
