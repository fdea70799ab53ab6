"""The questions of the default stages, known by heart, and each in a few of its own words.

A topic is a question's place: the position of its stage (from 1), and its number there (0: the opening).
"""

from functools import cache

from evaa.documents.questions import question_of
from evaa.interview.stages import default_stages

Topic = tuple[int, int]
NO_TOPIC: Topic = (0, 0)

LABELS: dict[Topic, str] = {
    (1, 0): "What it should do",
    (1, 1): "What bothers most",
    (1, 2): "Who will use it, or feel the benefit of it",
    (1, 3): "What will be different",
    (2, 0): "What has to happen",
    (2, 1): "Where to notice it first",
    (2, 2): "How soon the automation should have started",
    (2, 3): "When to stay quiet",
    (3, 0): "Step by step",
    (3, 1): "Who takes part",
    (3, 2): "Points at which there is a decision to make",
    (3, 3): "What is there when everything is done",
    (4, 0): "What this work touches",
    (4, 1): "Where the final result should end up",
    (4, 2): "Who looks after the accounts, and could give access to them",
    (4, 3): "In a web browser, or installed on the computers in the office",
    (5, 0): "What the automation needs to know",
    (5, 1): "Rules",
    (5, 2): "One typical example",
    (5, 3): "Personal or confidential information",
    (6, 0): "What tends to go wrong",
    (6, 1): "Who should hear about it, and how",
    (6, 2): "What a person has to check or approve",
    (6, 3): "The worst thing by mistake",
    (7, 0): "Cases in a normal week",
    (7, 1): "Times when far more comes in than usual",
    (7, 2): "How long one case takes by hand",
    (7, 3): "A limit the automation has to keep to",
    (8, 0): "How to tell that it is a success",
    (8, 1): "By when to have it running",
    (8, 2): "Rules to respect",
    (8, 3): "Who has the final word on whether it goes live",
}
"""What stands before a short answer, and beside others. Words of the question: any other would say what nobody said."""


@cache
def default_questions() -> dict[str, Topic]:
    """The questions of the default stages, as they are asked, and where they belong."""
    return {
        question_of(question): (stage.order, number)
        for stage in default_stages()
        for number, question in enumerate((stage.opening, *stage.follow_ups))
    }


def label_of(question: str) -> str:
    """A default question in a few words; empty for any other."""
    return LABELS.get(default_questions().get(question, NO_TOPIC), "")
