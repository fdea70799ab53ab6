"""The supervisor by itself: order, back-off and budget, who is restarted with whom, and how it ends."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import accumulate

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.supervisor import ChildSpec, EndSession, RestartBudget, Supervisor

Log = list[tuple[str, str, float]]


class FakeActor:
    """Logs what happens to it. `work` is what it does; without it, it waits to be stopped."""

    def __init__(
        self, name: str, log: Log, work: Callable[[], Awaitable[None]] | None = None, cleanup_s: float = 0.0
    ) -> None:
        self._name = name
        self._log = log
        self._work = work
        self._cleanup_s = cleanup_s
        self._stopped = trio.Event()

    def note(self, event: str) -> None:
        self._log.append((self._name, event, trio.current_time()))

    async def run(self) -> None:
        self.note("runs")
        try:
            if self._work is not None:
                await self._work()
            await self._stopped.wait()
            await trio.sleep(self._cleanup_s)
            self.note("returns")
        except trio.Cancelled:
            self.note("is cancelled")
            raise

    def stop(self) -> None:
        self.note("is stopped")
        self._stopped.set()


async def fail_after(seconds: float, error: BaseException | None = None) -> None:
    await trio.sleep(seconds)
    raise error or RuntimeError("a bug")


def fails_times(times: int, after_s: float = 0.0) -> Callable[[], Awaitable[None]]:
    """Work that fails so many times, and from then on waits."""
    left = times

    async def work() -> None:
        nonlocal left
        if left:
            left -= 1
            await fail_after(after_s)

    return work


class Group:
    """A supervisor of fake actors, and the log that they write."""

    def __init__(self) -> None:
        self.log: Log = []
        self.specs: list[ChildSpec] = []
        self.budget = RestartBudget()

    def add(
        self,
        name: str,
        work: Callable[[], Awaitable[None]] | None = None,
        *,
        depends_on: str = "",
        grace_s: float = 0.0,
        cleanup_s: float = 0.0,
    ) -> None:
        build = partial(FakeActor, name, self.log, work, cleanup_s)
        self.specs.append(ChildSpec(name, build, frozenset(depends_on.split()), grace_s))

    def supervisor(self) -> Supervisor:
        return Supervisor(self.specs, self.budget)

    async def run(self) -> tuple[int, float]:
        """Run the group to its end; return the code, and when."""
        return (await self.supervisor().run()).code, trio.current_time()

    def times(self, name: str, event: str) -> list[float]:
        return [at for who, what, at in self.log if (who, what) == (name, event)]

    def order(self, event: str) -> list[str]:
        return [who for who, what, _ in self.log if what == event]


@pytest.fixture
def group() -> Group:
    return Group()


async def end_with(code: int, after_s: float = 1.0) -> None:
    await fail_after(after_s, EndSession(code, "as asked for"))


# --- order --------------------------------------------------------------------------------------------------------


async def test_children_are_stopped_in_reverse_order(group: Group, autojump_clock: MockClock) -> None:
    for name in "abc":
        group.add(name, grace_s=1.0, cleanup_s=0.25)
    group.add("d", partial(end_with, 4408))
    assert await group.run() == (4408, 1.75)
    assert group.order("is stopped") == ["d", "c", "b", "a"]
    assert [group.times(name, "returns") for name in "abc"] == [[1.75], [1.5], [1.25]]


async def test_children_are_built_in_order(autojump_clock: MockClock) -> None:
    built: list[str] = []

    def build(name: str) -> FakeActor:
        built.append(name)
        return FakeActor(name, [], partial(end_with, 1000, 0.0))

    await Supervisor([ChildSpec(name, partial(build, name)) for name in "xyz"], RestartBudget()).run()
    assert built == ["x", "y", "z"]


async def test_one_that_takes_longer_than_its_grace_is_cancelled(group: Group, autojump_clock: MockClock) -> None:
    group.add("slow", grace_s=2.0, cleanup_s=5.0)
    group.add("no grace", cleanup_s=5.0)
    group.add("ends", partial(end_with, 1000))
    assert await group.run() == (1000, 3.0)
    assert group.times("no grace", "is cancelled") == [1.0]
    assert group.times("slow", "is cancelled") == [3.0]


# --- ends ---------------------------------------------------------------------------------------------------------


async def test_a_child_that_returns_ends_the_group(group: Group, autojump_clock: MockClock) -> None:
    group.add("a")
    group.specs.append(ChildSpec("returns", Returning))
    assert await group.run() == (1000, 2.0)


class Returning:
    """An actor that is done after a while."""

    async def run(self) -> None:
        await trio.sleep(2)

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
async def test_the_end_is_found_inside_groups(group: Group, autojump_clock: MockClock, depth: int) -> None:
    error: Exception = EndSession(4409, "taken over")
    for _ in range(depth):
        error = ExceptionGroup("a nursery", [RuntimeError("as well"), error])
    group.add("a", partial(fail_after, 1.0, error))
    assert await group.run() == (4409, 1.0)
    assert group.times("a", "runs") == [0.0]


async def test_end_from_outside(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", grace_s=1.0, cleanup_s=0.5)
    supervisor = group.supervisor()
    ends: list[EndSession] = []

    async def run() -> None:
        ends.append(await supervisor.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(1)
        supervisor.end(4409, "taken over")
        supervisor.end(1001, "too late: the first reason counts")
    assert [(end.code, end.reason) for end in ends] == [(4409, "taken over")]
    assert trio.current_time() == 1.5
    supervisor.end(1001, "it is over")
    assert supervisor.asked_end is ends[0]


async def test_end_before_it_runs(group: Group, autojump_clock: MockClock) -> None:
    group.add("a")
    supervisor = group.supervisor()
    supervisor.end(1001, "going away")
    assert (await supervisor.run()).code == 1001
    assert trio.current_time() == 0.0


async def test_end_during_a_restart(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", fails_times(1))
    supervisor = group.supervisor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(0.05)
        supervisor.end(1001, "going away")
    assert trio.current_time() == 0.1


async def test_all_may_end_at_once(group: Group, autojump_clock: MockClock) -> None:
    for number in range(20):
        group.add(str(number), partial(end_with, 4400 + number))
    code, at = await group.run()
    assert 4400 <= code < 4420
    assert at == 1.0


# --- restarts -----------------------------------------------------------------------------------------------------


async def test_restarts_back_off(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", fails_times(3))
    group.add("ends", partial(end_with, 1000, 5.0))
    assert await group.run() == (1000, 5.0)
    assert group.times("a", "runs") == list(accumulate([0.0, 0.1, 0.2, 0.4]))


async def test_one_failure_too_many(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", fails_times(4))
    assert await group.run() == (1011, list(accumulate([0.0, 0.1, 0.2, 0.4]))[-1])


async def test_failures_that_are_spread_out(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", fails_times(20, after_s=3.4))
    group.add("ends", partial(end_with, 1000, 200.0))
    assert await group.run() == (1000, 200.0)
    assert len(group.times("a", "runs")) == 21


async def test_the_others_are_left_alone(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", fails_times(1, after_s=1.0))
    group.add("b")
    group.add("ends", partial(end_with, 1000, 5.0))
    await group.run()
    assert group.times("b", "runs") == [0.0]
    assert len(group.times("a", "runs")) == 2


async def test_those_that_depend_are_restarted_too_and_in_order(group: Group, autojump_clock: MockClock) -> None:
    group.add("base", fails_times(1, after_s=1.0))
    group.add("alone")
    group.add("on top", depends_on="base")
    group.add("ends", partial(end_with, 1000, 5.0))
    await group.run()
    assert group.times("on top", "is cancelled")[0] == 1.0
    assert group.times("on top", "runs") == [0.0, 1.1]
    assert group.times("alone", "runs") == [0.0]
    again = [who for who, what, at in group.log if what == "runs" and at == 1.1]
    assert sorted(again) == ["base", "on top"]


async def test_what_others_depend_on_is_not_restarted_with_them(group: Group, autojump_clock: MockClock) -> None:
    group.add("base")
    group.add("on top", fails_times(1, after_s=1.0), depends_on="base")
    group.add("ends", partial(end_with, 1000, 5.0))
    await group.run()
    assert group.times("base", "runs") == [0.0]
    assert group.times("on top", "runs") == [0.0, 1.1]


async def test_an_exit_of_one_that_was_replaced_counts_for_nothing(group: Group, autojump_clock: MockClock) -> None:
    """It fails as it is cancelled, to be replaced along with what it depends on."""

    async def fails_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("a bug")

    group.add("base", fails_times(1, after_s=1.0))
    group.add("on top", fails_in_cleanup, depends_on="base")
    group.add("ends", partial(end_with, 1000, 5.0))
    assert await group.run() == (1000, 5.0)
    assert group.times("on top", "runs") == [0.0, 1.1]


async def test_two_that_fail_in_the_same_instant(group: Group, autojump_clock: MockClock) -> None:
    group.add("base", fails_times(1, after_s=1.0))
    group.add("on top", fails_times(1, after_s=1.0), depends_on="base")
    group.add("ends", partial(end_with, 1000, 5.0))
    assert await group.run() == (1000, 5.0)
    assert group.times("base", "runs")[-1] <= 1.1 + 0.2
    assert group.times("on top", "runs")[-1] >= group.times("base", "runs")[-1]


async def test_a_child_that_cleans_up_slowly_is_waited_for_before_its_successor(
    group: Group, autojump_clock: MockClock
) -> None:
    async def slow_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    group.add("base", fails_times(1, after_s=1.0))
    group.add("on top", slow_cleanup, depends_on="base")
    group.add("ends", partial(end_with, 1000, 10.0))
    await group.run()
    assert group.times("on top", "runs") == [0.0, 3.1]


async def test_cancelling_the_supervisor_cancels_all_children(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", grace_s=10.0)
    group.add("b", fails_times(1))
    with trio.move_on_after(1) as scope:
        await group.run()
    assert scope.cancelled_caught
    assert group.times("a", "is cancelled") == [1.0]
    assert group.order("is stopped") == []


async def cleans_up_for(seconds: float) -> None:
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)


async def test_children_are_cancelled_in_reverse_each_once_those_after_it_have_cleaned_up(
    group: Group, autojump_clock: MockClock
) -> None:
    group.add("a")
    group.add("b", partial(cleans_up_for, 0.125))
    group.add("c", partial(cleans_up_for, 0.25))
    with trio.move_on_after(1):
        await group.run()
    assert [group.times(name, "is cancelled") for name in "abc"] == [[1.375], [1.375], [1.25]]


async def test_one_that_cleans_up_slowly_holds_the_others_up_only_so_long(
    group: Group, autojump_clock: MockClock
) -> None:
    group.add("a")
    group.add("b", partial(cleans_up_for, 3.0))
    group.add("c", partial(cleans_up_for, 0.25))
    with trio.move_on_after(1):
        await group.run()
    assert [group.times(name, "is cancelled") for name in "abc"] == [[1.5], [4.25], [1.25]]
    assert trio.current_time() == 4.25


async def test_a_stop_that_is_cancelled_goes_on_without_grace(group: Group, autojump_clock: MockClock) -> None:
    group.add("a", grace_s=10.0, cleanup_s=10.0)
    group.add("b", grace_s=10.0, cleanup_s=10.0)
    group.add("ends", partial(end_with, 1000))
    with trio.move_on_after(3):
        await group.run()
    assert (group.order("is stopped"), group.order("is cancelled")) == (["ends", "b"], ["b", "a"])
    assert trio.current_time() == 3.0


async def test_cancelled_before_anybody_has_run(group: Group, autojump_clock: MockClock) -> None:
    group.add("a")
    group.add("b")
    with trio.CancelScope() as scope:
        scope.cancel()
        await group.run()
    assert scope.cancelled_caught
    assert group.order("is cancelled") == ["b", "a"]


async def test_cancelled_during_a_back_off(group: Group, autojump_clock: MockClock) -> None:
    group.add("a")
    group.add("b", fails_times(3, after_s=1.0))
    with trio.move_on_after(1.05):
        await group.run()
    assert (group.order("is cancelled"), trio.current_time()) == (["a"], 1.05)


async def test_a_child_that_fails_in_its_clean_up_does_not_hide_the_cancellation(
    group: Group, autojump_clock: MockClock
) -> None:
    async def fails_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("a bug")

    group.add("a", fails_in_cleanup)
    with trio.move_on_after(1) as scope:
        await group.run()
    assert scope.cancelled_caught
