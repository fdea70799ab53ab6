"""What the terminal client tells of the documents that are written from an interview. Pure: frames in, texts out."""

from collections import Counter

from evaa.commands.talk_effects import Print
from evaa.commands.talk_frames import Progress, SeenBrd, plain

_DOCUMENT = "your requirements document"
_QUESTIONS = "openQuestions"
_STEPS = {"summary": "the summary of the interview", "brd": _DOCUMENT}
_STATUSES = ("stated", "inferred", "confirmed")


def beginning(told: tuple[int, str] | None) -> str:
    """What is said when a version is being written; `told` is the one that there is already."""
    return f"{'Your' if told is None else 'A new version of your'} requirements document is being written."


def progress(frame: Progress) -> str:
    """How far the writing is, in a line."""
    return f"Writing {_STEPS.get(frame.step, _DOCUMENT)}: {frame.done} of {frame.total}"


def standing(brd: SeenBrd, session_id: str) -> tuple[Print, ...]:
    """What a version is, how sure it is of what it says, and what the user can do with it."""
    wrong = "Say what is wrong" + (", or that it is right" if brd.state == "draft" else ", if something is")
    return (
        Print("stage", plain(f"Your requirements document: {brd.title or 'without a title'}")),
        Print("note", plain(f"Version {brd.version}, {brd.state}{f': {brd.change}' if brd.change else ''}")),
        Print("note", _contents(brd)),
        Print("note", f"{wrong}. To write it out: python run.py brd {session_id} --format docx"),
    )


def _contents(brd: SeenBrd) -> str:
    statuses = Counter(entry.status for key, it in brd.sections.items() if key != _QUESTIONS for entry in it)
    statements = ", ".join(f"{statuses[status]} {status}" for status in _STATUSES)
    questions = _count(len(brd.sections.get(_QUESTIONS, ())), "open question")
    return f"Statements: {statements}. {questions}, {_count(len(brd.missing), 'missing section').lower()}."


def _count(number: int, thing: str) -> str:
    return f"{number or 'No'} {thing}{'' if number == 1 else 's'}"
