"""Who writes when a model does not: several writers, asked in their order."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from protocols.writing import DocumentWriter, Review, ReviewBrief, WriterFailed, WritingBrief, Written

_T = TypeVar("_T")

_log = structlog.get_logger(actor="llm")


class FallbackWriter:
    """A `DocumentWriter` made of others. When one fails, for whatever reason, the next is asked, at once.

    It does not wait and does not ask one twice: that is for the caller, who is told by a failure that is `passing`
    that waiting may help. It is if it is for any of the writers, and then says how long at least.
    """

    name = "fallback"

    def __init__(self, writers: Sequence[DocumentWriter]) -> None:
        self._writers = tuple(writers)

    async def write(self, brief: WritingBrief) -> Written:
        """See `DocumentWriter.write`."""
        return await self._first(lambda writer: writer.write(brief), brief.session_id)

    async def review(self, brief: ReviewBrief) -> Review:
        """See `DocumentWriter.review`."""
        return await self._first(lambda writer: writer.review(brief), brief.session_id)

    async def _first(self, ask: Callable[[DocumentWriter], Awaitable[_T]], session_id: str) -> _T:
        failures: list[WriterFailed] = []
        for writer in self._writers:
            try:
                return await ask(writer)
            except WriterFailed as failure:
                failures.append(failure)
                _log.warning("documents.failed", session_id=session_id, model=writer.name, reason=str(failure))
        raise _combined(failures)


def _combined(failures: Sequence[WriterFailed]) -> WriterFailed:
    passing = [failure for failure in failures if failure.passing]
    # One that names no time may be asked again at once.
    waits_s = [failure.retry_after_s or 0.0 for failure in passing]
    message = "; ".join(map(str, failures))
    return WriterFailed(message, passing=bool(passing), retry_after_s=min(waits_s, default=0.0) or None)
