"""Which utterances wait to be acknowledged, and how the store does. Pure."""

from collections import deque

from protocols.messages import Saved
from protocols.records import TurnRecord

MAX_UNSAVED = 100
"""Utterances that may wait for the store; while it is away for longer, further ones are refused."""


class Acknowledgements:
    """Utterances that are acknowledged as soon as the revision that holds them is durable, in their order.

    `store_troubled`: the store is away, and nothing is acknowledged. `store_s` is how long the last save took.
    """

    def __init__(self) -> None:
        self.store_troubled = False
        self.store_s: float | None = None
        self._waiting: deque[tuple[int, TurnRecord]] = deque()
        self._unsure_until = 0

    @property
    def is_full(self) -> bool:
        """Whether so many wait for the store that no more can be kept."""
        return len(self._waiting) >= MAX_UNSAVED

    @property
    def is_unsure(self) -> bool:
        """Whether it is not known what is durable of that which was there before."""
        return self._unsure_until > 0

    def doubt_until(self, revision: int) -> None:
        """What is durable is not known until `revision` is."""
        self._unsure_until = revision

    def expect(self, turn: TurnRecord, revision: int) -> None:
        """The utterance is to be acknowledged once `revision` is durable."""
        self._waiting.append((revision, turn))

    def is_expected(self, number: int) -> bool:
        """Whether the utterance of turn `number` still waits."""
        return any(turn.turn == number for _, turn in self._waiting)

    def on_saved(self, saved: Saved) -> list[TurnRecord]:
        """Return the utterances that are to be acknowledged now."""
        self.store_troubled = False
        self.store_s = saved.took_s
        if saved.revision >= self._unsure_until:
            self._unsure_until = 0
        durable = []
        while self._waiting and self._waiting[0][0] <= saved.revision:
            durable.append(self._waiting.popleft()[1])
        return durable
