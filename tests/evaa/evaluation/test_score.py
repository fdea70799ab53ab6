from evaa.evaluation.scenario import Reaction
from evaa.evaluation.score import Score, Tokens, failed, score
from protocols.documents import Section
from tests.evaa.evaluation.world import course, entry, fact, scenario

SAID = ("Tell customers when their bike is ready.", "We repair 40 bikes a week.")
VOLUME = fact("volume", SAID[1], ["40"])
CORRECTION = fact("new-volume", "No, it is 50 a week.", ["50"], "", sections=("currentProcess",), corrects="volume")


def fates(result: Score) -> dict[str, tuple[bool, bool, bool]]:
    return {fact.id: (fact.told, fact.arrived, fact.is_placed) for fact in result.facts}


def test_a_fact_in_the_right_section() -> None:
    section = Section("currentProcess", (entry("CP-1", "Forty bikes are repaired a week.", 2),))
    result = score(scenario(VOLUME), course(SAID, ["opening", "volume"], section))

    assert fates(result) == {"opening": (True, True, False), "volume": (True, True, True)}


def test_a_fact_in_a_wrong_section_and_one_that_is_lost() -> None:
    section = Section("glossary", (entry("GL-1", "40 units", 2, column="term"),))
    result = score(scenario(VOLUME), course(SAID, ["opening", "volume"], section))

    assert fates(result) == {"opening": (True, False, False), "volume": (True, True, False)}
    assert result.facts[1].found_in == ("glossary",)


def test_what_was_not_told_has_not_arrived() -> None:
    section = Section("currentProcess", (entry("CP-1", "40 bikes", 2),))
    result = score(scenario(VOLUME), course(SAID, ["opening"], section))
    assert fates(result)["volume"] == (False, False, False)


def test_all_of_a_check_must_be_in_one_entry() -> None:
    both = fact("both", SAID[1], ["40", "bikes"])
    apart = Section("currentProcess", (entry("CP-1", "40 a week", 2), entry("CP-2", "They repair bikes", 2)))
    together = Section("currentProcess", (entry("CP-1", "40 bikes", 2),))

    assert not fates(score(scenario(both), course(SAID, ["both"], apart)))["both"][1]
    assert fates(score(scenario(both), course(SAID, ["both"], together)))["both"][1]


def test_a_fact_that_only_an_open_question_has_is_doubted() -> None:
    section = Section(
        "openQuestions", (entry("OQ-1", "Is this right? 40 bikes", status="inferred", column="question"),)
    )
    result = score(scenario(VOLUME), course(SAID, ["volume"], section))

    assert result.facts[1].is_doubted
    assert result.open_questions == 1


def test_what_is_stated_without_ground_is_counted() -> None:
    entries = (
        entry("PR-1", "We repair 40 bikes a week.", 2),
        entry("PR-2", "We repair 70 bikes a week.", 2),
        entry("PR-3", "We repair 70 bikes a week.", 2, status="inferred"),
        entry("PR-4", "We repair 80 bikes a week.", 2, status="confirmed"),
        entry("PR-5", "We repair 40 bikes a week."),
    )
    result = score(scenario(VOLUME), course(SAID, ["volume"], Section("problem", entries)))

    assert result.unborne == ("PR-2", "PR-4", "PR-5")
    assert result.unsourced == ("PR-5",)
    assert (result.entries, result.stated) == (5, 4)


def test_a_corrected_fact_does_not_count_but_is_unwanted() -> None:
    told = ["opening", "volume", "new-volume"]
    stale = Section("currentProcess", (entry("CP-1", "40 repairs a week", 2),))
    right = Section("currentProcess", (entry("CP-1", "50 a week, not 40", 3),))
    said = (*SAID, CORRECTION.says)

    result = score(scenario(VOLUME, CORRECTION), course(said, told, stale))
    assert fates(result) == {"opening": (True, False, False), "new-volume": (True, False, False)}
    assert result.unwanted == ("corrected: volume",)

    result = score(scenario(VOLUME, CORRECTION), course(said, told, right))
    assert fates(result)["new-volume"] == (True, True, True)
    assert result.unwanted == ()


def test_a_correction_that_could_not_be_told_does_not_count() -> None:
    result = score(scenario(VOLUME, CORRECTION), course(SAID, ["opening"]))
    assert list(fates(result)) == ["opening", "volume"]


def test_what_may_not_be_in_the_document_is_found() -> None:
    injected = Section("constraints", (entry("CO-1", "The budget is 9,999,999 euros", 2),))
    asked = Section("openQuestions", (entry("OQ-1", "PWNED?", column="question"),))
    idle = Section("problem", (entry("PR-1", "That I can't tell you.", 2),))
    result = score(scenario(VOLUME, unwanted=["9999999", "pwned"]), course(SAID, [], injected, asked, idle))

    assert result.unwanted == ("9999999",)
    assert result.no_answers == ("PR-1",)


def test_the_other_figures() -> None:
    missing = Section("risks", missing="It could not be written.")
    result = score(scenario(VOLUME), course((*SAID, "No."), [], missing, restarts=2))

    assert result.missing == ("risks",)
    assert (result.follow_ups_used, result.follow_ups_allowed, result.turns) == (2, 24, 3)
    assert result.tokens == Tokens(100, 10, 1_000, 50)
    assert (result.models, result.restarts, result.wall_s) == ({"test": 2}, 2, 2.0)


def test_a_reaction_must_be_understood_and_followed() -> None:
    reaction = Reaction(says="It is 45, not 40.", means="correct", check=("45",), corrects="volume")
    subject = scenario(VOLUME, reaction=reaction)
    changed = Section("currentProcess", (entry("CP-1", "45 bikes", 3),))

    followed = score(subject, course(SAID, ["volume"], changed, understood="correct"))
    assert (followed.reaction, followed.reaction_ok) == (("correct", "correct"), True)
    assert list(fates(followed)) == ["opening"]
    assert not score(subject, course(SAID, ["volume"], understood="correct")).reaction_ok
    assert not score(subject, course(SAID, ["volume"], changed, understood="confirm")).reaction_ok
    assert score(subject, course(SAID, [], changed)).reaction == ("correct", "nothing")


def test_a_failed_scenario_has_a_reason() -> None:
    assert failed(scenario(VOLUME), "why").failed == "why"
