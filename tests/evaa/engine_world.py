"""The world around a turn engine, in small: an interviewer, an outbox, a client, a store, and crashes of each.

It carries out what the engine wants, but only when told to; and it remembers in its own way what should come of it.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from evaa.interview.engine import NO_MORE_KEPT, TurnEngine
from evaa.interview.exchange import exchange
from evaa.interview.speculation import MAX_ASKED_AHEAD, SpeculatingEngine
from protocols.frontend import Delta, ErrorFrame, Reply, ServerFrame, Transcript, TurnCancelled, TurnStarted
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    DeltaTaken,
    Effect,
    InterruptAsked,
    Message,
    PartlyHeard,
    ProbablySaid,
    ReplyPiece,
    ReplyRestarted,
    ReplyTaken,
    ReplyWritten,
    Said,
    Save,
    Saved,
    Send,
    SpeculationEnded,
    SpokeOn,
    StopAsking,
    StoreTroubled,
    TurnCompleted,
    Withdraw,
)
from protocols.ports import Answer, TurnBrief
from protocols.records import SessionRecord, Source
from tests.evaa.interviews import engine, record


@dataclass
class Client:
    """What one connection's client knows. A reply must equal the joined deltas, where there were any."""

    deltas: dict[int, str] = field(default_factory=dict)
    replies: dict[int, str] = field(default_factory=dict)

    def receive(self, frame: ServerFrame) -> None:
        """Draw the frame."""
        match frame:
            case Delta(turn=turn, text=text):
                assert turn not in self.replies, "a delta after the reply of its turn"
                self.deltas[turn] = self.deltas.get(turn, "") + text
            case TurnCancelled(turn=turn):
                self.deltas.pop(turn, None)
                self.replies.pop(turn, None)
            case Reply(turn=turn, response=response):
                assert self.deltas.get(turn, response) == response
                assert self.replies.get(turn, response) == response
                self.replies[turn] = response


