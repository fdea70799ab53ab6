"""When an utterance is over, on Deepgram's v1 protocol (the Nova models). Pure.

Deepgram cuts the audio into segments. A segment's interim results replace one another; its final result settles it, and
may be shorter than the last interim was: the rest then comes again with the next segment. An utterance is the settled
text of all segments up to its end, and any of these is its end:

- `speech_final`: silence after speech. Noise can keep it from ever coming.
- `UtteranceEnd`: no word for a while, whatever the noise. Many come late, about an utterance that is over, and some
  say -1; only one about the newest word counts.
- `from_finalize`: the answer to a `Finalize` of ours. It may be empty, or never come.
- Silence on our own clock: there is text, and nothing new is heard of it. Deepgram is then asked to finalise, and if
  that brings no end either, what there is becomes final. Deepgram's own ends follow the audio's clock, which stands
  still when no audio comes.

The last two, and `UtteranceEnd`, give out text that is not settled yet. Its segment is still to be settled, so results
that come later are cut by their words' times: what was given out once is never said again. An empty final does not take
an interim back; the next interim may. (docs/understanding-end-of-speech-detection, docs/utterance-end, docs/finalize;
the pitfalls are from bug reports.)
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from evaa.stt.spoken import NOTHING, Spoken, join
from protocols.deepgram_messages import NovaMessage, Results, UtteranceEnd
from protocols.speech import AskToFinish, Final, Heard, Partial

SILENCE_S = 1.75
SILENCE_ANSWER_S = 0.75
FINISH_S = 1.0

EPS_S = 0.05
"""By so much a word's end differs between what Deepgram says about it here and there."""


class _Clock(msgspec.Struct):
    """What is known of places on one connection's audio clock.

    Until `given_until_s` everything was given out. The current utterance began after `turn_start_s`, and what is
    settled of it ends at `spoken_until_s`.
    """

    given_until_s: float = 0.0
    turn_start_s: float = 0.0
    spoken_until_s: float | None = None
    newest_word_end_s: float | None = None


