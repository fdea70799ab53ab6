import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from evaa.interview.stages import (
    MAX_BYTES,
    MAX_FOLLOW_UPS,
    MAX_KEYTERMS,
    MAX_STAGES,
    Format,
    StagesRefused,
    default_stages,
    format_stages,
    parse_stages,
)
from protocols.records import Stage

SMALL = {"name": "Goal", "description": "What for", "goal": "Know what for", "opening": "What for?"}


def written(*changes: dict[str, Any]) -> str:
    """A stage file with one small stage for each mapping of changes; a value of None leaves the key out."""
    stages = [{**SMALL, "name": f"Goal {index}", **change} for index, change in enumerate(changes)]
    return json.dumps([{key: value for key, value in stage.items() if value is not None} for stage in stages])


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(StagesRefused) as refused:
        parse_stages(text)
    return refused.value.problems


# --- the default set --------------------------------------------------------------------------------------------


def test_the_default_set_is_complete() -> None:
    stages = default_stages()

    assert [stage.order for stage in stages] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len({stage.stage_id for stage in stages}) == 8
    for stage in stages:
        assert re.fullmatch(r"[0-9a-f]{24}", stage.stage_id)
        assert (stage.max_follow_ups, len(stage.follow_ups)) == (3, 3)
        assert stage.goal.startswith("Known before this stage closes:")


def test_what_the_default_set_says_can_be_spoken_and_asks_one_thing() -> None:
    for stage in default_stages():
        for question in (stage.opening, *stage.follow_ups):
            assert question.endswith("?")
            assert question.count("?") == 1
            assert len(question) <= 160
            assert not re.search(r"[\n()/*_#:;]{2}|[()/*_#]|https?|e\.g\.|n8n|API", question), question


def test_only_the_first_opening_greets() -> None:
    greets = [stage.opening.startswith("Hello") for stage in default_stages()]

    assert greets == [True] + [False] * 7


def test_the_default_keyterms_leave_room_in_a_provider_connection() -> None:
    stages = default_stages()

    assert "n8n" in stages[0].keyterms
    assert "webhook" in stages[1].keyterms
    assert all(len(stage.keyterms) == len(set(stage.keyterms)) <= 12 for stage in stages)


# --- what is accepted -------------------------------------------------------------------------------------------


def test_a_list_and_a_mapping_with_stages_are_the_same() -> None:
    bare = written({}, {})

    assert parse_stages(f'{{"stages": {bare}}}') == parse_stages(bare)


def test_what_is_left_out_gets_its_default() -> None:
    first, second = parse_stages(written({}, {}))

    assert (first.order, second.order) == (1, 2)
    assert (first.max_follow_ups, first.follow_ups, first.keyterms) == (3, (), ())
    assert first.stage_id != second.stage_id
    assert re.fullmatch(r"[0-9a-f]{24}", first.stage_id)
    assert parse_stages(written({}, {})) == (first, second)


def test_stages_come_sorted_and_keep_their_orders() -> None:
    stages = parse_stages(written({"order": 30}, {"order": 10}, {"order": 20}))

    assert [(stage.order, stage.name) for stage in stages] == [(10, "Goal 1"), (20, "Goal 2"), (30, "Goal 0")]


def test_an_id_of_digits_keeps_every_digit_unquoted() -> None:
    text = "- {name: A, description: b, goal: c, opening: d, stageId: 000000000000000000000010}"

    assert parse_stages(text)[0].stage_id == "000000000000000000000010"


def test_an_id_is_stored_in_lower_case() -> None:
    assert parse_stages(written({"stageId": "ABCDEF0123456789ABCDEF01"}))[0].stage_id == "abcdef0123456789abcdef01"


def test_json_may_be_indented_by_tabs_and_escape_everything() -> None:
    text = json.dumps([{**SMALL, "name": "Größe 😀"}], indent="\t")

    assert "\t" in text
    assert "\\ud83d\\ude00" in text
    assert parse_stages(text)[0].name == "Größe 😀"


def test_a_stage_may_have_fifty_keyterms_of_a_hundred_characters() -> None:
    keyterms = [f"{number:0100}" for number in range(MAX_KEYTERMS)]

    assert parse_stages(written({"keyterms": keyterms}))[0].keyterms == tuple(keyterms)


