"""Someone who talks in one session and goes from process to process, sometimes without leaving the one before."""

import random
from collections.abc import Sequence
from typing import Any

import trio
from trio_websocket import ConnectionClosed

from protocols.frontend import CloseCode
from tests.processes.client import Client, connected
from tests.processes.people import Person, suppress_the_crash
from tests.processes.places import Place

PATIENCE_S = 2.0
"""Who gets no answer for so long goes elsewhere, if something was done to the process."""

STUCK_S = 20.0
"""A process that nothing is done to leaves nobody without an answer for so long. It takes milliseconds."""

BACK_OFF_S = 0.05
MOST_TEXTS = 3
"""What one says in one visit, besides what must be said again."""

TOO_LATE = "this is said to a process that does not own the session any more"


class Progress:
    """Counts what was acknowledged."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting = trio.lowlevel.ParkingLot()

    def add(self) -> None:
        self._count += 1
        self._waiting.unpark_all()

    async def reach(self, count: int) -> None:
        """Wait until there are so many."""
        while self._count < count:
            await self._waiting.park()


class Wanderer(Person):
    """Says `texts` things, in visits to places that are chosen with `chance`.

    `cut` are the codes with which connections ended on which it was talking, `overtaken` the codes of those that it had
    left open when it went elsewhere.
    """

    def __init__(self, chance: random.Random, texts: int, progress: Progress) -> None:
        super().__init__(f"{chance.randrange(16**24):024x}")
        self.cut: list[int] = []
        self.overtaken: list[int] = []
        self.is_sure = False
        self.next_arrival = trio.Event()
        self._chance = chance
        self._texts = texts
        self._progress = progress

    @property
    def has_more(self) -> bool:
        """Whether there is more to say than was said."""
        return len(self.said) < self._texts

    async def wander(self, places: Sequence[Place]) -> None:
        """Until a replay shows that all is said, and every connection that was left open is closed."""
        async with trio.open_nursery() as nursery:
            while not self.is_sure:
                visit = Visit(self, self._chance.choice(places), random.Random(self._chance.random()))
                await nursery.start(visit.run)
                await trio.sleep(BACK_OFF_S)

    def arrive(self, ready: dict[str, Any]) -> None:
        """A process owns the session now."""
        self.check(ready["messages"])
        assert ready["resumed"] or not self.acknowledged
        self.is_sure = not self.has_more and not self.unsure
        self.next_arrival.set()
        self.next_arrival = trio.Event()

    def acknowledge(self, words: str) -> None:
        assert words != TOO_LATE
        if words not in self.acknowledged:
            self.acknowledged.add(words)
            self._progress.add()


class Visit:
    """One connection of a wanderer's, whose frames have no gap and greet once."""

    def __init__(self, who: Wanderer, place: Place, chance: random.Random) -> None:
        self._who = who
        self._place = place
        self._chance = chance
        self._peace = place.peace
        self._heard_at = trio.current_time()
        self._goes_elsewhere = True
        self._kinds: list[str] = []

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Talk for a while. With `task_status` the next visit may begin, though this one may not have ended."""
        is_left_open = False
        with suppress_the_crash():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._be_patient, nursery.cancel_scope)
                async with connected(self._place.url) as client:
                    await self._talk(client)
                    how = self._chance.choice(("close", "vanish", "stay", "stay"))
                    if how == "vanish":
                        nursery.cancel_scope.cancel()
                    elif how == "stay" and not self._who.is_sure:
                        is_left_open = True
                        task_status.started()
                        await self._stay(client)
                nursery.cancel_scope.cancel()
        if not is_left_open:
            task_status.started()

    @property
    def _was_struck(self) -> bool:
        return self._peace is None or self._place.peace != self._peace

    async def _be_patient(self, visit: trio.CancelScope) -> None:
        while True:
            await trio.sleep(PATIENCE_S / 20)
            silent_s = trio.current_time() - self._heard_at
            assert silent_s < STUCK_S, f"somebody got stuck after {self._kinds}"
            if self._goes_elsewhere and self._was_struck and silent_s > PATIENCE_S:
                visit.cancel()

    async def _talk(self, client: Client) -> None:
        try:
            await client.send(type="start", sessionId=self._who.session_id, replay=True)
            await self._receive_until(client, "ready")
            for words in self._who.unsure:
                await self._say(client, words, "turnStarted")
            for _ in range(self._chance.randrange(MOST_TEXTS + 1)):
                if self._who.has_more:
                    await self._say(client, self._who.think(), self._chance.choice(("", "turnStarted", "reply")))
        except ConnectionClosed as closed:
            self._who.cut.append(close_code(closed))
            raise

    async def _say(self, client: Client, words: str, awaited: str) -> None:
        """Say it, and wait until it is acknowledged, or replied to, or for nothing."""
        await client.send(type="text", text=words, id=words)
        if awaited:
            await self._receive_until(client, awaited, words)

    async def _stay(self, client: Client) -> None:
        """See how the connection ends when the wanderer has gone elsewhere; if it still speaks here, to no effect."""
        elsewhere = self._who.next_arrival
        self._goes_elsewhere = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._see_it_closed, client, nursery.cancel_scope)
            while not elsewhere.is_set():
                self._heard_at = trio.current_time()  # nothing is expected of it yet
                with trio.move_on_after(PATIENCE_S):
                    await elsewhere.wait()
            if self._chance.random() < 0.5:
                return
            with suppress_the_crash():
                await client.send(type="text", text=TOO_LATE, id=TOO_LATE)

    async def _see_it_closed(self, client: Client, stay: trio.CancelScope) -> None:
        try:
            await self._receive_until(client, "the end")
        except ConnectionClosed as closed:
            code = close_code(closed)
            self._who.overtaken.append(code)
            assert self._was_struck or code == CloseCode.TAKEN_OVER
        stay.cancel()

    async def _receive_until(self, client: Client, kind: str, words: str | None = None) -> None:
        while True:
            frame = await client.receive()
            self._heard_at = trio.current_time()
            self._take(frame)
            if frame["type"] == kind and words in (None, frame.get("id")):
                return

    def _take(self, frame: dict[str, Any]) -> None:
        assert frame["seq"] == len(self._kinds)
        self._kinds.append(frame["type"])
        assert self._kinds.count("ready") <= 1
        match frame["type"]:
            case "ready":
                self._who.arrive(frame)
            case "turnStarted":
                self._who.acknowledge(frame["id"])
            case "error":
                # A process that was stopped may find its save slow.
                assert frame["code"] == "storage_unavailable", frame


def close_code(closed: ConnectionClosed) -> int:
    """The code that the other side gave; 1006 if none."""
    return int(closed.reason.code) if closed.reason is not None else 1006
