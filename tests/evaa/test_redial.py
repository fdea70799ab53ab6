"""When a lost connection is dialled again, to the exact delay."""

from collections.abc import Callable

import pytest

from evaa.stt.redial import Redial, RedialLimits

LIMITS = RedialLimits(first_back_off_s=0.25, max_back_off_s=8.0, instant_s=5.0, max_useless=3, breaker_s=30.0)


def redial(jitter: Callable[[], float] = lambda: 1.0, limits: RedialLimits = LIMITS) -> Redial:
    return Redial(limits, jitter)


# --- back-off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [1.0, 0.5])
def test_what_cannot_be_had_is_asked_for_ever_more_seldom(jitter: float) -> None:
    delays = redial(lambda: jitter)
    expected = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert [delays.delay_s(lasted_s=None) for _ in expected] == [jitter * delay_s for delay_s in expected]


def test_each_delay_has_its_own_jitter() -> None:
    factors = iter([0.5, 1.0, 0.75])
    delays = redial(lambda: next(factors))
    assert [delays.delay_s(lasted_s=None) for _ in range(3)] == [0.125, 0.5, 0.75]


def test_the_first_loss_is_answered_at_once_and_the_next_ones_are_not() -> None:
    delays = redial()
    assert [delays.delay_s(lasted_s=60.0) for _ in range(4)] == [0.0, 0.5, 1.0, 2.0]


def test_a_connection_of_use_ends_the_row() -> None:
    delays = redial()
    for _ in range(4):
        delays.delay_s(lasted_s=None)
    delays.was_of_use()
    assert [delays.delay_s(lasted_s=60.0), delays.delay_s(lasted_s=None)] == [0.0, 0.5]


def test_a_failure_that_lasts_for_weeks_is_still_only_a_failure() -> None:
    delays = redial()
    assert {delays.delay_s(lasted_s=None) for _ in range(5_000)} == {0.25, 0.5, 1.0, 2.0, 4.0, 8.0}


# --- the provider's own word ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after_s", "delay_s"), [(None, 0.25), (0.0, 0.25), (0.1, 0.25), (3.0, 3.0), (30.0, 30.0), (3_600.0, 30.0)]
)
def test_the_provider_may_ask_for_more_patience_within_bounds(retry_after_s: float | None, delay_s: float) -> None:
    assert redial().delay_s(lasted_s=None, retry_after_s=retry_after_s) == delay_s


def test_the_provider_cannot_ask_for_a_storm() -> None:
    delays = redial()
    assert [delays.delay_s(lasted_s=None, retry_after_s=0.0) for _ in range(4)] == [0.25, 0.5, 1.0, 2.0]


def test_what_the_provider_asks_for_has_no_jitter() -> None:
    assert redial(lambda: 0.5).delay_s(lasted_s=None, retry_after_s=3.0) == 3.0


# --- the breaker ------------------------------------------------------------------------------------------------


def test_connections_that_end_at_once_open_the_breaker() -> None:
    delays = redial()
    assert [delays.delay_s(lasted_s=0.1), delays.delay_s(lasted_s=4.999)] == [0.0, 0.5]
    assert not delays.is_breaker_open
    assert delays.delay_s(lasted_s=0.0) == 30.0
    assert delays.is_breaker_open


def test_the_breaker_has_no_jitter_and_the_last_word() -> None:
    delays = redial(lambda: 0.5, RedialLimits(max_useless=1))
    assert delays.delay_s(lasted_s=0.1, retry_after_s=60.0) == 30.0


def test_what_cannot_be_had_does_not_open_the_breaker() -> None:
    delays = redial()
    for _ in range(10):
        delays.delay_s(lasted_s=None)
    assert not delays.is_breaker_open


def test_what_lasts_is_no_end_at_once() -> None:
    delays = redial()
    for _ in range(10):
        delays.delay_s(lasted_s=5.0)
    assert not delays.is_breaker_open


def test_only_ends_in_a_row_open_the_breaker() -> None:
    delays = redial()
    for lasted_s in (0.1, 0.1, 60.0, 0.1, None, 0.1):
        delays.delay_s(lasted_s=lasted_s)
    assert not delays.is_breaker_open
    delays.delay_s(lasted_s=0.1)
    assert delays.is_breaker_open


@pytest.mark.parametrize("lasted_s", [0.1, None])
def test_after_the_breaker_a_single_attempt_is_let_through(lasted_s: float | None) -> None:
    delays = redial()
    for _ in range(3):
        delays.delay_s(lasted_s=0.1)
    assert delays.delay_s(lasted_s=lasted_s) == 30.0
    assert delays.is_breaker_open


@pytest.mark.parametrize("closed_by", ["use", "duration"])
def test_an_attempt_that_does_well_closes_the_breaker(closed_by: str) -> None:
    delays = redial()
    for _ in range(3):
        delays.delay_s(lasted_s=0.1)
    if closed_by == "use":
        delays.was_of_use()
        assert delays.delay_s(lasted_s=0.1) == 0.0
    else:
        assert delays.delay_s(lasted_s=5.0) == 2.0
    assert not delays.is_breaker_open
    delays.delay_s(lasted_s=0.1)
    assert not delays.is_breaker_open
