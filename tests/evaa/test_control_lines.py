"""The form of a model's answer: well-formed and malformed, whole and cut anywhere."""

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaa.llm.control_lines import MAX_FACTS_CHARS, MAX_JSON_ANSWER_CHARS, ControlLineParser, parse_facts


def parsed(*pieces: str) -> ControlLineParser:
    parser = ControlLineParser()
    shown = [parser.feed(piece) for piece in pieces]
    shown.append(parser.finish())
    assert "".join(shown) == parser.text
    return parser


def outcome(*pieces: str) -> tuple[str, bool, bool, dict[str, str]]:
    parser = parsed(*pieces)
    return parser.text, parser.wants_next, parser.followed_protocol, parser.facts


# --- well-formed answers ----------------------------------------------------------------------------------------


def test_a_well_formed_answer() -> None:
    parser = parsed('@stay\nThanks! Who will use it?\n@facts {"problem": "manual invoices"}')
    assert parser.text == "Thanks! Who will use it?"
    assert parser.facts == {"problem": "manual invoices"}
    assert (parser.wants_next, parser.followed_protocol) == (False, True)


def test_an_answer_that_goes_on() -> None:
    assert outcome("@next\nGood. What starts it?\n@facts {}") == ("Good. What starts it?", True, True, {})


def test_the_reply_is_shown_while_it_comes() -> None:
    parser = ControlLineParser()
    pieces = ["@st", "ay", "\n", "Who", " will", " use it?", "\n", "@fa", "cts {", "}"]
    assert [parser.feed(piece) for piece in pieces] == ["", "", "", "Who", " will", " use it?", "", "", "", ""]


def test_the_decision_is_known_before_the_first_visible_word() -> None:
    parser = ControlLineParser()
    parser.feed("@next\n")
    assert parser.wants_next


def test_a_reply_of_several_lines_keeps_them_and_loses_only_the_space_at_its_ends() -> None:
    assert parsed("@stay\n\n  One.\n\nTwo.  \n\n@facts {}").text == "One.\n\nTwo."


def test_an_address_in_a_reply_is_text() -> None:
    assert parsed("@stay\nWrite to\n@nora or anna@stay.example?\n@facts {}").text == (
        "Write to\n@nora or anna@stay.example?"
    )


# --- malformed answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text", "wants_next", "followed"),
    [
        ("Who will use it?", "Who will use it?", False, False),
        ("Who will use it?\n@facts {}", "Who will use it?", False, False),
        ("@next Who will use it?", "Who will use it?", True, True),
        ("@next: Who will use it?", "Who will use it?", True, True),
        ("@NEXT\nWho?", "Who?", True, True),
        ("  @next  \nWho?", "Who?", True, True),
        ("\n\n@next\nWho?", "Who?", True, True),
        ("@next\r\nWho?\r\n@facts {}\r\n", "Who?", True, True),
        ("@stay\n@next\nWho?", "Who?", False, True),
        ("@later\nWho?", "@later\nWho?", False, False),
        ("@nextWho?", "@nextWho?", False, False),
        ("@staying is fine?", "@staying is fine?", False, False),
        ("Who?\n@next", "Who?", True, True),
        ("Who?\n@next\n", "Who?", True, True),
        ("Who?\n@next\r\n", "Who?", True, True),
        ("@stay\nWho?\n@next is not it", "Who?\n@next is not it", False, True),
        ("@stay\nWho?\n@fac", "Who?", False, True),
        ("@stay\nWho?\n@", "Who?\n@", False, True),
        ("@stay", "", False, True),
        ("@nex", "", False, False),
        ("", "", False, False),
        ("\n \n", "", False, False),
    ],
)
def test_a_malformed_answer_shows_its_text_and_stays_unless_it_says_otherwise(
    answer: str, text: str, wants_next: bool, followed: bool
) -> None:
    parser = parsed(answer)
    assert (parser.text, parser.wants_next, parser.followed_protocol) == (text, wants_next, followed)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('{"reply": "Who?", "decision": "next"}', "Who?"),
        ('```json\n{"decision": "next", "response": "Who?"}\n```', "Who?"),
        ('```\n{"text": "Who?"\n', "Who?"),
        ('{"answer": "Who wi', "Who wi"),
        ("```\nWho?\n```", "Who?"),
        ('{"colour": "red"}', '{"colour": "red"}'),
        ('{"reply": 5}', '{"reply": 5}'),
        ('{"reply": "@next\\nWho?\\n@facts {}"}', "Who?"),
        ("{not json", "{not json"),
        ("`Who?`", "`Who?`"),
    ],
)
def test_an_answer_that_is_json_or_a_code_block_gives_up_its_text(answer: str, text: str) -> None:
    assert outcome(answer) == (text, False, False, {})


def test_a_code_block_keeps_the_control_lines_in_it_to_itself() -> None:
    parser = parsed('```\n@next\nWho?\n@facts {"a": "1"}\n```')
    assert (parser.text, parser.wants_next, parser.followed_protocol) == ("Who?", False, False)


@pytest.mark.parametrize("reply", ["`Invoices`: who opens them?", "{name}: who is that?", "```\nx\n``` is what?"])
def test_a_well_formed_answer_whose_reply_looks_like_json_or_code_shows_no_control_line(reply: str) -> None:
    parser = parsed(f'@next\n{reply}\n@facts {{"a": "1"}}')
    assert "@facts" not in parser.text
    assert "who" in parser.text or "what" in parser.text
    assert parser.wants_next
    assert parser.facts == {"a": "1"}


