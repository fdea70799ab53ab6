"""A reply prepared ahead of the words that it answers: speculation around the turn engine, sans-I/O.

Theory of operation. When the user has probably finished, the interviewer is asked what it would be asked if they had;
the turn engine knows nothing of it. Whatever the interviewer reports is kept here, in order. Then:

- The user has finished, with just these words: the engine is told, and wants the interviewer asked the same. That is
  left out, since it was done already, and the engine is told what has been reported so far. The turn is live.
- Anything else: the interviewer is stopped, and what it reported is forgotten.

So what speculation did is undone by never having been done, and all else behaves as if there were none. The number of
a turn that was only prepared is used again by the next: whoever carries out the effects sees to it that nothing is
reported any more by an interviewer that was stopped.
"""

from dataclasses import dataclass, field

import msgspec

from evaa.interview.engine import TurnEngine
from protocols.messages import (
    Answered,
    AnswerFailed,
    Ask,
    Effect,
    InterruptAsked,
    Message,
    ProbablySaid,
    ReplyPiece,
    ReplyReceived,
    ReplyRestarted,
    Requested,
    Said,
    SpeculationEnded,
    SpokeOn,
    StopAsking,
)
from protocols.ports import TurnBrief

MAX_ASKED_AHEAD = 3
"""Speakers who hesitate seem to finish again and again; for one utterance the model is asked ahead so often."""

Report = Requested | ReplyPiece | ReplyReceived | ReplyRestarted | Answered | AnswerFailed
"""What an interviewer's work comes to."""


@dataclass(slots=True)
class _Ahead:
    """A reply that is being prepared, and what has come of it."""

    words: str
    brief: TurnBrief
    since: float
    reports: list[Report] = field(default_factory=list)


class SpeculatingEngine:
    """Takes every message on behalf of `engine`, which is told nothing past it."""

    def __init__(self, engine: TurnEngine) -> None:
        self._engine = engine
        self._ahead: _Ahead | None = None
        self._asked = 0

    def __repr__(self) -> str:
        what = "nothing" if self._ahead is None else f"turn {self._ahead.brief.turn}"
        return f"<SpeculatingEngine {what} ahead of {self._engine!r}>"

    def handle(self, message: Message) -> list[Effect]:
        """Return what is to be done about `message`, in order."""
        if isinstance(message, Report) and self._ahead is not None and self._ahead.brief.turn == message.turn:
            return self._keep(self._ahead, message)
        match message:
            case ProbablySaid(text, at):
                return self._prepare(text, at)
            case SpokeOn():
                return self._forget()
            case Said(source="voice"):
                return self._on_spoken(message)
            case Said() | InterruptAsked():
                return [*self._forget(), *self._engine.handle(message)]
            case _:
                return self._engine.handle(message)

    def _prepare(self, words: str, at: float) -> list[Effect]:
        if self._ahead is not None and self._ahead.words == words:
            return []
        effects = self._forget()
        brief = self._engine.foresee(words) if self._asked < MAX_ASKED_AHEAD else None
        if brief is not None:
            self._asked += 1
            self._ahead = _Ahead(words, brief, at)
            effects.append(Ask(brief))
        return effects

    def _keep(self, ahead: _Ahead, report: Report) -> list[Effect]:
        """Keep what the interviewer reports. Where it has nothing to say, it is better asked again when it counts."""
        if isinstance(report, AnswerFailed) or (isinstance(report, Answered) and not report.answer.text):
            return self._forget()
        if isinstance(report, ReplyRestarted):
            ahead.reports = [earlier for earlier in ahead.reports if not isinstance(earlier, ReplyPiece)]
        ahead.reports.append(report)
        return []

    def _on_spoken(self, said: Said) -> list[Effect]:
        self._asked = 0
        effects = self._engine.handle(said)
        ahead = self._ahead
        if ahead is None or Ask(ahead.brief) not in effects:
            return [*self._forget(), *effects]
        self._ahead = None
        effects.remove(Ask(ahead.brief))
        effects.append(SpeculationEnded(used=True, ahead_ms=round(max(0.0, said.at - ahead.since) * 1000, 3)))
        for report in ahead.reports:
            effects += self._engine.handle(_not_before(said.at, report))
        return effects

    def _forget(self) -> list[Effect]:
        if self._ahead is None:
            return []
        turn, self._ahead = self._ahead.brief.turn, None
        return [StopAsking(turn), SpeculationEnded(used=False, ahead_ms=0.0)]


def _not_before(heard_at: float, report: Report) -> Report:
    """The report as of when its words were heard, if it came ahead of them: no time was spent on it."""
    if isinstance(report, ReplyRestarted | AnswerFailed):
        return report
    return msgspec.structs.replace(report, at=max(report.at, heard_at))
