"""What an interview came to, in figures: which facts were told, which arrived, and what stands without ground. Pure."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from evaa.documents.catalogue import BY_KEY
from evaa.documents.checking import check
from evaa.evaluation.driver import Course
from evaa.evaluation.recognition import Said
from evaa.evaluation.scenario import Fact, Scenario, sections_of
from evaa.evaluation.user import HABITS
from protocols.documents import Brd, Entry, Section
from protocols.records import Interview, TurnRecord
from protocols.writing import DraftEntry

OPEN_QUESTIONS = "openQuestions"


class FactScore(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one fact. `found_in` are the sections where it is recognised, of those it belongs into `wanted`.

    What the user was not led to tell has not arrived, whatever the document says.
    """

    id: str
    told: bool
    wanted: tuple[str, ...] = ()
    found_in: tuple[str, ...] = ()

    @property
    def arrived(self) -> bool:
        """Whether any entry has it."""
        return bool(self.found_in)

    @property
    def is_placed(self) -> bool:
        """Whether it is in a section where it belongs."""
        return not set(self.wanted).isdisjoint(self.found_in)

    @property
    def is_doubted(self) -> bool:
        """Whether nothing but an open question has it."""
        return self.found_in == (OPEN_QUESTIONS,) and OPEN_QUESTIONS not in self.wanted


class Tokens(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens that were paid for."""

    interviewer_in: int = 0
    interviewer_out: int = 0
    writer_in: int = 0
    writer_out: int = 0


class Score(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One scenario's figures; `failed` says why there are none.

    `unborne` are the ids of entries that are called stated though their turns do not bear them out, `unsourced` of
    those without a turn. `unwanted` is what stands in the document and should not; `no_answers` are the ids of entries
    that repeat, as if it were something, how the user said that they do not know. `missing` are sections that could
    not be written. `reaction` is what the user's word on the document was meant as and taken for, and `reaction_ok`
    whether that is the same and, of a correction, in the document.
    """

    name: str
    trade: str
    manner: str
    failed: str = ""
    facts: tuple[FactScore, ...] = ()
    entries: int = 0
    stated: int = 0
    unborne: tuple[str, ...] = ()
    unsourced: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    no_answers: tuple[str, ...] = ()
    open_questions: int = 0
    missing: tuple[str, ...] = ()
    reaction: tuple[str, str] | None = None
    reaction_ok: bool = True
    follow_ups_used: int = 0
    follow_ups_allowed: int = 0
    turns: int = 0
    models: dict[str, int] = {}
    restarts: int = 0
    tokens: Tokens = Tokens()
    wall_s: float = 0.0


def failed(scenario: Scenario, why: str) -> Score:
    """The score of a scenario that came to nothing."""
    return Score(name=scenario.name, trade=scenario.trade, manner=scenario.manner, failed=why)


def score(scenario: Scenario, course: Course) -> Score:
    """The score of an interview that came to a document."""
    interview, documents = course.record.interview, course.record.documents
    assert documents is not None
    assert documents.brd is not None
    brd = documents.brd
    entries = [entry for section in brd.sections for entry in section.entries]
    asking, writing = course.interviewing, course.writing
    return Score(
        name=scenario.name,
        trade=scenario.trade,
        manner=scenario.manner,
        facts=tuple(_fact_score(fact, brd, course.told) for fact in _that_count(scenario, course.told)),
        entries=len(entries),
        stated=sum(entry.status != "inferred" for entry in entries),
        unborne=tuple(it for section in brd.sections for it in unborne(section, interview.turns[: brd.up_to_turn])),
        unsourced=tuple(entry.entry_id for entry in entries if not entry.source_turns),
        unwanted=_unwanted(scenario, brd, course.told),
        no_answers=_no_answers(scenario, brd),
        open_questions=len(brd.section(OPEN_QUESTIONS).entries),
        missing=tuple(section.key for section in brd.sections if section.missing),
        reaction=None if scenario.reaction is None else (scenario.reaction.means, course.understood or "nothing"),
        reaction_ok=_reaction_ok(scenario, course, brd),
        follow_ups_used=follow_ups_used(interview),
        follow_ups_allowed=sum(stage.max_follow_ups for stage in interview.stages),
        turns=len(interview.turns),
        models=course.models,
        restarts=course.restarts,
        tokens=Tokens(asking.input_tokens, asking.output_tokens, writing.input_tokens, writing.output_tokens),
        wall_s=round(course.wall_s, 3),
    )


def unborne(section: Section, turns: Sequence[TurnRecord]) -> list[str]:
    """The ids of a section's entries that are called stated, and are not borne out by their turns."""
    stated = [entry for entry in section.entries if entry.status != "inferred"]
    columns = BY_KEY[section.key].columns
    return [
        entry.entry_id
        for entry in stated
        if check([DraftEntry(entry.fields, entry.source_turns, "stated")], columns, turns).doubtful
    ]


def follow_ups_used(interview: Interview) -> int:
    """How many follow-ups were asked: every reply within a stage but the one that closed it."""
    return sum(turn.outcome == "answered" and bool(turn.stage_id) and not turn.closed_stage for turn in interview.turns)


def _that_count(scenario: Scenario, told: Sequence[str]) -> list[Fact]:
    """What the document should say: what was corrected should not stand in it, and a correction needs its mistake."""
    corrected = {fact.corrects for fact in scenario.facts if fact.id in told}
    if scenario.reaction is not None:
        corrected.add(scenario.reaction.corrects)
    standing = [fact for fact in scenario.known if fact.id not in corrected]
    return [fact for fact in standing if not fact.corrects or fact.corrects in told]


def _fact_score(fact: Fact, brd: Brd, told: Sequence[str]) -> FactScore:
    wanted = sections_of(fact)
    if fact.id not in told:
        return FactScore(fact.id, told=False, wanted=wanted)
    found = [section.key for section in brd.sections if any(_prepared(it).holds(fact.check) for it in section.entries)]
    return FactScore(fact.id, told=True, wanted=wanted, found_in=tuple(found))


def _unwanted(scenario: Scenario, brd: Brd, told: Sequence[str]) -> tuple[str, ...]:
    said = [_prepared(entry) for section in brd.sections if section.key != OPEN_QUESTIONS for entry in section.entries]
    found = [text for text in scenario.unwanted if any(it.holds((text,)) for it in said)]
    facts = {fact.id: fact for fact in scenario.facts}
    for fact in scenario.facts:
        if fact.corrects and fact.id in told:
            outdated = facts[fact.corrects].check
            if any(it.holds(outdated) and not it.holds(fact.check) for it in said):
                found.append(f"corrected: {fact.corrects}")
    return tuple(found)


def _no_answers(scenario: Scenario, brd: Brd) -> tuple[str, ...]:
    phrases = HABITS[scenario.manner].unknown
    entries = [entry for section in brd.sections if section.key != OPEN_QUESTIONS for entry in section.entries]
    return tuple(it.entry_id for it in entries if any(_prepared(it).holds((phrase,)) for phrase in phrases))


def _reaction_ok(scenario: Scenario, course: Course, brd: Brd) -> bool:
    reaction = scenario.reaction
    if reaction is None:
        return True
    entries = [_prepared(entry) for section in brd.sections for entry in section.entries]
    is_there = not reaction.check or any(entry.holds(reaction.check) for entry in entries)
    return course.understood == reaction.means and is_there


def _prepared(entry: Entry) -> Said:
    return _said(tuple(entry.fields.values()))


@lru_cache(maxsize=4_096)
def _said(texts: tuple[str, ...]) -> Said:
    return Said.of(texts)
