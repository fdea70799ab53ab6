"""What happens to an interview: the follow-up rule, and what memory keeps of each turn.

The model has an opinion about when a stage is over; this module decides. A stage is its opening question and at most
`max_follow_ups` follow-ups, so at most one answer more than that. Stages run in order and none is skipped. Only a
reply that was delivered whole spends a follow-up or closes a stage.
"""

import msgspec

from protocols.records import Interview, Outcome, Source, TurnRecord

MAX_FACTS_PER_STAGE = 40
MAX_FACT_KEY_CHARS = 60
MAX_FACT_VALUE_CHARS = 500


def follow_ups_left(interview: Interview) -> int:
    """How many follow-ups the running stage may still ask. 0: the next reply closes the stage (or none is running)."""
    stage = interview.stage
    return 0 if stage is None else max(0, stage.max_follow_ups - interview.follow_ups_used)


def unanswered(interview: Interview) -> tuple[TurnRecord, ...]:
    """The utterances since the last reply of which anything was delivered: what the next reply must answer."""
    start = len(interview.turns)
    while start and not interview.turns[start - 1].reply:
        start -= 1
    return interview.turns[start:]


def owes_reply(interview: Interview) -> bool:
    """Whether the last utterance was accepted but its reply never reached the user."""
    return bool(interview.turns) and interview.turns[-1].outcome == "pending"


def find_turn(interview: Interview, client_id: str) -> TurnRecord | None:
    """The utterance that the client sent under this id, if it is known already."""
    return next((turn for turn in reversed(interview.turns) if turn.client_id == client_id), None)


def said(interview: Interview, *, text: str, source: Source, client_id: str | None, at_ms: int) -> Interview:
    """The user said something: a new pending turn, numbered from 1 without gaps."""
    stage = interview.stage
    turn = TurnRecord(
        turn=len(interview.turns) + 1,
        stage_id=stage.stage_id if stage else "",
        source=source,
        text=text,
        said_at_ms=at_ms,
        client_id=client_id,
    )
    return msgspec.structs.replace(interview, turns=(*interview.turns, turn))


def superseded(interview: Interview) -> Interview:
    """The user spoke on before anything of the reply was delivered: the last utterance joins the next one."""
    return _end_last_turn(interview, "superseded", reply="")


def interrupted(interview: Interview, delivered: str) -> Interview:
    """The reply was cut short; `delivered` is what the user had got of it. No follow-up is spent."""
    return _end_last_turn(interview, "interrupted", reply=delivered)


def extended(interview: Interview, more: str) -> Interview:
    """The last reply goes on, after a pause."""
    last = interview.turns[-1]
    longer = msgspec.structs.replace(last, reply=f"{last.reply}\n\n{more}".strip())
    return msgspec.structs.replace(interview, turns=(*interview.turns[:-1], longer))


def answered(interview: Interview, reply: str, *, wants_next: bool, facts: dict[str, str]) -> Interview:
    """The whole reply was delivered: notes are taken, and a follow-up is spent or the stage closes."""
    if interview.stage is None:
        return _end_last_turn(interview, "answered", reply)
    closes = closes_stage(interview, wants_next=wants_next)
    after = _note(_end_last_turn(interview, "answered", reply, closed_stage=closes), facts)
    if closes:
        return msgspec.structs.replace(after, stage_index=after.stage_index + 1, follow_ups_used=0)
    return msgspec.structs.replace(after, follow_ups_used=after.follow_ups_used + 1)


def closes_stage(interview: Interview, *, wants_next: bool) -> bool:
    """Whether a whole reply closes the running stage: the model wants to, or the follow-ups are spent."""
    return interview.stage is not None and (wants_next or follow_ups_left(interview) == 0)


def _end_last_turn(interview: Interview, outcome: Outcome, reply: str, *, closed_stage: bool = False) -> Interview:
    last = msgspec.structs.replace(interview.turns[-1], outcome=outcome, reply=reply, closed_stage=closed_stage)
    return msgspec.structs.replace(interview, turns=(*interview.turns[:-1], last))


def _note(interview: Interview, facts: dict[str, str]) -> Interview:
    """Merge the facts into the running stage's; newer ones win, and what is over the bounds is cut off."""
    stage = interview.stage
    if not facts or stage is None:
        return interview
    known = dict(interview.facts.get(stage.stage_id, {}))
    for key, value in facts.items():
        known[key[:MAX_FACT_KEY_CHARS]] = value[:MAX_FACT_VALUE_CHARS]
    bounded = dict(list(known.items())[:MAX_FACTS_PER_STAGE])
    return msgspec.structs.replace(interview, facts={**interview.facts, stage.stage_id: bounded})