def test_windows_line_ends_become_plain_ones() -> None:
    assert parse_stages(written({"goal": "one\r\ntwo\r\n"}))[0].goal == "one\ntwo"


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"goal": 3}, "stages[0].goal: expected text, got a number (3; if that is meant as text, put it in quotes)"),
        ({"goal": None}, "stages[0].goal: missing"),
        ({"opening": " \n"}, "stages[0].opening: empty"),
        ({"name": "n" * 81}, "stages[0].name: 81 characters, at most 80 are allowed"),
        ({"name": "a\nb"}, "stages[0].name: expected a single line"),
        ({"description": ["x"]}, "stages[0].description: expected text, got a list"),
        ({"goal": "a\u2028b"}, "stages[0].goal: holds the character U+2028, which is not allowed"),
        ({"goal": "\ud83d!"}, "stages[0].goal: holds one half of a surrogate pair"),
        ({"maxFollowUps": 11}, "stages[0].maxFollowUps: expected 0 to 10, got 11"),
        ({"maxFollowUps": -1}, "stages[0].maxFollowUps: expected 0 to 10, got -1"),
        ({"maxFollowUps": 2.5}, "stages[0].maxFollowUps: expected a whole number in plain digits, got 2.5"),
        ({"maxFollowUps": True}, "stages[0].maxFollowUps: expected a whole number in plain digits, got true or false"),
        ({"order": "2"}, "stages[0].order: expected a whole number in plain digits, got text"),
        ({"stageId": "5e1a"}, "stages[0].stageId: expected 24 hexadecimal digits"),
        ({"followUps": "Why?"}, "stages[0].followUps: expected a list of texts, got text"),
        ({"followUps": ["Why?", 1]}, "stages[0].followUps[1]: expected text, got a number"),
        ({"followUps": ["a", "b"], "maxFollowUps": 1}, "stages[0].followUps: 2 follow-ups, but maxFollowUps is 1"),
        ({"keyterms": "n8n"}, "stages[0].keyterms: expected a list of texts, got text"),
        ({"keyterms": ["n8n", 5]}, "stages[0].keyterms[1]: expected text, got a number"),
        ({"keyterms": [" "]}, "stages[0].keyterms[0]: empty"),
        ({"keyterms": ["a\nb"]}, "stages[0].keyterms[0]: expected a single line"),
        ({"keyterms": ["k" * 101]}, "stages[0].keyterms[0]: 101 characters, at most 100 are allowed"),
        ({"keyterms": ["k"] * 51}, "stages[0].keyterms: 51 keyterms, at most 50 are allowed"),
        ({"keyTerms": ["n8n"]}, "stages[0].keyTerms: unknown key; did you mean keyterms?"),
        ({"max_follow_ups": 2}, "stages[0].max_follow_ups: unknown key; did you mean maxFollowUps?"),
        ({"_id": "x"}, "stages[0]._id: unknown key; did you mean stageId?"),
        ({"Openning": "x"}, "stages[0].Openning: unknown key; did you mean opening?"),
        ({"colour": "x"}, "stages[0].colour: unknown key"),
    ],
)
def test_one_mistake_is_one_problem(change: dict[str, Any], problem: str) -> None:
    (found,) = problems(written(change))

    assert found.startswith(problem)
    if problem.endswith("unknown key"):
        assert found == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "stages: expected a list of stages, got nothing"),
        ("[]", "stages: expected 1 to 50 stages, got 0"),
        ("hello", "stages: expected a list of stages, got text"),
        ("stages: 3", "stages: expected a list of stages, got a number"),
        ("- 2024-01-01", "stages[0]: expected a stage (a mapping), got a date"),
        ("- !!python/object/apply:os.getcwd []", "stages[0]: expected a stage (a mapping), got a value with a tag"),
        ("- a: 1\n  b: [\n", "line 3, column 1: "),
        ("- a: 'x\n", "line 2, column 1: "),
        ("ok: 1\n \x07", "line 2, column 2: the character U+0007 is not allowed"),
        ("- &x {a: 1}\n- *x", "line 1, column 3: anchors and aliases are not allowed"),
        ("- *x", "line 1, column 3: anchors and aliases are not allowed"),
        ("[" * 100_000, "line 1, column 17: nested too deeply"),
        ("--- a\n--- b", "line 2, column 1: "),
        ('"\\UFFFFFFFF"', "the file: not YAML"),
        ("x" * (MAX_BYTES + 1), "the file: larger than 1 MiB"),
        ("ü" * (MAX_BYTES // 2 + 1), "the file: larger than 1 MiB"),
    ],
)
def test_a_text_that_is_no_stage_file(text: str, problem: str) -> None:
    (found,) = problems(text)

    assert found.startswith(problem)


def test_a_bare_no_is_not_taken_for_text() -> None:
    text = "- {name: no, description: b, goal: c, opening: d}"

    assert problems(text) == (
        "stages[0].name: expected text, got true or false (no; if that is meant as text, put it in quotes)",
    )


def test_yaml_numbers_with_a_second_meaning_are_refused() -> None:
    for number in ("0x10", "1_000", "010", "1:30"):
        text = f"- {{name: a, description: b, goal: c, opening: d, order: {number}}}"

        assert problems(text) == (f"stages[0].order: expected a whole number in plain digits, got {number}",)


def test_a_key_given_twice() -> None:
    text = "- {name: a, description: b, goal: c, opening: d, goal: e}"

    assert problems(text) == ("stages[0].goal: given twice",)


