"""The bridge into asyncio: the traps of running asyncio code inside trio, each held closed. Real clock and threads."""

import asyncio
import contextvars
import gc
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import ServerSelectionTimeoutError

from evaa.asyncio_bridge import AsyncioCallCancelled, Bridge, open_bridge, time_limit

SECRET = "what the user said"
PATIENCE_S = 20.0  # reached only by a test that fails

_words: contextvars.ContextVar[str] = contextvars.ContextVar("_words", default="unset")


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


@pytest.fixture
def foreign_pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def echo(words: str, *, times: int = 1) -> str:
    await asyncio.sleep(0)
    return words * times


# --- results, errors, context -----------------------------------------------------------------------------------


async def test_arguments_go_in_and_the_result_comes_out(bridge: Bridge) -> None:
    assert await bridge.call(echo, "a", times=3) == "aaa"


async def test_an_error_comes_through_unwrapped(bridge: Bridge) -> None:
    error = ValueError("mine")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(ValueError, match="mine") as raised:
        await bridge.call(fail)
    assert raised.value is error


async def test_the_group_of_an_asyncio_task_group_comes_through(bridge: Bridge) -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(echo("a"))
            raise ValueError("inside")

    with pytest.raises(ExceptionGroup) as raised:
        await bridge.call(fail)
    assert [type(error) for error in raised.value.exceptions] == [ValueError]


async def test_context_variables_go_in_but_not_out(bridge: Bridge) -> None:
    async def look_and_change() -> tuple[str, str]:
        seen = _words.get()
        in_child = await asyncio.create_task(read())
        _words.set("changed inside")
        return seen, in_child

    async def read() -> str:
        return _words.get()

    _words.set("mine")
    assert await bridge.call(look_and_change) == ("mine", "mine")
    assert _words.get() == "mine"


async def test_many_calls_at_once_keep_apart(bridge: Bridge) -> None:
    results: dict[int, list[str]] = {}

    async def speak(number: int) -> list[str]:
        heard = []
        for _ in range(number % 7 + 1):
            await asyncio.sleep(0)
            heard.append(_words.get())
        return heard

    async def caller(number: int) -> None:
        _words.set(str(number))
        results[number] = await bridge.call(speak, number)

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(caller, number)
    assert results == {number: [str(number)] * (number % 7 + 1) for number in range(200)}


# --- cancellation -----------------------------------------------------------------------------------------------


async def test_a_trio_cancellation_reaches_the_coroutine_and_waits_for_its_finally(bridge: Bridge) -> None:
    begun, may_end = trio.Event(), asyncio.Event()
    seen: list[str] = []

    async def work() -> None:
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await may_end.wait()
            seen.append("cleaned up")

    async def caller(scope: trio.CancelScope) -> None:
        with scope:
            await bridge.call(work)
        seen.append("returned")

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(caller, scope)
        await begun.wait()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["cancelled"]
        may_end.set()
    assert seen == ["cancelled", "cleaned up", "returned"]
    assert scope.cancelled_caught


async def test_a_cancellation_that_trio_did_not_ask_for_is_an_ordinary_error(bridge: Bridge) -> None:
    async def await_a_cancelled_task() -> None:
        task = asyncio.create_task(echo("a"))
        task.cancel()
        await task

    with pytest.raises(AsyncioCallCancelled) as raised:
        await bridge.call(await_a_cancelled_task)
    assert isinstance(raised.value, Exception)
    assert raised.value.__cause__ is None
    assert await bridge.call(echo, "still open") == "still open"


async def test_a_time_limit_ends_a_block_of_asyncio_code_on_time(autojump_clock: trio.testing.MockClock) -> None:
    async def wait(seconds: float) -> str:
        try:
            async with time_limit(2.0):
                await asyncio.sleep(seconds)
        except TimeoutError:
            return "too long"
        return "in time"

    async with open_bridge() as bridge:
        begun = trio.current_time()
        assert await bridge.call(wait, 1.5) == "in time"
        assert await bridge.call(wait, 60.0) == "too long"
        assert trio.current_time() - begun == 3.5


# --- orphans ----------------------------------------------------------------------------------------------------


async def _orphan_a_task() -> None:
    async def fail(words: str) -> None:
        raise ValueError(words)

    task = asyncio.create_task(fail(SECRET))
    await asyncio.wait([task])
    del task
    gc.collect()


async def _orphan_a_callback() -> None:
    def fail(words: str) -> None:
        raise ValueError(words)

    asyncio.get_running_loop().call_soon(fail, SECRET)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("orphan", "reason"),
    [(_orphan_a_task, "Task exception was never retrieved"), (_orphan_a_callback, "Exception in callback")],
)
async def test_an_orphan_that_raises_is_logged_without_its_text_and_the_loop_goes_on(
    bridge: Bridge, orphan: Callable[[], Any], reason: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        await bridge.call(orphan)
        assert await bridge.call(echo, "still open") == "still open"
    said = {"event": "asyncio.error", "actor": "asyncio", "reason": reason, "error": "ValueError"}
    assert logs == [{**said, "log_level": "error"}]


async def test_an_error_report_without_an_exception_is_logged_too(bridge: Bridge) -> None:
    async def report() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "Unclosed client session"})

    with structlog.testing.capture_logs() as logs:
        await bridge.call(report)
    assert [(log["reason"], log["error"]) for log in logs] == [("Unclosed client session", None)]


