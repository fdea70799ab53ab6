"""The agent's hands at the documents: asks the writer, a few pieces at a time, and waits out what will pass."""

import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
import structlog
import trio

from actors.supervisor import attempt
from evaa.computing import in_a_thread
from evaa.documents import drafting
from evaa.documents.desk import IN_SILENCE
from evaa.documents.export import Exported as File
from evaa.documents.export import NotExported, render
from protocols.documents import Piece
from protocols.frontend import ErrorFrame, Exported, ExportFormat, ServerFrame
from protocols.messages import Message, Render, Reviewed, Write, Wrote
from protocols.writing import Compute, DocumentWriter, ReviewBrief, WriterFailed, WritingBrief, Written

T = TypeVar("T")

NOT_HAD = "It could not be written: the model gave no usable answer."

NO_FILE = "The file cannot be made of this document; another format can be"


class WritingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many pieces of a session are written at once, and how long what may pass is waited for, in seconds.

    A wait is between a half and the whole of the back-off, or as long as the provider says. `patience_s` after it has
    first failed a piece is given up: an outage should not make an empty document, but who watches should get what there
    is. Who may postpone the work does so rather than wait for longer than `longest_wait_s`. `answer_s` is longer than
    any writer should take for an answer, `review_s` how long a user should wait for one.
    """

    at_once: int = 4
    patience_s: float = 1_200.0
    first_back_off_s: float = 1.0
    max_back_off_s: float = 30.0
    longest_wait_s: float = 60.0
    answer_s: float = 900.0
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
        self._postponed_s = 0.0
        self._context = {"actor": "agent", "session_id": session_id}
        self._log = structlog.get_logger(**self._context)

    async def write(self, task: Write) -> Message:
        """Have a piece written, and check it; cancellation stops the request. Returns a message for the engine.

        What cannot be had, for a bug of the writer's, say, is a piece that says so.
        """
        job = task.brief.job
        with self._working():
            ask = partial(self._write_in_its_place, task.brief)
            result = await self._patiently(ask, self._limits.patience_s, task=job.task, key=job.key)
            if not isinstance(result, WriterFailed):
                return Wrote(job, await self._checked(task, result), result.model, result.usage)
            if not self._is_postponed(result):
                return Wrote(job, await self._checked(task, NOT_HAD))
        return await _cancellation()

    async def review(self, brief: ReviewBrief) -> Message:
        """Find out what the user meant; who waits for it is not kept waiting by retries. Returns a `Reviewed`."""
        limits, is_waited_for = self._limits, brief.turn != IN_SILENCE
        answer_s, patience_s = (limits.review_s, 0.0) if is_waited_for else (limits.answer_s, limits.patience_s)
        with self._working():
            ask = partial(self._in_time, answer_s, partial(self._writer.review, brief), passing=is_waited_for)
            result = await self._patiently(ask, patience_s, task="review", key="")
            if not isinstance(result, WriterFailed):
                return Reviewed(brief, result, trio.current_time())
            if not self._is_postponed(result):
                return Reviewed(brief, None, trio.current_time(), may_pass=result.passing)
        return await _cancellation()

    async def _write_in_its_place(self, brief: WritingBrief) -> Written:
        async with self._places:  # who waits for the next attempt leaves it to others
            return await self._in_time(self._limits.answer_s, partial(self._writer.write, brief), passing=False)

    async def _in_time(self, answer_s: float, ask: Callable[[], Awaitable[T]], *, passing: bool) -> T:
        with trio.move_on_after(answer_s):
            return await ask()
        raise WriterFailed(f"there was no answer within {answer_s:g} s", passing=passing)

    async def _checked(self, task: Write, result: Written | str) -> Piece:
        """What the answer comes to. One that the check cannot cope with is as good as none."""
        check = partial(drafting.piece, task.record, task.brief.job)
        piece = await self._attempt(partial(self._compute, partial(check, result)), None)
        return await self._compute(partial(check, NOT_HAD)) if piece is None else piece

    # --- patience -----------------------------------------------------------------------------------------------

    async def _patiently(
        self, ask: Callable[[], Awaitable[T]], patience_s: float, *, task: str, key: str
    ) -> T | WriterFailed:
        until, back_off_s = math.inf, self._limits.first_back_off_s
        while isinstance(answer := await self._once(ask), WriterFailed):
            until = min(until, trio.current_time() + patience_s)
            wait_s = self._wait_s(answer, back_off_s, until)
            name, reason = self._writer.name, str(answer)
            self._log.warning("documents.failed", task=task, key=key, model=name, reason=reason, retry_in_s=wait_s)
            if wait_s is None:
                break
            await trio.sleep(wait_s)
            back_off_s = min(back_off_s * 2, self._limits.max_back_off_s)
        return answer

    async def _once(self, ask: Callable[[], Awaitable[T]]) -> T | WriterFailed:
        async def ask_once() -> T | WriterFailed:
            try:
                return await ask()
            except WriterFailed as failure:
                return failure

        return await self._attempt(ask_once, WriterFailed("it has a bug", passing=False))

    def _wait_s(self, failure: WriterFailed, back_off_s: float, until: float) -> float | None:
        """How long to wait before the next attempt; None: there is none."""
        left_s = until - trio.current_time()
        wait_s = max(failure.retry_after_s or 0.0, back_off_s * random.uniform(0.5, 1.0))
        is_too_long = self._postpone is not None and wait_s > self._limits.longest_wait_s
        if failure.passing and left_s > 0 and not is_too_long:
            return min(wait_s, left_s)
        if self._is_postponed(failure):
            self._postponed_s = max(self._postponed_s, wait_s)
        return None

    def _is_postponed(self, failure: WriterFailed) -> bool:
        """Whether what has failed for good here is left for later."""
        return failure.passing and self._postpone is not None

    @contextmanager
    def _working(self) -> Iterator[None]:
        # Not in the end of a task that fails or is cancelled: its session is over, or has other hands from then on.
        self._at_work += 1
        yield
        self._at_work -= 1
        if self._postpone is not None and self._postponed_s and not self._at_work:
            self._postpone(self._postponed_s)

    async def _attempt(self, task: Callable[[], Awaitable[T]], otherwise: T) -> T:
        return await attempt(task, otherwise, event="documents.crashed", **self._context)

    # --- files --------------------------------------------------------------------------------------------------

    async def export(self, task: Render) -> ServerFrame:
        """Make the file that was asked for; return it, or an error."""
        documents = task.record.documents
        assert documents is not None
        assert documents.summary is not None
        make = partial(render, task.brd, documents.summary, task.record.interview.turns, task.form)
        file = await self._attempt(partial(self._rendered, make, task.form), None)
        if file is None:
            return ErrorFrame(code="internal", message=NO_FILE, retryable=False)
        data = file.data if task.form == "docx" else file.data.decode()
        return Exported(format=task.form, filename=file.filename, content_type=file.content_type, data=data)

    async def _rendered(self, make: Callable[[], File], form: ExportFormat) -> File | None:
        try:
            return await self._compute(make)
        except NotExported as error:
            self._log.error("documents.not_exported", form=form, reason=str(error))
            return None


async def _cancellation() -> NoReturn:
    """Wait for the end of the session, which has been asked for."""
    await trio.sleep_forever()
    raise AssertionError("it never ends")
