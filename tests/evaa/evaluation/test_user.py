import pytest

from evaa.evaluation.scenario import Fact
from evaa.evaluation.user import HABITS, SimulatedUser, question_in
from tests.evaa.evaluation.world import fact, scenario

VOLUME = fact("volume", "We repair 40 bikes a week.", ["40"])
PEAK = fact("peak", "In spring it is 90.", ["90"], "peak")
SYSTEMS = fact("systems", "Everything is in Hero.", ["Hero"], "systems")
CORRECTION = fact("new-volume", "No, it is 50 a week.", ["50"], "", sections=("currentProcess",), corrects="volume")


def test_the_first_answer_is_the_opening() -> None:
    user = SimulatedUser(scenario(VOLUME))

    assert user.begin() == "Tell customers when their bike is ready."
    assert user.told == ["opening"]


def test_a_fact_is_told_when_the_question_touches_it_and_only_once() -> None:
    user = SimulatedUser(scenario(VOLUME, SYSTEMS))
    user.begin()

    assert user.answer("How many bikes do you repair?") == "We repair 40 bikes a week."
    assert "40" not in user.answer("How many, did you say?")
    assert user.answer("Thank you. Which programs do you use?") == "Everything is in Hero."
    assert user.told == ["opening", "volume", "systems"]


@pytest.mark.parametrize("question", ["What software is it?", "Which tool?", "Is there a database?"])
def test_key_words_count_in_any_form(question: str) -> None:
    user = SimulatedUser(scenario(SYSTEMS))
    user.begin()
    assert user.answer(question) == SYSTEMS.says


def test_what_is_not_asked_is_not_told() -> None:
    user = SimulatedUser(scenario(VOLUME, SYSTEMS))
    user.begin()

    assert user.answer("What is your favourite colour?") in HABITS["plain"].unknown
    assert user.told == ["opening"]


def test_only_the_question_counts_not_what_is_repeated_before_it() -> None:
    assert question_in("So it is 40 in the software. Who approves it?") == "Who approves it?"
    assert question_in("Tell me about the software.") == "Tell me about the software."

    user = SimulatedUser(scenario(VOLUME, SYSTEMS))
    user.begin()
    assert "Hero" not in user.answer("I noted the software. How many a week?")


@pytest.mark.parametrize(("manner", "most"), [(name, habit.most) for name, habit in HABITS.items()])
def test_no_answer_tells_more_than_is_the_persons_manner(manner: str, most: int) -> None:
    facts = [fact(f"f{number}", f"Fact {number}.", ["fact"]) for number in range(9)]
    user = SimulatedUser(scenario(*facts, manner=manner))
    user.begin()
    user.answer("How many?")

    assert len(user.told) == 1 + most
    assert most <= 3


def test_what_is_touched_most_comes_first() -> None:
    user = SimulatedUser(scenario(VOLUME, PEAK, manner="terse"))
    user.begin()
    assert user.answer("How many more than usual come when you are at your busiest, in the season?") == PEAK.says


def test_a_correction_comes_unasked_in_the_answer_after() -> None:
    user = SimulatedUser(scenario(VOLUME, CORRECTION, SYSTEMS))
    user.begin()

    assert user.answer("How many?") == VOLUME.says
    assert user.answer("Which software is it?") == f"{CORRECTION.says} {SYSTEMS.says}"


def test_a_correction_is_not_told_before_its_mistake() -> None:
    user = SimulatedUser(scenario(VOLUME, CORRECTION, SYSTEMS))
    user.begin()
    assert user.answer("Which software is it?") == SYSTEMS.says


def test_the_same_questions_get_the_same_answers() -> None:
    questions = ["How many?", "What?", "Which software?", "Why?"]

    def answers() -> list[str]:
        user = SimulatedUser(scenario(VOLUME, PEAK, SYSTEMS, manner="talkative"))
        return [user.begin(), *map(user.answer, questions)]

    assert answers() == answers()


def test_own_key_words_count_besides_the_topics() -> None:
    helmets = Fact(
        id="helmets", says="Helmets, too.", check=("helmet",), about=("helmet", "head gear"), sections=("data",)
    )
    user = SimulatedUser(scenario(helmets))
    user.begin()

    assert user.answer("What about gear?") != helmets.says
    assert user.answer("What about gear for the head?") == helmets.says
