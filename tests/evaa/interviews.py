"""Small interviews, and an engine to lead them, for the tests of the pure cores."""

from collections.abc import Sequence
from typing import Any, TypeVar

from evaa.interview.engine import TurnEngine
from evaa.interview.exchange import exchange
from evaa.interview.speculation import SpeculatingEngine
from protocols.frontend import Delta, ServerFrame
from protocols.messages import Answered, Ask, Effect, Message, ReplyTaken, ReplyWritten, Said, Save, Saved, Send
from protocols.ports import Answer, TurnBrief
from protocols.records import Interview, SessionRecord, Stage

SESSION_ID = "0123456789abcdef01234567"
WALL_MS = 1_700_000_000_000

E = TypeVar("E")


def stages(*max_follow_ups: int) -> tuple[Stage, ...]:
    """One stage for each number of follow-ups."""
    return tuple(
        Stage(
            stage_id=f"{position:024x}",
            name=f"Stage {position}",
            description=f"Description {position}",
            goal=f"Goal {position}",
            order=position,
            opening=f"Opening {position}?",
            max_follow_ups=most,
            follow_ups=tuple(f"Follow-up {position}.{number}?" for number in range(1, most + 1)),
        )
        for position, most in enumerate(max_follow_ups, start=1)
    )


def record(*max_follow_ups: int, **changes: Any) -> SessionRecord:
    """A new session; `changes` are fields of its interview."""
    interview = Interview(stages(*max_follow_ups), **changes)
    return SessionRecord(SESSION_ID, interview, WALL_MS, WALL_MS, messages=exchange("", "Opening 1?"))


def answer(text: str, words: str = "words", *, wants_next: bool = False, **facts: str) -> Answer:
    """An interviewer's answer."""
    return Answer(text=text, wants_next=wants_next, facts=facts, model="test")


def engine(session: SessionRecord | None = None, *, reply_acknowledges: bool = False, revision: int = 0) -> TurnEngine:
    """An engine; by default of a new session with two stages."""
    return TurnEngine(
        session if session is not None else record(3, 3),
        reply_acknowledges=reply_acknowledges,
        wall_ms=lambda: WALL_MS + 1,
        revision=revision,
    )


def said(text: str, client_id: str | None = None, at: float = 0.0) -> Said:
    """A typed utterance."""
    return Said(text=text, source="text", at=at, client_id=client_id)


def spoken(text: str, at: float = 0.0, stt_ms: float | None = None) -> Said:
    """A spoken utterance, recognised in whole."""
    return Said(text=text, source="voice", at=at, stt_ms=stt_ms)


def of_type(effects: Sequence[Effect], kind: type[E]) -> list[E]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def frames(effects: Sequence[Effect]) -> list[ServerFrame]:
    """The frames that are sent."""
    return [send.frame for send in of_type(effects, Send)]


def sent(effects: Sequence[Effect], kind: type[E]) -> list[E]:
    """The frames of one kind that are sent."""
    return [frame for frame in frames(effects) if isinstance(frame, kind)]


def joined_deltas(effects: Sequence[Effect], turn: int) -> str:
    """What the deltas of a turn add up to."""
    return "".join(delta.text for delta in sent(effects, Delta) if delta.turn == turn)


def brief_of(effects: Sequence[Effect]) -> TurnBrief:
    """The brief of the only question to the interviewer."""
    (ask,) = of_type(effects, Ask)
    return ask.brief


def save_of(effects: Sequence[Effect]) -> Save:
    """The only save."""
    (save,) = of_type(effects, Save)
    return save


def tell(subject: TurnEngine | SpeculatingEngine, *messages: Message) -> list[Effect]:
    """Tell the engine several things; return all that it wants done."""
    return [effect for message in messages for effect in subject.handle(message)]


def deliver(subject: TurnEngine | SpeculatingEngine, reply: Answer, *, turn: int, at: float = 1.0) -> list[Effect]:
    """The interviewer answers, and the writer takes and writes the reply."""
    return tell(subject, Answered(turn, reply, at), ReplyTaken(turn), ReplyWritten(turn, at))


def converse(subject: TurnEngine, words: str, reply: Answer) -> list[Effect]:
    """One whole turn: said, durable, answered, delivered."""
    effects = subject.handle(said(words))
    turn = subject.record.interview.turns[-1].turn
    effects += subject.handle(Saved(save_of(effects).revision, 0.01))
    return effects + deliver(subject, reply, turn=turn)
