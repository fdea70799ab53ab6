"""EVAA with Deepgram's simulator behind it, on one virtual clock, and recordings that are played to them."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import trio
from trio.testing import memory_stream_pair

from evaa.simulators.deepgram import ConnectionRecord, DeepgramSimulator, Fault
from evaa.simulators.deepgram.ear import OpenEar, PyAvEar
from evaa.simulators.deepgram.recordings import SpokenRecording, load_recordings
from evaa.stt.deepgram_flux import DeepgramFlux
from evaa.stt.deepgram_nova import DeepgramNova
from evaa.stt.deepgram_socket import DeepgramAccess
from protocols.deepgram import FluxOptions, NovaOptions
from protocols.ports import SpeechToText
from tests.actors.harness import SESSION, Client, Evaa
from tests.evaa.recordings import AUDIO, WEBM, recording

Protocol = Literal["nova", "flux"]
PROTOCOLS: tuple[Protocol, ...] = ("nova", "flux")
RECORDINGS = (*(f"{name}.webm" for name in WEBM), "a_dental.ogg", "b_long_pause.ogg", "c_yes.ogg", "d_late.ogg")
OGG_CHUNK_BYTES = 400
KEY = "dg_canaryKey"

SETTLED_S = 200.0
"""Virtual time in which everything that was said has been heard, whatever was cut."""


@cache
def library() -> dict[str, SpokenRecording]:
    return {spoken.name: spoken for spoken in load_recordings(AUDIO)}


def plan(name: str) -> list[tuple[float, bytes]]:
    """When which bytes leave the browser (s): as it sent them; an Ogg file, in equal pieces in real time."""
    data = recording(name)
    stem, _, suffix = name.partition(".")
    listed = AUDIO / (f"{stem}.chunks.json" if stem != "x_firefox" else "x_firefox_webm.chunks.json")
    if suffix == "webm":
        pieces = json.loads(Path(listed).read_text("utf-8"))
        return [(p["t_ms"] / 1000, data[p["offset"] : p["offset"] + p["size"]]) for p in pieces]
    duration_s = library()[name].duration_s
    ends = range(OGG_CHUNK_BYTES, len(data) + OGG_CHUNK_BYTES, OGG_CHUNK_BYTES)
    return [(min(end, len(data)) / len(data) * duration_s, data[end - OGG_CHUNK_BYTES : end]) for end in ends]


class DeepgramWorld:
    """`turns` are the texts that reached the agent and were stored."""

    def __init__(
        self, nursery: trio.Nursery, protocol: Protocol, *faults: Fault, ear: OpenEar = PyAvEar, **evaa: Any
    ) -> None:
        self.simulator = DeepgramSimulator(library().values(), ear=ear)
        self.simulator.script(*faults)
        self.stt = self._plug_in(protocol)
        self.evaa = Evaa(nursery, stt=self.stt, **evaa)
        self.protocol = protocol
        self._nursery = nursery

    def _plug_in(self, protocol: Protocol) -> SpeechToText[Any]:
        access = DeepgramAccess(url="ws://deepgram.test", api_key=KEY)
        if protocol == "nova":
            return DeepgramNova(access, NovaOptions(language="en"), self._dial)
        return DeepgramFlux(access, FluxOptions(eager_eot_threshold=0.5), self._dial)

    async def _dial(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        near, far = memory_stream_pair()
        self._nursery.start_soon(self.simulator.handle, near)
        await trio.lowlevel.checkpoint()
        return far

    async def play(self, client: Client, name: str) -> None:
        """Send a recording as the browser did."""
        began = trio.current_time()
        for at_s, chunk in plan(name):
            await trio.sleep_until(began + at_s)
            await client.send_raw(chunk)

    async def turns(self) -> list[str]:
        return [turn.text for turn in (await self.evaa.record(SESSION)).interview.turns]

    @property
    def connections(self) -> list[ConnectionRecord]:
        """Those that heard anything."""
        return [connection for connection in self.simulator.connections if connection.audio_bytes]
