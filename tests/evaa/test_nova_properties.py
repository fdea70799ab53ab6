"""Whatever Deepgram says of what was spoken over v1, and when: each word is in exactly one final, in order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evaa.stt.nova_endpointing import NovaEndpointing
from protocols.deepgram_messages import Alternative, Channel, Results, SpeechStarted, UtteranceEnd
from tests.evaa.spoken_world import SECONDS, SPEECH, Speech, World


class AnyNova(RuleBasedStateMachine):
    """A recogniser that cuts the audio where it likes, but never within a word."""

    @initialize(parts=SPEECH, jitter_s=st.sampled_from([0.0, 0.02]))
    def begin(self, parts: list[tuple[float, float]], jitter_s: float) -> None:
        self.speech = Speech(parts)
        self.nova = NovaEndpointing()
        self.world = World(self.speech, self.nova, jitter_s)
        self.jitter_s = jitter_s
        self.segment_s = 0.0

    def say(self, until_s: float, **flags: bool) -> None:
        world = self.world
        is_final = bool(flags.get("is_final"))
        words = [world.word(word, exact=is_final) for word in self.speech.between(self.segment_s, until_s)]
        message = Results(
            start=self.segment_s - world.offset_s,
            duration=until_s - self.segment_s,
            channel=Channel((Alternative(" ".join(word.word for word in words), tuple(words)),)),
            **flags,
        )
        if is_final:
            self.segment_s = until_s
        world.hear(self.nova.receive(message, world.now))

    @rule(seconds=SECONDS)
    def interim(self, seconds: float) -> None:
        self.world.heard_until_s = min(self.world.heard_until_s + seconds, self.speech.end_s + 5.0)
        self.say(self.world.heard_until_s)

    @rule(data=st.data(), speech_final=st.booleans())
    def final(self, data: st.DataObject, speech_final: bool) -> None:
        cut_s = data.draw(st.sampled_from(self.speech.pauses(self.segment_s, self.world.heard_until_s)))
        self.say(cut_s, is_final=True, speech_final=speech_final)

    @precondition(lambda self: self.world.has_asked)
    @rule(speech_final=st.booleans())
    def answer(self, speech_final: bool) -> None:
        self.world.has_asked = False
        until_s = max(self.segment_s, self.speech.pause_before(self.world.heard_until_s))
        self.say(until_s, is_final=True, from_finalize=True, speech_final=speech_final)

    @rule(data=st.data())
    def utterance_end(self, data: st.DataObject) -> None:
        heard = self.speech.between(self.world.offset_s, self.world.heard_until_s)
        ends = [end - self.world.offset_s for _, _, end in heard[-3:]]
        self.world.hear(self.nova.receive(UtteranceEnd(data.draw(st.sampled_from([-1.0, *ends]))), self.world.now))

    @rule()
    def speech_started(self) -> None:
        assert self.nova.receive(SpeechStarted(0.0), self.world.now) == []

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def finish(self) -> None:
        self.world.hear(self.nova.finish(self.world.now, self.world.heard_until_s - self.world.offset_s))

    @rule()
    def lose(self) -> None:
        self.world.lose()
        self.segment_s = self.world.offset_s

    @precondition(lambda self: self.jitter_s == 0.0)
    @rule(data=st.data())
    def lose_audio_too(self, data: st.DataObject) -> None:
        """The audio of what an interim told is not kept any more."""
        self.interim(0.1)
        kept_from_s = data.draw(st.sampled_from(self.speech.pauses(self.segment_s, self.world.heard_until_s)))
        self.world.lose(kept_from_s - self.world.offset_s)
        self.segment_s = self.world.offset_s

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.say(self.speech.end_s + 5.0)
            self.world.conclude()


TestAnyNova = AnyNova.TestCase
TestAnyNova.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
