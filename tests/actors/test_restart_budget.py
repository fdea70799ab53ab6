"""The restart budget, what is told of errors, and `contain`."""

from functools import partial
from itertools import accumulate

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.supervisor import RestartBudget, contain, describe
from tests.actors.test_supervisor import fail_after

Log = list[tuple[str, str, float]]


def test_the_window_of_the_budget_moves() -> None:
    budget = RestartBudget(max_restarts=3, within_s=10.0, first_back_off_s=0.1)
    assert [budget.spend(now) for now in (0.0, 1.0, 2.0)] == [0.1, 0.2, 0.4]
    assert budget.spend(9.999) is None
    assert budget.spend(11.5) == 0.4


def test_a_failure_exactly_at_the_window_s_end_is_forgotten() -> None:
    budget = RestartBudget(max_restarts=1, within_s=10.0)
    assert budget.spend(0.0) == 0.1
    assert budget.spend(10.0) == 0.1


@given(st.lists(st.floats(0, 5), max_size=30), st.integers(1, 4))
def test_the_budget_is_spent_exactly_when_there_were_too_many_in_the_window(gaps: list[float], most: int) -> None:
    budget = RestartBudget(max_restarts=most, within_s=10.0)
    times = list(accumulate(gaps))
    for index, now in enumerate(times):
        recent = [then for then in times[: index + 1] if now - then < 10.0]
        assert (budget.spend(now) is None) == (len(recent) > most)
        if len(recent) > most:
            return


def test_a_description_has_the_type_and_the_place_but_never_the_text() -> None:
    try:
        raise ValueError("what a user said")
    except ValueError as error:
        described = describe(ExceptionGroup("a nursery", [error]))
    assert described["error"] == "ValueError"
    assert "test_restart_budget" in str(described["at"])
    assert "what a user said" not in str(described)
    assert describe(ValueError("never raised")) == {"error": "ValueError", "at": None}


async def test_contain_ends_an_error_where_it_is(autojump_clock: MockClock) -> None:
    await contain(partial(fail_after, 1.0))
    assert trio.current_time() == 1.0


async def test_contain_lets_cancellation_through(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        await contain(trio.sleep_forever)
    assert scope.cancelled_caught
