"""Frames as EVAA sends them, and views that have seen some, for the tests of the terminal client's view."""

import json

import msgspec

from evaa.commands.talk_effects import Effect, Send
from evaa.commands.talk_state import Change, View
from evaa.commands.talk_view import receive, say
from protocols.dialects import TypedJsonDialect
from protocols.frontend import Completion, Line, PlannedStage, Ready, Reply, ServerFrame, StageData, Timing, TurnStarted

SESSION = "5f" * 12
ENCODE = TypedJsonDialect().encode
STAGES = tuple(StageData(f"{n:024x}", name, "", "", n * 10, 3) for n, name in enumerate(("Aim", "Trigger", "Steps")))
TIMING = Timing(None, 1.0, 2.0, 1.0)


def current(index: int = 0, used: int = 0, most: int = 3) -> PlannedStage:
    return PlannedStage(**msgspec.structs.asdict(STAGES[index]), follow_ups_used=used, max_follow_ups=most)


def ready(*messages: Line, resumed: bool = False, stage: PlannedStage | None = None) -> Ready:
    return Ready(
        session_id=SESSION,
        resumed=resumed,
        stage=stage or current(),
        stages=tuple(current(index, used=0) for index in range(len(STAGES))),
        status="interviewing",
        messages=messages,
    )


def reply(turn: int, text: str, to: StageData | Completion | None = None, text_id: str | None = None) -> Reply:
    return Reply(
        turn=turn,
        response=text,
        next_stage=to is not None,
        next_stage_data=to,
        timing=TIMING,
        id=msgspec.UNSET if text_id is None else text_id,
    )


def started(turn: int, text_id: str) -> TurnStarted:
    return TurnStarted(turn=turn, source="text", id=text_id)


def seen(view: View, *frames: ServerFrame) -> Change:
    """The view after these frames, and all effects on the way."""
    effects: list[Effect] = []
    for frame in frames:
        view, more = receive(view, ENCODE(frame))
        effects += more
    return view, tuple(effects)


def sent(text: str, text_id: str) -> Send:
    return Send(json.dumps({"type": "text", "text": text, "id": text_id}, separators=(",", ":")))


NEW = View(SESSION)
OPENED, _ = seen(NEW, ready(), reply(0, "What is it?"))
ASKED, _ = say(OPENED, "Invoices", "a")
