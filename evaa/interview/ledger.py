"""A session's state while it changes, what is to be done about the changes, and what waits until they are durable."""

from collections import deque
from collections.abc import Callable

import msgspec

from evaa.documents.desk import Outcome
from evaa.interview import reducer, views
from evaa.interview.acknowledgements import Acknowledgements
from protocols.documents import Brd, Documents
from protocols.frontend import Completed, ErrorCode, ErrorFrame, ServerFrame
from protocols.messages import Effect, Save, Saved, Send, Settled
from protocols.records import Interview, SessionRecord, TurnRecord


class _News(msgspec.Struct, frozen=True):
    """What waits until revision `needed` is durable; with `brd`, this version is handed over by it."""

    effect: Send | Settled
    needed: int = 0
    brd: Brd | None = None


class Ledger:
    """The newest state, its revision, and the effects that wait to be handed out: what the turn engine writes into.

    Every change makes a new revision; what is to survive is saved, which is an effect like the others. Nothing is
    acknowledged, and no documents are handed over, before what they say is durable. `wall_ms` tells the time for what
    is stored.
    """

    def __init__(self, record: SessionRecord, *, revision: int, wall_ms: Callable[[], int]) -> None:
        self.record = record
        self.revision = revision
        self._durable_revision = revision
        self._wall_ms = wall_ms
        self._acknowledgements = Acknowledgements()
        self._news: deque[_News] = deque()
        # Of a state that an earlier agent left it is not known what is durable.
        self._handed_over = record.documents.brd if record.documents is not None and revision == 0 else None
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

    def _accept(self, outcome: Outcome) -> None:
        """What the desk has come to becomes the session's."""
        if outcome.documents is not None and outcome.documents != self.record.documents:
            self._change(documents=outcome.documents)
            self._save()
        for effect in outcome.effects:
            if isinstance(effect, Send | Settled):
                self._news.append(self._as_news(effect))
            else:
                self._do(effect)
        self._tell_news()

    def _as_news(self, effect: Send | Settled) -> _News:
        """Documents that are whole have to be durable first; what is told after them waits for them."""
        if isinstance(effect, Settled):
            return _News(effect, self.revision)
        if isinstance(effect.frame, Completed) and self.record.documents is not None:
            return _News(effect, self.revision, self.record.documents.brd)
        return _News(effect)

    @property
    def _has_unseen_version(self) -> bool:
        """Whether there is a version that the client was not given yet."""
        newest = self.record.documents.brd if self.record.documents is not None else None
        given = self._handed_over
        return newest is not None and (given is None or given.version != newest.version)

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
        self._durable_revision = saved.revision
        for turn in self._acknowledgements.on_saved(saved):
            self._send(views.turn_started(turn))
        self._tell_news()

    def _note_store_trouble(self, warning: str) -> None:
        """From now on, until a save succeeds, the client is told all the same: it knows that nothing is safe."""
        if not self._acknowledgements.store_troubled:
            self._acknowledgements.store_troubled = True
            self._refuse("storage_unavailable", warning)
        self._tell_news()

    def _tell_news(self) -> None:
        is_troubled = self._acknowledgements.store_troubled
        while self._news and (is_troubled or self._news[0].needed <= self._durable_revision):
            news = self._news.popleft()
            self._handed_over = news.brd or self._handed_over
            self._do(news.effect)

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
