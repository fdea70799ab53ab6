"""Whatever goes wrong on the way to the server, a save is what its caller was told, and the next takes its place."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trio
from pymongo.errors import WriteConcernError, WTimeoutError

from protocols.ports import LeaseLost, StoreUnavailable, VersionConflict
from tests.contracts.examples import at_once, changed, taken
from tests.mongodb.faults import DropReply, DropRequest, Fault, HoldReply, HoldRequest, LateRequest, SwallowRequest
from tests.mongodb.server import MongoServer, own_server
from tests.mongodb.stores import NO_RETRIES, RETRIES, World, faulty_world

Faults = Callable[[], list[Fault]]


def of_updates(kind: type[Fault], times: int | None = 1, *, blind: bool = False) -> Faults:
    """A fault of the command that saves; `blind`: what became of it cannot be read either."""

    def faults() -> list[Fault]:
        return [kind("update", times=times), *([DropRequest("find", times=None)] if blind else [])]

    return faults


OF_A_SAVE: dict[str, Faults] = {
    "request dropped": of_updates(DropRequest),
    "requests dropped": of_updates(DropRequest, None),
    "reply dropped": of_updates(DropReply),
    "replies dropped": of_updates(DropReply, None),
    "reply dropped, and blind": of_updates(DropReply, blind=True),
    "replies dropped, and blind": of_updates(DropReply, None, blind=True),
    "silence": of_updates(SwallowRequest),
    "reply held": of_updates(HoldReply),
    "reply held, and blind": of_updates(HoldReply, blind=True),
    "request held": of_updates(HoldRequest),
    "late": of_updates(LateRequest),
    "late, and blind": of_updates(LateRequest, blind=True),
    "five late": of_updates(LateRequest, 5),
    "everything dropped": lambda: [DropRequest(times=None)],
    "everything silent": lambda: [SwallowRequest(times=None)],
}


async def check_save(world: World, faults: Faults) -> None:
    """Save while the faults are there, and go on until nothing is in doubt any more."""
    armed = [world.proxy.add(fault) for fault in faults()]
    is_told = await world.save("first")
    for fault in armed:
        world.proxy.remove(fault)
    assert await world.mark() in ([("first", 1)] if is_told else [("", 0), ("first", 1)])
    await world.save_in_the_end("second")
    newest = ("second", 2 if is_told else 1)
    assert await world.mark() == newest
    await world.land(*armed)
    assert await world.mark() == newest
    await world.save_in_the_end("third")
    assert await world.mark() == ("third", newest[1] + 1)


@RETRIES
@pytest.mark.parametrize("faults", OF_A_SAVE.values(), ids=OF_A_SAVE)
async def test_a_save_is_as_it_was_told(
    mongo_uri: str, mongo_database: str, faults: Faults, retries: dict[str, str]
) -> None:
    async with faulty_world(mongo_uri, mongo_database, **retries) as world:
        await check_save(world, faults)


@RETRIES
async def test_a_lost_answer_is_looked_for(mongo_uri: str, mongo_database: str, retries: dict[str, str]) -> None:
    async with faulty_world(mongo_uri, mongo_database, **retries) as world:
        world.proxy.add(DropReply("update"))
        assert await world.save("first")
        assert await world.mark() == ("first", 1)


# --- late ones --------------------------------------------------------------------------------------------------


async def _before(world: World, late: LateRequest) -> None:
    await world.land(late)
    assert await world.mark() == ("old", 1)
    await world.save_in_the_end("new")


async def _before_the_next_arrives(world: World, late: LateRequest) -> None:
    held = world.proxy.add(HoldRequest("update"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.save_in_the_end, "new")
        await held.struck()
        await world.land(late)
        held.release()


async def _before_the_next_is_told(world: World, late: LateRequest) -> None:
    held = world.proxy.add(HoldReply("update"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.save_in_the_end, "new")
        await held.struck()
        await world.land(late)
        held.release()


async def _after(world: World, late: LateRequest) -> None:
    await world.save_in_the_end("new")
    await world.land(late)


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("landing", [_before, _before_the_next_arrives, _before_the_next_is_told, _after])
async def test_a_late_save_hurts_no_newer_one(
    mongo_uri: str,
    mongo_database: str,
    landing: Callable[[World, LateRequest], Awaitable[None]],
    attempts: int,
) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000, **NO_RETRIES) as world:
        late = world.proxy.add(LateRequest("update", times=attempts))
        for _ in range(attempts):
            assert not await world.save("old")
        await landing(world, late)
        assert await world.mark() == ("new", 1)
        assert world.record.version == 1
        await world.save_in_the_end("newest")
        assert await world.mark() == ("newest", 2)


async def test_attempts_may_land_in_any_order(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        lates = []
        for number in range(5):
            lates.append(world.proxy.add(LateRequest("update")))
            assert not await world.save(str(number))
        for number, newest in ((1, "1"), (0, "1"), (3, "3"), (2, "3")):
            await world.land(lates[number])
            assert await world.mark() == (newest, 1)
        await world.save_in_the_end("new")
        await world.land(lates[4])
        assert await world.mark() == ("new", 1)


async def test_doubt_does_not_outlive_the_version(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        begun = world.record
        late = world.proxy.add(LateRequest("update"))
        assert not await world.save("old")
        await world.save_in_the_end("new")
        with pytest.raises(VersionConflict):
            await world.store.save(changed(begun, "again"), world.lease)
        await world.land(late)
        assert await world.mark() == ("new", 1)


async def test_a_session_that_is_opened_again_goes_on_from_what_landed(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        late = world.proxy.add(LateRequest("update"))
        assert not await world.save("late")
        await world.land(late)
        await world.reopen()
        assert world.record.version == 1
        await world.save_in_the_end("new")
        assert await world.mark() == ("new", 2)


# --- another owner ------------------------------------------------------------------------------------------------


async def test_a_stale_owners_late_save_never_lands(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        late = world.proxy.add(LateRequest("update", times=2))
        assert not await world.save("stale")
        assert not await world.save("staler")
        await taken(world.healthy, "b")
        await world.land(late)
        assert await world.mark() == ("", 0)
        with pytest.raises(LeaseLost):
            await world.save_in_the_end("stalest")
        assert await world.mark() == ("", 0)


@pytest.mark.parametrize("faults", OF_A_SAVE.values(), ids=OF_A_SAVE)
async def test_under_no_fault_does_a_stale_owner_save(mongo_uri: str, mongo_database: str, faults: Faults) -> None:
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        await taken(world.healthy, "b")
        armed = [world.proxy.add(fault) for fault in faults()]
        result, *_ = await at_once([partial(world.store.save, changed(world.record, "stale"), world.lease)])
        assert isinstance(result, LeaseLost | StoreUnavailable)
        for fault in armed:
            world.proxy.remove(fault)
        with pytest.raises(LeaseLost):
            await world.save_in_the_end("staler")
        await world.land(*armed)
        assert await world.mark() == ("", 0)


# --- what the server says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        WriteConcernError("shutting down", 91, {"code": 91, "codeName": "ShutdownInProgress"}),
        WriteConcernError("not enough members", 100),
        WTimeoutError("waiting for replication", 64),
    ],
)
async def test_a_save_that_was_only_not_replicated_is_in_doubt(
    mongo_uri: str, mongo_database: str, error: WriteConcernError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server tells of such an error besides what it did."""
    async with faulty_world(mongo_uri, mongo_database, **NO_RETRIES) as world:
        collection = type(world.store._memories)
        update_one = collection.update_one

        async def update_and_fail(*args: Any) -> None:
            await update_one(*args)
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(collection, "update_one", update_and_fail)
            blind = world.proxy.add(DropRequest("find"))
            assert not await world.save("first")
        assert blind.strikes == (not error.timeout)  # after a time-out nobody is asked
        await world.save_in_the_end("second")
        assert await world.mark() == ("second", 1)