class NovaEndpointing:
    """An `Endpointing` (protocols/ports.py).

    Nothing new for `silence_s` ends an utterance, after `silence_answer_s` more for Deepgram's answer; `finish_s` is
    how long an answer may take when the user has finished. A message that comes without a connection says nothing.
    """

    def __init__(
        self,
        pending: str = "",
        *,
        silence_s: float = SILENCE_S,
        silence_answer_s: float = SILENCE_ANSWER_S,
        finish_s: float = FINISH_S,
    ) -> None:
        self.covered_s = 0.0
        self.pending = pending
        self.deadline: float | None = None
        self._silence_s = silence_s
        self._silence_answer_s = silence_answer_s
        self._finish_s = finish_s
        self._interim = NOTHING
        self._shown = ""
        self._is_connected = False
        self._has_asked = False
        # What an answer is waited for, and the cause of the utterance's end if it does not come.
        self._waits_for: Literal["silence", "finalize_timeout"] | None = None
        self._clock = _Clock()

    def __repr__(self) -> str:
        state = "connected" if self._is_connected else "disconnected"
        return f"<NovaEndpointing {state} covered {self.covered_s:.3f} s, waits for {self._waits_for or 'nothing'}>"

    def connected(self, now: float) -> None:
        """A new connection begins; what was heard but not settled over the last one will be heard again."""
        self._is_connected = True
        self._has_asked = False
        self._interim = NOTHING
        self._clock = _Clock()
        self.covered_s = 0.0
        self._restart_silence(now)

    def receive(self, message: NovaMessage, now: float) -> Sequence[Heard]:
        """Return what a message means; only `Results` and `UtteranceEnd` mean something."""
        if not self._is_connected:
            return []
        if isinstance(message, Results):
            return self._take(message, now)
        if isinstance(message, UtteranceEnd) and self._is_end_of_pending(message):
            return self._end("UtteranceEnd")
        return []

    def tick(self, now: float) -> Sequence[Heard]:
        """After the silence, ask for the end; if it does not come, it is here."""
        if self.deadline is None or now < self.deadline:
            return []
        cause = self._waits_for
        if cause is None:
            return self._ask("silence", until=now + self._silence_answer_s)
        self._rest()
        return self._end(cause)

    def finish(self, now: float, sent_s: float) -> Sequence[Heard]:
        """Ask for the end at once, even if nothing is heard yet: words may be on their way."""
        return self._ask("finalize_timeout", until=now + self._finish_s) if self._is_connected else []

    def disconnected(self, kept_from_s: float = 0.0) -> Sequence[Heard]:
        """Take back what will be heard again; words from before `kept_from_s`, which cannot be, are settled."""
        self._is_connected = False
        self._rest()
        lost, self._interim = self._interim.split_at(kept_from_s)
        self.pending = join(self.pending, lost.text)
        return self._show(self.pending)

    def conclude(self) -> Sequence[Heard]:
        """All that was heard becomes final, even what another connection should have heard again."""
        self._rest()
        return self._end("concluded")

    # --- results ------------------------------------------------------------------------------------------------

    def _take(self, results: Results, now: float) -> Sequence[Heard]:
        spoken = self._note(results)
        before = (self.pending, self._interim.text)
        if spoken.text and not self._text:
            self._clock.turn_start_s = max(results.start, self._clock.given_until_s)
        if results.is_final:
            self._settle(spoken, results.end)
        else:
            self._interim = spoken
        if (self.pending, self._interim.text) != before:
            self._restart_silence(now)
        if results.from_finalize and self._has_asked:
            self._has_asked = False
            self._rest()
            return self._end("from_finalize")
        if results.speech_final:
            return self._give_out("speech_final")
        return self._show(self._text)

    def _note(self, results: Results) -> Spoken:
        """What of the results was not given out yet."""
        best = results.best
        spoken = Spoken(best.transcript.strip(), best.words, results.start, results.end)
        if spoken.text:
            self._clock.newest_word_end_s = spoken.ends_s
        return spoken.split_at(self._clock.given_until_s)[1]

    def _settle(self, spoken: Spoken, end_s: float) -> None:
        if spoken.text:
            self.pending = join(self.pending, spoken.text)
            self._clock.spoken_until_s = spoken.ends_s
            self._interim = NOTHING
        # An interim that an empty final left alone is settled by nobody yet.
        covered_s = min(end_s, self._interim.starts_s) if self._interim.text else end_s
        self.covered_s = max(self.covered_s, covered_s)

    def _is_end_of_pending(self, message: UtteranceEnd) -> bool:
        end_s = message.last_word_end
        if not self._text or end_s <= self._clock.turn_start_s:  # also when it is -1
            return False
        return self._clock.newest_word_end_s is None or end_s >= self._clock.newest_word_end_s - EPS_S

    # --- ends ---------------------------------------------------------------------------------------------------

    def _end(self, cause: str) -> Sequence[Heard]:
        """Give out everything; what was not settled of it must not be said again when it is."""
        interim, self._interim = self._interim, NOTHING
        if interim.text:
            self.pending = join(self.pending, interim.text)
            self._clock.spoken_until_s = interim.ends_s
            self._clock.given_until_s = interim.until_s if interim.ends_s is None else interim.ends_s
            self.covered_s = max(self.covered_s, self._clock.given_until_s)
        return self._give_out(cause)

    def _give_out(self, cause: str) -> Sequence[Heard]:
        """The settled text is a whole utterance; an interim belongs to the next one."""
        heard: list[Heard] = []
        if self.pending:
            heard.append(Final(self.pending, self._clock.spoken_until_s, cause))
            self._shown = ""
        self.pending = ""
        self._clock.spoken_until_s = None
        self._clock.turn_start_s = self._interim.from_s
        if not self._interim.text and self._waits_for != "finalize_timeout":
            self._rest()
        return [*heard, *self._show(self._interim.text)]

    # --- helpers ------------------------------------------------------------------------------------------------

    @property
    def _text(self) -> str:
        return join(self.pending, self._interim.text)

    def _show(self, text: str) -> Sequence[Heard]:
        if text == self._shown:
            return []
        self._shown = text
        return [Partial(text)]

    def _ask(self, cause: Literal["silence", "finalize_timeout"], *, until: float) -> Sequence[Heard]:
        self._waits_for = cause
        self._has_asked = True
        self.deadline = until
        return [AskToFinish()]

    def _restart_silence(self, now: float) -> None:
        """Something new was heard. It does not put off the end that the user has asked for."""
        if self._waits_for == "finalize_timeout":
            return
        self._waits_for = None
        self.deadline = now + self._silence_s if self._text else None

    def _rest(self) -> None:
        self._waits_for = None
        self.deadline = None
