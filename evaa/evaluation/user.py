"""The simulated user: tells what they know when a question touches it. Pure and deterministic."""

from collections.abc import Sequence

import msgspec

from evaa.documents.questions import sentences
from evaa.documents.words import Vocabulary, words
from evaa.evaluation.scenario import OPENING, Fact, Manner, Scenario, terms_of


class Habit(msgspec.Struct, frozen=True):
    """How people of a manner answer: at most so many facts at once, what they begin with, and how they do not know."""

    most: int
    begins: tuple[str, ...]
    unknown: tuple[str, ...]


HABITS: dict[Manner, Habit] = {
    "plain": Habit(2, ("",), ("I don't know that, sorry.", "I have nothing to add there.", "That I can't tell you.")),
    "terse": Habit(1, ("",), ("No idea.", "Nothing else.", "Don't know.")),
    "talkative": Habit(
        3,
        ("Well, let me think.", "Oh, that is a good question.", "Right, where do I begin."),
        (
            "Hm, I would love to help, but I really could not say.",
            "You know, nobody has ever asked me that, so I have no answer.",
        ),
    ),
    "unsure": Habit(
        2,
        ("I think it is like this.", "If I remember rightly.", "I am not completely sure, but."),
        ("I would have to ask somebody about that.", "I am really not sure about that.", "Maybe, I don't know."),
    ),
    "nonNative": Habit(
        2,
        ("", "Yes, I try to explain.", "So it is."),
        ("Sorry, this I do not know.", "I am not understanding this so well, we go on please."),
    ),
}


class SimulatedUser:
    """One person in one interview. `told` are the ids of the facts that they told, in their order."""

    def __init__(self, scenario: Scenario) -> None:
        self.told: list[str] = []
        self._facts = scenario.known
        self._habit = HABITS[scenario.manner]
        self._answers = 0

    def begin(self) -> str:
        """Return the answer to the opening question, whatever that is."""
        return self._tell([fact for fact in self._facts if fact.id == OPENING])

    def answer(self, reply: str) -> str:
        """Return the answer to what the agent said. A correction comes unasked; else what the question touches most."""
        asked = Vocabulary(question_in(reply))
        left = [fact for fact in self._facts if fact.id not in self.told]
        corrections = [fact for fact in left if fact.corrects in self.told]
        touched = {fact.id: touches(fact, asked) for fact in left if not fact.corrects}
        fitting = sorted((fact for fact in left if touched.get(fact.id)), key=lambda fact: -touched[fact.id])
        self._answers += 1
        chosen = (*corrections, *fitting)[: self._habit.most]
        if not chosen:
            return self._habit.unknown[self._answers % len(self._habit.unknown)]
        return f"{self._habit.begins[self._answers % len(self._habit.begins)]} {self._tell(chosen)}".strip()

    def _tell(self, facts: Sequence[Fact]) -> str:
        self.told += [fact.id for fact in facts]
        return " ".join(fact.says.strip() for fact in facts)


def question_in(reply: str) -> str:
    """The questions in what the agent said, without what it repeats before them; all of it if it asks nothing."""
    return " ".join(sentence for sentence in sentences(reply) if sentence.endswith("?")) or reply


def touches(fact: Fact, asked: Vocabulary) -> int:
    """How many of a fact's key words, or phrases, a question touches."""
    return sum(_is_touched(term, asked) for term in terms_of(fact))


def _is_touched(term: str, asked: Vocabulary) -> bool:
    wanted = list(words(term))
    return bool(wanted) and all(map(asked.holds, wanted))
