"""A short session is ended at every one of its steps: by cancellation, by a newer connection, by the process's death.

An instrument counts the steps of the server's tasks. The session is run again and again, and ended at step 1, 2, 3, ...
until it gets through. Whatever the step: no task is left, the streams are closed, the lease is free, the store is
consistent, and what was acknowledged is there.
"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, ConnectionRejected

from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import OPENING, SESSION, Client, Closed, Evaa
from tests.actors.interviewers import says
from tests.actors.wire import Wire

WORDS = ("first", "second")
MOST_STEPS = 2_000


class StepCounter(trio.abc.Instrument):
    """Calls `act` before the n-th step of the tasks that serve `wire`."""

    def __init__(self, wire: Wire, step: int, act: Callable[[], None]) -> None:
        self.has_acted = False
        self._wire = wire
        self._step = step
        self._act = act
        self._count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.has_acted or not self._serves(task):
            return
        self._count += 1
        if self._count == self._step:
            self.has_acted = True
            self._act()

    def _serves(self, task: trio.lowlevel.Task) -> bool:
        ancestor: trio.lowlevel.Task | None = task
        while ancestor is not None:
            if ancestor is self._wire.served_by:
                return True
            ancestor = ancestor.parent_nursery.parent_task if ancestor.parent_nursery is not None else None
        return False


class Attempt:
    """One short session that is disturbed at some step, and what its client got to know."""

    evaa: Evaa

    def __init__(self, nursery: trio.Nursery, dialect: str) -> None:
        self.dialect = dialect
        self.acknowledged: list[str] = []
        self.replies: list[str] = []
        self._nursery = nursery

    async def run(self, step: int, act: Callable[["Attempt"], None]) -> bool:
        """Run the session; `act` at `step`. Whether it was reached."""
        try:
            async with trio.open_nursery() as clients:
                self.evaa = Evaa(self._nursery, clients=clients)
                self.evaa.interviewer.will(says("One ", 0.5, "two"), says("Three ", 0.5, "four"))
                wire = await self.evaa.open_wire(at_once=False)
                counter = StepCounter(wire, step, lambda: act(self))
                trio.lowlevel.add_instrument(counter)
                await self._talk(wire)
        except* (Closed, ConnectionClosed, ConnectionRejected, trio.TooSlowError):
            pass  # the server has gone: that is what this is about
        await wire.hang_up()
        await wire.served.wait()
        trio.lowlevel.remove_instrument(counter)
        return counter.has_acted

    async def _talk(self, wire: Wire) -> None:
        client = await self.evaa.connect(SESSION, self.dialect, wire=wire)
        await client.reply()
        for words in WORDS:
            await client.say(words, words)
            await self._hear_out(client, words)
        await client.leave()

    async def _hear_out(self, client: Client, words: str) -> None:
        missing = {"reply"} if self.dialect == PLAIN else {"reply", "turnStarted"}
        while missing:
            frame = await client.receive()
            missing.discard(frame.kind)
            if frame.kind == "reply":
                self.replies.append(frame["response"])
            if frame.kind == ("reply" if self.dialect == PLAIN else "turnStarted"):
                self.acknowledged.append(words)


async def check_store(attempt: Attempt, *, releases: bool = True) -> None:
    """Loadable, no gaps, nothing acknowledged lost, nothing twice, and free to be had."""
    store = attempt.evaa.store
    record = await store.load(SESSION)
    if record is None:
        assert not attempt.acknowledged
        return
    turns = record.interview.turns
    assert [turn.turn for turn in turns] == list(range(1, len(turns) + 1))
    assert [turn.text for turn in turns] == list(WORDS[: len(turns)])
    assert len(turns) >= len(attempt.acknowledged)
    assert all(turn.outcome == "answered" for turn in turns[:-1])
    answered = [turn.reply for turn in turns if turn.outcome == "answered"]
    assert answered == ["One two", "Three four"][: len(answered)]
    assert len(record.messages) == 1 + 2 * len(answered)
    assert [saved.version for _, saved in store.saved] == list(range(1, len(store.saved) + 1))
    if releases:
        assert await store.acquire(SESSION, "anybody", 15.0, take_over=False) is not None


async def check_resume(nursery: trio.Nursery, attempt: Attempt) -> None:
    """Another process goes on where this one was stopped: it gives what is owed, and takes the rest, once."""
    evaa = Evaa(nursery, store=attempt.evaa.store, spill=attempt.evaa.spill, owner="the next process")
    client = await evaa.connect(SESSION, attempt.dialect)
    last = await client.reply()
    turns = (await evaa.record()).interview.turns
    assert last["response"] == (turns[-1].reply if turns else OPENING)
    if attempt.dialect == TYPED_JSON:
        for words in WORDS:
            await client.ask(words, words)
        assert [(said.text, said.outcome) for said in await evaa.memory()] == [(words, "answered") for words in WORDS]
        assert len((await evaa.record()).messages) == 1 + 2 * len(WORDS)
    await client.leave()
    await evaa.gone()


def cancel(attempt: Attempt) -> None:
    attempt.evaa.wires[0].scope.cancel()


def die(attempt: Attempt) -> None:
    attempt.evaa.die()


async def sweep(
    nursery: trio.Nursery, dialect: str, act: Callable[[Attempt], None], after: Callable[[Attempt], Any]
) -> None:
    """Run attempts that are disturbed at step 1, 2, 3, ... until one is not reached."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    for step in range(1, MOST_STEPS):
        attempt = Attempt(nursery, dialect)
        try:
            was_reached = await attempt.run(step, act)
            await after(attempt)
            await trio.testing.wait_all_tasks_blocked()
            assert all(wire.closed_at is not None for wire in attempt.evaa.wires)
            assert trio.lowlevel.current_statistics().tasks_living == tasks
        except BaseException as error:
            error.add_note(f"disturbed at step {step}")
            raise
        if not was_reached:
            assert attempt.acknowledged == list(WORDS)
            assert attempt.replies == ["One two", "Three four"]
            assert step > 50  # else nothing was counted
            return
    raise AssertionError("the session never got through")


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_session_may_be_cancelled_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, dialect: str
) -> None:
    async def after(attempt: Attempt) -> None:
        assert attempt.evaa.spill.kept == []
        await check_store(attempt)
        await check_resume(nursery, attempt)

    await sweep(nursery, dialect, cancel, after)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_the_process_may_die_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, dialect: str
) -> None:
    async def after(attempt: Attempt) -> None:
        attempt.evaa.revive_store()
        await check_store(attempt, releases=False)
        await check_resume(nursery, attempt)

    await sweep(nursery, dialect, die, after)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_a_newer_connection_may_come_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, dialect: str
) -> None:
    newer: list[Client] = []

    def connect(attempt: Attempt) -> None:
        async def come() -> None:
            newer.append(await attempt.evaa.connect(SESSION, dialect, nursery=nursery))

        nursery.start_soon(come)

    async def after(attempt: Attempt) -> None:
        await trio.testing.wait_all_tasks_blocked()
        while newer:
            await newer.pop().leave()
        await attempt.evaa.gone()
        assert attempt.evaa.spill.kept == []
        await check_resume(nursery, attempt)

    await sweep(nursery, dialect, connect, after)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_the_client_may_hang_up_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, dialect: str
) -> None:
    def hang_up(attempt: Attempt) -> None:
        nursery.start_soon(attempt.evaa.wires[0].hang_up)

    async def after(attempt: Attempt) -> None:
        assert attempt.evaa.spill.kept == []
        await check_store(attempt)
        await check_resume(nursery, attempt)

    await sweep(nursery, dialect, hang_up, after)


@pytest.mark.parametrize("dialect", [PLAIN, TYPED_JSON])
async def test_the_server_may_drain_at_every_step(
    nursery: trio.Nursery, autojump_clock: MockClock, dialect: str
) -> None:
    drained: list[float] = []

    def drain(attempt: Attempt) -> None:
        async def run() -> None:
            begun = trio.current_time()
            await attempt.evaa.server.drain()
            drained.append(trio.current_time() - begun)

        nursery.start_soon(run)

    async def after(attempt: Attempt) -> None:
        assert all(lasted_s <= 10.0 for lasted_s in drained)
        drained.clear()
        assert attempt.evaa.spill.kept == []
        await check_store(attempt)
        await check_resume(nursery, attempt)

    await sweep(nursery, dialect, drain, after)
