"""A session's state while it changes, and what is to be done about the changes: what the turn engine writes into."""

from collections.abc import Callable

import msgspec

from evaa.documents.desk import Outcome
from protocols.documents import Documents
from protocols.frontend import ErrorCode, ErrorFrame, ServerFrame
from protocols.messages import Effect, Save, Send
from protocols.records import Interview, SessionRecord


class Ledger:
    """The newest state, its revision, and the effects that wait to be handed out.

    Every change makes a new revision; what is to survive is saved, which is an effect like the others. `wall_ms` tells
    the time for what is stored.
    """

    def __init__(self, record: SessionRecord, *, revision: int, wall_ms: Callable[[], int]) -> None:
        self.record = record
        self.revision = revision
        self._wall_ms = wall_ms
        self._effects: list[Effect] = []

    def _change(
        self,
        *,
        interview: Interview | None = None,
        history: tuple[str, ...] = (),
        documents: Documents | None = None,
    ) -> None:
        self.record = msgspec.structs.replace(
            self.record,
            interview=interview or self.record.interview,
            messages=self.record.messages + history,
            documents=documents or self.record.documents,
            updated_at_ms=self._wall_ms(),
        )
        self.revision += 1

    def _accept(self, outcome: Outcome) -> None:
        """What the desk has come to becomes the session's."""
        if outcome.documents is not None and outcome.documents != self.record.documents:
            self._change(documents=outcome.documents)
            self._save()
        self._effects.extend(outcome.effects)

    def _save(self) -> None:
        self._do(Save(self.record, self.revision))

    def _refuse(self, code: ErrorCode, message: str) -> None:
        self._send(ErrorFrame(code=code, message=message, retryable=True))

    def _send(self, frame: ServerFrame) -> None:
        self._do(Send(frame))

    def _do(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _drain(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
