"""Whatever the user, the model, the writer and the store do, in whatever order, and whatever crashes in between."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.messages import (
    Answered,
    AnswerFailed,
    DeltaTaken,
    Message,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    ReplyTaken,
    ReplyWritten,
    Requested,
)
from tests.evaa.engine_world import World
from tests.evaa.interviews import answer

pytestmark = pytest.mark.timeout(300)  # a story that fails takes a while to shorten

WORDS = st.text(min_size=1, max_size=12)
FACTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


def late_messages(turn: int) -> list[Message]:
    return [
        ReplyPiece(turn, "late", 0.0),
        DeltaTaken(turn, "late"),
        Requested(turn, 0.0),
        ReplyReceived(turn, 0.0),
        ReplyRestarted(turn, "late"),
        Answered(turn, answer("late", wants_next=True), 0.0),
        AnswerFailed(turn, "late"),
        ReplyTaken(turn),
        ReplyWritten(turn, 0.0),
    ]


class AnySession(RuleBasedStateMachine):
    @initialize(max_follow_ups=st.lists(st.integers(0, 3), min_size=1, max_size=3), plain=st.booleans())
    def begin(self, max_follow_ups: list[int], plain: bool) -> None:
        self.world = World(max_follow_ups, plain=plain)

    @rule(with_id=st.booleans(), times=st.sampled_from([1, 1, 2, 18]))
    def say(self, with_id: bool, times: int) -> None:
        for _ in range(times):
            self.world.say(with_id=with_id)

    @precondition(lambda self: self.world.ids)
    @rule(data=st.data())
    def say_again(self, data: st.DataObject) -> None:
        self.world.say_again(data.draw(st.sampled_from(sorted(self.world.ids))))

    @rule(rightly=st.sampled_from([True, True, False]))
    def probably(self, rightly: bool) -> None:
        self.world.probably(rightly=rightly)

    @rule(rightly=st.sampled_from([True, True, False]), last=WORDS, wants_next=st.booleans(), facts=FACTS)
    def probably_and_answer(self, rightly: bool, last: str, wants_next: bool, facts: dict[str, str]) -> None:
        self.world.probably(rightly=rightly)
        if self.world.asked is not None:
            self.world.answer(last, wants_next=wants_next, facts=facts)

    @rule(times=st.sampled_from([1, 1, 1, 2]))
    def speak(self, times: int) -> None:
        for _ in range(times):
            self.world.speak()

    @rule()
    def speak_on(self) -> None:
        self.world.speak_on()

    @rule()
    def speak_partly(self) -> None:
        self.world.speak_partly()

    @rule()
    def interrupt(self) -> None:
        self.world.interrupt()

    @precondition(lambda self: self.world.asked)
    @rule(text=WORDS)
    def stream(self, text: str) -> None:
        self.world.stream(text)

    @precondition(lambda self: self.world.asked)
    @rule(last=WORDS, wants_next=st.booleans(), facts=FACTS)
    def answer(self, last: str, wants_next: bool, facts: dict[str, str]) -> None:
        self.world.answer(last, wants_next=wants_next, facts=facts)

    @precondition(lambda self: self.world.asked)
    @rule()
    def begin_anew(self) -> None:
        self.world.begin_anew()

    @precondition(lambda self: self.world.asked)
    @rule()
    def fail(self) -> None:
        self.world.fail()

    @precondition(lambda self: len(self.world.engine.record.interview.turns) > 1)
    @rule(data=st.data())
    def hear_late(self, data: st.DataObject) -> None:
        turn = data.draw(st.integers(0, len(self.world.engine.record.interview.turns) - 1))
        self.world.hear_late(data.draw(st.sampled_from(late_messages(turn))))

    @precondition(lambda self: self.world.asked)
    @rule(text=WORDS)
    def stream_and_write(self, text: str) -> None:
        self.world.stream(text)
        self.world.write_until_a_reply()

    @precondition(lambda self: self.world.asked)
    @rule(last=WORDS, wants_next=st.booleans())
    def answer_and_take(self, last: str, wants_next: bool) -> None:
        self.world.answer(last, wants_next=wants_next, facts={})
        self.world.write_until_a_reply()

    @precondition(lambda self: self.world.outbox or self.world.writing)
    @rule()
    def write(self) -> None:
        self.world.write()

    @precondition(lambda self: self.world.outbox or self.world.writing)
    @rule()
    def write_all(self) -> None:
        while self.world.outbox or self.world.writing:
            self.world.write()

    @precondition(lambda self: self.world.outbox)
    @rule()
    def write_until_a_reply(self) -> None:
        self.world.write_until_a_reply()

    @precondition(lambda self: self.world.is_unsaved)
    @rule()
    def store(self) -> None:
        self.world.store()

    @precondition(lambda self: self.world.acks)
    @rule()
    def hear_of_store(self) -> None:
        self.world.hear_of_store()

    @rule()
    def trouble_store(self) -> None:
        self.world.trouble_store()

    @rule(survives=st.integers(0, 3))
    def crash_process(self, survives: int) -> None:
        if not survives:  # seldom: it ends every other story
            self.world.crash_process()

    @rule(survives=st.integers(0, 1), frames_meanwhile=st.integers(0, 3))
    def crash_agent(self, survives: int, frames_meanwhile: int) -> None:
        if not survives:
            self.world.crash_agent(frames_meanwhile=frames_meanwhile)

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()


AnySession.TestCase.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
TestAnySession = AnySession.TestCase
