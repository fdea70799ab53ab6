"""The only module that knows asyncio.

Pydantic AI's `Agent` and Motor are asyncio code. One asyncio loop runs inside the trio loop, on the same thread
(trio-asyncio); `Bridge.call` runs an asyncio coroutine function from trio. The traps that are closed here were found
by trying; `tests/evaa/test_asyncio_bridge.py` holds each of them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

import structlog
import trio
import trio_asyncio

_P = ParamSpec("_P")
_T = TypeVar("_T")

MAX_CALLBACKS_TOGETHER = 64
"""Callbacks of asyncio's that run before the rest of the server has its turn."""

MAX_THREADS = 40
"""Threads that asyncio code may use at once, and as many again for libraries with an executor of their own."""

_log = structlog.get_logger(actor="asyncio")


class AsyncioCallCancelled(RuntimeError):
    """An asyncio call ended in a cancellation that trio did not ask for."""


class Bridge:
    """A way into asyncio, valid while its `open_bridge` block is open.

    An object that was made on the asyncio side (an HTTP client, a database client) belongs to the bridge on which it
    was first used, and must be closed through it.
    """

    def __init__(self, loop: trio_asyncio.TrioEventLoop) -> None:
        self._loop = loop

    async def call(self, function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run the asyncio coroutine function `function` and return what it returns, or raise what it raises.

        Cancellation reaches it as `asyncio.CancelledError`; this call waits until its `finally` blocks have run. The
        context variables that it sees are those of the caller; what it sets in them does not come back.

        Raises `AsyncioCallCancelled` where the coroutine was cancelled by asyncio code: unlike an ordinary error,
        `asyncio.CancelledError` would slip through every handler of ordinary errors and take the nursery down.
        """
        try:
            result: _T = await trio_asyncio.aio_as_trio(function, loop=self._loop)(*args, **kwargs)
        except asyncio.CancelledError:
            raise AsyncioCallCancelled("cancelled by asyncio code, not by its caller") from None
        return result


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """Open the asyncio loop for the length of the block. One is enough for a server (0.3 ms each).

    An orphaned asyncio task that raises is logged (`asyncio.error`) instead of tearing the block down. Errors that
    leave the block come wrapped in exception groups, trio-asyncio's own nurseries among them.
    """
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_log_orphan)
        _use_trio_threads(loop)
        _run_ready_callbacks_together(loop)
        yield Bridge(loop)


def time_limit(seconds: float) -> asyncio.Timeout:
    """For asyncio code: `async with time_limit(2):` raises `TimeoutError` once the block has taken so long.

    anyio's scopes do not work where its asyncio side was imported before trio-asyncio (its pytest plugin does so).
    """
    return asyncio.timeout(seconds)


def _log_orphan(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that no asyncio code was waiting for; trio-asyncio's default is to end the loop with it."""
    error = context.get("exception")
    # A callback's message quotes the arguments, which may be what a user said.
    reason = "Exception in callback" if "handle" in context else context.get("message")
    _log.error("asyncio.error", reason=reason, error=type(error).__name__ if error else None)


def _use_trio_threads(loop: trio_asyncio.TrioEventLoop) -> None:
    """Run on trio's threads what a library (Motor) hands to an executor of its own.

    trio-asyncio refuses any other executor. With trio's threads a cancelled call is waited for, so that the outcome
    of a write is never in doubt; with the library's own pool it would land later, over newer data.
    """
    own = trio_asyncio.TrioExecutor(limiter=trio.CapacityLimiter(MAX_THREADS))
    # Apart from the others: a database that stalls must not hold up an interviewer that wants a thread.
    librarys = trio_asyncio.TrioExecutor(limiter=trio.CapacityLimiter(MAX_THREADS))
    run_in_executor = loop.run_in_executor

    def run_on_trio_threads(executor: Executor | None, function: Callable[..., _T], *args: Any) -> Awaitable[_T]:
        chosen = executor if isinstance(executor, trio_asyncio.TrioExecutor) else own if executor is None else librarys
        future: Awaitable[_T] = run_in_executor(chosen, function, *args)
        return future

    loop.run_in_executor = run_on_trio_threads


def _run_ready_callbacks_together(loop: trio_asyncio.TrioEventLoop) -> None:
    """Run all callbacks that are ready in one round of trio's scheduler, as asyncio does in one of its own.

    trio-asyncio runs one callback a round, and each round asks the kernel for events: a turn of the agent is some
    fifty callbacks, and this saves most of those rounds. It is what trio-asyncio itself does when it closes a loop.
    """
    run_one = loop._main_loop_one

    async def run_ready(no_wait: bool = False) -> None:
        await run_one(no_wait)
        with contextlib.suppress(trio.WouldBlock):
            for _ in range(0 if no_wait else MAX_CALLBACKS_TOGETHER):
                if loop._stopped.is_set():
                    break
                await run_one(no_wait=True)

    loop._main_loop_one = run_ready
