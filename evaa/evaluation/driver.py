"""One interview without a client: the product's own turn engine, interviewer and document writer, and a simulated user.

The driver is the trio shell that carries out what the engine wants, as the agent actor does, with the user's answer in
place of a socket: there is no store, so every save is durable at once, and a reply is delivered when it is sent.
"""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import trio

from evaa.evaluation.scenario import Scenario
from evaa.evaluation.user import SimulatedUser
from evaa.interview.engine import TurnEngine
from evaa.interview.exchange import exchange
from protocols.frontend import Completed, ErrorFrame, Reply, ServerFrame
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    AskAbout,
    CompletedWritten,
    Effect,
    Message,
    ReplyTaken,
    ReplyWritten,
    Reviewed,
    Said,
    Save,
    Saved,
    Send,
    TurnCompleted,
    Write,
    Wrote,
)
from protocols.ports import Interviewer, InterviewerFailed, TurnBrief, Usage
from protocols.records import Interview, SessionRecord, Stage
from protocols.writing import Intent, ReviewBrief

LIMIT_S = 3_600.0
"""How long one scenario may take."""


class Hands(Protocol):
    """Who carries out what the engine wants of the document writer, as patiently as in an ordinary session."""

    async def write(self, task: Write) -> Message:
        """Have a piece written and checked; return a `Wrote`."""
        ...

    async def review(self, brief: ReviewBrief) -> Message:
        """Find out what the user meant; return a `Reviewed`."""
        ...


class ScenarioFailed(Exception):
    """A scenario came to no document; the message says why."""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How an interview went.

    `told` are the facts that the user told, in their order. `models` counts the answers and the pieces by who gave
    them; `restarts` are the answers that began anew. `understood` is what the reaction was taken for.
    """

    record: SessionRecord
    told: tuple[str, ...]
    models: dict[str, int]
    interviewing: Usage
    writing: Usage
    restarts: int
    understood: Intent | None
    wall_s: float


class Driver:
    """Leads one scenario's interview to its documents. Made for one run."""

    def __init__(
        self,
        scenario: Scenario,
        stages: Sequence[Stage],
        interviewer: Interviewer,
        hands: Callable[[str], Hands],
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        now_ms = wall_ms()
        session_id = hashlib.blake2s(scenario.name.encode(), digest_size=12).hexdigest()
        opening = exchange("", stages[0].opening)
        record = SessionRecord(session_id, Interview(tuple(stages)), now_ms, now_ms, messages=opening)
        self._engine = TurnEngine(record, reply_acknowledges=False, wall_ms=wall_ms)
        self._user = SimulatedUser(scenario)
        self._reaction = scenario.reaction
        self._interviewer = interviewer
        self._hands = hands(session_id)
        self._heard = ""
        self._understood: Intent | None = None
        self._models: Counter[str] = Counter()
        self._interviewing: list[Usage] = []
        self._writing: list[Usage] = []
        self._deaf = _Deaf()
        self._failure = ""
        self._over = trio.Event()
        self._nursery: trio.Nursery

    async def run(self) -> Course:
        """Interview, let be written, react; raises `ScenarioFailed`."""
        begun = trio.current_time()
        with trio.move_on_after(LIMIT_S):
            async with trio.open_nursery() as self._nursery:
                self._carry_out(self._engine.greet(resumed=False, replay=False, now=begun))
                self._say(self._user.begin())
                await self._over.wait()
                self._nursery.cancel_scope.cancel()
        if not self._over.is_set():
            raise ScenarioFailed(f"it was not over after {LIMIT_S:g} s")
        if self._failure:
            raise ScenarioFailed(self._failure)
        return Course(
            record=self._engine.record,
            told=tuple(self._user.told),
            models=dict(sorted(self._models.items())),
            interviewing=_sum(self._interviewing),
            writing=_sum(self._writing),
            restarts=self._deaf.restarts,
            understood=self._understood,
            wall_s=trio.current_time() - begun,
        )

    # --- what the engine wants ----------------------------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        """Tell the engine, and whatever follows at once from what it wants."""
        messages = deque([message])
        while messages:
            messages.extend(self._carry_out(self._engine.handle(messages.popleft())))

    def _carry_out(self, effects: Iterable[Effect]) -> list[Message]:
        """Do what the engine wants; return what it is to be told of it at once."""
        told: list[Message] = []
        for effect in effects:
            match effect:
                case Send(frame):
                    told += self._deliver(frame)
                case Save(_, revision):
                    told.append(Saved(revision, 0.0))
                case Ask(brief):
                    self._nursery.start_soon(self._ask, brief)
                case Write():
                    self._nursery.start_soon(self._write, effect)
                case AskAbout(brief):
                    self._nursery.start_soon(self._review, brief)
                case TurnCompleted():
                    told += self._go_on()
        return told

    def _deliver(self, frame: ServerFrame) -> list[Message]:
        match frame:
            case Reply():
                self._heard = frame.response
                return [ReplyTaken(frame.turn), ReplyWritten(frame.turn, trio.current_time())]
            case Completed():
                return [CompletedWritten(frame.brd["version"]), *self._go_on()]
            case ErrorFrame():
                self._fail(frame.message)
        return []

    # --- the user -----------------------------------------------------------------------------------------------

    def _go_on(self) -> list[Message]:
        """The agent has finished something: what the user says now, if anything."""
        if not self._engine.idle:
            return []
        record = self._engine.record
        if record.status == "interviewing":
            return [self._said(self._user.answer(self._heard))]
        if record.documents is not None and record.documents.is_finished:
            if self._reaction is None:
                self._over.set()
            else:
                words, self._reaction = self._reaction.says, None
                return [self._said(words)]
        return []

    def _say(self, words: str) -> None:
        self._tell(self._said(words))

    def _said(self, words: str) -> Said:
        return Said(text=words, source="text", at=trio.current_time())

    # --- interviewer and writer ---------------------------------------------------------------------------------

    async def _ask(self, brief: TurnBrief) -> None:
        try:
            answer = await self._interviewer.answer(brief, self._deaf)
        except InterviewerFailed as failure:
            self._tell(AnswerFailed(brief.turn, f"no interviewer could answer: {failure}"))
            return
        self._models[answer.model] += 1
        self._interviewing.append(answer.usage)
        self._tell(Answered(brief.turn, answer, trio.current_time()))

    async def _write(self, task: Write) -> None:
        message = await self._hands.write(task)
        if isinstance(message, Wrote) and message.model:
            self._models[message.model] += 1
            self._writing.append(message.usage)
        self._tell(message)

    async def _review(self, brief: ReviewBrief) -> None:
        message = await self._hands.review(brief)
        if isinstance(message, Reviewed) and message.review is not None:
            self._understood = message.review.intent
            self._writing.append(message.review.usage)
        self._tell(message)

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._over.set()


class _Deaf:
    """An answer's sink where nobody reads along."""

    def __init__(self) -> None:
        self.restarts = 0

    def requested(self) -> None:
        """Of no interest here."""

    def text(self, piece: str) -> None:
        """The whole answer will come."""

    def received(self) -> None:
        """Of no interest here."""

    def restarted(self, reason: str) -> None:
        """Something failed on the way."""
        self.restarts += 1


def _sum(usages: Iterable[Usage]) -> Usage:
    counted = [(it.input_tokens, it.output_tokens, it.cached_tokens) for it in usages]
    return Usage(*map(sum, zip(*counted, strict=True))) if counted else Usage()
