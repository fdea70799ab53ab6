"""A session's state while it changes, what is to be done about the changes, and what waits until they are durable."""

from collections.abc import Callable

import msgspec

from evaa.interview import reducer, views
from evaa.interview.acknowledgements import Acknowledgements
from protocols.documents import Documents
from protocols.frontend import ErrorCode, ErrorFrame, ServerFrame
from protocols.messages import Effect, Save, Saved, Send
from protocols.records import Interview, SessionRecord, TurnRecord


class Ledger:
    """The newest state, its revision, and the effects that wait to be handed out: what the turn engine writes into.

    Every change makes a new revision; what is to survive is saved, which is an effect like the others. Nothing is
    acknowledged before it is durable. `wall_ms` tells the time for what is stored.
    """

    def __init__(self, record: SessionRecord, *, revision: int, wall_ms: Callable[[], int]) -> None:
        self.record = record
        self.revision = revision
        self._wall_ms = wall_ms
        self._acknowledgements = Acknowledgements()
        self._effects: list[Effect] = []

    # --- changes ------------------------------------------------------------------------------------------------

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

    # --- what waits until it is durable -------------------------------------------------------------------------

    def _acknowledge_when_durable(self, turn: TurnRecord) -> None:
        self._acknowledgements.expect(turn, self.revision)

    def _acknowledge_again(self, client_id: str) -> None:
        """The same text once more, from a client that does not know whether it arrived: nothing happens twice."""
        turn = reducer.find_turn(self.record.interview, client_id)
        if turn is None or self._acknowledgements.is_expected(turn.turn):
            return  # it is acknowledged as soon as it is durable
        if self._acknowledgements.is_unsure:
            self._acknowledge_when_durable(turn)
            return
        self._send(views.turn_started(turn))
        if turn.outcome == "answered":
            self._send(views.delivered_reply(self.record.interview, turn))

    def _note_saved(self, saved: Saved) -> None:
        for turn in self._acknowledgements.on_saved(saved):
            self._send(views.turn_started(turn))

    def _note_store_trouble(self, warning: str) -> None:
        """From now on, until a save succeeds, the client is told all the same: it knows that nothing is safe."""
        if not self._acknowledgements.store_troubled:
            self._acknowledgements.store_troubled = True
            self._refuse("storage_unavailable", warning)

    # --- effects ------------------------------------------------------------------------------------------------

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
