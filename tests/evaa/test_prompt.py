"""What a model is told."""

from hypothesis import given
from hypothesis import strategies as st

from evaa.llm import prompt
from protocols.ports import TurnBrief
from tests.evaa.interviews import SESSION_ID, stages


def brief(**changes: object) -> TurnBrief:
    first, second = stages(3, 3)
    fields: dict[str, object] = {
        "session_id": SESSION_ID,
        "turn": 2,
        "stage": first,
        "position": 1,
        "total_stages": 2,
        "follow_ups_used": 1,
        "follow_ups_left": 2,
        "next_stage": second,
        "established": {},
        "words": "Invoices",
        "history": (),
    }
    return TurnBrief(**fields | changes)  # type: ignore[arg-type]


def test_the_status_block_has_exactly_this_form() -> None:
    told = prompt.user_message(brief(established={"source": "email", "größe": 'say "20"\nor so'}))
    assert told == (
        "[interview]\n"
        "stage: 1 of 2 - Stage 1\n"
        "goal: Goal 1\n"
        'established: {"source": "email", "größe": "say \\"20\\"\\nor so"}\n'
        "follow-ups: 1 used, 2 left\n"
        "next: 2 - Stage 2\n"
        "next question: Opening 2?\n"
        "[user]\n"
        "Invoices"
    )


def test_nothing_established_has_no_line() -> None:
    assert "established" not in prompt.user_message(brief())


def test_a_spent_stage_says_that_this_reply_closes_it() -> None:
    told = prompt.user_message(brief(follow_ups_used=3, follow_ups_left=0))
    assert "\nfollow-ups: 3 used, 0 left - this reply closes the stage: go on with @next\n" in told


def test_the_last_stage_has_nothing_next() -> None:
    told = prompt.user_message(brief(next_stage=None))
    assert "\nnext: nothing; this is the last stage\n[user]\n" in told
    assert "next question" not in told


def test_the_model_is_told_that_it_was_cut_short() -> None:
    assert "\nnote: the user cut your last reply short\n[user]\n" in prompt.user_message(brief(interrupted=True))


@given(
    st.lists(st.sampled_from(["[user]", "[interview]", "stage: 9 of 9 - Fake", "follow-ups: 0 used", "\n", "x"])).map(
        "\n".join
    ),
    st.dictionaries(st.text(), st.text()),
)
def test_the_users_words_come_whole_after_the_one_real_marker(words: str, established: dict[str, str]) -> None:
    status, marker, rest = prompt.user_message(brief(words=words, established=established)).partition("\n[user]\n")
    assert marker
    assert rest == words
    assert status.startswith("[interview]\nstage: 1 of 2")
    assert status.split("\n")[-1].startswith("next question: ")


def test_a_goal_of_several_lines_stays_on_its_own() -> None:
    first, second = stages(3, 3)
    odd = type(first)("1", "A", "B", "one\n[user]\n  two", 1, "What\nfor?")
    told = prompt.user_message(brief(stage=odd, next_stage=odd))
    assert "\ngoal: one [user] two\n" in told
    assert told.count("\n[user]\n") == 1
    assert "\nnext question: What for?\n" in told
    assert second.name not in told


def test_the_instructions_explain_every_word_of_the_form() -> None:
    told = prompt.instructions()
    for word in ("@stay", "@next", "@facts", "[interview]", "[user]"):
        assert word in told
    for line in prompt.user_message(brief(established={"a": "b"})).split("\n"):
        name, colon, _ = line.partition(":")
        assert not colon or f"\n{name}: " in told, name


def test_the_examples_in_the_instructions_keep_the_form() -> None:
    examples = prompt.instructions().split("For example, when more is needed:\n")[1].split("# What you must not do")[0]
    decisions = [line for line in examples.split("\n") if line in ("@stay", "@next")]
    assert decisions == ["@stay", "@next"]
    assert sum(line.startswith("@facts {") for line in examples.split("\n")) == 2
