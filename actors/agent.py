"""The agent actor: utterances in, replies out. A trio shell around the turn engine."""

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
import trio

from actors.outbox import Outbox
from actors.persistence import SaveSlot
from actors.writing import Writing
from evaa.interview.engine import TurnEngine
from evaa.interview.speculation import SpeculatingEngine
from protocols.frontend import Delta, ErrorFrame, Reply, ServerFrame
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    AskAbout,
    DeltaTaken,
    Effect,
    Message,
    Render,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    Requested,
    Save,
    Send,
    Settled,
    SpeculationEnded,
    StopAsking,
    TurnCompleted,
    Withdraw,
    Write,
)
from protocols.ports import Interviewer, InterviewerFailed, TurnBrief
from protocols.writing import ReviewBrief

T = TypeVar("T")
MAX_EXPORTS = 4
"""Files that are made for one client at a time."""

TOO_MANY_EXPORTS = "Too many exports at once; wait for those that were asked for"


class DrainAsked(Message, frozen=True, gc=False):
    """The server goes away: the session is to end once the turn that is live has finished."""


class Agent:
    """Runs the interview of one session.

    Rebuilt from the slot's newest state on every start; `greeting` tells what to say first. What the writer takes from
    the outbox is told to the engine in the same instant, so that an interruption always knows what was delivered.
    While it drains (from the start, or from `DrainAsked` on) it calls `on_drained` as soon as no turn is live, and
    asks nobody any more. It calls `on_settled` whenever nothing of the documents is in work. What was said before the
    agent was stopped or cancelled is taken to the slot, though no longer answered: the words that were being spoken
    when a drained session ends are among that.
    """

    def __init__(
        self,
        slot: SaveSlot,
        outbox: Outbox,
        mailbox: trio.MemoryReceiveChannel[Message],
        interviewer: Interviewer,
        writing: Writing,
        *,
        reply_acknowledges: bool,
        greeting: Callable[[TurnEngine], list[Effect]],
        on_drained: Callable[[], None],
        on_settled: Callable[[], None] = lambda: None,
        is_draining: bool = False,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._slot = slot
        self._outbox = outbox
        self._mailbox = mailbox
        self._interviewer = interviewer
        self._writing = writing
        self._exports = 0
        self._greeting = greeting
        self._engine = TurnEngine(
            slot.latest.record,
            revision=slot.latest.revision,
            reply_acknowledges=reply_acknowledges,
            wall_ms=wall_ms,
        )
        self._speculating = SpeculatingEngine(self._engine)
        self._asking: dict[int, _Question] = {}
        self._on_drained = on_drained
        self._on_settled = on_settled
        self._is_draining = is_draining
        self._is_over = False
        self._nursery: trio.Nursery
        self._log = structlog.get_logger(actor="agent", session_id=slot.latest.record.session_id)

    async def run(self) -> None:
        """Interview until stopped or cancelled."""
        self._outbox.on_taken = self._on_taken
        try:
            await self._interview()
        except* trio.Cancelled:  # no other: what a failed agent has not taken is its successor's
            self._take_the_rest()
            raise
        else:
            self._take_the_rest()

    async def _interview(self) -> None:
        async with trio.open_nursery() as self._nursery:
            self._carry_out(self._greeting(self._engine))
            self._end_if_drained()
            async for message in self._mailbox:
                self._is_draining |= isinstance(message, DrainAsked)
                self.handle(message)
                self._end_if_drained()

    def _take_the_rest(self) -> None:
        """What waits in the mailbox, or for a reply to have left, is still noted; nobody is asked any more."""
        self._is_over = True
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self.handle(self._mailbox.receive_nowait())
        self._carry_out(self._engine.conclude())

    def stop(self) -> None:
        """Give up the live turn; its reply stays owed."""
        self._nursery.cancel_scope.cancel()

    def handle(self, message: Message) -> None:
        """Tell the engine, and carry out what it wants."""
        self._carry_out(self._speculating.handle(message))

    def _end_if_drained(self) -> None:
        if self._is_draining and self._engine.idle:
            self._is_over = True
            self._on_drained()

    def _on_taken(self, frame: ServerFrame) -> None:
        if isinstance(frame, Delta):
            self.handle(DeltaTaken(frame.turn, frame.text))
        elif isinstance(frame, Reply):
            self.handle(ReplyTaken(frame.turn))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame):
                    self._outbox.put(frame)
                case Ask(brief):
                    self._ask(brief)
                case Save():
                    self._slot.put(effect)
                case StopAsking(turn):
                    if (question := self._asking.pop(turn, None)) is not None:
                        question.scope.cancel()
                case Withdraw(turn):
                    self._outbox.withdraw(turn)
                case TurnCompleted():
                    self._log_turn(effect)
                case SpeculationEnded(used, ahead_ms):
                    self._log.info("turn.speculated", used=used, ahead_ms=ahead_ms)
                case Write():
                    self._start(self._write, effect)
                case AskAbout(brief):
                    self._ask_about(brief)
                case Render():
                    self._export(effect)
                case Settled():
                    self._on_settled()

    def _start(self, work: Callable[[T], Awaitable[None]], task: T) -> None:
        if not self._is_over:
            self._nursery.start_soon(self._begin, work, task)

    async def _begin(self, work: Callable[[T], Awaitable[None]], task: T) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()  # the agent may have been stopped before this began
        await work(task)

    async def _write(self, task: Write) -> None:
        self.handle(await self._writing.write(task))

    def _ask_about(self, brief: ReviewBrief) -> None:
        question = self._asking[brief.turn] = _Question(self, brief.turn)

        async def review(brief: ReviewBrief) -> None:
            with question.scope:
                question.requested()
                question.report(await self._writing.review(brief))
            self._forget(brief.turn, question)

        self._start(review, brief)

    def _export(self, effect: Render) -> None:
        if self._exports >= MAX_EXPORTS:
            self._outbox.put(ErrorFrame(code="rate_limited", message=TOO_MANY_EXPORTS, retryable=True))
        else:
            self._exports += 1
            self._start(self._render, effect)

    async def _render(self, effect: Render) -> None:
        self._outbox.put(await self._writing.export(effect))
        self._exports -= 1

    def _ask(self, brief: TurnBrief) -> None:
        if not self._is_over:
            question = self._asking[brief.turn] = _Question(self, brief.turn)
            self._nursery.start_soon(self._pursue, question, brief)

    async def _pursue(self, question: "_Question", brief: TurnBrief) -> None:
        try:
            await trio.lowlevel.checkpoint_if_cancelled()  # the agent may have been stopped before this began
            with question.scope:
                answer = await self._interviewer.answer(brief, question)
                question.report(Answered(brief.turn, answer, trio.current_time()))
        except InterviewerFailed as failure:
            self._log.error("llm.failed", turn=brief.turn, reason=str(failure), model=self._interviewer.name)
            question.report(AnswerFailed(brief.turn, "The agent cannot answer now; say it again in a moment"))
        finally:
            self._forget(brief.turn, question)

    def _forget(self, turn: int, question: "_Question") -> None:
        if self._asking.get(turn) is question:
            del self._asking[turn]
        self._end_if_drained()

    def _log_turn(self, completed: TurnCompleted) -> None:
        fields = {name: getattr(completed, name) for name in completed.__struct_fields__}
        self._log.info("turn.completed", **fields)


class _Question:
    """One call of the interviewer: its cancel scope, and where it reports, from the asyncio side too.

    Once it is stopped, nothing that it reports counts, though it may have returned in the same instant: the next
    question may be about a turn of the same number.
    """

    def __init__(self, agent: Agent, turn: int) -> None:
        self.scope = trio.CancelScope()
        self._agent = agent
        self._turn = turn

    def report(self, message: Message) -> None:
        if not self.scope.cancel_called:
            self._agent.handle(message)

    def requested(self) -> None:
        self.report(Requested(self._turn, trio.current_time()))

    def text(self, piece: str) -> None:
        self.report(ReplyPiece(self._turn, piece, trio.current_time()))

    def received(self) -> None:
        self.report(ReplyReceived(self._turn, trio.current_time()))

    def restarted(self, reason: str) -> None:
        self.report(ReplyRestarted(self._turn, reason))
