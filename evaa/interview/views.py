"""What the frontend and the interviewer are told of an interview: pure functions of its state."""

import msgspec

from evaa.interview.reducer import closes_stage, follow_ups_left, unanswered
from evaa.interview.turn import LiveTurn, timing
from protocols.frontend import Completion, Line, PlannedStage, Ready, Reply, StageData, Timing, TurnStarted, stage_data
from protocols.ports import Answer, TurnBrief
from protocols.records import Interview, SessionRecord, TurnRecord

GOODBYE = "Thank you, that is everything I need. I have noted it all."
NO_TIME_SPENT = Timing(stt_ms=None, first_token_ms=None, total_ms=0.0, overhead_ms=0.0)


def ready(record: SessionRecord, *, resumed: bool, replay: bool) -> Ready:
    """Where the session stands, with the whole conversation if `replay`."""
    interview = record.interview
    stages = tuple(_planned(interview, index) for index in range(len(interview.stages)))
    return Ready(
        session_id=record.session_id,
        resumed=resumed,
        stage=stages[interview.stage_index] if interview.stage is not None else None,
        stages=stages,
        status=record.status,
        messages=conversation(interview) if replay else msgspec.UNSET,
    )


def conversation(interview: Interview) -> tuple[Line, ...]:
    """Everything that was said and delivered, in order; the opening question has turn 0."""
    lines = [Line("assistant", interview.stages[0].opening, 0)]
    for turn in interview.turns:
        lines.append(Line("user", turn.text, turn.turn))
        if turn.reply:
            lines.append(Line("assistant", turn.reply, turn.turn, interrupted=turn.outcome == "interrupted"))
    return tuple(lines)


def last_reply(interview: Interview) -> Reply:
    """The last thing that the agent said, as a frame; the opening question if it has said nothing else."""
    for turn in reversed(interview.turns):
        if turn.reply:
            return delivered_reply(interview, turn)
    return Reply(
        turn=0,
        response=interview.stages[0].opening,
        next_stage=False,
        next_stage_data=None,
        timing=NO_TIME_SPENT,
    )


def whole_reply(interview: Interview, turn: LiveTurn, answer: Answer, at: float) -> Reply:
    """The reply of the live turn, which was answered at `at`."""
    closed = interview.stage if closes_stage(interview, wants_next=answer.wants_next) else None
    return Reply(
        turn=turn.number,
        response=answer.text,
        next_stage=closed is not None,
        next_stage_data=None if closed is None else stage_after(interview, closed.stage_id),
        timing=timing(turn, at),
        id=optional(turn.client_id),
    )


def delivered_reply(interview: Interview, turn: TurnRecord) -> Reply:
    """The reply of a turn that is over, once more."""
    return Reply(
        turn=turn.turn,
        response=turn.reply,
        next_stage=turn.closed_stage,
        next_stage_data=stage_after(interview, turn.stage_id) if turn.closed_stage else None,
        timing=NO_TIME_SPENT,
        id=optional(turn.client_id),
    )


def turn_started(turn: TurnRecord) -> TurnStarted:
    """The acknowledgement of an utterance."""
    return TurnStarted(turn=turn.turn, source=turn.source, id=optional(turn.client_id))


def optional(client_id: str | None) -> str | msgspec.UnsetType:
    """A client's id as frames have it: left out where the client gave none."""
    return msgspec.UNSET if client_id is None else client_id


def stage_after(interview: Interview, stage_id: str) -> StageData | Completion:
    """What begins when the stage `stage_id` closes."""
    position = next(index for index, stage in enumerate(interview.stages) if stage.stage_id == stage_id)
    return stage_data(interview.stages, position + 1)


def bridge(interview: Interview) -> str:
    """What a reply needs at its end where no follow-up is left: the user always has something to answer, or a goodbye.

    Empty while the stage goes on.
    """
    if not closes_stage(interview, wants_next=False):
        return ""
    upcoming = interview.stage_index + 1
    return f"\n\n{interview.stages[upcoming].opening if upcoming < len(interview.stages) else GOODBYE}"


def unanswered_words(interview: Interview) -> str:
    """What the user said since the last reply, an utterance a line."""
    return "\n".join(turn.text for turn in unanswered(interview))


def brief(record: SessionRecord) -> TurnBrief:
    """What the interviewer needs for the reply that is owed. The interview must have a running stage."""
    interview = record.interview
    stage = interview.stage
    assert stage is not None
    owed = unanswered(interview)
    before = len(interview.turns) - len(owed)
    upcoming = interview.stage_index + 1
    return TurnBrief(
        session_id=record.session_id,
        turn=len(interview.turns),
        stage=stage,
        position=upcoming,
        total_stages=len(interview.stages),
        follow_ups_used=interview.follow_ups_used,
        follow_ups_left=follow_ups_left(interview),
        next_stage=interview.stages[upcoming] if upcoming < len(interview.stages) else None,
        established=interview.facts.get(stage.stage_id, {}),
        words=unanswered_words(interview),
        history=record.messages,
        interrupted=before > 0 and interview.turns[before - 1].outcome == "interrupted",
    )


def _planned(interview: Interview, index: int) -> PlannedStage:
    stage = interview.stages[index]
    if index < interview.stage_index:
        used = sum(turn.stage_id == stage.stage_id and turn.outcome == "answered" for turn in interview.turns) - 1
    else:
        used = interview.follow_ups_used if index == interview.stage_index else 0
    return PlannedStage(
        stage_id=stage.stage_id,
        name=stage.name,
        description=stage.description,
        goal=stage.goal,
        order=stage.order,
        total_stages=len(interview.stages),
        max_follow_ups=stage.max_follow_ups,
        follow_ups_used=used,
    )
