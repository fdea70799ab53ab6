"""The store in memory keeps the contract, and fails when it is told to."""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from evaa.storage.memory import MemoryStore
from protocols.ports import LeaseHeld, StoreUnavailable
from tests.contracts.examples import S1, changed, make_record, started, stored, taken
from tests.contracts.store_contract import StoreContract


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    memory = MemoryStore()
    yield memory
    await memory.close()


class TestMemoryStore(StoreContract):
    """The whole contract."""


@pytest.mark.parametrize("seed", range(3))
async def test_the_contract_under_fire_with_slow_saves(
    store: MemoryStore, autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    store.delay_s = 1
    await TestMemoryStore().test_a_cancelled_save_is_never_in_doubt(store, seed)


async def test_a_lease_expires_on_trios_clock(store: MemoryStore, autojump_clock: trio.testing.MockClock) -> None:
    await store.create(make_record(), "a", 10)
    await trio.sleep(9.999)
    with pytest.raises(LeaseHeld):
        await store.acquire(S1, "b", 10, take_over=False)
    await trio.sleep(0.001)
    await taken(store, "b", take_over=False)


async def test_calls_fail_as_often_as_asked(store: MemoryStore) -> None:
    record, lease = await started(store)
    store.fail_next(2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.save(changed(record, "lost"), lease)
    assert await store.load(S1) == record
    assert (await store.save(record, lease)).version == 1
    assert store.saves == 1


async def test_one_method_can_be_made_to_fail(store: MemoryStore) -> None:
    record, lease = await started(store)
    store.fail_next(method="save")
    await store.renew(lease, 60)
    with pytest.raises(StoreUnavailable):
        await store.save(record, lease)


async def test_it_can_be_away_and_come_back(store: MemoryStore) -> None:
    record, lease = await started(store)
    store.unavailable = True
    with pytest.raises(StoreUnavailable):
        await store.load(S1)
    with pytest.raises(StoreUnavailable):
        await store.save(record, lease)
    store.unavailable = False
    assert (await stored(store)).version == 0


async def test_a_delayed_save_is_shielded(store: MemoryStore, autojump_clock: trio.testing.MockClock) -> None:
    record, lease = await started(store)
    store.delay_s = 5
    with trio.move_on_after(1):
        await store.save(changed(record, "saved"), lease)
    assert trio.current_time() == autojump_clock.current_time()
    assert (await stored(store)).version == 1


async def test_close_waits_for_a_delayed_save(store: MemoryStore, autojump_clock: trio.testing.MockClock) -> None:
    record, lease = await started(store)
    store.delay_s = 5
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.save, record, lease)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await store.close()
        assert trio.current_time() == began + 5
    assert store.saves == 1


async def test_what_is_stored_shares_nothing_with_what_was_given(store: MemoryStore) -> None:
    facts = {"trigger": {"source": "mail"}}
    record = make_record(facts=facts)
    lease = await store.create(record, "a", 60)
    saved = await store.save(record, lease)
    facts["trigger"]["source"] = "changed"
    saved.interview.facts["trigger"]["source"] = "changed"
    assert (await stored(store)).interview.facts == {"trigger": {"source": "mail"}}
