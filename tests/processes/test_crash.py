"""`kill -9` at random moments under load: every acknowledged utterance is there after the restart, none twice."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed, HandshakeError

from tests.processes.client import Client, connected
from tests.processes.daemon import Daemon, running_daemon

ROUNDS = 50
CLIENTS = 6
ROUNDS_A_SESSION = 10


@dataclass
class Person:
    """Someone who talks to one session over many crashes, and remembers what was acknowledged."""

    session_id: str
    said: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)

    async def talk(self, url: str, switch: "KillSwitch") -> None:
        """Resume, check the replay, send again what was not acknowledged, and go on talking until cut off."""
        with suppress_the_crash():
            async with connected(url) as client:
                await client.send(type="start", sessionId=self.session_id, replay=True)
                await self._converse(client, switch)

    async def _converse(self, client: Client, switch: "KillSwitch") -> None:
        while True:
            frame = await client.receive()
            if frame["type"] == "ready":
                self.check(frame["messages"])
                for words in [words for words in self.said if words not in self.acknowledged]:
                    await client.send(type="text", text=words, id=words)
            elif frame["type"] == "turnStarted":
                self.acknowledged.add(frame["id"])
            elif frame["type"] == "reply":
                self.said.append(f"{self.session_id[-4:]} says {len(self.said)}")
                await client.send(type="text", text=self.said[-1], id=self.said[-1])
            elif frame["type"] == "error":
                raise AssertionError(frame)
            switch.count()

    def check(self, replay: list[dict[str, str]]) -> None:
        stored = Counter(line["text"] for line in replay if line["role"] == "user")
        lost = self.acknowledged - set(stored)
        assert not lost, f"acknowledged, but not there after the restart: {lost}"
        twice = [words for words, count in stored.items() if count > 1]
        assert not twice, f"there twice: {twice}"
        assert set(stored) <= set(self.said)


class KillSwitch:
    """Goes off after so many frames, wherever the process then is."""

    def __init__(self, frames: int) -> None:
        self._left = frames
        self.off = trio.Event()

    def count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.off.set()


@pytest.mark.timeout(400)
async def test_acknowledged_utterances_survive_kill_9(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    people: list[Person] = []
    everyone: list[Person] = []
    for number in range(ROUNDS):
        if number % ROUNDS_A_SESSION == 0:
            people = [Person(f"{chance.randrange(16**24):024x}") for _ in range(CLIENTS)]
            everyone += people
        async with running_daemon(tmp_path) as daemon:
            await talk_until_killed(daemon, people, KillSwitch(chance.randrange(1, 120)))
    assert sum(len(person.acknowledged) for person in everyone) > ROUNDS * 5, "there was no load"
    async with running_daemon(tmp_path) as daemon:
        for person in everyone:
            await check_quietly(daemon.url, person)


async def talk_until_killed(daemon: Daemon, people: list[Person], switch: KillSwitch) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.read_to_end)
        for person in people:
            nursery.start_soon(person.talk, daemon.url, switch)
        await switch.off.wait()
        await daemon.kill()


async def check_quietly(url: str, person: Person) -> None:
    async with connected(url) as client:
        await client.send(type="start", sessionId=person.session_id, replay=True)
        person.check((await client.next("ready"))["messages"])


@contextmanager
def suppress_the_crash() -> Iterator[None]:
    """What a client sees of it: the connection ends, or cannot be had."""
    try:
        yield
    except* (ConnectionClosed, HandshakeError, OSError, trio.BrokenResourceError):
        pass
