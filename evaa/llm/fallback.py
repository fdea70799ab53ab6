"""Who answers when the model does not: a chain of interviewers, the last of which needs no network.

A passing failure (429, 5xx, a lost connection) is tried again for as long as the turn's patience lasts, after a
growing back-off, or what the provider's `retry-after` says if that is longer. No first token in time, an error that
will not go away, or spent patience move on to the next interviewer, and the one that failed rests for a while, so that
the next turns need not wait for it again.
"""

from collections.abc import Sequence

import structlog
import trio

from protocols.ports import Answer, AnswerSink, Interviewer, InterviewerFailed, TurnBrief

REST_S = 15.0
"""How long an interviewer that failed is passed over, if the provider does not say longer."""

FIRST_BACK_OFF_S = 0.2

_log = structlog.get_logger(actor="llm")


class FallbackInterviewer:
    """An `Interviewer` made of others, asked in their order.

    `first_token_timeout_s` bounds the wait for the first visible piece, and for each next one. `patience_s` bounds
    all the waiting before retries of one turn. The last interviewer is asked without either.
    """

    name = "fallback"

    def __init__(self, interviewers: Sequence[Interviewer], *, first_token_timeout_s: float, patience_s: float) -> None:
        self._interviewers = tuple(interviewers)
        self._first_token_timeout_s = first_token_timeout_s
        self._patience_s = patience_s
        self._rests_until: dict[str, float] = {}

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        """Return the first answer that comes. Raises `InterviewerFailed` only if the last interviewer does."""
        patient_until = trio.current_time() + self._patience_s
        *others, last = self._interviewers
        for number, interviewer in enumerate(others, start=1):
            if trio.current_time() < self._rests_until.get(interviewer.name, 0.0):
                continue
            answer = await self._ask_patiently(interviewer, brief, sink, patient_until)
            if answer is not None:
                return answer
            sink.restarted(_explain(self._interviewers[number:]))
        return await last.answer(brief, sink)

    async def _ask_patiently(
        self, interviewer: Interviewer, brief: TurnBrief, sink: AnswerSink, patient_until: float
    ) -> Answer | None:
        back_off_s = FIRST_BACK_OFF_S
        while True:
            attempt = _Attempt(sink, self._first_token_timeout_s)
            try:
                return await attempt.run(interviewer, brief)
            except InterviewerFailed as failure:
                wait_s = max(back_off_s, failure.retry_after_s or 0.0)
                tries_again = failure.passing and trio.current_time() + wait_s < patient_until
                _log.warning(
                    "llm.failed",
                    session_id=brief.session_id,
                    turn=brief.turn,
                    model=interviewer.name,
                    reason=str(failure),
                    retry_in_s=wait_s if tries_again else None,
                )
                if not tries_again:
                    rest_s = max(REST_S, failure.retry_after_s or 0.0)
                    self._rests_until[interviewer.name] = trio.current_time() + rest_s
                    return None
                if attempt.has_shown:
                    sink.restarted("The answer broke off; it begins anew")
            await trio.sleep(wait_s)
            back_off_s *= 2


class _Attempt:
    """One request: passes on what comes, and bounds the wait for it."""

    def __init__(self, sink: AnswerSink, timeout_s: float) -> None:
        self.has_shown = False
        self._sink = sink
        self._timeout_s = timeout_s
        self._scope = trio.CancelScope()

    async def run(self, interviewer: Interviewer, brief: TurnBrief) -> Answer:
        self._scope.deadline = trio.current_time() + self._timeout_s
        with self._scope:
            return await interviewer.answer(brief, self)
        missing = "next" if self.has_shown else "first"
        raise InterviewerFailed(f"{interviewer.name}: no {missing} token in {self._timeout_s:g} s", passing=False)

    def requested(self) -> None:
        self._sink.requested()

    def text(self, piece: str) -> None:
        self._scope.deadline = trio.current_time() + self._timeout_s
        if piece:
            self.has_shown = True
            self._sink.text(piece)

    def received(self) -> None:
        self._sink.received()

    def restarted(self, reason: str) -> None:
        self._sink.restarted(reason)


def _explain(remaining: Sequence[Interviewer]) -> str:
    if len(remaining) == 1:
        return "The language model cannot be reached; prepared questions take its place for now"
    return "The language model does not answer; another one takes its place"
