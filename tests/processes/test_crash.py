"""`kill -9` at random moments under load: every acknowledged utterance is there after the restart, none twice."""

import random
from pathlib import Path

import pytest
import trio

from tests.processes.client import Client, connected
from tests.processes.daemon import Daemon, running_daemon
from tests.processes.documents import stored_session
from tests.processes.people import Person, suppress_the_crash

CLIENTS = 6
ROUNDS_A_SESSION = 10


class Talker(Person):
    """Someone who talks to one session over many crashes."""

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
                for words in self.unsure:
                    await client.send(type="text", text=words, id=words)
            elif frame["type"] == "turnStarted":
                self.acknowledged.add(frame["id"])
            elif frame["type"] == "reply":
                words = self.think()
                await client.send(type="text", text=words, id=words)
            elif frame["type"] == "error":
                # On a machine that is busy a save may be slow; nothing is acknowledged then.
                assert frame["code"] == "storage_unavailable", frame
            switch.count()


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
    await crash_again_and_again(tmp_path, rounds=50)


@pytest.mark.timeout(400)
async def test_they_survive_it_in_mongodb(tmp_path: Path, mongo_uri: str, mongo_database: str) -> None:
    in_mongodb = {"MONGODB_URI": mongo_uri, "EVAA_MONGODB_DATABASE": mongo_database}
    for person in await crash_again_and_again(tmp_path, rounds=8, **in_mongodb):
        person.check_document(stored_session(mongo_uri, mongo_database, person.session_id))


async def crash_again_and_again(folder: Path, rounds: int, **environment: str) -> list[Talker]:
    chance = random.Random(20261122)
    people: list[Talker] = []
    everyone: list[Talker] = []
    for number in range(rounds):
        if number % ROUNDS_A_SESSION == 0:
            people = [Talker(f"{chance.randrange(16**24):024x}") for _ in range(CLIENTS)]
            everyone += people
        async with running_daemon(folder, **environment) as daemon:
            await talk_until_killed(daemon, people, KillSwitch(chance.randrange(1, 120)))
    assert sum(len(person.acknowledged) for person in everyone) > rounds * 5, "there was no load"
    async with running_daemon(folder, **environment) as daemon:
        for person in everyone:
            await check_quietly(daemon.url, person)
    return everyone


async def talk_until_killed(daemon: Daemon, people: list[Talker], switch: KillSwitch) -> None:
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
