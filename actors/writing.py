"""The agent's hands at the documents: asks the writer, a few pieces at a time, and waits out what will pass."""

import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import msgspec
import structlog
import trio

from evaa.computing import in_a_thread
from evaa.documents import drafting
from evaa.documents.desk import IN_SILENCE
from evaa.documents.export import NotExported, render
from protocols.frontend import ErrorFrame, Exported, ServerFrame
from protocols.messages import Message, Render, Reviewed, Write, Wrote
from protocols.writing import Compute, DocumentWriter, Review, ReviewBrief, WriterFailed

T = TypeVar("T")

NOT_HAD = "It could not be written: the model gave no usable answer."

NO_FILE = "The file cannot be made of this document; another format can be"


class WritingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many pieces of a session are written at once, and how long what may pass is waited for, in seconds.

    A wait is between a half and the whole of the back-off, or as long as the provider says. The attempts are some nine
    to eighteen minutes' worth: an outage should not make an empty document. Who may postpone the work does so rather
    than wait for longer than `longest_wait_s`. `review_s` is how long it may take to find out what the user meant.
    """

    at_once: int = 4
    attempts: int = 40
    first_back_off_s: float = 1.0
    max_back_off_s: float = 30.0
    longest_wait_s: float = 60.0
    review_s: float = 30.0


class Writing:
    """Does what the engine wants of the document writer. `compute` does what takes long without a writer.

    With `postpone`, what could only be had later is not named as missing: once all else is done, `postpone` is told in
    how many seconds it may be had, and is to end the session; until then the work waits to be cancelled.
    """

    def __init__(
        self,
        writer: DocumentWriter,
        limits: WritingLimits,
        session_id: str,
        compute: Compute = in_a_thread,
        postpone: Callable[[float], None] | None = None,
    ) -> None:
        self._writer = writer
        self._limits = limits
        self._places = trio.CapacityLimiter(limits.at_once)
        self._compute = compute
        self._postpone = postpone
        self._at_work = 0
        self._wait_s = 0.0
        self._log = structlog.get_logger(actor="agent", session_id=session_id)

    async def write(self, task: Write) -> Message:
        """Have a piece written, and check it; cancellation stops the request. Returns a message for the engine."""
        job = task.brief.job
        with self._working():
            async with self._places:
                result = await self._patiently(partial(self._writer.write, task.brief), task=job.task, key=job.key)
            if not isinstance(result, WriterFailed):
                piece = await self._compute(partial(drafting.piece, task.record, job, result))
                return Wrote(job, piece, result.model, result.usage)
        await self._stay_if_postponed(result)
        return Wrote(job, await self._compute(partial(drafting.piece, task.record, job, NOT_HAD)))

    async def review(self, brief: ReviewBrief) -> Message:
        """Find out what the user meant; who waits for it is not kept waiting by retries. Returns a `Reviewed`."""
        patiently = self._patiently if brief.turn == IN_SILENCE else self._once
        with self._working():
            result = await patiently(partial(self._review_in_time, brief), task="review", key="")
            if not isinstance(result, WriterFailed):
                return Reviewed(brief, result, trio.current_time())
        await self._stay_if_postponed(result)
        return Reviewed(brief, None, trio.current_time(), may_pass=result.passing)

    async def _review_in_time(self, brief: ReviewBrief) -> Review:
        with trio.move_on_after(self._limits.review_s):
            return await self._writer.review(brief)
        raise WriterFailed(f"there was no answer within {self._limits.review_s:g} s", passing=True)

    async def _once(self, ask: Callable[[], Awaitable[T]], *, task: str, key: str) -> T | WriterFailed:
        try:
            return await ask()
        except WriterFailed as failure:
            self._note(failure, None, task=task, key=key)
            return failure

    async def _patiently(self, ask: Callable[[], Awaitable[T]], *, task: str, key: str) -> T | WriterFailed:
        limits, back_off_s = self._limits, self._limits.first_back_off_s
        longest_wait_s = math.inf if self._postpone is None else limits.longest_wait_s
        for attempts_left in reversed(range(limits.attempts)):
            try:
                return await ask()
            except WriterFailed as error:
                failure = error
            wait_s = max(failure.retry_after_s or 0.0, back_off_s * random.uniform(0.5, 1.0))
            goes_on = failure.passing and attempts_left > 0 and wait_s <= longest_wait_s
            self._note(failure, wait_s if goes_on else None, task=task, key=key)
            if not goes_on:
                self._wait_s = max(self._wait_s, wait_s if failure.passing else 0.0)
                break
            await trio.sleep(wait_s)
            back_off_s = min(back_off_s * 2, limits.max_back_off_s)
        return failure

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if self._postpone is not None and self._wait_s and not self._at_work:
                self._postpone(self._wait_s)

    async def _stay_if_postponed(self, failure: WriterFailed) -> None:
        if failure.passing and self._postpone is not None:
            await trio.sleep_forever()

    def _note(self, failure: WriterFailed, wait_s: float | None, *, task: str, key: str) -> None:
        name, reason = self._writer.name, str(failure)
        self._log.warning("documents.failed", task=task, key=key, model=name, reason=reason, retry_in_s=wait_s)

    async def export(self, task: Render) -> ServerFrame:
        """Make the file that was asked for; return it, or an error."""
        documents = task.record.documents
        assert documents is not None
        assert documents.summary is not None
        make = partial(render, task.brd, documents.summary, task.record.interview.turns, task.form)
        try:
            file = await self._compute(make)
        except NotExported as error:
            self._log.error("documents.not_exported", form=task.form, reason=str(error))
            return ErrorFrame(code="internal", message=NO_FILE, retryable=False)
        data = file.data if task.form == "docx" else file.data.decode()
        return Exported(format=task.form, filename=file.filename, content_type=file.content_type, data=data)
