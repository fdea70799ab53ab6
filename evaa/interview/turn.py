"""What the turn engine keeps of a turn: what has come of its reply, and where its time goes. Pure."""

from dataclasses import dataclass, field
from typing import Literal

from protocols.frontend import Reply, Timing
from protocols.messages import Reviewed, TurnCompleted
from protocols.ports import Answer
from protocols.records import Source


@dataclass(slots=True)
class LiveTurn:
    """The live turn. `taken` is what the writer took of its deltas; `received_at` when the provider was last heard.

    `reviewed` is what the user meant by words about the documents; it takes effect with the reply.
    """

    number: int
    source: Source
    client_id: str | None
    heard_at: float
    stt_ms: float | None = None
    phase: Literal["asking", "replying", "leaving"] = "asking"
    requested_at: float | None = None
    first_piece_at: float | None = None
    received_at: float | None = None
    taken: list[str] = field(default_factory=list)
    answer: Answer | None = None
    reply: Reply | None = None
    reviewed: Reviewed | None = None


def _ms(since: float, until: float | None) -> float | None:
    return None if until is None else round((until - since) * 1000, 3)


def _overhead_s(turn: LiveTurn, until: float) -> float:
    """EVAA's own share: from the utterance to the request, and from the provider's last byte to `until`."""
    if turn.requested_at is None or turn.received_at is None:
        return until - turn.heard_at
    return (turn.requested_at - turn.heard_at) + (until - turn.received_at)


def timing(turn: LiveTurn, now: float) -> Timing:
    """What the client is told of a reply's time."""
    return Timing(
        stt_ms=turn.stt_ms,
        first_token_ms=_ms(turn.heard_at, turn.first_piece_at),
        total_ms=round((now - turn.heard_at) * 1000, 3),
        overhead_ms=round(_overhead_s(turn, now) * 1000, 3),
    )


def completed(
    turn: LiveTurn, answer: Answer, *, stage: int, closed: bool, at: float, store_s: float | None
) -> TurnCompleted:
    """What the log is told of a turn whose reply was written at `at`."""
    return TurnCompleted(
        turn=turn.number,
        source=turn.source,
        stage=stage,
        closed_stage=closed,
        model=answer.model,
        followed_protocol=answer.followed_protocol,
        stt_ms=turn.stt_ms,
        first_token_ms=_ms(turn.heard_at, turn.first_piece_at),
        total_ms=round((at - turn.heard_at) * 1000, 3),
        overhead_ms=round(_overhead_s(turn, at) * 1000, 3),
        store_ms=None if store_s is None else round(store_s * 1000, 3),
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        cached_tokens=answer.usage.cached_tokens,
    )
