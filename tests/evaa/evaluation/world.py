"""Small scenarios, documents and reports for the tests of the evaluation."""

from collections.abc import Callable, Sequence
from typing import Any

from actors.writing import Writing, WritingLimits
from evaa.evaluation.driver import Course, Hands
from evaa.evaluation.scenario import Fact, Opening, Reaction, Scenario
from evaa.interview.stages import default_stages
from protocols.documents import Brd, Documents, Entry, EntryStatus, Section
from protocols.ports import Usage
from protocols.records import Interview, SessionRecord, TurnRecord
from protocols.writing import DocumentWriter
from tests.computing import at_once

FILE = """
scenarios:
  - name: bike-repair
    trade: bicycle repair
    person: mechanic
    manner: terse
    opening: {says: "Tell customers when their bike is ready.", check: [bike]}
    facts:
      - {id: volume, topic: volume, says: "We repair 40 bikes a week.", check: ["40"]}
      - id: systems
        about: [program, software]
        sections: [integrations]
        says: Everything is in Hero.
        check: [Hero]
"""


def fact(name: str, says: str, check: Sequence[str], topic: str = "volume", **more: Any) -> Fact:
    return Fact(id=name, says=says, check=tuple(check), topic=topic, **more)


def scenario(
    *facts: Fact,
    manner: Any = "plain",
    unwanted: Sequence[str] = (),
    reaction: Reaction | None = None,
) -> Scenario:
    return Scenario(
        name="bike-repair",
        trade="bicycle repair",
        person="mechanic",
        manner=manner,
        opening=Opening(says="Tell customers when their bike is ready.", check=("bike",)),
        facts=facts,
        unwanted=tuple(unwanted),
        reaction=reaction,
    )


def entry(entry_id: str, text: str, *turns: int, status: EntryStatus = "stated", column: str = "text") -> Entry:
    return Entry(entry_id, {column: text}, turns, status)


def course(said: Sequence[str], told: Sequence[str], *sections: Section, **more: Any) -> Course:
    """An interview in which the user said this, and that ended in a document of these sections."""
    stages = default_stages()
    turns = tuple(
        TurnRecord(
            number, stages[0].stage_id, "text", text, 0, reply="And?", outcome="answered", closed_stage=number == 1
        )
        for number, text in enumerate(said, start=1)
    )
    brd = Brd("BRD-1", 1, "5" * 24, "Title", "en", 0, len(turns), sections)
    record = SessionRecord(
        "5" * 24, Interview(stages, len(stages), turns=turns), 0, 0, documents=Documents(versions=(brd,))
    )
    plain: dict[str, Any] = {
        "models": {"test": 2}, "interviewing": Usage(100, 10), "writing": Usage(1_000, 50),
        "restarts": 0, "understood": None, "wall_s": 2.0,
    }  # fmt: skip
    return Course(record=record, told=tuple(told), **(plain | more))


def hands_of(writer: DocumentWriter) -> Callable[[str], Hands]:
    return lambda session_id: Writing(writer, WritingLimits(), session_id, at_once)
