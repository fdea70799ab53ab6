"""When a lost provider connection is dialled again: back-off with jitter, and a breaker. Pure."""

from collections.abc import Callable

import msgspec

_MAX_DOUBLINGS = 32  # far beyond any back-off, and far below what a float can hold


class RedialLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, and how many connections in a row may be of no use before the breaker opens."""

    first_back_off_s: float = 0.25
    max_back_off_s: float = 8.0
    instant_s: float = 5.0
    max_useless: int = 3
    breaker_s: float = 30.0


class Redial:
    """Counts failures in a row; a connection that was of use ends the row.

    The first loss of a good connection is answered at once. A connection that ends within `instant_s`, or over which
    nothing was heard, counts towards the breaker, which holds all attempts back for `breaker_s` and then lets a single
    one through; any other closes it.
    `jitter` returns a factor from 0.5 to 1.
    """

    def __init__(self, limits: RedialLimits, jitter: Callable[[], float]) -> None:
        self._limits = limits
        self._jitter = jitter
        self._failures = 0
        self._useless = 0

    @property
    def is_breaker_open(self) -> bool:
        """Whether the last delay was the breaker's."""
        return self._useless >= self._limits.max_useless

    def was_of_use(self) -> None:
        """The connection has recognised something: the row of failures is over."""
        self._failures = self._useless = 0

    def delay_s(self, *, lasted_s: float | None, has_heard: bool = True, retry_after_s: float | None = None) -> float:
        """How long to wait after a connection that lasted so long, or that could not be had or was not used (None).

        `retry_after_s` is the provider's own word: it lengthens a back-off, at most to `breaker_s`, and shortens none.
        """
        limits = self._limits
        self._failures += 1
        if lasted_s is not None:
            is_useless = lasted_s < limits.instant_s or not has_heard
            self._useless = self._useless + 1 if is_useless else 0
        if self.is_breaker_open:
            return limits.breaker_s
        return max(self._back_off_s(lasted_s), min(retry_after_s or 0.0, limits.breaker_s))

    def _back_off_s(self, lasted_s: float | None) -> float:
        if self._failures == 1 and lasted_s is not None:
            return 0.0
        back_off_s = self._limits.first_back_off_s * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS)
        return min(back_off_s, self._limits.max_back_off_s) * self._jitter()
