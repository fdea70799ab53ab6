"""Each call of the store's, and each command it sends, under each fault: done, or unavailable, and then done again."""

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import trio

from evaa.storage.mongodb import overflow
from protocols.ports import LeaseHeld, SessionExists, StoreUnavailable
from tests.contracts.examples import S1, S2, TTL_S, changed, make_record, make_stage, stored, taken, with_words
from tests.mongodb.faults import PATIENCE_S, DropReply, DropRequest, Fault, SwallowRequest
from tests.mongodb.server import DEFAULT_EXECUTABLE, EXECUTABLE_VARIABLE, fresh_database, own_server
from tests.mongodb.stores import NO_RETRIES, WRITE_RETRIES, World, faulty_world

OLD = (make_stage("a", 1), make_stage("b", 2))
NEW = (make_stage("b", 1), make_stage("c", 2))


class Call(msgspec.Struct):
    """Something that may be done again, and what is so once it was done. `prepared` is done beforehand, unharmed."""

    do: Callable[[World], Awaitable[object]]
    check: Callable[[World], Awaitable[None]]
    commands: tuple[str, ...]
    prepared: Callable[[World], Awaitable[object]] | None = None


# --- calls --------------------------------------------------------------------------------------------------------


async def _create(world: World) -> None:
    try:
        await world.store.create(make_record(S2), "a", TTL_S)
    except SessionExists:  # an earlier attempt, or its insertion at least
        await taken(world.store, "a", S2)


async def _is_created(world: World) -> None:
    assert await world.healthy.load(S2) == make_record(S2)
    with pytest.raises(LeaseHeld):
        await taken(world.healthy, "b", S2, take_over=False)


async def _acquire(world: World) -> None:
    world.lease = await taken(world.store, "b")


async def _is_acquired(world: World) -> None:
    await world.healthy.save(changed(world.record, "mine"), world.lease)


async def _renew(world: World) -> None:
    await world.store.renew(world.lease, TTL_S)


async def _expire(world: World) -> None:
    await world.healthy.renew(world.lease, 0)


async def _is_held(world: World) -> None:
    with pytest.raises(LeaseHeld):
        await taken(world.healthy, "b", take_over=False)


async def _release(world: World) -> None:
    await world.store.release(world.lease)


async def _is_free(world: World) -> None:
    await taken(world.healthy, "b", take_over=False)


async def _read(world: World) -> None:
    assert await world.store.load(S1) == world.record
    assert await world.store.overtaken([world.lease]) == frozenset()
    assert await world.store.session_ids() == (S1,)
    assert await world.store.count_sessions() == 1


async def _nothing(world: World) -> None:
    assert await world.healthy.load(S1) == world.record


async def _put_old(world: World) -> None:
    await world.healthy.replace_stages(OLD)


async def _prepare(world: World) -> None:
    await world.store.prepare(NEW)


async def _replace(world: World) -> None:
    await world.store.replace_stages(NEW)


async def _are_new(world: World) -> None:
    assert await world.store.stages() == await world.healthy.stages() == NEW


async def _read_stages(world: World) -> None:
    assert await world.store.stages() == OLD


async def _save_large(world: World) -> None:
    version = (await stored(world.healthy)).version
    record = msgspec.structs.replace(world.record, version=version)
    world.record = await world.store.save(changed(with_words(record, "word " * 100), "large"), world.lease)


async def _is_large(world: World) -> None:
    assert await world.healthy.load(S1) == world.record
    assert len(world.record.interview.turns[0].text) == 500


CALLS = {
    "create": Call(_create, _is_created, ("insert", "update")),
    "acquire": Call(_acquire, _is_acquired, ("findAndModify",)),
    "renew": Call(_renew, _is_held, ("update",), _expire),
    "release": Call(_release, _is_free, ("update",)),
    "read": Call(_read, _nothing, ("aggregate", "find", "count")),
    "prepare": Call(_prepare, _are_new, ("find", "update", "delete", "commitTransaction", "createIndexes")),
    "replace": Call(_replace, _are_new, ("update", "delete", "commitTransaction", "hello"), _put_old),
    "stages": Call(_read_stages, _nothing, ("aggregate",), _put_old),
    "save a large one": Call(_save_large, _is_large, ("find", "insert", "update")),
    "save a large one again": Call(_save_large, _is_large, ("find", "insert", "update", "delete"), _save_large),
    "load a large one": Call(_read, _is_large, ("aggregate", "find"), _save_large),
}
EACH = [
    pytest.param(call, command, id=f"{name}-{command}") for name, call in CALLS.items() for command in call.commands
]
BY_COMMAND = {command: call for call in CALLS.values() for command in call.commands}


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "MAX_DOCUMENT_BYTES", 1_000)


async def check(world: World, call: Call, fault: Fault) -> None:
    """Make the call under the fault, and again until it is done."""
    if call.prepared is not None:
        await call.prepared(world)
    world.proxy.add(fault)
    with trio.fail_after(PATIENCE_S):
        while not await _is_done(world, call):
            pass
    assert fault.strikes == 1
    await call.check(world)


async def _is_done(world: World, call: Call) -> bool:
    try:
        await call.do(world)
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "retries"),
    [(DropRequest, NO_RETRIES), (DropReply, NO_RETRIES), (DropReply, WRITE_RETRIES)],
    ids=["request", "reply", "reply, retried"],
)
@pytest.mark.parametrize(("call", "command"), EACH)
async def test_what_failed_can_be_done_again(
    mongo_uri: str, mongo_database: str, call: Call, command: str, kind: type[Fault], retries: dict[str, str]
) -> None:
    async with faulty_world(mongo_uri, mongo_database, timeoutMS=5_000, **retries) as world:
        await check(world, call, kind(command))


# SecantusDB answers nobody while a transaction is left open, as it is where a commit does not arrive.
@pytest.mark.parametrize("command", sorted(BY_COMMAND.keys() - {"commitTransaction"}))
async def test_silence_ends(mongo_uri: str, mongo_database: str, command: str) -> None:
    async with faulty_world(mongo_uri, mongo_database) as world:
        await check(world, BY_COMMAND[command], SwallowRequest(command))


@pytest.fixture(scope="module")
def standalone_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own that is no replica set: it has no transactions, and drivers do not retry their writes."""
    executable = os.environ.get(EXECUTABLE_VARIABLE) or str(DEFAULT_EXECUTABLE)
    script = tmp_path_factory.mktemp("standalone") / "server"
    script.write_text(f'#!/bin/sh\nexec "{executable}" --standalone "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        if Path(executable).exists():
            patch.setenv(EXECUTABLE_VARIABLE, str(script))
        with own_server() as server:
            yield server.uri


@pytest.mark.parametrize(("call", "command"), [it for it in EACH if it.values[1] != "commitTransaction"])
async def test_on_a_standalone_server_too(standalone_uri: str, call: Call, command: str) -> None:
    with fresh_database(standalone_uri) as database:
        async with faulty_world(standalone_uri, database, timeoutMS=5_000, retryReads="false") as world:
            await check(world, call, DropReply(command))