class World:
    """One session. Methods are what may happen; `check` is what must hold in between."""

    def __init__(self, max_follow_ups: list[int], *, plain: bool) -> None:
        self.plain = plain
        self.allowed = max_follow_ups
        self.durable: SessionRecord = record(*max_follow_ups)
        self.ids: dict[str, str] = {}
        self.named = 0
        self.facts: dict[int, dict[str, str]] = {}
        self.open_connection(resumed=False)

    def open_connection(self, *, resumed: bool) -> None:
        """A connection in a process that knows only what the store has; all else is gone."""
        self.client = Client()
        self.outbox: deque[ServerFrame] = deque()
        self.latest = Save(self.durable, 0)
        self.acks: deque[Saved] = deque()
        self.stored_revision = 0
        self.writing: Reply | None = None
        self.writing_for_the_dead = False
        self.stopped: set[int] = set()
        self.trouble_told = False
        self.forget()
        self.build()
        self.carry_out(self.engine.greet(resumed=resumed, replay=False, now=0.0))

    def build(self) -> None:
        self.engine: TurnEngine = engine(
            self.latest.record, reply_acknowledges=self.plain, revision=self.latest.revision
        )
        self.ears = SpeculatingEngine(self.engine)

    def forget(self) -> None:
        """What dies with an agent."""
        self.asked: TurnBrief | None = None
        self.pieces: list[str] = []
        self.answers: dict[int, str] = {}
        self.ahead: str | None = None
        self.asked_ahead = 0
        self.ended: list[bool] = []
        self.transcripts: dict[int, str] = {}
        self.taken: dict[int, str] = {}
        turns = self.latest.record.interview.turns
        self.texts = [turn.text for turn in turns]
        self.facts = {turn: facts for turn, facts in self.facts.items() if turn <= len(turns)}
        self.delivered = {turn.turn: turn.reply for turn in turns}

    # --- what the engine wants ----------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        self.carry_out(self.ears.handle(message))

    def report(self, message: Message) -> None:
        """Tell what the interviewer does. Of a reply that is only prepared, nothing may show or last."""
        effects = self.ears.handle(message)
        if self.ahead is not None:
            assert all(isinstance(effect, StopAsking | SpeculationEnded) for effect in effects)
        self.carry_out(effects)

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame):
                    self.put(frame)
                case Ask(brief):
                    assert brief.turn not in self.stopped
                    assert brief.follow_ups_used <= brief.stage.max_follow_ups
                    self.asked, self.pieces = brief, []
                    self.answers.pop(brief.turn, None)
                    self.taken.pop(brief.turn, None)
                case StopAsking(turn):
                    self.answers.pop(turn, None)
                    if self.ahead is None:
                        self.stopped.add(turn)
                        self.delivered[turn] = self.taken.get(turn, "")
                    if self.asked is not None and self.asked.turn == turn:
                        self.asked = None
                case Withdraw(turn):
                    mine = (Delta, Reply)
                    self.outbox = deque(f for f in self.outbox if not (isinstance(f, mine) and f.turn == turn))
                case Save():
                    assert effect.revision > self.latest.revision
                    assert effect.record == self.engine.record or effect.revision < self.engine.revision
                    self.latest = effect
                case SpeculationEnded(used):
                    assert self.ahead is not None
                    self.ahead = None
                    self.ended.append(used)
                case TurnCompleted():
                    pass

    def put(self, frame: ServerFrame) -> None:
        assert not (isinstance(frame, Delta | Reply) and frame.turn in self.stopped)
        if isinstance(frame, TurnStarted):
            assert self.is_durable(frame.turn), "acknowledged, but not durable"
        if isinstance(frame, ErrorFrame) and frame.code == "storage_unavailable":
            self.trouble_told = True
        if isinstance(frame, Reply) and self.plain and not self.trouble_told:
            assert self.is_durable(frame.turn), "answered, and thereby acknowledged, but not durable"
        if isinstance(frame, Reply):
            assert frame.response.startswith(self.answers.get(frame.turn, "")), "another answer than the one asked for"
        if isinstance(frame, Transcript) and frame.final:
            self.transcripts[frame.turn] = frame.text
        if isinstance(frame, Delta | Transcript) and self.plain:
            return
        self.outbox.append(frame)

    def is_durable(self, turn: int) -> bool:
        return turn <= len(self.durable.interview.turns)

    # --- the client ---------------------------------------------------------------------------------------------

    @property
    def next_words(self) -> str:
        return f"words {self.named + 1}"

    def say(self, *, with_id: bool) -> None:
        text = self.next_words
        self.named += 1
        client_id = f"id {self.named}" if with_id else None
        self.tell_said(text, client_id)
        if client_id is not None:
            self.ids[client_id] = text

    def speak(self) -> None:
        """Finish an utterance, whatever was probable before."""
        text = self.next_words
        self.named += 1
        was_ahead, self.ended, self.asked_ahead = self.ahead, [], 0
        self.tell_said(text, None, source="voice")
        assert self.ended == ([] if was_ahead is None else [was_ahead == text])

    def probably(self, *, rightly: bool) -> None:
        """Seem to have finished an utterance."""
        text = self.next_words if rightly else f"half of {self.next_words}"
        may_ask = self.engine.idle and self.engine.record.status == "interviewing"
        is_asked = may_ask and text != self.ahead and self.asked_ahead < MAX_ASKED_AHEAD
        effects = self.ears.handle(ProbablySaid(text, 0.0))
        before, asked = effects[:-1], effects[-1:] if is_asked else []
        assert [type(effect) for effect in asked] == [Ask] * is_asked
        self.carry_out(before if is_asked else effects)
        if is_asked:
            self.ahead, self.asked_ahead = text, self.asked_ahead + 1
            self.carry_out(asked)

    def speak_on(self) -> None:
        self.tell(SpokeOn())
        assert self.ahead is None

    def speak_partly(self) -> None:
        self.tell(PartlyHeard(self.next_words[:4]))

    def tell_said(self, text: str, client_id: str | None, source: Source = "text") -> None:
        refused_before = self.count_refused()
        self.tell(Said(text=text, source=source, at=0.0, client_id=client_id))
        if self.count_refused() > refused_before:
            assert self.writing is not None or self.is_unsaved or self.acks
        elif text not in self.texts:
            self.texts.append(text)

    def count_refused(self) -> int:
        errors = (it for it in self.outbox if isinstance(it, ErrorFrame))
        return sum(it.code == "rate_limited" or it.message == NO_MORE_KEPT for it in errors)

    def say_again(self, client_id: str) -> None:
        """Once more: nothing new, unless it was refused, or lost in a crash."""
        self.tell_said(self.ids[client_id], client_id)
        last = self.engine.record.interview.turns[-1:]
        if last and (last[0].client_id, last[0].outcome) == (client_id, "pending"):
            assert not self.engine.idle, "a reply is owed, and nobody is asked for it"

    def hear_late(self, message: Message) -> None:
        before = self.engine.record
        assert self.ears.handle(message) == []
        assert self.engine.record == before

    def interrupt(self) -> None:
        self.tell(InterruptAsked())
        assert self.ahead is None

    # --- the interviewer ----------------------------------------------------------------------------------------

    def stream(self, text: str) -> None:
        assert self.asked is not None
        self.pieces.append(text)
        self.report(ReplyPiece(self.asked.turn, text, 0.0))

    def answer(self, last: str, *, wants_next: bool, facts: dict[str, str]) -> None:
        self.stream(last)
        assert self.asked is not None
        brief, self.asked = self.asked, None
        text = "".join(self.pieces)
        answer = Answer(text=text, wants_next=wants_next, facts=facts, model="any")
        self.facts[brief.turn] = facts
        self.answers[brief.turn] = text
        self.report(Answered(brief.turn, answer, 0.0))

    def begin_anew(self) -> None:
        assert self.asked is not None
        self.pieces = []
        self.taken.pop(self.asked.turn, None)
        self.report(ReplyRestarted(self.asked.turn, "another model"))

    def fail(self) -> None:
        assert self.asked is not None
        turn = self.asked.turn
        self.asked = None
        self.taken.pop(turn, None)
        self.report(AnswerFailed(turn, "no model"))

    # --- the writer ---------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Finish the reply that is being written, or take the next frame."""
        if self.writing is not None:
            reply, self.writing = self.writing, None
            if not self.writing_for_the_dead:
                self.delivered[reply.turn] = reply.response
            self.writing_for_the_dead = False
            self.tell(ReplyWritten(reply.turn, 0.0))
            return
        frame = self.outbox.popleft()
        self.client.receive(frame)
        assert not (isinstance(frame, Delta | Reply) and frame.turn in self.stopped)
        if isinstance(frame, Delta):
            self.taken[frame.turn] = self.taken.get(frame.turn, "") + frame.text
            self.tell(DeltaTaken(frame.turn, frame.text))
        elif isinstance(frame, Reply):
            self.writing = frame
            self.tell(ReplyTaken(frame.turn))

    def write_until_a_reply(self) -> None:
        """Write up to a reply that is taken but not written yet, or all there is."""
        if self.writing is not None:
            self.write()
        while self.outbox and self.writing is None:
            self.write()

    # --- the store ----------------------------------------------------------------------------------------------

    @property
    def is_unsaved(self) -> bool:
        return self.latest.revision > self.stored_revision

    def store(self) -> None:
        """The newest state becomes durable; the agent will hear of it later."""
        before, self.durable = self.durable, self.latest.record
        assert len(self.durable.interview.turns) >= len(before.interview.turns)
        self.stored_revision = self.latest.revision
        self.acks.append(Saved(self.latest.revision, 0.01))

    def hear_of_store(self) -> None:
        self.trouble_told = False
        self.tell(self.acks.popleft())

    def trouble_store(self) -> None:
        self.tell(StoreTroubled())

    # --- crashes ------------------------------------------------------------------------------------------------

    def crash_process(self) -> None:
        self.open_connection(resumed=True)

    def crash_agent(self, *, frames_meanwhile: int) -> None:
        """The agent is rebuilt from the newest state that it wanted saved; outbox, writer and store go on."""
        for _ in range(min(frames_meanwhile, len(self.outbox))):
            if self.writing is None:
                self.client.receive(frame := self.outbox.popleft())
                self.writing = frame if isinstance(frame, Reply) else None
        self.forget()
        self.trouble_told = False
        self.build()
        self.writing_for_the_dead = self.writing is not None
        self.carry_out(self.engine.resume_after_crash(now=0.0))

    # --- what must hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        interview = self.engine.record.interview
        turns = interview.turns
        assert [turn.turn for turn in turns] == list(range(1, len(turns) + 1))
        order = {stage.stage_id: index for index, stage in enumerate(interview.stages)}
        told = [order.get(turn.stage_id, len(order)) for turn in turns]
        closed = [order[turn.stage_id] for turn in turns if turn.closed_stage]
        assert told == sorted(told)
        assert closed == list(range(interview.stage_index))
        assert [turn.reply for turn in turns] == [self.delivered.get(turn.turn, "") for turn in turns]
        assert [turn.text for turn in turns] == self.texts[: len(turns)]
        assert all(self.transcripts.get(turn.turn, turn.text) == turn.text for turn in turns)
        assert len(turns) == len(self.texts) or self.writing is not None, "they wait for nothing"
        delivered = Counter(turn.stage_id for turn in turns if turn.outcome == "answered" and turn.stage_id)
        for stage in interview.stages:
            follow_ups = delivered[stage.stage_id] - any(
                turn.closed_stage for turn in turns if turn.stage_id == stage.stage_id
            )
            assert follow_ups <= stage.max_follow_ups
        if sum(delivered.values()) >= sum(most + 1 for most in self.allowed):
            assert self.engine.record.status == "drafting"
        assert all(turn.outcome != "pending" for turn in turns[:-1])
        self.check_history()

    def check_history(self) -> None:
        """The chat history is what was delivered, with every utterance that it answers, once and in order."""
        interview = self.engine.record.interview
        expected = list(exchange("", interview.stages[0].opening))
        words: list[str] = []
        for turn in interview.turns:
            words.append(turn.text)
            if turn.reply:
                facts = self.facts.get(turn.turn) if turn.outcome == "answered" else None
                expected += exchange("\n".join(words), turn.reply, closes=turn.closed_stage, facts=facts)
                words = []
        assert list(self.engine.record.messages) == expected

    def finish(self) -> None:
        """A patient interviewer and a healthy store from here: the interview comes to its end."""
        for _ in range(200 + 40 * len(self.texts)):
            if self.acks:
                self.hear_of_store()
            elif self.is_unsaved:
                self.store()
            elif self.writing is not None or self.outbox:
                self.write()
            elif self.asked is not None:
                self.answer("go on?", wants_next=False, facts={})
            elif self.engine.record.status == "interviewing":
                self.say(with_id=False)
            else:
                break
            self.check()
        assert self.engine.idle
        assert self.engine.record.status == "drafting"
        assert self.durable == self.engine.record
        assert [turn.text for turn in self.engine.record.interview.turns] == self.texts
