"""The agent's hands at the documents: asks the writer, a few pieces at a time, and waits out what will pass."""

import random
from functools import partial

import msgspec
import structlog
import trio

from evaa.computing import in_a_thread
from evaa.documents import drafting
from evaa.documents.export import NotExported, render
from protocols.frontend import ErrorFrame, Exported, ServerFrame
from protocols.messages import Message, Render, Reviewed, Write, Wrote
from protocols.writing import Compute, DocumentWriter, Review, ReviewBrief, WriterFailed, WritingBrief, Written

NOT_HAD = "It could not be written: the model gave no usable answer."

NO_FILE = "The file cannot be made of this document; another format can be"


class WritingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many pieces of a session are written at once, and how long what may pass is waited for, in seconds.

    The attempts are some twenty minutes' worth: an outage of the provider should not make an empty document.
    """

    at_once: int = 4
    attempts: int = 40
    first_back_off_s: float = 1.0
    max_back_off_s: float = 30.0


class Writing:
    """Does what the engine wants of the document writer. `compute` does what takes long without a writer."""

    def __init__(
        self, writer: DocumentWriter, limits: WritingLimits, session_id: str, compute: Compute = in_a_thread
    ) -> None:
        self._writer = writer
        self._limits = limits
        self._places = trio.CapacityLimiter(limits.at_once)
        self._compute = compute
        self._log = structlog.get_logger(actor="agent", session_id=session_id)

    async def write(self, task: Write) -> Message:
        """Have a piece written, and check it; cancellation stops the request. Returns a message for the engine."""
        async with self._places:
            result = await self._write_patiently(task.brief)
        piece = await self._compute(partial(drafting.piece, task.record, task.brief.job, result))
        if isinstance(result, str):
            return Wrote(task.brief.job, piece)
        return Wrote(task.brief.job, piece, result.model, result.usage)

    async def review(self, brief: ReviewBrief) -> Message:
        """Find out what the user meant; who waits for it is not kept waiting by retries. Returns a `Reviewed`."""
        review: Review | None = None
        try:
            review = await self._writer.review(brief)
        except WriterFailed as failure:
            self._log.warning("documents.review_failed", model=self._writer.name, reason=str(failure))
        return Reviewed(brief, review, trio.current_time())

    async def _write_patiently(self, brief: WritingBrief) -> Written | str:
        back_off_s = self._limits.first_back_off_s
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return await self._writer.write(brief)
            except WriterFailed as failure:
                goes_on = failure.passing and attempt < self._limits.attempts
                wait_s = max(failure.retry_after_s or 0.0, back_off_s * random.uniform(0.5, 1.0)) if goes_on else None
                self._log.warning(
                    "documents.failed",
                    task=brief.job.task,
                    key=brief.job.key,
                    model=self._writer.name,
                    reason=str(failure),
                    retry_in_s=wait_s,
                )
            if wait_s is None:
                break
            await trio.sleep(wait_s)
            back_off_s = min(back_off_s * 2, self._limits.max_back_off_s)
        return NOT_HAD

    async def export(self, task: Render) -> ServerFrame:
        """Make the file that was asked for; return it, or an error."""
        documents = task.record.documents
        assert documents is not None
        assert documents.brd is not None
        assert documents.summary is not None
        make = partial(render, documents.brd, documents.summary, task.record.interview.turns, task.form)
        try:
            file = await self._compute(make)
        except NotExported as error:
            self._log.error("documents.not_exported", form=task.form, reason=str(error))
            return ErrorFrame(code="internal", message=NO_FILE, retryable=False)
        data = file.data if task.form == "docx" else file.data.decode()
        return Exported(format=task.form, filename=file.filename, content_type=file.content_type, data=data)
