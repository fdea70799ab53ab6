"""Latency, throughput and this process's own CPU time of an operation."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio

from benchmarks.processes import percentile

Operation = Callable[[], Awaitable[None]]


class Figures(msgspec.Struct, frozen=True):
    """What a number of operations took: in one round, or the median over rounds. Latencies in milliseconds.

    `cpu_ms` is this process's time for each, of all its threads; a server is another process.
    """

    p50: float
    p95: float
    p99: float
    a_second: float
    cpu_ms: float


async def one_after_another(operation: Operation, count: int) -> Figures:
    """Do it so many times; each latency is its own."""
    stopwatch = _Stopwatch()
    for _ in range(count):
        begun = time.perf_counter()
        await operation()
        stopwatch.note(begun)
    return stopwatch.figures()


async def at_once(operations: Sequence[Operation]) -> Figures:
    """Do all of them at the same time; each latency is from then on."""
    stopwatch = _Stopwatch()

    async def timed(operation: Operation) -> None:
        await operation()
        stopwatch.note(stopwatch.begun)

    async with trio.open_nursery() as nursery:
        for operation in operations:
            nursery.start_soon(timed, operation)
    return stopwatch.figures()


class _Stopwatch:
    def __init__(self) -> None:
        self._times_ms: list[float] = []
        self._cpu_s = time.process_time()
        self.begun = time.perf_counter()

    def note(self, begun: float) -> None:
        self._times_ms.append((time.perf_counter() - begun) * 1000)

    def figures(self) -> Figures:
        took_s, cpu_s = time.perf_counter() - self.begun, time.process_time() - self._cpu_s
        p50, p95, p99 = (percentile(self._times_ms, share) for share in (0.5, 0.95, 0.99))
        count = len(self._times_ms)
        return Figures(p50, p95, p99, a_second=count / took_s, cpu_ms=cpu_s * 1000 / count)


def median(rounds: Sequence[Figures]) -> Figures:
    """The figures of a typical round."""
    return Figures(*(statistics.median(getattr(it, name) for it in rounds) for name in Figures.__struct_fields__))


def short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def spread(figures: Figures) -> str:
    """The latencies' p50, p95 and p99."""
    return " / ".join(map(short, (figures.p50, figures.p95, figures.p99)))