# --- executors --------------------------------------------------------------------------------------------------


async def test_what_is_handed_to_a_foreign_executor_runs_on_trios_threads(
    bridge: Bridge, foreign_pool: ThreadPoolExecutor
) -> None:
    def job(words: str) -> tuple[str, float]:
        return words, trio.from_thread.run_sync(trio.current_time)  # possible in one of trio's threads only

    async def run(executor: ThreadPoolExecutor | None) -> tuple[str, float]:
        return await asyncio.get_running_loop().run_in_executor(executor, job, "done")

    begun = trio.current_time()
    for executor in (foreign_pool, None):
        words, at = await bridge.call(run, executor)
        assert words == "done"
        assert begun <= at <= trio.current_time()


async def test_an_error_in_a_foreign_executors_job_comes_through(
    bridge: Bridge, foreign_pool: ThreadPoolExecutor
) -> None:
    def job() -> None:
        raise LookupError("in the thread")

    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(foreign_pool, job)

    with pytest.raises(LookupError, match="in the thread"):
        await bridge.call(run)


async def test_a_cancelled_job_in_a_thread_is_waited_for_and_its_outcome_is_known(
    bridge: Bridge, foreign_pool: ThreadPoolExecutor
) -> None:
    begun, may_end = trio.Event(), threading.Event()
    outcomes: list[str] = []

    def save() -> str:
        trio.from_thread.run_sync(begun.set)
        assert may_end.wait(PATIENCE_S)
        return "saved"

    async def run() -> str:
        return await asyncio.get_running_loop().run_in_executor(foreign_pool, save)

    async def caller(scope: trio.CancelScope) -> None:
        with scope:
            outcomes.append(await bridge.call(run))
        outcomes.append("returned")

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(caller, scope)
        await begun.wait()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert outcomes == []
        may_end.set()
    assert outcomes == ["saved", "returned"]


async def test_a_motor_client_runs_a_command_and_fails_as_it_would_on_plain_asyncio(bridge: Bridge) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound, so that nobody else takes the port, but not listening
        port = refusing.getsockname()[1]

        async def connect() -> AsyncIOMotorClient[dict[str, Any]]:
            return AsyncIOMotorClient("127.0.0.1", port, serverSelectionTimeoutMS=50)

        client = await bridge.call(connect)
        try:
            with pytest.raises(ServerSelectionTimeoutError):
                await bridge.call(client.admin.command, "ping")
            with pytest.raises(ServerSelectionTimeoutError):
                await bridge.call(client["evaa"]["memories"].find_one, {"_id": 1})
        finally:
            # Its own close is blocking I/O on the loop's thread.
            await trio.to_thread.run_sync(client.delegate.close)


# --- negative delays --------------------------------------------------------------------------------------------


async def test_a_negative_delay_is_an_error_on_this_loop(bridge: Bridge) -> None:
    async def call_in_the_past() -> None:
        asyncio.get_running_loop().call_later(-1e-9, print)

    with pytest.raises(AssertionError):
        await bridge.call(call_in_the_past)


def test_nothing_of_ours_uses_what_computes_negative_delays() -> None:
    # Pydantic AI's debounced streams end up in a negative delay sooner or later; ours reads the stream below the SDK.
    trap = re.compile(r"debounce|run_stream|stream_text|stream_output|asyncio\.wait\(|call_later")
    root = Path(__file__).parents[2]
    sources = [path for folder in ("evaa", "actors", "protocols") for path in (root / folder).rglob("*.py")]
    assert len(sources) > 20
    assert [path.name for path in sources if trap.search(path.read_text(encoding="utf-8"))] == []


async def test_callbacks_that_are_ready_run_in_one_round_of_trios_scheduler(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Rounds(trio.abc.Instrument):
        def __init__(self) -> None:
            self.count = 0

        def before_io_wait(self, timeout: float) -> None:
            self.count += 1

    async def fifty_steps() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async with open_bridge() as bridge:
        await bridge.call(fifty_steps)
        rounds = Rounds()
        trio.lowlevel.add_instrument(rounds)
        await bridge.call(fifty_steps)
        trio.lowlevel.remove_instrument(rounds)
    assert rounds.count < 10


async def test_asyncio_code_that_never_rests_does_not_starve_trio(autojump_clock: trio.testing.MockClock) -> None:
    is_done = False

    async def spin() -> None:
        while not is_done:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async with open_bridge() as bridge, trio.open_nursery() as nursery:
        nursery.start_soon(bridge.call, spin)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        is_done = True
