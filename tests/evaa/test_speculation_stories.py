"""Any story with speculation comes to the same, frame by frame and save by save, as one in which nobody speculates.

The other story is told afterwards, by someone who knows how each speculation ended: what an interviewer reported ahead
comes right after the words that it was for, or not at all.
"""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.interview.engine import TurnEngine
from evaa.interview.speculation import SpeculatingEngine
from protocols.frontend import Delta, Reply, ServerFrame
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
    Requested,
    Said,
    Saved,
    Send,
    SpeculationEnded,
    SpokeOn,
    StopAsking,
    StoreTroubled,
    Withdraw,
)
from protocols.ports import Answer
from tests.evaa.interviews import answer, engine, of_type, record, said, spoken

Step = tuple[str, str]
Entry = tuple[Message, int | None]
"""A message, and which of the interviewer's questions it is about."""

USER = ["probably"] * 4 + ["speak"] * 3 + ["type", "speak on", "interrupt", "speak partly"]
INTERVIEWER = ["request", "piece", "piece", "piece", "answer", "answer", "close", "say nothing", "restart", "fail"]
OTHERS = ["take", "take all", "take all", "written", "written", "save", "trouble"]
STORIES = st.lists(st.tuples(st.sampled_from(USER + INTERVIEWER + OTHERS), st.sampled_from("aaab")), min_size=40)


class Play:
    """A story as it goes: its steps happen where they make sense. `ahead` tells when a question was asked ahead."""

    def __init__(self, subject: TurnEngine) -> None:
        self.subject = subject
        self.ears = SpeculatingEngine(subject)
        self.story: list[Entry] = []
        self.effects: list[Effect] = []
        self.questions = 0
        self.ahead: dict[int, int] = {}
        self.asked: int | None = None
        self.pieces = ""
        self.outbox: deque[ServerFrame] = deque()
        self.leaving: int | None = None

    def go(self, steps: list[Step]) -> None:
        for what, words in steps:
            while what == "take all" and (message := self.other("take")) is not None:
                self.tell(message, None)
            if (message := self.user(what, words) or self.other(what)) is not None:
                self.tell(message, None)
            elif self.asked is not None and (message := self.interviewer(what, self.asked)) is not None:
                self.tell(message, self.questions)

    def user(self, what: str, words: str) -> Message | None:
        messages: dict[str, Message] = {
            "probably": ProbablySaid(words, 0.0),
            "speak": spoken(words),
            "type": said(words),
            "speak on": SpokeOn(),
            "speak partly": PartlyHeard(words),
            "interrupt": InterruptAsked(),
        }
        return messages.get(what)

    def other(self, what: str) -> Message | None:
        if what == "save":
            return Saved(self.subject.revision, 0.01)
        if what == "trouble":
            return StoreTroubled()
        if what == "written" and self.leaving is not None:
            turn, self.leaving = self.leaving, None
            return ReplyWritten(turn, 0.0)
        while what == "take" and self.outbox and self.leaving is None:
            frame = self.outbox.popleft()
            if isinstance(frame, Delta):
                return DeltaTaken(frame.turn, frame.text)
            if isinstance(frame, Reply):
                self.leaving = frame.turn
                return ReplyTaken(frame.turn)
        return None

    def interviewer(self, what: str, turn: int) -> Message | None:
        if what == "request":
            return Requested(turn, 0.0)
        if what == "piece":
            self.pieces += (piece := f"{self.questions}.{len(self.pieces)} ")
            return ReplyPiece(turn, piece, 0.0)
        if what == "restart":
            self.pieces = ""
            return ReplyRestarted(turn, f"question {self.questions}")
        if what in ("answer", "close", "say nothing", "fail"):
            self.asked = None
            text = "" if what == "say nothing" else self.pieces
            whole = answer(text, wants_next=what == "close")
            return AnswerFailed(turn, "later") if what == "fail" else Answered(turn, whole, 0.0)
        return None

    def tell(self, message: Message, question: int | None) -> None:
        self.story.append((message, question))
        for effect in self.ears.handle(message):
            self.effects.append(effect)
            match effect:
                case Ask(brief):
                    self.questions += 1
                    if isinstance(message, ProbablySaid):
                        self.ahead[self.questions] = len(self.story) - 1
                    self.asked, self.pieces = brief.turn, ""
                case StopAsking(turn) if turn == self.asked:
                    self.asked = None
                case Send(frame):
                    self.outbox.append(frame)
                case Withdraw(turn):
                    mine = (Delta, Reply)
                    self.outbox = deque(f for f in self.outbox if not (isinstance(f, mine) and f.turn == turn))


def place_of_words(story: list[Entry], question: int, asked_at: int) -> int | None:
    """Where the words were said for which a question was asked ahead; None if they were not, or came too late."""
    probable = story[asked_at][0]
    assert isinstance(probable, ProbablySaid)
    for place, (message, about) in enumerate(story[asked_at + 1 :], asked_at + 1):
        match message:
            case Said(source="voice", text=probable.text):
                return place
            case Said() | SpokeOn() | InterruptAsked():
                return None
            case ProbablySaid(text) if text != probable.text:
                return None
            case AnswerFailed() | Answered(answer=Answer(text="")) if about == question:
                return None
    return None


def retold(story: list[Entry], words: dict[int, int | None]) -> list[Message]:
    """The story without speculation; `words` tells, for each question that was asked ahead, where its words were."""
    messages: list[Message] = []
    for place, (message, about) in enumerate(story):
        said_at = words.get(about or 0, 0)
        is_ahead = said_at is None or place < said_at
        if not is_ahead and not isinstance(message, ProbablySaid | SpokeOn):
            messages.append(message)
        for question in [question for question, said_at in words.items() if said_at == place]:
            messages += _kept([report for report, of in story[:place] if of == question])
    return messages


def _kept(reports: list[Message]) -> list[Message]:
    restarts = [place for place, report in enumerate(reports) if isinstance(report, ReplyRestarted)]
    start = restarts[-1] if restarts else 0
    return [report for place, report in enumerate(reports) if place >= start or not isinstance(report, ReplyPiece)]


def visible(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Ask | StopAsking | SpeculationEnded)]


@settings(max_examples=400, deadline=None)
@given(STORIES, st.booleans(), st.integers(0, 2))
def test_a_story_with_speculation_is_one_without(steps: list[Step], plain: bool, follow_ups: int) -> None:
    begin = record(follow_ups, 1)
    play = Play(engine(begin, reply_acknowledges=plain))
    play.go(steps)
    words = {question: place_of_words(play.story, question, asked_at) for question, asked_at in play.ahead.items()}
    other = engine(begin, reply_acknowledges=plain)
    effects = [effect for message in retold(play.story, words) for effect in other.handle(message)]
    assert visible(play.effects) == visible(effects)
    assert (play.subject.record, play.subject.revision) == (other.record, other.revision)
    used = [effect.used for effect in of_type(play.effects, SpeculationEnded)]
    assert used.count(True) == sum(place is not None for place in words.values())