# --- the server itself --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with own_server(tmp_path_factory.mktemp("storage")) as server:
        yield server


async def test_a_server_that_is_killed_while_saving(lasting_server: MongoServer) -> None:
    async with faulty_world(lasting_server.uri, "killed") as world:
        assert await world.save("first")
        held = world.proxy.add(HoldReply("update"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.save, "second")
            await held.struck()
            await trio.to_thread.run_sync(lasting_server.kill)
        assert world.record.version == 1
        assert not await world.save("third")
        await trio.to_thread.run_sync(lasting_server.start)
        assert await world.mark() in (("first", 1), ("second", 2))
        await world.save_in_the_end("fourth")
        assert await world.mark() == ("fourth", 2)


async def test_a_server_that_is_paused_and_answers_everything_afterwards(lasting_server: MongoServer) -> None:
    async with faulty_world(lasting_server.uri, "paused") as world:
        lasting_server.pause()
        assert not await world.save("first")
        assert not await world.save("second")
        await trio.to_thread.run_sync(lasting_server.resume)
        assert (await world.mark())[0] in ("", "first", "second")
        await world.save_in_the_end("third")
        assert await world.mark() == ("third", 1)


async def test_a_database_that_is_away(mongo_uri: str, mongo_database: str) -> None:
    async with faulty_world(mongo_uri, mongo_database) as world:
        world.proxy.refuse()
        assert not await world.save("first")
        assert not await world.save("second")
        world.proxy.accept()
        await world.save_in_the_end("third")
        assert await world.mark() == ("third", 1)
