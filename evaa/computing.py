"""Work that takes long and does no I/O: in a thread, so that the loop goes on."""

from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")

SWITCH_INTERVAL_S = 0.001
"""How long the loop waits at most each time for a thread that computes: CPython's own 5 ms would be felt in turns."""

_one_at_a_time = trio.CapacityLimiter(1)


async def in_a_thread(work: Callable[[], T]) -> T:
    """Do the work in a thread, one piece at a time in the process: more would only keep the interpreter from the loop.

    Can be cancelled while it waits for its turn, and not afterwards: what it comes to is not lost.
    """
    return await trio.to_thread.run_sync(work, limiter=_one_at_a_time)
