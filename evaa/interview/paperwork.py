"""The documents of a session as its turns go on: what the desk comes to, and what the client has been given of it."""

from collections import deque
from collections.abc import Callable

import msgspec

from evaa.documents import drafting
from evaa.documents.desk import LOOK_FIRST, Desk, Outcome
from evaa.interview import reducer
from evaa.interview.ledger import Ledger
from evaa.interview.turn import LiveTurn
from protocols.documents import Brd
from protocols.frontend import Completed, ExportFormat
from protocols.messages import Render, Said, Saved, Send, Settled, Wrote
from protocols.records import SessionRecord


class _News(msgspec.Struct, frozen=True):
    """What waits until revision `needed` is durable; with `brd`, this version is handed over by it."""

    effect: Send | Settled
    needed: int = 0
    brd: Brd | None = None


class Paperwork(Ledger):
    """A ledger with a desk. Documents are handed over, and files made of them, once they are durable."""

    def __init__(self, record: SessionRecord, *, revision: int, wall_ms: Callable[[], int]) -> None:
        super().__init__(record, revision=revision, wall_ms=wall_ms)
        self._turn: LiveTurn | None = None
        self._waiting: deque[Said] = deque()
        self._is_attended = True
        self._said_already = 0  # what came with the connection, and is still to be told
        self._desk = Desk(wall_ms=wall_ms)
        self._durable_revision = revision
        self._news: deque[_News] = deque()
        # Of a state that an earlier agent left it is not known what is durable.
        self._handed_over = record.documents.brd if record.documents is not None and revision == 0 else None

    @property
    def idle(self) -> bool:
        """Whether no turn is live and nobody waits."""
        return self._turn is None and not self._waiting

    @property
    def _next_turn(self) -> int:
        """The number of the turn that what is said next will start: those who wait come first, each with its own."""
        return len(self.record.interview.turns) + len(self._waiting) + 1

    # --- the desk -----------------------------------------------------------------------------------------------

    def _go_on_with_documents(self, *, tell: bool) -> None:
        self._accept(self._desk.go_on(self.record, tell=tell, is_turn_live=not self.idle))

    def _on_wrote(self, wrote: Wrote) -> None:
        self._accept(self._desk.on_wrote(self.record, wrote, is_turn_live=not self.idle))

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

    def _extend_last_reply(self) -> None:
        """The user is back: what was considered without them is answered, unless that is the reply that is owed."""
        documents, turns = self.record.documents, self.record.interview.turns
        if documents is not None and documents.answer and turns[-1].outcome != "superseded":
            interview = reducer.extended(self.record.interview, documents.answer)
            self._change(interview=interview, documents=drafting.told(documents))
            self._save()

    @property
    def _untold(self) -> str:
        """What the next answer begins with: an answer that the user did not get. Who speaks on has looked."""
        kept = self.record.documents.answer if self.record.documents is not None else ""
        return "" if kept == LOOK_FIRST else kept

    def _note_told(self, text: str) -> None:
        """The user has these words of a reply: an answer that was kept for them may be among them."""
        documents = self.record.documents
        if documents is not None and documents.answer and documents.answer in text:
            self._change(documents=drafting.told(documents))

    # --- what the client has been given -------------------------------------------------------------------------

    def _note_saved(self, saved: Saved) -> None:
        super()._note_saved(saved)
        self._durable_revision = saved.revision
        self._tell_news()

    def _note_store_trouble(self, warning: str) -> None:
        super()._note_store_trouble(warning)
        self._tell_news()

    def _tell_news(self) -> None:
        is_troubled = self._acknowledgements.store_troubled
        while self._news and (is_troubled or self._news[0].needed <= self._durable_revision):
            news = self._news.popleft()
            self._do(news.effect)
            self._handed_over = news.brd or self._handed_over

    def _note_given(self, version: int) -> None:
        """The user has this version from now on; what they said by now, they said without it."""
        documents = self.record.documents
        if documents is None or documents.versions[-1].version != version:
            return
        given = drafting.given(documents, after_turn=self._next_turn - 1 + self._said_already)
        if given is not documents:
            self._change(documents=given)
            self._save()

    def _on_export(self, form: ExportFormat) -> None:
        if (brd := self._handed_over) is None:
            self._refuse("not_complete", "There is no BRD yet, or none that is safely stored; try again in a moment")
        else:
            self._do(Render(self.record, brd, form))
