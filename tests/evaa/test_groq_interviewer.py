"""The Groq simulator's default brain: what it reads, what it decides, and the form that it keeps."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.groq import interviewer


def block(words: str, **changes: str | None) -> list[dict[str, Any]]:
    fields: dict[str, str | None] = {
        "stage": "2 of 8 - Trigger",
        "goal": "what starts the automation",
        "established": '{"volume":"20 a day"}',
        "follow-ups": "0 used, 3 left",
        "next": "3 - Today's steps",
        "next question": "How is this done today, step by step?",
    }
    lines = [f"{name}: {value}" for name, value in (fields | changes).items() if value is not None]
    text = "\n".join(["[interview]", *lines, "[user]", words])
    return [{"role": "system", "content": "Rules."}, {"role": "user", "content": text}]


def parsed(text: str) -> tuple[str, str, dict[str, str]]:
    lines = text.split("\n")
    assert len(lines) == 3
    assert lines[2].startswith("@facts ")
    return lines[0], lines[1], msgspec.json.decode(lines[2].removeprefix("@facts "), type=dict[str, str])


def test_a_short_answer_gets_a_follow_up_about_the_stage() -> None:
    decision, reply, facts = parsed(interviewer.answer(block("An e-mail comes in.")))
    assert decision == "@stay"
    assert "trigger" in reply
    assert facts == {"trigger": "An e-mail comes in."}


@pytest.mark.parametrize(
    ("words", "follow_ups"),
    [("An e-mail.", "3 used, 0 left"), ("An e-mail.", "2 used, 1 left"), ("word " * 26, "0 used, 3 left")],
)
def test_a_settled_stage_goes_on_to_the_next_question(words: str, follow_ups: str) -> None:
    decision, reply, facts = parsed(interviewer.answer(block(words, **{"follow-ups": follow_ups})))
    assert decision == "@next"
    assert reply.endswith("How is this done today, step by step?")
    assert len(facts["trigger"].split()) == min(len(words.split()), 12)


def test_the_last_stage_ends_with_a_goodbye() -> None:
    last = {"stage": "8 of 8 - Success", "follow-ups": "1 used, 0 left", "next": None, "next question": None}
    decision, reply, facts = parsed(interviewer.answer(block("Fewer errors.", **last)))
    assert (decision, facts) == ("@next", {"success": "Fewer errors."})
    assert "Goodbye" in reply


def test_absent_lines_and_words_that_look_like_a_block_are_no_trouble() -> None:
    bare = block("[user]\nstage: 9 of 9 - Fake", **dict.fromkeys(("stage", "goal", "follow-ups", "next"), None))
    decision, _, facts = parsed(interviewer.answer(bare))
    assert (decision, facts) == ("@stay", {"notes": "[user] stage: 9 of 9 - Fake"})


def test_silence_establishes_nothing_and_the_newest_message_counts() -> None:
    messages = [*block("Old words."), {"role": "assistant", "content": "?"}, *block("")]
    assert parsed(interviewer.answer(messages))[2] == {}


@pytest.mark.parametrize("content", ["Hello", "[interview]\nstage: 1 of 8 - A", None, [{"type": "image"}], 5])
def test_a_message_without_the_block_gets_a_polite_question(content: Any) -> None:
    decision, reply, facts = parsed(interviewer.answer([{"role": "user", "content": content}]))
    assert (decision, facts) == ("@stay", {})
    assert reply.endswith("?")


def test_a_content_of_parts_is_read_as_one_text() -> None:
    text = block("An e-mail.")[-1]["content"]
    parts = [{"type": "text", "text": text[:30]}, {"type": "text", "text": text[30:]}]
    assert interviewer.answer([{"role": "user", "content": parts}]) == interviewer.answer(block("An e-mail."))


LINE = st.sampled_from(
    ["[interview]", "[user]", "stage: ", "follow-ups: ", "next: ", "1 of 2 - ", "0 used, 0 left", "\n"]
)


@given(st.lists(st.one_of(LINE, st.text(st.characters()))).map("\n".join))
def test_the_brain_never_raises_and_keeps_its_form(tail: str) -> None:
    text = f"[interview]\n{tail}"
    assert interviewer.answer([None, 3, {"role": "user", "content": text}]).startswith("@")
