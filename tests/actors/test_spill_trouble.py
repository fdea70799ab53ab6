"""The spill file itself is in trouble: nothing dies of it silently."""

import structlog
import trio
from trio.testing import MockClock

from protocols.dialects import TYPED_JSON
from tests.actors.harness import SESSION, Evaa


async def lose_the_store_in_mid_session(evaa: Evaa) -> None:
    client = await evaa.join()
    await client.ask("one")
    evaa.store.unavailable = True
    await client.say("two")
    await trio.sleep(1)
    await client.leave()
    await evaa.gone()


async def test_a_state_that_can_neither_be_saved_nor_spilled_is_said_to_be_lost(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    async def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    evaa.spill.append = full_disk  # type: ignore[method-assign,assignment]
    with structlog.testing.capture_logs() as logs:
        await lose_the_store_in_mid_session(evaa)
    assert [log["error"] for log in logs if log["event"] == "store.lost"] == ["OSError"]
    assert logs[-1]["event"] == "session.closed"


async def test_a_session_opens_only_once_what_it_spilled_is_saved(evaa: Evaa, autojump_clock: MockClock) -> None:
    await lose_the_store_in_mid_session(evaa)
    assert evaa.spill.is_waiting
    evaa.store.fail_next(1, "save")  # the first replay fails, and the store is there for all the rest
    evaa.store.unavailable = False
    client = await evaa.join(SESSION, TYPED_JSON)
    assert [said.text for said in await evaa.memory()] == ["one", "two"]
    assert evaa.spill.rejected == []
    await client.leave()


async def test_a_spill_file_that_cannot_be_read_is_a_store_that_is_away(evaa: Evaa, autojump_clock: MockClock) -> None:
    await lose_the_store_in_mid_session(evaa)
    evaa.store.unavailable = False
    replay = evaa.spill.replay

    async def unreadable(*_: object) -> None:
        evaa.spill.replay = replay  # type: ignore[method-assign]
        raise OSError("input/output error")

    evaa.spill.replay = unreadable  # type: ignore[method-assign,assignment]
    client = await evaa.connect()
    (error,) = await client.expect("error")
    assert error["code"] == "storage_unavailable"
    await client.expect("ready")
