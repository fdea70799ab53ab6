"""Long work in a thread: the loop goes on, one piece at a time, and nothing of it is lost."""

import threading

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from evaa.computing import in_a_thread


async def test_one_piece_at_a_time_while_the_loop_goes_on(nursery: trio.Nursery) -> None:
    begun, first, done = trio.Event(), threading.Event(), list[str]()

    def long() -> None:
        trio.from_thread.run_sync(begun.set)
        first.wait(30)
        done.append("long")

    nursery.start_soon(in_a_thread, long)
    await begun.wait()
    nursery.start_soon(in_a_thread, lambda: done.append("short"))
    await wait_all_tasks_blocked()
    assert done == []
    first.set()
    await in_a_thread(lambda: done.append("last"))
    assert done == ["long", "short", "last"]


async def test_who_waits_can_be_cancelled_and_who_has_begun_finishes() -> None:
    begun, go_on = trio.Event(), threading.Event()
    results: list[str] = []

    def long() -> str:
        trio.from_thread.run_sync(begun.set)
        go_on.wait(30)
        return "done"

    async def compute_long() -> None:
        results.append(await in_a_thread(long))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(compute_long)
        await begun.wait()
        nursery.start_soon(in_a_thread, lambda: results.append("never"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        go_on.set()
    assert results == ["done"]


async def test_an_error_is_raised_where_it_was_asked_for() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_a_thread(lambda: 1 / 0)
