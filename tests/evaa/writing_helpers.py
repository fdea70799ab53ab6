"""What the tests of the document writers share: an interview, and briefs about it."""

from typing import Any

import msgspec

from protocols.documents import Brd, Entry, Section, StageSummary, Summary
from protocols.records import Interview, Stage, TurnRecord
from protocols.writing import Job, ReviewBrief, WritingBrief

SESSION_ID = "5" * 24
STAGES = tuple(
    Stage(f"{number:024x}", name, f"About {name}.", f"{name} is clear", number, f"Opening of {name}?")
    for number, name in enumerate(("Goal", "Trigger"), start=1)
)
GOAL, TRIGGER = (stage.stage_id for stage in STAGES)


def turn(number: int, text: str, stage_id: str = GOAL, reply: str = "") -> TurnRecord:
    return TurnRecord(number, stage_id, "text", text, 0, reply=reply, outcome="answered" if reply else "superseded")


TURNS = (
    turn(1, "We type 40 invoices a day. It takes six hours.", reply="Thanks. What starts it?"),
    turn(2, "An e-mail in Outlook.", TRIGGER, "Is that all?"),
    turn(3, "Yes, with a PDF.", TRIGGER, "Thank you."),
)


def interview(*turns: TurnRecord) -> Interview:
    return Interview(STAGES, len(STAGES), turns=turns or TURNS)


def brief(task: Any = "section", key: str = "objectives", **changes: Any) -> WritingBrief:
    fields: dict[str, Any] = {"session_id": SESSION_ID, "language": "en", "interview": interview()}
    return WritingBrief(job=Job(task, key), **fields | changes)


OBJECTIVE = Entry("OBJ-1", {"objective": "less typing", "baseline": "six hours", "target": ""}, (1,), "stated")
PREVIOUS = Section("objectives", (OBJECTIVE,))
SUMMARY = Summary(
    Entry("P-1", {"text": "Invoice capture."}, (1,)),
    (StageSummary(GOAL, "Goal", established=(Entry("S1-1", {"text": "40 a day"}, (1,), "stated"),)),),
    3,
)
BRD = Brd("BRD-1", 1, SESSION_ID, "Invoices", "en", 0, 3, (PREVIOUS, Section("glossary")))


def review_brief(words: str = "Yes, that is right.", **changes: Any) -> ReviewBrief:
    fields: dict[str, Any] = {
        "session_id": SESSION_ID,
        "turn": 4,
        "first_turn": 4,
        "interview": interview(),
        "brd": BRD,
    }
    return ReviewBrief(words=words, **fields | changes)


def lines_behind(marker: str, text: str) -> list[str]:
    """The lines between this marker and the next line that is one."""
    lines = text.split("\n")
    behind = lines[lines.index(marker) + 1 :]
    ends = [number for number, line in enumerate(behind) if line.startswith("[")]
    return behind[: ends[0]] if ends else behind


def transcript_of(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines_behind("[transcript]", text)]
