"""The life of a turn, sans-I/O: what the agent actor is told goes in, what it should do comes out.

Theory of operation. At most one turn is live. It moves through these phases:

    asking ──Answered──▶ replying ──ReplyTaken──▶ leaving ──ReplyWritten──▶ (committed, over)
      │                     │
      └──── new utterance, interrupt ────▶ (cut short, over)

- `asking`: the interviewer works; its pieces go to the outbox as deltas as they come.
- `replying`: the whole reply waits for the writer (or, in a dialect in which the reply is the acknowledgement, for
  the user's words to be durable). It can still be withdrawn.
- `leaving`: the writer has taken the reply for the socket; it can no longer be withdrawn. What the user says now
  waits until the reply is written.

The state changes, and is saved, at two points: when the user said something (write-ahead, while the interviewer is
already being asked) and when a reply ended: delivered, or cut short with what the writer had taken of it by then.
Everything that comes from a turn carries its number, and what does not belong to the live turn is ignored.
"""

from collections.abc import Callable

import msgspec

from evaa.documents.desk import IN_SILENCE, answer_to, as_it_counts
from evaa.interview import reducer, views
from evaa.interview.exchange import exchange
from evaa.interview.imposed import with_imposed
from evaa.interview.paperwork import Paperwork
from evaa.interview.turn import LiveTurn, completed
from protocols.frontend import (
    Delta,
    Transcript,
    TurnCancelled,
    WarningFrame,
)
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    CompletedWritten,
    DeltaTaken,
    Effect,
    ExportAsked,
    InterruptAsked,
    Message,
    PartlyHeard,
    ReplayAsked,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    ReplyWritten,
    Requested,
    Reviewed,
    Said,
    Saved,
    StagesStored,
    StopAsking,
    StoreTroubled,
    Withdraw,
    Wrote,
)
from protocols.ports import Answer, TurnBrief, Usage
from protocols.records import Interview, SessionRecord, Stage, TurnRecord

MAX_WAITING = 16
"""Utterances that may wait while a reply is leaving; one more is refused."""

NOT_ACKNOWLEDGED = "The store cannot be reached: what you say now is answered but not safely kept until it is back"
NO_MORE_KEPT = "The store has been away for so long that nothing more can be kept; say it again when it is back"


