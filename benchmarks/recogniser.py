"""A recogniser that hears nothing, as light as can be: what costs should be whoever sends to it.

It speaks as much of Deepgram's v2 as EVAA needs: `Connected`, an `Update` for each 0.25 s of audio or so with one word
more in its transcript, and, if its plan says so, turns that end. `POST /plan` sets the plan (see `Plan`) and forgets
what was; `GET /stats` tells for each connection who sent it audio, when how many bytes had come, and, for each
turn's number, when its end left: in nanoseconds of the machine's monotonic clock.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import suppress

import aiohttp.web
import msgspec

from protocols.deepgram_messages import CLOSE_STREAM, FORCE_END_TURN, NO_ACTIVE_TURN

CHUNK_S = 0.12
CHUNKS_AN_UPDATE = 2
THOUGHT_AGAIN_S = 0.2
"""From a false `EagerEndOfTurn` to its `TurnResumed`, and on to the right one."""

WORDS = "we type about forty supplier invoices a day into the accounting system by hand and it takes six hours a week"
SPEAKER = re.compile(rb"WA\x86(.{6})", re.DOTALL)
"""A WebM header's WritingApp: "Chrome", or who speaks (see `recording`)."""


class Plan(msgspec.Struct, frozen=True):
    """When turns end, in seconds of wall time from the first audio on.

    There are so many `turns`, one every `turn_s`; none: the only one never ends. `EagerEndOfTurn` comes `eager_s`
    before; 0: never. In a share of the turns, `resumed_share`, one came too early before that, and was taken back by
    `TurnResumed`. With `is_silent` nobody speaks: the updates say so.
    """

    turns: int = 0
    turn_s: float = 1.0
    eager_s: float = 0.0
    resumed_share: float = 0.0
    is_silent: bool = False


class Listener(msgspec.Struct, frozen=True):
    """What is told of a connection. `arrivals`: how many bytes had come in all, and when."""

    speaker: str
    arrivals: list[tuple[int, int]]


class Stats(msgspec.Struct, frozen=True):
    """What is told of everything since the plan was made."""

    connected: int
    listeners: list[Listener]
    ended: dict[int, int]


class Hearing:
    """One connection."""

    def __init__(self, websocket: aiohttp.web.WebSocketResponse, recogniser: "Recogniser") -> None:
        self.speaker = ""
        self.arrivals: list[tuple[int, int]] = []
        self._websocket = websocket
        self._recogniser = recogniser
        self._script = WORDS.split() * 4
        self._said = 0
        self._has_begun = asyncio.Event()
        self._turn_index = 0
        self._sequence = itertools.count()
        self._bytes = 0

    async def run(self) -> None:
        """Hear until the connection ends."""
        await self._tell({"type": "Connected", "request_id": "0"})
        ending = asyncio.create_task(self._end_turns())
        try:
            async for message in self._websocket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await self._take(message.data)
                elif message.data == FORCE_END_TURN and self._said:
                    await self._end_turn("manual")
                elif message.data == FORCE_END_TURN:
                    await self._tell({"type": "Warning", "code": NO_ACTIVE_TURN})
                elif message.data == CLOSE_STREAM:
                    break
        finally:
            ending.cancel()

    async def _take(self, data: bytes) -> None:
        self._bytes += len(data)
        self._has_begun.set()
        self.arrivals.append((self._bytes, time.monotonic_ns()))
        if not self.speaker and (speaker := SPEAKER.search(data)):
            self.speaker = speaker[1].decode()
        if len(self.arrivals) % CHUNKS_AN_UPDATE == 0:
            await self._say_more()

    async def _say_more(self) -> None:
        """One word more; the last one is left for the end of the turn."""
        if self._recogniser.plan.is_silent:
            await self._tell_turn("Update")
            return
        self._said = max(self._said, min(self._said + 1, len(self._script) - 1))
        await self._tell_turn("StartOfTurn" if self._said == 1 else "Update")

    async def _end_turns(self) -> None:
        """End turns as planned."""
        plan = self._recogniser.plan
        await self._has_begun.wait()
        for _ in range(plan.turns):
            number = next(self._recogniser.numbers)
            self._script = f"Number {number}: {WORDS}".split()
            is_resumed = int((number + 1) * plan.resumed_share) > int(number * plan.resumed_share)
            early_s = THOUGHT_AGAIN_S * 2 if is_resumed else 0.0
            await asyncio.sleep(plan.turn_s - plan.eager_s - early_s)
            if is_resumed:
                self._said = max(self._said, len(self._script) // 2)
                await self._tell_turn("EagerEndOfTurn")
                await asyncio.sleep(THOUGHT_AGAIN_S)
                self._said += 1
                await self._tell_turn("TurnResumed")
                await asyncio.sleep(THOUGHT_AGAIN_S)
            self._said = len(self._script)
            if plan.eager_s:
                await self._tell_turn("EagerEndOfTurn")
                await asyncio.sleep(plan.eager_s)
            self._recogniser.ended[number] = time.monotonic_ns()
            await self._end_turn("model")
        if plan.turns:
            self._script = []  # silence

    async def _end_turn(self, trigger: str) -> None:
        await self._tell_turn("EndOfTurn", trigger=trigger)
        self._said = 0
        self._turn_index += 1

    async def _tell_turn(self, event: str, **more: str) -> None:
        heard_s = CHUNK_S * max(0, len(self.arrivals) - 1)
        said = self._script[: self._said]
        message = {
            "type": "TurnInfo",
            "event": event,
            "turn_index": self._turn_index,
            "audio_window_start": 0.0,
            "audio_window_end": round(heard_s, 3),
            "transcript": " ".join(said),
            "words": [{"word": word, "confidence": 0.9} for word in said],
            "end_of_turn_confidence": 0.1,
        }
        await self._tell(message | more)

    async def _tell(self, message: dict[str, object]) -> None:
        text = msgspec.json.encode({**message, "sequence_id": next(self._sequence)}).decode()
        with suppress(ConnectionError):  # whoever left is noticed by who hears
            await self._websocket.send_str(text)


class Recogniser:
    """All connections since the plan was made."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.ended: dict[int, int] = {}
        self.numbers: Iterator[int] = itertools.count(1)
        self._hearings: list[Hearing] = []
        self._connected = 0

    async def listen(self, request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        websocket = aiohttp.web.WebSocketResponse()
        await websocket.prepare(request)
        hearing = Hearing(websocket, self)
        self._hearings.append(hearing)
        self._connected += 1
        try:
            await hearing.run()
        finally:
            self._connected -= 1
        return websocket

    async def set_plan(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self.plan = msgspec.json.decode(await request.read(), type=Plan)
        self.ended.clear()
        self._hearings.clear()
        return aiohttp.web.Response()

    async def tell_connected(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """How many connections there are: cheaper than everything."""
        return aiohttp.web.Response(text=str(self._connected))

    async def tell_stats(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        listeners = [Listener(hearing.speaker, hearing.arrivals) for hearing in self._hearings]
        stats = Stats(self._connected, listeners, self.ended)
        return aiohttp.web.Response(body=msgspec.json.encode(stats))


async def main() -> None:
    recogniser = Recogniser()
    app = aiohttp.web.Application()
    app.router.add_get("/v2/listen", recogniser.listen)
    app.router.add_post("/plan", recogniser.set_plan)
    app.router.add_get("/connected", recogniser.tell_connected)
    app.router.add_get("/stats", recogniser.tell_stats)
    runner = aiohttp.web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"ws://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
