"""The sections of a BRD: their order, their columns, and what belongs into each.

Everything else follows from this table: what a writer is asked for, what its answer must look like, how a section is
shown in every format, and the published JSON Schema.
"""

from typing import Literal

import msgspec

Layout = Literal["prose", "list", "table", "cards"]


class Column(msgspec.Struct, frozen=True):
    """One field of a section's entries. `choices`: its value is one of these."""

    key: str
    label: str
    meaning: str
    choices: tuple[str, ...] = ()


class SectionKind(msgspec.Struct, frozen=True):
    """One section. `prefix` begins its entries' ids; `guidance` is what a writer is told.

    `layout`: `prose` runs the entries together as paragraphs, `list` shows a point each, `table` a row each, `cards` a
    block each. The first column is an entry's headline.
    """

    key: str
    title: str
    prefix: str
    layout: Layout
    guidance: str
    columns: tuple[Column, ...]


TEXT = Column("text", "Statement", "one statement, a complete sentence")
_YES_NO = ("yes", "no", "unknown")
_LEVELS = ("low", "medium", "high")

SECTIONS: tuple[SectionKind, ...] = (
    SectionKind(
        "executiveSummary", "Executive summary", "ES", "prose",
        "Three to five sentences for someone who reads nothing else: who wants what automated, why, what it will do,"
        " and what it depends on.",
        (TEXT,),
    ),
    SectionKind(
        "problem", "Problem", "PR", "list",
        "What is slow, costly, error-prone or missing today, and whom it hurts. One problem an entry, with figures.",
        (TEXT,),
    ),
    SectionKind(
        "objectives", "Objectives", "OBJ", "table",
        "What will be different, so that it can be measured: where it stands today and where it should be. Leave"
        " baseline or target empty where nobody said it; never make up a figure.",
        (
            Column("objective", "Objective", "what is to be achieved"),
            Column("baseline", "Baseline", "the figure today; empty if not said"),
            Column("target", "Target", "the figure wanted; empty if not said"),
        ),
    ),
    SectionKind("scopeIn", "In scope", "IN", "list", "What the automation covers.", (TEXT,)),
    SectionKind(
        "scopeOut", "Out of scope", "OUT", "list", "What it leaves to people or to later, as far as that was said.",
        (TEXT,),
    ),
    SectionKind(
        "stakeholders", "Stakeholders and roles", "STK", "table",
        "Who uses it, benefits, decides, approves, or is told; by role or team rather than by a person's name.",
        (
            Column("role", "Role", "the role or team"),
            Column("part", "Part", "what they do in it, or decide"),
            Column("need", "Need", "what they need from it"),
        ),
    ),
    SectionKind(
        "currentProcess", "Current process", "CP", "table",
        "How it is done today: what starts it, each step in order, how much and how often, and where it hurts.",
        (
            Column("aspect", "Aspect", "what kind of statement it is", ("trigger", "step", "volume", "pain")),
            Column("text", "Today", "one statement"),
        ),
    ),
    SectionKind(
        "futureProcess", "Future process", "FP", "table",
        "How it will run: what starts it, each step in order and whether a person or the automation does it, and what"
        " it leaves behind.",
        (
            Column("aspect", "Aspect", "what kind of statement it is", ("trigger", "step", "result")),
            Column("text", "In future", "one statement"),
            Column("actor", "Done by", "who does it", ("automation", "person")),
        ),
    ),
    SectionKind(
        "requirements", "Functional requirements", "FR", "cards",
        "What the automation must do, one testable requirement an entry. MoSCoW: Must only for what the user cannot do"
        " without.",
        (
            Column("title", "Requirement", "what it must do, as a short sentence"),
            Column("priority", "Priority", "MoSCoW", ("Must", "Should", "Could", "Won't")),
            Column("given", "Given", "the situation"),
            Column("when", "When", "what happens"),
            Column("then", "Then", "what the automation does"),
        ),
    ),
    SectionKind(
        "businessRules", "Business rules and exceptions", "BR", "table",
        "The rules that decisions follow, with their thresholds, and what is done differently when.",
        (
            Column("rule", "Rule", "one rule"),
            Column("exception", "Exception", "when it does not hold, and what then; empty if none was said"),
        ),
    ),
    SectionKind(
        "data", "Data", "DA", "table",
        "The fields that the automation reads or writes. Personal data: yes for whatever is about a person who can be"
        " identified.",
        (
            Column("field", "Field", "its name"),
            Column("meaning", "Meaning", "what it says, and where it is"),
            Column("example", "Example", "an example that the user gave; empty if none"),
            Column("personal", "Personal data", "whether it is about a person", _YES_NO),
            Column("retention", "Retention", "how long it is kept; empty if not said"),
        ),
    ),
    SectionKind(
        "integrations", "Integrations", "IT", "table",
        "Every system that is touched. Authentication and limits only as far as they were said.",
        (
            Column("system", "System", "its name"),
            Column("purpose", "Purpose", "what the automation does with it"),
            Column("owner", "Owner", "who is responsible for it, or gives access; empty if not said"),
            Column("authentication", "Authentication", "how one signs in; empty if not said"),
            Column("limits", "Limits", "rate limits, licences, environments; empty if not said"),
        ),
    ),
    SectionKind(
        "nonFunctional", "Non-functional requirements", "NFR", "table",
        "How well it must do it: speed, volume, availability, security, privacy, upkeep.",
        (
            Column("quality", "Quality", "which quality"),
            Column("requirement", "Requirement", "what is required, with its figure if there is one"),
        ),
    ),
    SectionKind(
        "errorHandling", "Error handling and alerts", "EH", "table",
        "What can go wrong, what the automation does then, and who is told how.",
        (
            Column("failure", "Failure", "what goes wrong"),
            Column("reaction", "Reaction", "what the automation does"),
            Column("alert", "Alert", "who is told, and how; empty if not said"),
        ),
    ),
    SectionKind(
        "assumptions", "Assumptions", "AS", "list", "What is taken for granted without having been said.", (TEXT,)
    ),
    SectionKind(
        "constraints", "Constraints", "CO", "list",
        "What limits the solution: budget, deadline, law, systems that must stay.", (TEXT,),
    ),
    SectionKind(
        "dependencies", "Dependencies", "DE", "list",
        "What others must deliver or decide first: access, data, people's time.", (TEXT,),
    ),
    SectionKind(
        "openQuestions", "Open questions", "OQ", "table",
        "What has to be answered before or during the build, and who could answer it.",
        (
            Column("question", "Question", "the question"),
            Column("reason", "Why it matters", "what depends on the answer"),
        ),
    ),
    SectionKind(
        "acceptanceTests", "Acceptance tests", "AT", "cards",
        "How the user will see that it is right: one test an entry, with data of the user's own world.",
        (
            Column("title", "Test", "what is tested"),
            Column("covers", "Covers", "the ids of the requirements that it covers; empty if unknown"),
            Column("steps", "Steps", "what is done"),
            Column("expected", "Expected", "what must be seen"),
        ),
    ),
    SectionKind(
        "risks", "Risks", "RI", "table",
        "What may go wrong with the project or in operation.",
        (
            Column("risk", "Risk", "what may happen"),
            Column("likelihood", "Likelihood", "how likely it is", _LEVELS),
            Column("impact", "Impact", "how bad it would be", _LEVELS),
            Column("mitigation", "Mitigation", "what is done about it"),
        ),
    ),
    SectionKind(
        "solution", "Proposed n8n solution", "SO", "table",
        "The workflow, step by step in its order: one trigger, then what each node does. A decision names its condition"
        " and what happens otherwise.",
        (
            Column("step", "Step", "what the node does, in a few words"),
            Column("kind", "Kind", "what kind of node it is",
                   ("trigger", "read", "write", "transform", "decision", "approval", "notify", "wait")),
            Column("system", "System", "the system that it talks to; empty if none"),
            Column("detail", "Detail", "what exactly: fields, conditions, wording"),
            Column("otherwise", "Otherwise", "of a decision: what happens if the condition does not hold; else empty"),
        ),
    ),
    SectionKind(
        "glossary", "Glossary", "GL", "table",
        "The user's own terms and abbreviations.",
        (Column("term", "Term", "the term"), Column("meaning", "Meaning", "what the user means by it")),
    ),
)  # fmt: skip

BY_KEY = {kind.key: kind for kind in SECTIONS}
