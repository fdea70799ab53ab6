"""The server goes away while the store answers nothing, as MongoDB's client tells it: late, and not to be cancelled."""

import trio
from trio.testing import MockClock

from actors.daemon import OVERDUE_S
from protocols.ports import StoreUnavailable
from protocols.records import Lease, SessionRecord
from tests.actors.harness import Evaa
from tests.actors.interviewers import says
from tests.actors.stores import WatchedStore

DOUBT_S = 10.0
"""What a save takes of which MongoDB's client hears nothing: its time-out, and again to look what became of it."""


class StoreThatFallsSilent(WatchedStore):
    is_silent = False

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        if self.is_silent:
            with trio.CancelScope(shield=True):
                await trio.sleep(DOUBT_S)
            raise StoreUnavailable("it says nothing")
        return await super().save(record, lease)


async def test_what_is_said_last_is_spilled_before_the_process_gives_up(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    store = StoreThatFallsSilent()
    evaa = Evaa(nursery, store=store)
    client = await evaa.join()
    evaa.interviewer.will(says(100.0, "Never."), says(100.0, "Never."))
    await client.say("one", "1")
    await client.until("turnStarted")
    nursery.start_soon(evaa.server.drain)
    await trio.sleep(9.9)
    store.is_silent = True
    await client.say("two", "2")
    assert await client.close_code() == 1001
    assert [[turn.text for turn in record.interview.turns] for record, _ in evaa.spill.kept] == [["one", "two"]]
    assert trio.current_time() < OVERDUE_S
