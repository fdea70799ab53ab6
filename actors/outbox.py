"""The writer's mailbox: frames on their way to the client, each kind with its own overflow policy.

- Deltas of one turn that wait are joined into one; they can be withdrawn with their turn.
- Interim transcripts that wait are replaced by the next transcript; final ones are never dropped.
- Replies, errors and all the rest are never dropped.
- A dialect that tells no deltas gets neither deltas nor transcripts.
- The outbox is bounded. The reader waits while it is more than half full, so that a client that sends more than it
  reads feels it, and is closed (4413) by the write deadline; one that overflows all the same is closed at once.
"""

from collections import deque
from collections.abc import Callable

import trio

from protocols.frontend import Delta, Reply, ServerFrame, Transcript

MAX_FRAMES = 256


class Outbox:
    """Bounded; `put` never blocks and never raises, so that it may be called from anywhere.

    `on_taken` is called with each frame at the moment when the writer takes it: from then on it cannot be withdrawn.
    """

    def __init__(self, *, tells_deltas: bool, max_frames: int = MAX_FRAMES) -> None:
        self.on_taken: Callable[[ServerFrame], None] | None = None
        self.is_closed = False
        self.has_overflowed = False
        self._tells_deltas = tells_deltas
        self._max_frames = max_frames
        self._frames: deque[ServerFrame] = deque()
        self._leaving: ServerFrame | None = None
        self._writer = trio.lowlevel.ParkingLot()
        self._readers = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: ServerFrame) -> None:
        """Queue a frame. Over the bound, the outbox is marked as overflowed and takes nothing more."""
        if isinstance(frame, Delta | Transcript) and not self._tells_deltas:
            return
        last = self._frames[-1] if self._frames else None
        if isinstance(frame, Delta) and isinstance(last, Delta) and last.turn == frame.turn:
            last.text += frame.text
            return
        if isinstance(frame, Transcript) and isinstance(last, Transcript) and not last.final:
            self._frames[-1] = frame
            return
        if self.has_overflowed or len(self._frames) >= self._max_frames:
            self.has_overflowed = True
        else:
            self._frames.append(frame)
        self._writer.unpark()

    def withdraw(self, turn: int) -> None:
        """Take back the deltas and the reply of `turn` that still wait."""
        kept = [frame for frame in self._frames if not (isinstance(frame, Delta | Reply) and frame.turn == turn)]
        self._frames = deque(kept)

    def close(self) -> None:
        """No more will come: `take` returns None once the rest is taken."""
        self.is_closed = True
        self._writer.unpark()

    async def take(self) -> ServerFrame | None:
        """Wait for the next frame; None when the outbox is closed and empty. For one writer.

        A frame that was taken but not `written` is taken again: by the writer's successor, if it fails.
        """
        if self._leaving is None:
            while not self._frames:
                if self.is_closed or self.has_overflowed:
                    return None
                await self._writer.park()
            if self.on_taken is not None:
                self.on_taken(self._frames[0])
            self._leaving = self._frames.popleft()
            if len(self._frames) <= self._max_frames // 2:
                self._readers.unpark_all()
        return self._leaving

    async def wait_for_room(self) -> None:
        """Wait while the outbox is more than half full: who causes frames should not outrun the writer."""
        while len(self._frames) > self._max_frames // 2 and not self.has_overflowed and not self.is_closed:
            await self._readers.park()

    def written(self) -> None:
        """The frame that was taken is on its way."""
        self._leaving = None