class TurnEngine(Paperwork):
    """One session's interview in motion.

    `reply_acknowledges` is true for a dialect without `turnStarted`: there a reply waits until the user's words are
    durable, or until the client has been told that nothing is. `wall_ms` tells the time for what is stored.
    """

    def __init__(
        self,
        record: SessionRecord,
        *,
        reply_acknowledges: bool,
        wall_ms: Callable[[], int],
        revision: int = 0,
    ) -> None:
        super().__init__(record, revision=revision, wall_ms=wall_ms)
        self._reply_acknowledges = reply_acknowledges
        self._is_resumed = True

    def __repr__(self) -> str:
        turn = f"turn {self._turn.number} {self._turn.phase}" if self._turn else "no turn"
        interview = self.record.interview
        return f"<TurnEngine {self.record.status} stage {interview.stage_index + 1} {turn} revision {self.revision}>"

    def greet(self, *, resumed: bool, replay: bool, now: float, said_already: int = 0) -> list[Effect]:
        """The connection is bound: where the session stands, and the reply that is owed, or else the last one.

        `said_already` is how many utterances came together with it.
        """
        self._is_resumed = resumed
        self._said_already = said_already
        is_owed = reducer.owes_reply(self.record.interview)
        if not is_owed:
            self._extend_last_reply()
        interview = self.record.interview
        self._send(views.ready(self.record, resumed=resumed, replay=replay))
        if is_owed:
            owed = interview.turns[-1]
            self._send(views.turn_started(owed))
            self._begin(owed, heard_at=now)
        else:
            self._send(views.last_reply(interview))
        self._go_on_with_documents(tell=True)
        return self._drain()

    def attend_to_documents(self) -> list[Effect]:
        """Nobody is connected: let be written what is outstanding, and consider what was said of it."""
        self._is_attended = False
        self._go_on_with_documents(tell=True)
        return self._drain()

    def resume_after_crash(self, *, now: float) -> list[Effect]:
        """The agent was restarted in mid-session: give the owed reply, and say what may be missing.

        What is durable of the state is not known here; it is saved again, and until then nothing is acknowledged.
        """
        self.revision += 1
        self._acknowledgements.doubt_until(self.revision)
        interview = self.record.interview
        if reducer.owes_reply(interview):
            owed = interview.turns[-1]
            self._do(Withdraw(owed.turn))
            self._send(TurnCancelled(turn=owed.turn, reason="superseded"))
            self._acknowledge_when_durable(owed)
            self._begin(owed, heard_at=now)
        self._save()
        self._refuse("internal", "The agent was restarted; what was not acknowledged should be sent again")
        self._go_on_with_documents(tell=True)
        return self._drain()

    def conclude(self) -> list[Effect]:
        """Nothing is sent any more. What waited while a reply was leaving is kept; the next connection answers it."""
        while self._waiting:
            self._note(self._waiting.popleft())
            self._save()
        return self._drain()

    def foresee(self, text: str) -> TurnBrief | None:
        """What the interviewer would be asked if the user said `text` now; None if it would not be asked right away.

        That is so while a turn is live, and once the last stage has closed. Nothing changes by looking ahead.
        """
        if self._turn is not None or self.record.interview.stage is None:
            return None
        interview = self._with(Said(text=text, source="voice", at=0.0))
        return views.brief(msgspec.structs.replace(self.record, interview=interview))

    def handle(self, message: Message) -> list[Effect]:
        """Return what is to be done about `message`, in order."""
        match message:
            case ReplyPiece():
                self._on_piece(message)
            case DeltaTaken(turn, text):
                if live := self._live(turn):
                    live.taken.append(text)
            case PartlyHeard(text):
                self._send(Transcript(text=text, final=False, turn=self._next_turn))
            case Said():
                self._said_already = max(0, self._said_already - 1)
                self._on_said(message)
            case Requested(turn, at):
                if live := self._live(turn):
                    live.requested_at = at if live.requested_at is None else live.requested_at
            case ReplyReceived(turn, at):
                if live := self._live(turn):
                    live.received_at = at
            case Answered():
                self._on_answered(message)
            case ReplyTaken(turn):
                if (live := self._live(turn)) and live.phase == "replying":
                    live.phase = "leaving"
            case ReplyWritten():
                self._on_written(message)
            case Saved():
                self._on_saved(message)
            case InterruptAsked():
                self._on_interrupt()
            case ReplyRestarted():
                self._on_restarted(message)
            case AnswerFailed(turn, reason):
                self._on_failed(turn, reason)
            case ReplayAsked(replay):
                self._send(views.ready(self.record, resumed=self._is_resumed, replay=replay))
            case StoreTroubled():
                self._on_store_troubled()
            case StagesStored(stages):
                self._on_stages(stages)
            case Wrote():
                self._on_wrote(message)
            case Reviewed():
                self._on_reviewed(message)
            case CompletedWritten(version):
                self._note_given(version)
            case ExportAsked(form):
                self._on_export(form)
        return self._drain()

    # --- the user speaks ----------------------------------------------------------------------------------------

    def _on_said(self, said: Said) -> None:
        if said.client_id is not None and self._is_known(said.client_id):
            self._acknowledge_again(said.client_id)
            self._ask_again_if_failed(said.client_id, heard_at=said.at)
        elif len(self._waiting) == MAX_WAITING:
            self._refuse("rate_limited", "Too many prompts at once; wait for the reply")
        elif self._acknowledgements.is_full:
            self._refuse("storage_unavailable", NO_MORE_KEPT)
        else:
            if said.source == "voice":
                self._send(Transcript(text=said.text, final=True, turn=self._next_turn))
            if self._turn is not None and self._turn.phase == "leaving":
                self._waiting.append(said)
            else:
                self._start_turn(said)

    def _start_turn(self, said: Said) -> None:
        if self._turn is not None:
            self._cut_short(self._turn, by_utterance=True)
        turn = self._note(said)
        self._begin(turn, heard_at=said.at, stt_ms=said.stt_ms)
        self._save()

    def _note(self, said: Said) -> TurnRecord:
        """The words become part of the interview, to be saved."""
        self._change(interview=self._with(said))
        turn = self.record.interview.turns[-1]
        self._acknowledge_when_durable(turn)
        return turn

    def _with(self, said: Said) -> Interview:
        interview = self.record.interview
        if reducer.owes_reply(interview):  # the answer failed
            interview = reducer.superseded(interview)
        return reducer.said(
            interview,
            text=said.text,
            source=said.source,
            client_id=said.client_id,
            at_ms=self._wall_ms(),
        )

    def _begin(self, owed: TurnRecord, *, heard_at: float, stt_ms: float | None = None) -> None:
        self._turn = LiveTurn(owed.turn, owed.source, owed.client_id, heard_at, stt_ms)
        if self.record.interview.stage is not None:
            self._do(Ask(views.brief(self.record)))
        elif (question := self._desk.ask_about(self.record, owed.turn)) is not None:
            self._do(StopAsking(IN_SILENCE))  # what that was about is in this question, too
            self._do(question)
        else:
            text = self._desk.stock_answer(self.record, owed.turn)
            self._answer_in_whole(self._turn, _answer(text), at=heard_at)

    def _answer_in_whole(self, turn: LiveTurn, answer: Answer, *, at: float) -> None:
        self._on_piece(ReplyPiece(turn.number, answer.text, at))
        self._on_answered(Answered(turn.number, answer, at))

    def _is_known(self, client_id: str) -> bool:
        waits = any(said.client_id == client_id for said in self._waiting)
        return waits or reducer.find_turn(self.record.interview, client_id) is not None

    def _ask_again_if_failed(self, client_id: str, *, heard_at: float) -> None:
        interview = self.record.interview
        if self._turn is None and reducer.owes_reply(interview) and interview.turns[-1].client_id == client_id:
            self._begin(interview.turns[-1], heard_at=heard_at)

    def _on_interrupt(self) -> None:
        if self._turn is not None and self._turn.phase != "leaving":
            self._cut_short(self._turn, by_utterance=False)
            self._save()
            self._go_on_with_documents(tell=False)

    def _cut_short(self, turn: LiveTurn, *, by_utterance: bool) -> None:
        """End the live turn before its reply is complete, keeping what was delivered of it."""
        self._do(StopAsking(turn.number))
        self._do(Withdraw(turn.number))
        delivered = "".join(turn.taken)
        joins_the_next = by_utterance and not delivered
        self._send(TurnCancelled(turn=turn.number, reason="superseded" if joins_the_next else "interrupted"))
        interview = self.record.interview
        if joins_the_next:
            self._change(interview=reducer.superseded(interview))
        else:
            words = views.unanswered_words(interview)
            history = exchange(words, delivered) if delivered else ()
            self._change(interview=reducer.interrupted(interview, delivered), history=history)
            self._note_told(delivered)
        self._turn = None

    # --- the interviewer answers --------------------------------------------------------------------------------

    def _on_piece(self, piece: ReplyPiece) -> None:
        turn = self._live(piece.turn)
        if turn is None or turn.phase != "asking" or not piece.text:
            return
        if turn.first_piece_at is None:
            turn.first_piece_at = piece.at
        turn.received_at = piece.at
        self._send(Delta(turn=turn.number, text=piece.text))

    def _on_restarted(self, restarted: ReplyRestarted) -> None:
        if (turn := self._live(restarted.turn)) is None or turn.phase != "asking":
            return
        self._void(turn)
        self._send(WarningFrame(code="agent_unavailable", message=restarted.reason, retryable=True))

    def _on_failed(self, number: int, reason: str) -> None:
        """The reply stays owed: the next utterance, or a reconnect, asks again."""
        if (turn := self._live(number)) is None:
            return
        self._void(turn)
        self._turn = None
        self._refuse("agent_unavailable", reason)

    def _void(self, turn: LiveTurn) -> None:
        """What came of the reply so far counts no more, neither here nor at the client."""
        self._do(Withdraw(turn.number))
        if turn.taken:
            self._send(TurnCancelled(turn=turn.number, reason="superseded"))
        turn.taken.clear()

    def _on_answered(self, answered: Answered) -> None:
        if (turn := self._live(answered.turn)) is None or turn.phase != "asking":
            return
        if not answered.answer.text:
            self._on_failed(turn.number, "The agent had no answer; say it again in a moment")
            return
        turn.answer = self._complete(turn, answered.answer)
        turn.phase = "replying"
        turn.reply = views.whole_reply(self.record.interview, turn, turn.answer, answered.at)
        self._send_reply_when_acknowledged()

    def _complete(self, turn: LiveTurn, answer: Answer) -> Answer:
        """Where the stage closes against the model's will, add what comes next."""
        addition = "" if answer.wants_next else views.bridge(self.record.interview)
        if not addition:
            return answer
        self._send(Delta(turn=turn.number, text=addition))
        return msgspec.structs.replace(answer, text=answer.text + addition, history=())

    def _send_reply_when_acknowledged(self) -> None:
        turn = self._turn
        if turn is None or turn.reply is None or turn.phase != "replying":
            return
        waits_for_store = self._reply_acknowledges and self._acknowledgements.is_expected(turn.number)
        if not waits_for_store or self._acknowledgements.store_troubled:
            reply, turn.reply = turn.reply, None
            self._send(reply)

    # --- the reply is delivered ---------------------------------------------------------------------------------

    def _on_written(self, written: ReplyWritten) -> None:
        if (turn := self._live(written.turn)) is None or turn.answer is None or turn.phase != "leaving":
            return
        self._turn = None
        answer, before = turn.answer, self.record.interview
        after = reducer.answered(before, answer.text, wants_next=answer.wants_next, facts=answer.facts)
        closed = after.stage_index > before.stage_index
        words = views.unanswered_words(before)
        history = answer.history or exchange(words, answer.text, closes=closed, facts=answer.facts)
        self._change(interview=after, history=history)
        self._note_told(answer.text)
        self._save()
        store_s = self._acknowledgements.store_s
        self._do(completed(turn, answer, stage=before.stage_index + 1, closed=closed, at=written.at, store_s=store_s))
        if turn.reviewed is not None:
            self._accept(self._desk.take_in(self.record, turn.reviewed, is_attended=True))
        else:
            self._go_on_with_documents(tell=closed)
        while self._waiting:
            self._start_turn(self._waiting.popleft())

    # --- the user speaks of the documents -----------------------------------------------------------------------

    def _on_reviewed(self, reviewed: Reviewed) -> None:
        """What the user meant takes effect when they have the answer."""
        if reviewed.brief.turn == IN_SILENCE:
            self._accept(self._desk.take_in(self.record, reviewed, is_attended=self._is_attended))
        elif (turn := self._live(reviewed.brief.turn)) is not None and turn.phase == "asking":
            turn.reviewed = reviewed
            review = as_it_counts(reviewed)
            text = "\n\n".join(filter(None, (self._untold, answer_to(review))))
            answer = _answer(text) if review is None else _answer(text, review.model, review.usage)
            self._answer_in_whole(turn, answer, at=reviewed.at)

    # --- the store ----------------------------------------------------------------------------------------------

    def _on_saved(self, saved: Saved) -> None:
        self._note_saved(saved)
        self._send_reply_when_acknowledged()

    def _on_store_troubled(self) -> None:
        self._note_store_trouble(NOT_ACKNOWLEDGED)
        self._send_reply_when_acknowledged()

    def _on_stages(self, stages: tuple[Stage, ...]) -> None:
        interview = with_imposed(self.record.interview, stages)
        if interview is not self.record.interview:
            self._change(interview=interview)
            self._save()

    # --- helpers ------------------------------------------------------------------------------------------------

    def _live(self, number: int) -> LiveTurn | None:
        return self._turn if self._turn is not None and self._turn.number == number else None


def _answer(text: str, model: str = "none", usage: Usage | None = None) -> Answer:
    """An answer that is not the interviewer's."""
    return Answer(text=text, wants_next=False, facts={}, model=model, usage=usage or Usage())
