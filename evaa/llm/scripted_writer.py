"""The document writer without a model, as a plug-in."""

from functools import partial

from evaa.documents.scripted_review import NAME, review
from evaa.documents.scripted_writer import write
from protocols.writing import Compute, Review, ReviewBrief, WritingBrief, Written


class ScriptedWriter:
    """`DocumentWriter` without a model; never fails. `compute` does what takes long where much was said."""

    name = NAME

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    async def write(self, brief: WritingBrief) -> Written:
        """See `DocumentWriter.write`."""
        return await self._compute(partial(write, brief))

    async def review(self, brief: ReviewBrief) -> Review:
        """See `DocumentWriter.review`."""
        return await self._compute(partial(review, brief))
