"""What EVAA sends, in each dialect. The names here are the spec's, spelled out."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dialects import DIALECTS, PLAIN, TYPED_JSON, TYPED_MSGPACK, Dialect
from protocols.frontend import (
    Completed,
    Completion,
    Delta,
    ErrorFrame,
    Exported,
    GoingAway,
    Line,
    PlannedStage,
    Pong,
    Progress,
    Ready,
    Reply,
    ServerFrame,
    StageData,
    Timing,
    Transcript,
    TurnCancelled,
    TurnStarted,
    WarningFrame,
    stage_data,
)
from tests.evaa.interviews import stages

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
plain, typed, msgpack = DIALECTS[PLAIN], DIALECTS[TYPED_JSON], DIALECTS[TYPED_MSGPACK]


def encoded(dialect: Dialect, frame: ServerFrame) -> dict[str, Any]:
    message = dialect.encode(frame)
    assert message is not None
    assert isinstance(message, bytes) == (dialect is msgpack)
    loaded = msgspec.msgpack.decode(message) if isinstance(message, bytes) else json.loads(message)
    assert isinstance(loaded, dict)
    return loaded


# --- what EVAA sends, typed -------------------------------------------------------------------------------------

STAGE = StageData("s" * 24, "Goal", "What for", "Know it", 1, 8)
STAGE_ON_THE_WIRE = {
    "stageId": "s" * 24,
    "name": "Goal",
    "description": "What for",
    "goal": "Know it",
    "order": 1,
    "totalStages": 8,
}
PLANNED = PlannedStage("s" * 24, "Goal", "What for", "Know it", 1, 8, max_follow_ups=3, follow_ups_used=2)
PLANNED_ON_THE_WIRE = {**STAGE_ON_THE_WIRE, "maxFollowUps": 3, "followUpsUsed": 2}
TIMING = Timing(stt_ms=None, first_token_ms=1.5, total_ms=2.5, overhead_ms=0.5)
TIMING_ON_THE_WIRE = {"sttMs": None, "firstTokenMs": 1.5, "totalMs": 2.5, "overheadMs": 0.5}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            Ready(session_id="5", resumed=True, stage=PLANNED, stages=(PLANNED,), status="interviewing"),
            {
                "type": "ready",
                "sessionId": "5",
                "resumed": True,
                "stage": PLANNED_ON_THE_WIRE,
                "stages": [PLANNED_ON_THE_WIRE],
                "status": "interviewing",
            },
        ),
        (
            Ready(
                session_id="5",
                resumed=False,
                stage=None,
                stages=(),
                status="drafting",
                messages=(Line("user", "a", 1), Line("assistant", "b", 1, interrupted=True)),
            ),
            {
                "type": "ready",
                "sessionId": "5",
                "resumed": False,
                "stage": None,
                "stages": [],
                "status": "drafting",
                "messages": [
                    {"role": "user", "text": "a", "turn": 1},
                    {"role": "assistant", "text": "b", "turn": 1, "interrupted": True},
                ],
            },
        ),
        (
            Transcript(text="Invo", final=False, turn=3),
            {"type": "transcript", "text": "Invo", "final": False, "turn": 3},
        ),
        (TurnStarted(turn=3, source="text"), {"type": "turnStarted", "turn": 3, "source": "text"}),
        (TurnStarted(turn=3, source="voice", id="a"), {"type": "turnStarted", "turn": 3, "source": "voice", "id": "a"}),
        (Delta(turn=3, text="Who"), {"type": "delta", "turn": 3, "text": "Who"}),
        (
            Reply(turn=3, response="Who?", next_stage=True, next_stage_data=STAGE, timing=TIMING, id="a"),
            {
                "type": "reply",
                "turn": 3,
                "response": "Who?",
                "nextStage": True,
                "nextStageData": STAGE_ON_THE_WIRE,
                "timing": TIMING_ON_THE_WIRE,
                "id": "a",
            },
        ),
        (
            Reply(turn=3, response="Who?", next_stage=False, next_stage_data=None, timing=TIMING),
            {
                "type": "reply",
                "turn": 3,
                "response": "Who?",
                "nextStage": False,
                "nextStageData": None,
                "timing": TIMING_ON_THE_WIRE,
            },
        ),
        (TurnCancelled(turn=3, reason="superseded"), {"type": "turnCancelled", "turn": 3, "reason": "superseded"}),
        *(
            (
                kind(code="rate_limited", message="Slow", retryable=True),
                {"type": name, "code": "rate_limited", "message": "Slow", "retryable": True},
            )
            for kind, name in ((WarningFrame, "warning"), (ErrorFrame, "error"))
        ),
        (GoingAway(reconnect_after_ms=1_000), {"type": "goingAway", "reconnectAfterMs": 1_000}),
        (Pong(t=None), {"type": "pong", "t": None}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ServerFrame) else "",
)
def test_the_frames_of_a_typed_server(frame: ServerFrame, message: dict[str, Any]) -> None:
    frame.seq = 7
    assert encoded(typed, frame) == encoded(msgpack, frame) == {**message, "seq": 7}


@given(TEXTS, TEXTS, st.integers(0, 10**6))
def test_texts_of_any_kind_arrive_as_they_were(text: str, client_id: str, turn: int) -> None:
    reply = Reply(turn=turn, response=text, next_stage=False, next_stage_data=None, timing=TIMING, id=client_id)
    for dialect in (typed, msgpack):
        assert encoded(dialect, Delta(turn=turn, text=text))["text"] == text
        told = encoded(dialect, reply)
        assert (told["response"], told["id"], told["turn"]) == (text, client_id, turn)
    assert encoded(plain, reply) == {"response": text, "nextStage": False, "nextStageData": None}


# --- what EVAA sends, plain -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "told"),
    [
        (None, None),
        (STAGE, STAGE_ON_THE_WIRE),
        (Completion(status="drafting"), {"completed": True, "status": "drafting"}),
    ],
)
def test_a_plain_reply_has_exactly_the_three_promised_keys(begins: StageData | Completion | None, told: object) -> None:
    is_next = begins is not None
    reply = Reply(turn=3, response="Who?", next_stage=is_next, next_stage_data=begins, timing=TIMING, id="a", seq=9)
    assert encoded(plain, reply) == {"response": "Who?", "nextStage": is_next, "nextStageData": told}


def test_a_plain_problem_has_the_same_three_keys_and_the_error() -> None:
    frame = ErrorFrame(code="storage_unavailable", message="Later", retryable=True, seq=9)
    assert encoded(plain, frame) == {
        "response": "",
        "nextStage": False,
        "nextStageData": None,
        "error": {"code": "storage_unavailable", "message": "Later", "retryable": True},
    }


def test_finished_documents_are_told_as_the_last_stages_data() -> None:
    frame = Completed(summary={"project": "p"}, brd={"version": 2}, seq=9)
    assert encoded(plain, frame) == {
        "response": "",
        "nextStage": True,
        "nextStageData": {
            "completed": True,
            "status": "complete",
            "summary": {"project": "p"},
            "brd": {"version": 2},
        },
    }


def test_the_plain_dialect_speaks_of_nothing_else() -> None:
    silent: list[ServerFrame] = [
        Ready(session_id="5", resumed=True, stage=None, stages=(), status="drafting"),
        Transcript(text="Invo", final=True, turn=1),
        TurnStarted(turn=1, source="text"),
        Delta(turn=1, text="Who"),
        TurnCancelled(turn=1, reason="interrupted"),
        WarningFrame(code="agent_unavailable", message="Slow", retryable=True),
        GoingAway(reconnect_after_ms=1_000),
        Pong(t=1),
        Progress(step="brd", done=1, total=22),
        Exported(format="html", filename="a.html", content_type="text/html", data=""),
    ]
    assert {type(frame) for frame in silent} | {Reply, ErrorFrame, Completed} == set(ServerFrame.__subclasses__())
    assert [plain.encode(frame) for frame in silent] == [None] * len(silent)
    assert [dialect.tells_deltas for dialect in (plain, typed, msgpack)] == [False, True, True]


def test_a_stage_that_begins_is_told_without_its_opening_and_follow_ups() -> None:
    told = msgspec.to_builtins(stage_data(stages(3, 2), 1))
    assert list(told) == ["stageId", "name", "description", "goal", "order", "totalStages"]
    assert (told["name"], told["totalStages"]) == ("Stage 2", 2)
    assert msgspec.to_builtins(stage_data(stages(3, 2), 2)) == {"completed": True, "status": "drafting"}
