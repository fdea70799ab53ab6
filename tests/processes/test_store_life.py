"""MongoDB comes late, dies and comes back, or is away at the end: what the client, the log and the documents tell."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.mongodb.server import MongoServer, running_server
from tests.processes.client import Client, connected
from tests.processes.daemon import Daemon, running_daemon
from tests.processes.documents import make_memories, stored_session

SESSION = "0123456789abcdef01234567"
DATABASE = "evaa"
AWAY = "storage_unavailable"
SOON_S = 25.0
EXIT_S = 30.0
SHORT_TIME_OUTS = "&timeoutMS=2000&serverSelectionTimeoutMS=500"
"""For tests in which a server that is away is asked several times: each time takes all of `timeoutMS`."""


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoServer]:
    """A server that can be killed and comes back with its data."""
    with running_server(storage=tmp_path / "mongodb") as server:
        make_memories(server.uri, DATABASE)
        yield server


class Talk:
    """A connection to the session; `frames` are all that have been received so far."""

    def __init__(self, client: Client) -> None:
        self.frames: list[dict[str, Any]] = []
        self._client = client

    async def say(self, words: str) -> None:
        await self._client.send(type="text", text=words, id=words)

    async def ask(self, words: str) -> None:
        """Say it, and wait until it is acknowledged and answered, in whichever order."""
        await self.say(words)
        while words not in self.acknowledged or words not in self.heard("reply", "id"):
            await self._receive()

    async def until(self, kind: str, **fields: str) -> dict[str, Any]:
        """The next frame of a type that has these fields."""
        while True:
            frame = await self._receive()
            if frame["type"] == kind and fields.items() <= frame.items():
                return frame

    async def close_code(self) -> int:
        return await self._client.close_code()

    def heard(self, kind: str, field: str) -> list[Any]:
        return [frame.get(field) for frame in self.frames if frame["type"] == kind]

    @property
    def acknowledged(self) -> list[str]:
        return self.heard("turnStarted", "id")

    async def _receive(self) -> dict[str, Any]:
        self.frames.append(await self._client.receive())
        return self.frames[-1]


@asynccontextmanager
async def talking(daemon: Daemon) -> AsyncIterator[Talk]:
    async with connected(f"{daemon.url}?sessionId={SESSION}") as client:
        yield Talk(client)


def daemon_on(server: MongoServer, folder: Path, options: str = "") -> AbstractAsyncContextManager[Daemon]:
    folder.mkdir(exist_ok=True)
    return running_daemon(folder, MONGODB_URI=f"{server.uri}{options}", EVAA_MONGODB_DATABASE=DATABASE)


async def start(server: MongoServer) -> None:
    await trio.to_thread.run_sync(server.start)


def stored(server: MongoServer) -> list[str]:
    """What was said, as the document has it."""
    turns = stored_session(server.uri, DATABASE, SESSION)["turns"]
    assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
    return [turn["clientId"] for turn in turns]


async def test_evaa_starts_before_mongodb_does(tmp_path: Path, mongo: MongoServer) -> None:
    mongo.kill()
    async with daemon_on(mongo, tmp_path, SHORT_TIME_OUTS) as daemon, talking(daemon) as talk:
        await talk.until("error")
        await daemon.logged("server.not_ready")
        for _ in range(2):
            await daemon.logged("store.retrying")
        await start(mongo)
        assert (await talk.until("ready"))["resumed"] is False
        await talk.ask("one")
        await daemon.logged("server.ready")
        assert talk.heard("error", "code") == [AWAY]
    assert stored(mongo) == ["one"]


async def test_mongodb_dies_in_mid_conversation_and_comes_back(tmp_path: Path, mongo: MongoServer) -> None:
    async with daemon_on(mongo, tmp_path) as daemon, talking(daemon) as talk:
        await talk.ask("one")
        await settled(mongo)
        mongo.kill()
        for words in ("two", "three"):
            await talk.say(words)
            await talk.until("reply", id=words)
        await talk.until("error")
        await daemon.logged("server.not_ready")
        assert talk.acknowledged == ["one"]

        await start(mongo)
        await talk.until("turnStarted", id="three")
        await daemon.logged("server.ready")
        await talk.ask("four")
        assert talk.acknowledged == ["one", "two", "three", "four"]
        assert talk.heard("error", "code") == [AWAY]
        assert talk.heard("delta", "turn") == [1, 2, 3, 4]
    assert stored(mongo) == ["one", "two", "three", "four"]


async def test_what_could_not_be_saved_at_the_end_is_there_after_the_next_start(
    tmp_path: Path, mongo: MongoServer
) -> None:
    spill = await spill_two(tmp_path / "first", mongo)
    await start(mongo)
    assert stored(mongo) == ["one"]
    async with daemon_on(mongo, tmp_path / "first") as daemon:
        await gone(spill)
        assert stored(mongo) == ["one", "two"]
        async with talking(daemon) as talk:
            assert (await talk.until("ready"))["resumed"] is True
            await talk.ask("three")
    assert stored(mongo) == ["one", "two", "three"]
    assert not spill.with_name(f"{spill.name}.rejected").exists()


async def test_what_was_spilled_never_replaces_what_another_process_stored_since(
    tmp_path: Path, mongo: MongoServer
) -> None:
    spill = await spill_two(tmp_path / "first", mongo)
    await start(mongo)
    async with daemon_on(mongo, tmp_path / "second") as second, talking(second) as talk:
        await talk.ask("newer")
        async with daemon_on(mongo, tmp_path / "first"):
            await gone(spill)
        rejected = spill.with_name(f"{spill.name}.rejected")
        assert said_in(rejected) == [["one", "two"]]
        assert stored(mongo) == ["one", "newer"]
        await talk.ask("newest")
    assert stored(mongo) == ["one", "newer", "newest"]


async def spill_two(folder: Path, mongo: MongoServer) -> Path:
    """Say "one", which is stored, and then "two", while MongoDB is away until the process has ended; the spill file."""
    async with daemon_on(mongo, folder, SHORT_TIME_OUTS) as daemon, talking(daemon) as talk:
        await talk.ask("one")
        await settled(mongo)
        mongo.kill()
        await talk.say("two")
        await talk.until("reply", id="two")
        with trio.fail_after(EXIT_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk.close_code)
                assert await daemon.stop() == 0
        assert talk.acknowledged == ["one"]
    assert "store.spilled" in [line["event"] for line in daemon.log]
    spill = folder / "spill.jsonl"
    assert said_in(spill) == [["one", "two"]]
    return spill


def said_in(spill: Path) -> list[list[str]]:
    """What was said in each session of a spill file."""
    entries = [json.loads(line) for line in spill.read_text(encoding="utf-8").splitlines() if line]
    return [[turn["text"] for turn in entry["record"]["interview"]["turns"]] for entry in entries]


async def settled(server: MongoServer) -> None:
    """Wait until the reply is stored, too: nothing is being saved then."""
    with trio.fail_after(SOON_S):
        while "outcome" not in stored_session(server.uri, DATABASE, SESSION)["turns"][-1]:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def gone(file: Path) -> None:
    """Wait until there is no such file."""
    with trio.fail_after(SOON_S):
        while await trio.Path(file).exists():  # noqa: ASYNC110
            await trio.sleep(0.02)