def test_duplicates_between_stages() -> None:
    same = {"stageId": "0" * 24, "order": 4}

    assert problems(written({**same, "name": "Straße"}, {}, {**same, "name": "STRASSE"})) == (
        "stages[2].stageId: the same as that of stages[0]",
        "stages[2].name: the same as that of stages[0]",
        "stages[2].order: the same as that of stages[0]",
    )


def test_every_problem_is_listed() -> None:
    found = problems(written({"goal": 3}, {"opening": None, "x": 1}, {"order": "no"}))

    assert [line.split(":")[0] for line in found] == [
        "stages[0].goal",
        "stages[1].x",
        "stages[1].opening",
        "stages[2].order",
    ]


def test_fifty_stages_are_taken_and_no_more() -> None:
    assert len(parse_stages(written(*[{}] * MAX_STAGES))) == MAX_STAGES
    assert problems(written(*[{}] * (MAX_STAGES + 1))) == ("stages: expected 1 to 50 stages, got 51",)


def test_the_message_of_the_refusal_holds_all_the_problems() -> None:
    with pytest.raises(ValueError, match=r"(?s)stages\[0\]\.goal.*stages\[1\]\.name"):
        parse_stages(written({"goal": 3}, {"name": 1}))


# --- for all ----------------------------------------------------------------------------------------------------

LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"))
BLOCK = st.lists(LINE, max_size=4).map("\n".join)
TRAPS = st.sampled_from(["no", "~", "1:30", "0x1", "- a", "a: b", "# c", "2024-01-01", "'", '"', "|", "a\n\tb", "%x"])


def texts(longest: int, source: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return source.map(lambda text: text[:longest].strip()).filter(bool)


@st.composite
def stage_sets(draw: st.DrawFn) -> tuple[Stage, ...]:
    orders = draw(st.lists(st.integers(0, 999_999), min_size=1, max_size=4, unique=True))
    size = len(orders)
    ids = draw(st.lists(st.integers(0, 16**24 - 1), min_size=size, max_size=size, unique=True))
    names = draw(st.lists(texts(80, LINE), min_size=size, max_size=size, unique_by=str.casefold))
    stages = []
    for order, number, name in zip(sorted(orders), ids, names, strict=True):
        most = draw(st.integers(0, MAX_FOLLOW_UPS))
        stages.append(
            Stage(
                stage_id=f"{number:024x}",
                name=name,
                description=draw(texts(500, BLOCK | TRAPS)),
                goal=draw(texts(4000, BLOCK | TRAPS)),
                order=order,
                opening=draw(texts(600, BLOCK | TRAPS)),
                max_follow_ups=most,
                follow_ups=tuple(draw(st.lists(texts(600, BLOCK | TRAPS), max_size=most))),
                keyterms=tuple(draw(st.lists(texts(100, LINE), max_size=MAX_KEYTERMS if order == 1 else 3))),
            )
        )
    return tuple(stages)


@given(stage_sets(), st.sampled_from(["yaml", "json"]))
def test_what_is_written_is_read_back(stages: tuple[Stage, ...], form: Format) -> None:
    assert parse_stages(format_stages(stages, form)) == stages


@given(stage_sets())
def test_json_that_escapes_everything_is_read_back(stages: tuple[Stage, ...]) -> None:
    document = json.loads(format_stages(stages, "json"))

    assert parse_stages(json.dumps(document, ensure_ascii=True)) == stages


@given(stage_sets())
def test_other_readers_see_the_same(stages: tuple[Stage, ...]) -> None:
    document = json.loads(format_stages(stages, "json"))

    assert yaml.safe_load(format_stages(stages, "yaml")) == document
    assert [stage["goal"] for stage in document["stages"]] == [stage.goal for stage in stages]


def read_or_refused(text: str) -> tuple[str, ...]:
    """The problems of a text, none if it was read; a refusal without any problem is none of the two."""
    try:
        assert parse_stages(text)
    except StagesRefused as refused:
        return refused.problems or ("",)
    return ()


@given(st.text() | st.text("-[]{}:,&*!|>'\"%@#? \n\tax1\\u\ud800"))
@example("%YAML " + "1" * 5000 + ".1\n---\n")
@example("!!int 0b_")
@example("- ? [a]\n  : b")
@example("- <<: {name: x}")
def test_any_text_is_read_or_refused(text: str) -> None:
    for problem in read_or_refused(text):
        assert ": " in problem
        assert problem.encode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["stages", "stageId", "name", "goal", "order", "opening", "followUps", "keyterms", "x"]),
            inner,
        )
    ),
)


@given(JSON_VALUES)
def test_any_structure_is_read_or_refused(value: Any) -> None:
    for problem in read_or_refused(json.dumps(value)):
        assert ": " in problem
