"""Several EVAA processes over one MongoDB: a session has one owner at a time, and whoever talks notices nothing."""

import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from protocols.frontend import CloseCode
from tests.processes.client import Client, connected
from tests.processes.daemon import Daemon, running_daemon
from tests.processes.documents import stored_session
from tests.processes.ownership import Ownership, check_logs
from tests.processes.places import Blow, Harm, Place
from tests.processes.wanderer import STUCK_S, Progress, Wanderer

WORDS = "We type forty invoices a day by hand."
SEED = 20261124
PLACES = 3
PEOPLE = 8
TEXTS = 25
LEASE_S = 2.0
STOPPED_S = 1.5 * LEASE_S
HARMS: tuple[Harm, ...] = ("kill", "stop", "drain")


@pytest.mark.timeout(150)
async def test_people_wander_between_processes_that_come_and_go(
    tmp_path: Path, mongo_uri: str, mongo_database: str
) -> None:
    chance = random.Random(SEED)
    progress, ownership = Progress(), Ownership()
    in_mongodb = {"MONGODB_URI": mongo_uri, "EVAA_MONGODB_DATABASE": mongo_database}
    places = [Place(tmp_path / str(number), EVAA_LEASE_S=str(LEASE_S), **in_mongodb) for number in range(PLACES)]
    people = [Wanderer(random.Random(chance.random()), TEXTS, progress) for _ in range(PEOPLE)]
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for place in places:
                starting.start_soon(nursery.start, place.live)
        nursery.start_soon(ownership.watch, mongo_uri, mongo_database)
        await wander_under_blows(people, places, chance, progress)
        async with trio.open_nursery() as ending:
            for place in places:
                ending.start_soon(place.end)
        nursery.cancel_scope.cancel()

    for person in people:
        assert len(person.acknowledged) == TEXTS
        person.check_document(stored_session(mongo_uri, mongo_database, person.session_id))
    check_logs(life for place in places for life in place.lives)
    codes = Counter(code for person in people for code in (*person.cut, *person.overtaken))
    assert codes[CloseCode.TAKEN_OVER] > PEOPLE
    assert codes[CloseCode.SESSION_FAILED] == 0
    assert len(ownership.owners) > PEOPLE


async def wander_under_blows(
    people: list[Wanderer], places: list[Place], chance: random.Random, progress: Progress
) -> None:
    """Each process is struck in each way, in an order and at moments that only `chance` knows."""
    async with trio.open_nursery() as nursery:
        for person in people:
            nursery.start_soon(person.wander, places)
        for place in places:
            moments = sorted(chance.sample(range(1, PEOPLE * TEXTS * 3 // 4), len(HARMS)))
            blows = [Blow(harm, at) for harm, at in zip(chance.sample(HARMS, len(HARMS)), moments, strict=True)]
            nursery.start_soon(place.suffer, blows, progress.reach, STOPPED_S)


async def test_nobody_waits_for_a_lease_to_end(tmp_path: Path, mongo_uri: str, mongo_database: str) -> None:
    environment = {"MONGODB_URI": mongo_uri, "EVAA_MONGODB_DATABASE": mongo_database, "EVAA_LEASE_S": "300"}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    async with (
        running_daemon(tmp_path / "first", **environment) as first,
        running_daemon(tmp_path / "second", **environment) as second,
    ):
        with trio.fail_after(STUCK_S):
            async with talking(first, "a") as old, talking(second, "a"):
                assert await old.close_code() == CloseCode.TAKEN_OVER
            async with talking(first, "b") as old:
                first.process.send_signal(signal.SIGSTOP)
                async with talking(second, "b"):
                    first.process.send_signal(signal.SIGCONT)
                    assert await old.close_code() == CloseCode.TAKEN_OVER
            async with talking(first, "c"):
                await first.kill()
                async with talking(second, "c"):
                    pass


@asynccontextmanager
async def talking(daemon: Daemon, digit: str) -> AsyncIterator[Client]:
    """A connection to the session of this digit, in which something was said and acknowledged."""
    async with connected(f"{daemon.url}?sessionId={digit * 24}") as client:
        await client.next("ready")
        await client.send(type="text", text=WORDS)
        await client.next("turnStarted")
        yield client
