"""Each fault does what it says, to a plain driver on a real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import pytest
import trio
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from tests.mongodb.faults import (
    DropReply,
    DropRequest,
    Fault,
    HoldReply,
    HoldRequest,
    LateRequest,
    SwallowRequest,
)
from tests.mongodb.proxy import FaultProxy, fault_proxy
from tests.mongodb.server import MongoServer, client, own_server

T = TypeVar("T")
SHORT_S = 0.2
"""How long a driver waits for a reply that is not to come."""


def disconnected() -> AbstractContextManager[object]:
    """The driver is told at once that the connection is gone; a time-out is another thing."""
    return pytest.raises(AutoReconnect, match=r"connection closed|reset by peer")


class App:
    """A driver without retries behind the proxy, and one that goes round it."""

    def __init__(self, proxy: FaultProxy, direct: MongoClient[dict[str, Any]], database: str) -> None:
        self.proxy = proxy
        self.direct = direct[database].things
        self._database = database

    async def run(self, function: Callable[[MongoClient[dict[str, Any]]], T], **options: Any) -> T:
        """Let a new client do something, in a thread."""

        def run() -> T:
            with client(self.proxy.uri, **{"retryWrites": False, "retryReads": False, **options}) as mongo:
                return function(mongo)

        return await trio.to_thread.run_sync(run)

    async def write(self, value: int = 1, **options: Any) -> None:
        """Store the value."""

        def update(mongo: MongoClient[dict[str, Any]]) -> None:
            mongo[self._database].things.update_one({"_id": 1}, {"$set": {"n": value}}, upsert=True)

        await self.run(update, **options)

    async def count_up(self, **options: Any) -> None:
        """Add one to the value."""

        def update(mongo: MongoClient[dict[str, Any]]) -> None:
            mongo[self._database].things.update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)

        await self.run(update, **options)

    async def find(self, **options: Any) -> Any:
        """Read the document."""
        return await self.run(lambda mongo: mongo[self._database].things.find_one(), **options)

    async def stored(self) -> int | None:
        """What is in the database, whatever the proxy does."""
        found = await trio.to_thread.run_sync(self.direct.find_one)
        return None if found is None else found["n"]


@pytest.fixture
async def app(mongo_server: MongoServer, mongo_database: str) -> AsyncIterator[App]:
    async with fault_proxy(mongo_server.uri) as proxy:
        with client(mongo_server.uri) as direct:
            yield App(proxy, direct, mongo_database)


async def test_without_a_fault_everything_passes(app: App) -> None:
    await app.write(7)
    assert await app.find() == {"_id": 1, "n": 7}
    assert app.proxy.commands == ["update", "find"]


async def test_large_messages_pass_whole(app: App, mongo_database: str) -> None:
    text = "x" * 5_000_000
    await app.run(lambda mongo: mongo[mongo_database].things.insert_many([{"_id": 1, "text": text}, {"_id": 2}]))
    assert (await app.find())["text"] == text
    assert app.proxy.commands[0] == "insert"


async def test_a_dropped_request_never_arrives(app: App) -> None:
    fault = app.proxy.add(DropRequest("update"))
    with disconnected():
        await app.write()
    assert await app.stored() is None
    assert fault.strikes == 1
    await app.write(2)
    assert await app.stored() == 2


async def test_a_dropped_reply_is_of_a_write_that_was_applied(app: App) -> None:
    fault = app.proxy.add(DropReply("update"))
    with disconnected():
        await app.write()
    assert await app.stored() == 1
    assert fault.strikes == 1


async def test_a_driver_that_retries_does_not_apply_it_twice(app: App) -> None:
    app.proxy.add(DropReply("update"))
    await app.count_up(retryWrites=True)
    assert app.proxy.commands == ["update", "update"]
    assert await app.stored() == 1


async def test_a_swallowed_request_meets_silence(app: App) -> None:
    fault = app.proxy.add(SwallowRequest("update"))
    with pytest.raises(NetworkTimeout):
        await app.write(socketTimeoutMS=1_000 * SHORT_S)
    assert fault.strikes == 1
    assert await app.stored() is None


async def test_a_held_request_arrives_when_it_is_released(app: App) -> None:
    fault = app.proxy.add(HoldRequest("update"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.write)
        await fault.struck()
        assert (fault.holding, await app.stored()) == (1, None)
        fault.release()
        await fault.landed()
    assert (fault.holding, await app.stored()) == (0, 1)


async def test_a_held_request_arrives_though_the_driver_has_given_up(app: App) -> None:
    fault = app.proxy.add(HoldRequest("update"))
    with pytest.raises(NetworkTimeout):
        await app.write(socketTimeoutMS=1_000 * SHORT_S)
    assert await app.stored() is None
    fault.release()
    await fault.landed()
    assert await app.stored() == 1


async def test_a_held_reply_is_of_a_write_that_was_applied(app: App) -> None:
    fault = app.proxy.add(HoldReply("update"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.write)
        await fault.struck()
        assert (fault.holding, await app.stored()) == (1, 1)
        fault.release()
    assert fault.holding == 0


async def test_a_late_request_lands_over_newer_data(app: App) -> None:
    fault = app.proxy.add(LateRequest("update"))
    with disconnected():
        await app.write(1)
    await fault.struck()
    await app.write(2)
    assert await app.stored() == 2
    fault.release()
    await fault.landed()
    assert await app.stored() == 1


async def test_several_can_be_held_together(app: App) -> None:
    fault = app.proxy.add(HoldRequest("update", times=3))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(app.count_up)
        await fault.struck(3)
        assert fault.holding == 3
        await app.count_up()  # the fourth passes
        assert await app.stored() == 1
        fault.release()
        await fault.landed(3)
    assert await app.stored() == 4


async def test_once_released_nothing_more_is_held(app: App) -> None:
    fault = app.proxy.add(HoldReply("update", times=None))
    fault.release()
    await app.write()
    assert fault.strikes == 1


# --- which commands -----------------------------------------------------------------------------------------------


async def test_a_fault_strikes_only_what_it_names(app: App) -> None:
    app.proxy.add(DropRequest("update"))
    assert await app.find() is None
    with disconnected():
        await app.write()


async def test_a_fault_without_a_name_strikes_any_but_the_drivers_own(app: App) -> None:
    app.proxy.add(DropRequest())
    await app.run(lambda mongo: mongo.admin.command("ping"))
    with disconnected():
        await app.find()
    assert app.proxy.commands == ["find"]


async def test_the_drivers_own_can_be_named(app: App) -> None:
    app.proxy.add(DropRequest("ping"))
    with disconnected():
        await app.run(lambda mongo: mongo.admin.command("ping"))


async def test_a_fault_strikes_as_often_as_it_says(app: App) -> None:
    fault = app.proxy.add(DropRequest("update", times=2))
    for _ in range(2):
        with disconnected():
            await app.write()
    await app.write()
    assert fault.strikes == 2


async def test_a_lasting_fault_ends_when_it_is_removed(app: App) -> None:
    fault = app.proxy.add(DropRequest("update", times=None))
    for _ in range(3):
        with disconnected():
            await app.write()
    app.proxy.remove(fault)
    await app.write()
    assert fault.strikes == 3


async def test_faults_strike_in_the_order_in_which_they_were_added(app: App) -> None:
    app.proxy.add(DropReply("update"))
    app.proxy.add(DropRequest("update"))
    for _ in range(2):
        with disconnected():
            await app.count_up()
    assert await app.stored() == 1


# --- the database is away -----------------------------------------------------------------------------------------


async def test_a_database_that_is_away_refuses_until_it_is_back(app: App) -> None:
    app.proxy.refuse()
    with pytest.raises(ServerSelectionTimeoutError):
        await app.write(timeout_s=SHORT_S)
    app.proxy.accept()
    await app.write()
    assert await app.stored() == 1


async def test_going_away_breaks_what_is_under_way(app: App) -> None:
    fault = app.proxy.add(HoldRequest("update"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_is_disconnected, app)
        await fault.struck()
        app.proxy.refuse()
    assert fault.holding == 0
    fault.release()
    assert await app.stored() is None


async def _is_disconnected(app: App) -> None:
    with disconnected():
        await app.write()


async def test_a_late_request_lands_though_the_database_was_away(app: App) -> None:
    fault = app.proxy.add(LateRequest("update"))
    with disconnected():
        await app.write()
    app.proxy.refuse()
    app.proxy.accept()
    fault.release()
    await fault.landed()
    assert await app.stored() == 1


async def test_a_server_that_ends_closes_the_drivers_connections() -> None:
    with own_server() as server:
        async with fault_proxy(server.uri) as proxy:
            swallowed = proxy.add(SwallowRequest("find"))
            with client(proxy.uri, timeout_s=1.0, retryReads=False) as mongo:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(partial(trio.to_thread.run_sync, partial(_find_fails, mongo)))
                    await swallowed.struck()
                    server.kill()


def _find_fails(mongo: MongoClient[dict[str, Any]]) -> None:
    for failing in (disconnected(), pytest.raises(ServerSelectionTimeoutError)):
        with failing:
            mongo.app.things.find_one()


# --- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [HoldRequest, HoldReply, LateRequest, SwallowRequest])
async def test_the_block_ends_with_whatever_it_holds(mongo_uri: str, mongo_database: str, kind: type[Fault]) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with fault_proxy(mongo_uri) as proxy:
        app = App(proxy, client(mongo_uri, connect=False), mongo_database)
        fault = proxy.add(kind("update"))
        with pytest.raises(AutoReconnect):
            await app.write(socketTimeoutMS=1_000 * SHORT_S)
        await fault.struck()
    app.direct.database.client.close()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_waiting_for_a_fault_ends_when_nothing_comes(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mongodb.faults.PATIENCE_S", 0.01)
    with pytest.raises(trio.TooSlowError):
        await app.proxy.add(DropReply("update")).struck()


async def test_credentials_and_options_stay() -> None:
    uri = "mongodb://me:p%40ss@localhost:27099,other/app?authSource=admin&directConnection=false"
    async with fault_proxy(uri) as proxy:
        host, path = proxy.uri.split("@")[1].split("/")
        assert proxy.uri.startswith("mongodb://me:p%40ss@127.0.0.1:")
        assert host != "127.0.0.1:27099"
        assert path == "app?authSource=admin&directConnection=true"


async def test_what_is_encrypted_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception):
        async with fault_proxy("mongodb://localhost/?tls=true"):
            pass


async def test_what_is_no_message_is_not_passed_on_in_silence(mongo_uri: str) -> None:
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        async with fault_proxy(mongo_uri) as proxy:
            stream = await trio.open_tcp_stream(*parse_uri(proxy.uri)["nodelist"][0])
            async with stream:
                await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
                await trio.sleep_forever()