def test_a_json_answer_is_bounded() -> None:
    assert len(parsed("{", *["x" * 1000] * 200).text) <= MAX_JSON_ANSWER_CHARS


# --- notes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "facts"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": "1", "b": 2, "c": true, "d": null, "e": ["x"], "f": {"g": "ü"}}',
         {"a": "1", "b": "2", "c": "true", "e": '["x"]', "f": '{"g": "ü"}'}),
        ('{"a": " padded ", "b": "  "}', {"a": "padded"}),
        ('{"a": "1", "b": "cut o', {"a": "1", "b": "cut o"}),
        ('{"a": "1", "b', {"a": "1"}),
        ('["a"]', {}),
        ('"a"', {}),
        ("a: 1", {}),
        ("{'a': '1'}", {}),
        ('{"a": "\\ud800"}', {}),
        ("[" * 5_000, {}),
        ('{"a": ' + "[" * 5_000, {}),
    ],
)  # fmt: skip
def test_notes_are_read_leniently(notes: str, facts: dict[str, str]) -> None:
    assert parse_facts(notes) == facts
    assert parsed(f"@stay\nWho?\n@facts {notes}").facts == facts


@pytest.mark.parametrize("number", ["1" * 4_000, "1" * 5_000, "1e999999", "-" + "9" * 7_000, "NaN", "-Infinity"])
def test_a_number_of_any_size_in_the_notes_is_no_trouble(number: str) -> None:
    assert set(parse_facts(f'{{"a": {number}, "b": "2"}}')) <= {"a", "b"}


def test_notes_may_stand_on_several_lines() -> None:
    assert parsed('@stay\nWho?\n@facts {\n"a": "1",\n"b": "2"}\n').facts == {"a": "1", "b": "2"}


def test_notes_are_bounded() -> None:
    parser = parsed("@stay\nWho?\n@facts {", *[f'"{number:05d}": "{"x" * 90}",' for number in range(1_000)])
    assert parser.text == "Who?"
    assert 0 < sum(map(len, parser.facts.values())) < MAX_FACTS_CHARS


def test_notes_in_the_middle_end_the_reply() -> None:
    assert parsed('@stay\nWho?\n@facts {"a": "1"}\nAnd why?').text == "Who?"


# --- whatever comes ---------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    ["@stay", "@next", "@facts", "@", "@s", "@ne", "@fact", "\n", "\r\n", " ", "\t", ":", ".", "-", "{", "}", '"',
     "`", "```", "```json", '{"a": "1"}', '{"reply": "', "Who", "?", "\u017f", "\xa0", "\x0b", "@\u017ftay", "é",
     "STAY", "@NEXT"]
)  # fmt: skip
ANSWERS = st.one_of(st.lists(FRAGMENTS, max_size=14).map("".join), st.text())
CUTS = st.lists(st.integers(0, 60), max_size=8)


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place for place in places if place < len(text))})
    return [text[start:end] for start, end in itertools.pairwise(ends)]


@given(ANSWERS, CUTS)
@example("@stay:- Who", [6])
@example("@stay - Who", [7])
@example("Who?\n@next:\nWhy?", [10])
@example("@next\r\nWho?\n@stay\r\nWhy?", [6, 17])
@example("@\u017ftay\nWho?", [2])
def test_an_answer_cut_anywhere_is_the_same_answer(answer: str, places: list[int]) -> None:
    whole = outcome(answer)
    assert outcome(*cut(answer, places)) == whole
    assert outcome(*answer) == whole


@given(ANSWERS)
def test_what_was_shown_is_never_taken_back(answer: str) -> None:
    parser = ControlLineParser()
    shown = ""
    for char in answer:
        shown += parser.feed(char)
        assert parser.text == shown
    shown += parser.finish()
    assert parser.text == shown
    assert shown == shown.strip()


REPLY_LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20).filter(
    lambda line: not line.strip().startswith("@")
)
REPLIES = st.lists(REPLY_LINES, min_size=1, max_size=4).map("\n".join).map(str.strip).filter(bool)
NOTES = st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=9).map(str.strip).filter(bool))


@given(st.booleans(), REPLIES, NOTES, CUTS, st.sampled_from(["\n", "\r\n"]))
@example(True, "`Invoices`: who?", {}, [], "\n")
def test_no_control_line_of_a_well_formed_answer_is_ever_visible(
    goes_on: bool, reply: str, notes: dict[str, str], places: list[int], newline: str
) -> None:
    decision = "@next" if goes_on else "@stay"
    answer = f"{decision}{newline}{reply}{newline}@facts {json.dumps(notes)}"
    parser = parsed(*cut(answer, places))
    assert not any(line.strip().startswith(("@stay", "@next", "@facts")) for line in parser.text.split("\n"))
    assert parser.wants_next == goes_on
    assert parser.facts == notes
    if reply[0] not in "{`":
        assert parser.text == reply
        assert parser.followed_protocol


@given(st.text(st.characters()))
@example('{"a": "\ud800"}')
def test_no_text_whatever_makes_it_raise(text: str) -> None:
    for prefix in ("", "@stay\n", "@facts ", "{", "```"):
        outcome(prefix + text)


def test_notes_before_the_reply_do_not_swallow_it() -> None:
    parser = ControlLineParser()
    shown = parser.feed('@stay\n@facts {"source": "email"}\nWho opens them?') + parser.finish()
    assert (shown, parser.facts) == ("Who opens them?", {"source": "email"})
