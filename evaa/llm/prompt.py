"""What a model is told: the static instructions, and the newest user message with its status block.

Static text comes first and the history only grows, so that the provider's prompt cache holds; what changes from turn
to turn stands in the newest message.
"""

import json
from functools import cache
from importlib.resources import files

from protocols.ports import TurnBrief


@cache
def instructions() -> str:
    """The interviewer's instructions, the same for every session and turn."""
    return files("evaa.llm").joinpath("instructions/interviewer.txt").read_text(encoding="utf-8").strip()


def user_message(brief: TurnBrief) -> str:
    """The status block, then the user's words.

    The words come last, so that nothing in them can be taken for the status; a line of theirs that looks like a
    marker of the block is only text after `[user]`.
    """
    lines = [
        "[interview]",
        f"stage: {brief.position} of {brief.total_stages} - {brief.stage.name}",
        f"goal: {_one_line(brief.stage.goal)}",
    ]
    if brief.established:
        lines.append(f"established: {json.dumps(brief.established, ensure_ascii=False)}")
    lines.append(f"follow-ups: {brief.follow_ups_used} used, {brief.follow_ups_left} left{_closing(brief)}")
    if brief.next_stage is not None:
        lines.append(f"next: {brief.position + 1} - {brief.next_stage.name}")
        lines.append(f"next question: {_one_line(brief.next_stage.opening)}")
    else:
        lines.append("next: nothing; this is the last stage")
    if brief.interrupted:
        lines.append("note: the user cut your last reply short")
    return "\n".join([*lines, "[user]", brief.words])


def _closing(brief: TurnBrief) -> str:
    return "" if brief.follow_ups_left else " - this reply closes the stage: go on with @next"


def _one_line(text: str) -> str:
    return " ".join(text.split())
