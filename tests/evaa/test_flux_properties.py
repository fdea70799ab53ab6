"""Whatever Deepgram says of what was spoken over v2, and when: each word is in exactly one final, in order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evaa.stt.flux_endpointing import FluxEndpointing
from protocols.deepgram_messages import NO_ACTIVE_TURN, FluxWarning, TurnInfo, Word
from tests.evaa.spoken_world import SECONDS, SPEECH, Speech, World


class AnyFlux(RuleBasedStateMachine):
    """A recogniser that ends turns where it likes, but never within a word, and is `lag_s` behind until it does."""

    @initialize(
        parts=SPEECH, jitter_s=st.sampled_from([0.0, 0.02]), lag_s=st.sampled_from([0.0, 0.5]), timed=st.booleans()
    )
    def begin(self, parts: list[tuple[float, float]], jitter_s: float, lag_s: float, timed: bool) -> None:
        self.speech = Speech(parts)
        self.flux = FluxEndpointing()
        self.world = World(self.speech, self.flux, jitter_s)
        self.is_exact = timed and jitter_s == 0.0
        self.lag_s = lag_s if timed else 0.0
        self.timed = timed
        self.begin_connection()

    def begin_connection(self) -> None:
        self.index = 0
        self.turn_s = self.known_until_s = self.world.offset_s

    def say(self, event: str, *, trigger: str | None = None) -> None:
        world = self.world
        words = [world.word(word, exact=False) for word in self.speech.between(self.turn_s, self.known_until_s)]
        message = TurnInfo(
            event=event,
            turn_index=self.index,
            audio_window_start=self.turn_s - world.offset_s,
            audio_window_end=world.heard_until_s - world.offset_s,
            transcript=" ".join(word.word for word in words),
            words=tuple(words if self.timed else (Word(word.word) for word in words)),
            trigger=trigger,
        )
        world.hear(self.flux.receive(message, world.now))

    @rule(seconds=SECONDS, event=st.sampled_from(["Update", "StartOfTurn", "TurnResumed", "SomethingNew"]))
    def listen(self, seconds: float, event: str) -> None:
        heard_until_s = min(self.world.heard_until_s + seconds, self.speech.end_s + 5.0)
        if not self.timed:  # a word that was cut off, and nobody knows where, could not be told from one that was not
            heard_until_s = max(self.world.heard_until_s, self.speech.pause_before(heard_until_s))
        self.world.heard_until_s = heard_until_s
        self.known_until_s = max(self.known_until_s, heard_until_s - self.lag_s)
        self.say(event)

    @rule()
    def eager(self) -> None:
        self.say("EagerEndOfTurn")

    @rule(trigger=st.sampled_from(["model", "timeout", None]))
    def end(self, trigger: str | None) -> None:
        world = self.world
        world.heard_until_s = max(self.turn_s, self.speech.pause_before(world.heard_until_s))
        self.known_until_s = world.heard_until_s
        self.say("EndOfTurn", trigger=trigger)
        self.index += 1
        self.turn_s = world.heard_until_s

    @precondition(lambda self: self.world.has_asked)
    @rule(is_active=st.booleans())
    def answer(self, is_active: bool) -> None:
        self.world.has_asked = False
        if is_active:
            self.end("manual")
        else:
            self.world.hear(self.flux.receive(FluxWarning(NO_ACTIVE_TURN), self.world.now))

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(unheard_s=SECONDS)
    def finish(self, unheard_s: float) -> None:
        self.world.hear(self.flux.finish(self.world.now, self.world.heard_until_s - self.world.offset_s + unheard_s))

    @rule()
    def lose(self) -> None:
        self.world.lose()
        self.begin_connection()

    @precondition(lambda self: self.is_exact)
    @rule(data=st.data())
    def lose_audio_too(self, data: st.DataObject) -> None:
        """The audio of what an update told is not kept any more."""
        self.listen(0.1, "Update")
        kept_from_s = data.draw(st.sampled_from(self.speech.pauses(self.turn_s, self.known_until_s)))
        self.world.lose(kept_from_s - self.world.offset_s)
        self.begin_connection()

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.heard_until_s = self.known_until_s = self.speech.end_s + 5.0
            self.say("Update")
            self.world.conclude()


TestAnyFlux = AnyFlux.TestCase
TestAnyFlux.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
