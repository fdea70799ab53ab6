"""A document writer for tests: writes at once, or as it is told to."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from evaa.documents.catalogue import BY_KEY, TEXT
from protocols.writing import DraftEntry, Job, Review, ReviewBrief, WriterFailed, WritingBrief, Written

Manner: TypeAlias = Callable[[WritingBrief], Awaitable[Written]]


class FakeWriter:
    """Says of each piece what the user said last. `wrote` are the jobs done, `begun` those begun, in their order.

    `manners` replaces what it does for single jobs, once each; `reviews` are what the user will have meant, or why
    nobody can tell.
    """

    name = "fake"

    def __init__(self) -> None:
        self.begun: list[Job] = []
        self.wrote: list[Job] = []
        self.manners: dict[Job, list[Manner]] = {}
        self.reviews: list[Review | WriterFailed] = []
        self.asked: list[ReviewBrief] = []
        self.delay_s = 0.0
        self.review_delay_s = 0.0

    async def write(self, brief: WritingBrief) -> Written:
        self.begun.append(brief.job)
        await trio.sleep(self.delay_s)
        manners = self.manners.get(brief.job)
        written = await manners.pop(0)(brief) if manners else plainly(brief)
        self.wrote.append(brief.job)
        return written

    async def review(self, brief: ReviewBrief) -> Review:
        self.asked.append(brief)
        await trio.sleep(self.review_delay_s)
        if not self.reviews:
            raise WriterFailed("nothing was prepared", passing=False)
        review = self.reviews.pop(0)
        if isinstance(review, WriterFailed):
            raise review
        return review


def plainly(brief: WritingBrief) -> Written:
    """The user's last words, under every heading."""
    turn = brief.interview.turns[-1]
    columns = BY_KEY[brief.job.key].columns if brief.job.task == "section" else (TEXT,)
    column = next(column for column in columns if not column.choices)
    draft = DraftEntry({column.key: turn.text}, (turn.turn,), "stated")
    name = {"stage": "established", "project": "project", "section": "entries"}[brief.job.task]
    return Written({name: (draft,)}, "fake")


def fails(*, passing: bool, retry_after_s: float | None = None) -> Manner:
    async def manner(brief: WritingBrief) -> Written:
        raise WriterFailed("as asked for", passing=passing, retry_after_s=retry_after_s)

    return manner


async def never(brief: WritingBrief) -> Written:
    await trio.sleep_forever()
    raise AssertionError("it never ends")
