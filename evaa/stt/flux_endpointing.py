"""When an utterance is over, on Deepgram's v2 protocol (the Flux models). Pure.

Flux finds the turns itself and tells where each one stands; every transcript is the whole turn so far:

    StartOfTurn -> Update ... -> EagerEndOfTurn -> (TurnResumed -> ... -> EagerEndOfTurn ->) EndOfTurn

`EndOfTurn` says what the last `EagerEndOfTurn` said unless `TurnResumed` came between, or `ForceEndTurn` was sent.
Events are taken as they come: a turn may open with an `Update`, or be heard of only at its end.

`ForceEndTurn` ends the turn with the newest transcript as it is, so the last syllables are lost if it comes before
they are heard. It is therefore held back until Flux has told of all the audio that was sent, or for `TAIL_S`. If no
answer comes, the newest transcript is given out; what Flux says later of the same turn is cut by its words' times, or
by their number. Nothing of a turn is settled before its end, so a new connection hears the open turn again.
(docs/flux/state, docs/flux/force-end-turn; the pitfalls are from bug reports.)
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from evaa.stt.spoken import NOTHING, Spoken, join
from protocols.deepgram_messages import NO_ACTIVE_TURN, FluxMessage, FluxWarning, TurnInfo
from protocols.speech import AskToFinish, Eager, Final, Heard, Partial, Resumed

FINISH_S = 1.0
TAIL_S = 0.3
"""More than one period of `Update` (0.25 s of audio)."""

TAIL_TOLERANCE_S = 0.02
"""Less than an Opus packet may be missing of what was sent."""

ONSET_S = 2.0
"""How long after it began a word may be heard of for the first time; audio before that is silence for good."""

SALVAGED_S = 3.0
"""How long words of a lost connection, that cannot be heard again, wait for the rest of their turn."""


class _GivenOut(msgspec.Struct, frozen=True, gc=False):
    """How much of an open turn was given out: so many words, until there."""

    turn_index: int
    words: int
    until_s: float | None


class _Stand(msgspec.Struct):
    """Where one connection stands: its newest turn, how many words that has so far, and how much audio was heard."""

    turn_index: int = 0
    words: int = 0
    heard_until_s: float = 0.0
    given_out: _GivenOut | None = None


class FluxEndpointing:
    """An `Endpointing` (protocols/ports.py).

    `pending` is only what a connection heard that was lost with its audio. `finish_s` is how long an answer may take
    when the user has finished. A message that comes without a connection says nothing.
    """

    def __init__(self, pending: str = "", *, finish_s: float = FINISH_S) -> None:
        self.covered_s = 0.0
        self.pending = pending
        self.deadline: float | None = None
        self._finish_s = finish_s
        self._spoken = NOTHING
        self._eager: str | None = None
        self._shown = ""
        self._is_connected = False
        # What is waited for: the tail, or the cause of the utterance's end if nothing comes.
        self._waits_for: Literal["tail", "finish_timeout", "silence"] | None = None
        self._sent_s = 0.0
        self._stand = _Stand()

    def __repr__(self) -> str:
        state = "connected" if self._is_connected else "disconnected"
        return f"<FluxEndpointing {state} covered {self.covered_s:.3f} s, waits for {self._waits_for or 'nothing'}>"

    def connected(self, now: float) -> None:
        """A new connection begins: it hears the open turn again, under another number."""
        self._is_connected = True
        self._spoken = NOTHING
        self._stand = _Stand()
        self.covered_s = 0.0
        if self.pending:
            self._wait_for("silence", until=now + SALVAGED_S)

    def receive(self, message: FluxMessage, now: float) -> Sequence[Heard]:
        """Return what a message means; only `TurnInfo` and one warning mean something."""
        if not self._is_connected:
            return []
        if isinstance(message, TurnInfo):
            return [*self._take(message), *self._ask_if_all_is_heard(now)]
        if isinstance(message, FluxWarning) and message.code == NO_ACTIVE_TURN and self._waits_for == "finish_timeout":
            return self._give_up_waiting(message.code)
        return []

    def tick(self, now: float) -> Sequence[Heard]:
        """The tail was waited for long enough, or the answer."""
        if self.deadline is None or now < self.deadline or self._waits_for is None:
            return []
        if self._waits_for == "tail":
            return self._ask(now)
        return self._give_up_waiting(self._waits_for)

    def finish(self, now: float, sent_s: float) -> Sequence[Heard]:
        """Ask for the end once everything that was sent is heard, even if it is no word so far."""
        if not self._is_connected:
            return []
        self._sent_s = sent_s
        self._wait_for("tail", until=now + TAIL_S)
        return self._ask_if_all_is_heard(now)

    def disconnected(self, kept_from_s: float = 0.0) -> Sequence[Heard]:
        """Take back what will be heard again; words from before `kept_from_s`, which cannot be, are settled."""
        self._is_connected = False
        self._rest()
        lost, self._spoken = self._spoken.split_at(kept_from_s)
        self.pending = join(self.pending, lost.text)
        return [*self._resume(), *self._show(self.pending)]

    def conclude(self) -> Sequence[Heard]:
        """All that was heard becomes final, even what another connection should have heard again."""
        self._rest()
        return self._give_out_open("concluded")

    # --- turns --------------------------------------------------------------------------------------------------

    def _take(self, info: TurnInfo) -> Sequence[Heard]:
        missed = self._end_missed_turn(info) if info.turn_index > self._stand.turn_index else []
        self._stand.turn_index = info.turn_index
        self._stand.words = len(info.transcript.split())
        self._stand.heard_until_s = max(self._stand.heard_until_s, info.audio_window_end)
        self._spoken = self._not_given_out(info)
        if self._spoken.text and self._waits_for == "silence":
            self._rest()  # the rest of their turn has come
        return [*missed, *self._follow(info)]

    def _follow(self, info: TurnInfo) -> Sequence[Heard]:
        match info.event:
            case "EndOfTurn":
                return self._end_of_turn(info)
            case "EagerEndOfTurn":
                return self._probable_end()
            case "TurnResumed":
                return [*self._resume(), *self._show_words()]
            case _:
                if not (info.transcript or self._shown):
                    self.covered_s = max(self.covered_s, info.audio_window_end - ONSET_S)
                return self._show_words()

    def _not_given_out(self, info: TurnInfo) -> Spoken:
        spoken = Spoken(info.transcript.strip(), info.words, info.audio_window_start, info.audio_window_end)
        given = self._stand.given_out
        if given is None or given.turn_index != info.turn_index:
            return spoken
        if given.until_s is not None and spoken.is_timed:
            return spoken.split_at(given.until_s)[1]
        return spoken.without_first(given.words)

    def _end_of_turn(self, info: TurnInfo) -> Sequence[Heard]:
        self.covered_s = max(self.covered_s, info.audio_window_end)
        if self._waits_for == "finish_timeout" or (self._waits_for == "tail" and self._is_all_heard):
            self._rest()
        if self._text:
            return self._give_out(info.trigger or info.event)
        return [*self._resume(), *self._show("")]

    def _end_missed_turn(self, info: TurnInfo) -> Sequence[Heard]:
        """Another turn has begun, and the end of the last one could not be read."""
        if not self._spoken.text:
            return []
        self.covered_s = max(self.covered_s, info.audio_window_start)
        return self._give_out("turn_index")

    def _probable_end(self) -> Sequence[Heard]:
        text = self._text
        if not text or text == self._eager:
            return []
        resumed = self._resume()
        self._eager = text
        return [*resumed, Eager(text)]

    def _resume(self) -> Sequence[Heard]:
        if self._eager is None:
            return []
        self._eager = None
        return [Resumed()]

    # --- finishing ----------------------------------------------------------------------------------------------

    @property
    def _is_all_heard(self) -> bool:
        return self._stand.heard_until_s >= self._sent_s - TAIL_TOLERANCE_S

    def _ask_if_all_is_heard(self, now: float) -> Sequence[Heard]:
        return self._ask(now) if self._waits_for == "tail" and self._is_all_heard else []

    def _ask(self, now: float) -> Sequence[Heard]:
        self._wait_for("finish_timeout", until=now + self._finish_s)
        return [AskToFinish()]

    def _give_up_waiting(self, cause: str) -> Sequence[Heard]:
        self._rest()
        return self._give_out_open(cause)

    def _give_out_open(self, cause: str) -> Sequence[Heard]:
        """Give out what there is of a turn that has not ended; it must not be said again at its end."""
        spoken = self._spoken
        if spoken.text:
            until_s = spoken.ends_s if spoken.is_timed else None
            self._stand.given_out = _GivenOut(self._stand.turn_index, self._stand.words, until_s)
            self.covered_s = max(self.covered_s, spoken.until_s if until_s is None else until_s)
        return self._give_out(cause) if self._text else [*self._resume(), *self._show("")]

    def _give_out(self, cause: str) -> Sequence[Heard]:
        final = Final(self._text, self._spoken.ends_s, cause)
        self.pending = ""
        self._spoken = NOTHING
        self._eager = None
        self._shown = ""
        return [final]

    # --- helpers ------------------------------------------------------------------------------------------------

    @property
    def _text(self) -> str:
        return join(self.pending, self._spoken.text)

    def _show_words(self) -> Sequence[Heard]:
        """What was shown is taken back at the end of a turn at the earliest, not by an empty transcript before it."""
        return self._show(self._text) if self._spoken.text else []

    def _show(self, text: str) -> Sequence[Heard]:
        if text == self._shown:
            return []
        self._shown = text
        return [Partial(text)]

    def _wait_for(self, what: Literal["tail", "finish_timeout", "silence"], *, until: float) -> None:
        self._waits_for = what
        self.deadline = until

    def _rest(self) -> None:
        self._waits_for = None
        self.deadline = None
