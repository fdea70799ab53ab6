"""All that a writer without waiting makes of an interview."""

from typing import Any

from evaa.documents.catalogue import SECTIONS
from evaa.documents.scripted_writer import write
from protocols.documents import Section
from protocols.records import Interview
from protocols.writing import DraftEntry, Job, WritingBrief

SESSION_ID = "5e1a0000000000000000beef"


def lists(interview: Interview, job: Job, **more: Any) -> dict[str, tuple[DraftEntry, ...]]:
    """What a job comes to."""
    brief = WritingBrief(job=job, session_id=SESSION_ID, language="en", interview=interview, **more)
    return write(brief).lists


def section(interview: Interview, key: str, previous: Section | None = None, said: str = "") -> tuple[DraftEntry, ...]:
    """The entries of one section."""
    return lists(interview, Job("section", key), previous=previous, correction=said)["entries"]


def brd(interview: Interview) -> dict[str, tuple[DraftEntry, ...]]:
    """Every section."""
    return {kind.key: section(interview, kind.key) for kind in SECTIONS}


def summaries(interview: Interview) -> list[dict[str, tuple[DraftEntry, ...]]]:
    """The lists of every stage, and the project's."""
    jobs = [Job("stage", stage.stage_id) for stage in interview.stages]
    return [lists(interview, job) for job in (*jobs, Job("project"))]


def texts(entries: tuple[DraftEntry, ...], key: str = "text") -> list[str]:
    """One column of some entries."""
    return [entry.fields[key] for entry in entries]
