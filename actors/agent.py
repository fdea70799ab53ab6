"""The agent actor: utterances in, replies out. A trio shell around the turn engine."""

import time
from collections.abc import Callable

import structlog
import trio

from actors.outbox import Outbox
from actors.persistence import SaveSlot
from actors.supervisor import GOING_AWAY, EndSession
from evaa.interview.engine import TurnEngine
from protocols.frontend import CloseCode, Delta, GoingAway, Reply, ServerFrame
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    DeltaTaken,
    Effect,
    Message,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    Requested,
    Save,
    Send,
    StopAsking,
    TurnCompleted,
    Withdraw,
)
from protocols.ports import Interviewer, InterviewerFailed, TurnBrief

RECONNECT_AFTER_MS = 1_000


class DrainAsked(Message, frozen=True, gc=False):
    """The server goes away: finish the turn that is live, then end the session with 1001."""


class Agent:
    """Runs the interview of one session.

    Rebuilt from the slot's newest state on every start; `greeting` tells what to say first. What the writer takes from
    the outbox is told to the engine in the same instant, so that an interruption always knows what was delivered.
    """

    def __init__(
        self,
        slot: SaveSlot,
        outbox: Outbox,
        mailbox: trio.MemoryReceiveChannel[Message],
        interviewer: Interviewer,
        *,
        reply_acknowledges: bool,
        greeting: Callable[[TurnEngine], list[Effect]],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._slot = slot
        self._outbox = outbox
        self._mailbox = mailbox
        self._interviewer = interviewer
        self._greeting = greeting
        self._engine = TurnEngine(
            slot.latest.record,
            revision=slot.latest.revision,
            reply_acknowledges=reply_acknowledges,
            wall_ms=wall_ms,
        )
        self._asking: dict[int, trio.CancelScope] = {}
        self._is_draining = False
        self._nursery: trio.Nursery
        self._log = structlog.get_logger(actor="agent", session_id=slot.latest.record.session_id)

    async def run(self) -> None:
        """Interview until cancelled; raises `EndSession` once drained."""
        self._outbox.on_taken = self._on_taken
        async with trio.open_nursery() as self._nursery:
            self._carry_out(self._greeting(self._engine))
            async for message in self._mailbox:
                if isinstance(message, DrainAsked):
                    self._is_draining = True
                    self._outbox.put(GoingAway(reconnect_after_ms=RECONNECT_AFTER_MS))
                self.handle(message)
                self._end_if_drained()

    def stop(self) -> None:
        """Give up the live turn; its reply stays owed."""
        self._nursery.cancel_scope.cancel()

    def handle(self, message: Message) -> None:
        """Tell the engine, and carry out what it wants."""
        self._carry_out(self._engine.handle(message))

    def _end_if_drained(self) -> None:
        if self._is_draining and self._engine.idle:
            raise EndSession(CloseCode.GOING_AWAY, GOING_AWAY)

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
                    self._asking[brief.turn] = scope = trio.CancelScope()
                    self._nursery.start_soon(self._ask, brief, scope)
                case Save():
                    self._slot.put(effect)
                case StopAsking(turn):
                    if turn in self._asking:
                        self._asking[turn].cancel()
                case Withdraw(turn):
                    self._outbox.withdraw(turn)
                case TurnCompleted():
                    self._log_turn(effect)

    async def _ask(self, brief: TurnBrief, scope: trio.CancelScope) -> None:
        """One turn's life with the interviewer. What comes of it late, the engine ignores: the turn is over."""
        try:
            with scope:
                answer = await self._interviewer.answer(brief, _TurnSink(self, brief.turn))
                self.handle(Answered(brief.turn, answer, trio.current_time()))
                self._end_if_drained()
        except InterviewerFailed as failure:
            self._log.error("llm.failed", turn=brief.turn, reason=str(failure), model=self._interviewer.name)
            self.handle(AnswerFailed(brief.turn, "The agent cannot answer now; say it again in a moment"))
            self._end_if_drained()
        finally:
            if self._asking.get(brief.turn) is scope:
                del self._asking[brief.turn]

    def _log_turn(self, completed: TurnCompleted) -> None:
        fields = {name: getattr(completed, name) for name in completed.__struct_fields__}
        self._log.info("turn.completed", **fields)


class _TurnSink:
    """Where the interviewer of one turn reports, from the asyncio side too."""

    def __init__(self, agent: Agent, turn: int) -> None:
        self._agent = agent
        self._turn = turn

    def requested(self) -> None:
        self._agent.handle(Requested(self._turn, trio.current_time()))

    def text(self, piece: str) -> None:
        self._agent.handle(ReplyPiece(self._turn, piece, trio.current_time()))

    def received(self) -> None:
        self._agent.handle(ReplyReceived(self._turn, trio.current_time()))

    def restarted(self, reason: str) -> None:
        self._agent.handle(ReplyRestarted(self._turn, reason))
