import pytest

from evaa.documents.words import Vocabulary
from evaa.evaluation.recognition import Said
from evaa.evaluation.scenario import (
    Scenario,
    ScenariosRefused,
    merged,
    parse_scenarios,
    sections_of,
    shipped_scenarios,
    terms_of,
    topics,
)
from evaa.evaluation.user import touches
from evaa.interview.stages import default_stages
from protocols.records import Stage
from tests.evaa.evaluation.world import FILE


def refusal(text: str) -> str:
    with pytest.raises(ScenariosRefused) as refused:
        parse_scenarios(text, "own.yaml")
    return "\n".join(refused.value.problems)


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_file_is_read() -> None:
    (bike,) = parse_scenarios(FILE, "own.yaml")

    assert (bike.name, bike.manner) == ("bike-repair", "terse")
    assert [fact.id for fact in bike.known] == ["opening", "volume", "systems"]


def test_a_topic_brings_its_key_words_and_sections() -> None:
    (bike,) = parse_scenarios(FILE, "own.yaml")
    opening, volume, systems = bike.known

    assert "how many" in terms_of(volume)
    assert sections_of(volume) == topics()["volume"].sections
    assert sections_of(systems) == ("integrations",)
    assert "executiveSummary" in sections_of(opening)


def test_every_scalar_is_text() -> None:
    (bike,) = parse_scenarios(FILE.replace('check: ["40"]', "check: [40]"), "own.yaml")
    assert bike.facts[0].check == ("40",)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("trade: bicycle repair", "tradee: x", "own.yaml: scenarios[0]: Object contains unknown field `tradee`"),
        ("    trade: bicycle repair\n", "", "own.yaml: scenarios[0]: Object missing required field `trade`"),
        ("manner: terse", "manner: rude", "own.yaml: scenarios[0].manner: Invalid enum value 'rude'"),
        ("check: [Hero]", "check: Hero", "own.yaml: scenarios[0].facts[1].check: Expected `array`, got `str`"),
        ("check: [Hero]", "check: []", "own.yaml: scenarios[0].facts[1].check: empty"),
        ("check: [Hero]", "check: [Zero]", "own.yaml: scenarios[0].facts[1].check: not to be found in the fact's own"),
        ("name: bike-repair", "name: Bike Repair", "own.yaml: scenarios[0].name: expected small letters"),
        ("topic: volume", "topic: volumes", "own.yaml: scenarios[0].facts[0].topic: there is no topic volumes"),
        ("[integrations]", "[integration]", "scenarios[0].facts[1].sections: there is no section integration"),
        ("        sections: [integrations]\n", "", "own.yaml: scenarios[0].facts[1].sections: neither given"),
        ("        about: [program, software]\n", "", "own.yaml: scenarios[0].facts[1]: neither a topic nor key words"),
        ("id: systems", "id: volume", "own.yaml: scenarios[0].facts: the id volume is given twice"),
        ("id: systems", "id: opening", "own.yaml: scenarios[0].facts: the id opening is given twice"),
        ("id: systems", "id: x\n        corrects: y", "own.yaml: scenarios[0].facts[1].corrects: there is no other"),
        ("person: mechanic", "person: ''", "own.yaml: scenarios[0].person: empty"),
        ("person: mechanic", "person: x\n    person: y", "own.yaml: line 6, column 5: a key is given twice"),
        ("person: mechanic", "person: &x y", "own.yaml: line 5, column 13: anchors and aliases are not allowed"),
        ("person: mechanic", "person: [x", "own.yaml: line 6, column 11: while parsing a flow sequence"),
        ("person: mechanic", "person: x\x00", "own.yaml: not YAML"),
        ("scenarios:", "scenario:", "own.yaml: the file: Object contains unknown field `scenario`"),
        ("    facts:", "    reaction: {says: x, means: agree}\n    facts:", "own.yaml: scenarios[0].reaction.means"),
        (
            "    facts:",
            "    reaction: {says: x, means: confirm, corrects: y}\n    facts:",
            "own.yaml: scenarios[0].reaction.corrects: there is no fact y",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(old: str, new: str, problem: str) -> None:
    assert old in FILE
    assert problem in refusal(FILE.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "scenarios: []", "[1]", "[" * 5_000])
def test_what_holds_no_scenario_is_refused(text: str) -> None:
    assert refusal(text).startswith("own.yaml: ")


def test_every_problem_is_told_at_once() -> None:
    text = FILE.replace("topic: volume", "topic: x").replace("[Hero]", "[Zero]")
    assert len(refusal(text).splitlines()) == 2


def test_two_scenarios_of_the_same_name_are_refused() -> None:
    files = [parse_scenarios(FILE, "own.yaml")] * 2
    with pytest.raises(ScenariosRefused, match="bike-repair"):
        merged(files)


# --- what EVAA comes with -----------------------------------------------------------------------------------------


def test_the_shipped_scenarios_are_many_and_different() -> None:
    scenarios = shipped_scenarios()

    assert len(scenarios) >= 30
    assert len({it.trade for it in scenarios}) >= 15
    assert len({it.manner for it in scenarios}) == 5
    assert all(10 <= len(it.facts) <= 14 for it in scenarios)
    assert all(len({fact.id for fact in it.known}) == len(it.known) for it in scenarios)


def test_some_are_awkward() -> None:
    scenarios = shipped_scenarios()

    assert sum(any(fact.corrects for fact in it.facts) for it in scenarios) >= 3
    assert sum(bool(it.unwanted) for it in scenarios) >= 3
    assert {it.reaction.means for it in scenarios if it.reaction} == {"confirm", "correct", "other"}
    longest = max(len(fact.says) for it in scenarios for fact in it.facts)
    assert longest > 1_200


@pytest.mark.parametrize("scenario", shipped_scenarios(), ids=lambda it: it.name)
def test_every_fact_is_recognised_in_its_own_words(scenario: Scenario) -> None:
    for fact in scenario.known:
        assert Said.of([fact.says]).holds(fact.check), fact.id


@pytest.mark.parametrize("stage", default_stages(), ids=lambda it: it.name)
def test_every_stage_brings_facts_out(stage: Stage) -> None:
    for question in (stage.opening, *stage.follow_ups):
        asked = Vocabulary(question)
        assert any(touches(fact, asked) for it in shipped_scenarios() for fact in it.facts), question


def test_every_topic_is_used() -> None:
    used = {fact.topic for it in shipped_scenarios() for fact in it.known}
    assert used >= topics().keys()


# --- recognition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("We do forty a week.", ["40"]),
        ("About 1200 results", ["1,200"]),
        ("At 16:00 sharp", ["16:00"]),
        ("Invoices in SharePoint", ["invoice", "sharepoint"]),
        ("the owner agrees", ["landlord | owner"]),
        ("a check\u2011up", ["check-up"]),
    ],
)
def test_what_is_there_is_recognised(text: str, check: list[str]) -> None:
    assert Said.of([text]).holds(check)


@pytest.mark.parametrize(("text", "check"), [("400", ["40"]), ("reinvoice", ["invoice"]), ("40", ["40", "bikes"])])
def test_what_is_not_there_is_not_recognised(text: str, check: list[str]) -> None:
    assert not Said.of([text]).holds(check)
