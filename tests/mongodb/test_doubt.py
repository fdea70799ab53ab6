"""Random stories of saves that fail, land late, and are overtaken, held against a model.

The states of the session are numbered. At any moment the stored one is the newest that a caller was told of, or a newer
one of the same owner's that is in doubt; a stale owner's never, and none that was stored before comes back.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import msgspec
import pytest

from evaa.storage.mongodb.store import MongoStore
from protocols.ports import LeaseLost, StoreUnavailable
from protocols.records import Lease, SessionRecord
from tests.contracts.examples import changed, stored, taken
from tests.mongodb.faults import DropReply, DropRequest, Fault, LateRequest
from tests.mongodb.stores import RETRIES, SHORT, World, faulty_world, mark_of, mongo_store

T = TypeVar("T")

STEPS = 30
HARM: list[Callable[[str], list[Fault]]] = [
    lambda command: [DropRequest(command)],
    lambda command: [DropReply(command)],
    lambda command: [DropReply(command), DropRequest("find", times=None)],
    lambda command: [LateRequest(command)],
    lambda command: [LateRequest(command, times=2)],
    lambda command: [LateRequest(command), DropRequest("find", times=None)],
]


class Owner(msgspec.Struct):
    """What an owner knows."""

    name: str
    store: MongoStore
    lease: Lease
    record: SessionRecord


class Story:
    """The world, and what may be stored in it: `floor`, or one of `doubts`, all of which are greater."""

    def __init__(self, world: World, chance: random.Random, open_store: Callable[[], Awaitable[MongoStore]]) -> None:
        self._world = world
        self._chance = chance
        self._open_store = open_store
        self._owner = Owner("a", world.store, world.lease, world.record)
        self._stale: list[Owner] = []
        self._late: list[LateRequest] = []
        self._may_be_overtaken = False
        self._number = 0
        self._floor = 0
        self._doubts: set[int] = set()

    async def step(self) -> None:
        action = self._chance.choice(
            [self.save, self.save, self.save, self.save, self.land, self.take_over, self.reopen, self.save_stale]
        )
        await action()
        await self._look()

    async def save(self) -> None:
        self._number += 1
        state = changed(self._owner.record, str(self._number))
        try:
            self._owner.record = await self._harmed("update", lambda: self._owner.store.save(state, self._owner.lease))
        except StoreUnavailable:
            self._doubts.add(self._number)
        except LeaseLost:
            assert self._may_be_overtaken
            await self.take_over()
        else:
            self._settle(self._number)

    async def save_stale(self) -> None:
        if not self._stale:
            return
        owner = self._chance.choice(self._stale)
        with pytest.raises((LeaseLost, StoreUnavailable)):
            await self._harmed("update", lambda: owner.store.save(changed(owner.record, "stale"), owner.lease))

    async def land(self) -> None:
        self._chance.shuffle(self._late)
        for _ in range(self._chance.randint(0, len(self._late))):
            await self._world.land(self._late.pop())

    async def take_over(self) -> None:
        """Another process, or the same with another store, takes the session over."""
        self._stale.append(self._owner)
        store = self._owner.store if self._chance.random() < 0.7 else await self._open_store()
        name = f"owner {len(self._stale)}"
        lease = await self._until_told("findAndModify", lambda: taken(store, name))
        await self._continue(Owner(name, store, lease, self._owner.record))
        self._doubts.clear()
        self._may_be_overtaken = any(late.command == "findAndModify" for late in self._late)

    async def reopen(self) -> None:
        """The same owner opens the session again."""
        owner = self._owner
        lease = await self._until_told("findAndModify", lambda: taken(owner.store, owner.name))
        if lease != owner.lease:
            assert self._may_be_overtaken
            self._doubts.clear()
        await self._continue(msgspec.structs.replace(owner, lease=lease))

    async def _continue(self, owner: Owner) -> None:
        await self._look()
        owner.record = await self._until_told("aggregate", lambda: stored(owner.store))
        self._settle(number_of(owner.record))
        self._owner = owner

    async def _harmed(self, command: str, call: Callable[[], Awaitable[T]]) -> T:
        harm = self._chance.choice(HARM)(command) if self._chance.random() < 0.5 else []
        faults = [self._world.proxy.add(it) for it in harm]
        try:
            return await call()
        finally:
            for fault in faults:
                self._world.proxy.remove(fault)
            late = [fault for fault in faults if isinstance(fault, LateRequest) and fault.strikes]
            self._late += late
            self._may_be_overtaken |= bool(late) and command == "findAndModify"

    async def _until_told(self, command: str, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await self._harmed(command, call)
            except StoreUnavailable:
                continue

    async def _look(self) -> None:
        number = number_of(await stored(self._world.healthy))
        assert number == self._floor or number in self._doubts
        self._settle(number)

    def _settle(self, number: int) -> None:
        self._floor = number
        self._doubts = {doubt for doubt in self._doubts if doubt > number}


def number_of(record: SessionRecord) -> int:
    return int(mark_of(record) or 0)


@RETRIES
@pytest.mark.parametrize("seed", range(5))
async def test_what_is_stored_is_what_was_told(
    mongo_uri: str, mongo_database: str, seed: int, retries: dict[str, str]
) -> None:
    options = {**SHORT, **retries, "timeoutMS": 5_000}
    async with faulty_world(mongo_uri, mongo_database, **options) as world, AsyncExitStack() as opened:

        async def open_store() -> MongoStore:
            return await opened.enter_async_context(mongo_store(world.proxy.uri, mongo_database, **options))

        story = Story(world, random.Random(seed), open_store)
        for _ in range(STEPS):
            await story.step()
