"""The reducer and the views: the follow-up rule, what memory keeps, and what others are told of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaa.interview import reducer, views
from protocols.frontend import Completion, StageData
from protocols.records import Interview, TurnRecord
from tests.evaa.interviews import SESSION_ID, record, stages


def said(interview: Interview, text: str = "words", client_id: str | None = None) -> Interview:
    return reducer.said(interview, text=text, source="text", client_id=client_id, at_ms=7)


def answered(interview: Interview, reply: str = "reply", *, wants_next: bool = False, **facts: str) -> Interview:
    return noted(interview, facts, reply, wants_next=wants_next)


def noted(interview: Interview, facts: dict[str, str], reply: str = "reply", *, wants_next: bool = False) -> Interview:
    return reducer.answered(said(interview), reply, wants_next=wants_next, facts=facts)


# --- utterances -------------------------------------------------------------------------------------------------


def test_an_utterance_is_a_pending_turn_of_the_running_stage() -> None:
    first = said(Interview(stages(1, 1)), "Invoices", "a1")
    second = said(first, "Every day")

    assert first.turns == (
        TurnRecord(1, first.stages[0].stage_id, "text", "Invoices", 7, client_id="a1", outcome="pending"),
    )
    assert [turn.turn for turn in second.turns] == [1, 2]
    assert reducer.owes_reply(first)


def test_after_the_end_an_utterance_belongs_to_no_stage() -> None:
    interview = said(Interview(stages(1), stage_index=1))
    assert interview.turns[0].stage_id == ""


def test_nothing_is_owed_before_the_first_word_nor_after_a_reply_nor_after_an_interruption() -> None:
    new = Interview(stages(1))
    assert not reducer.owes_reply(new)
    assert not reducer.owes_reply(answered(new))
    assert not reducer.owes_reply(reducer.interrupted(said(new), ""))
    assert not reducer.owes_reply(reducer.superseded(said(new)))


def test_a_turn_is_found_by_the_clients_id() -> None:
    interview = said(said(said(Interview(stages(1)), "a", "x"), "b"), "c", "y")
    found = reducer.find_turn(interview, "x")
    assert found is not None
    assert found.text == "a"
    assert reducer.find_turn(interview, "z") is None


# --- what became of them ----------------------------------------------------------------------------------------


def test_a_delivered_reply_spends_a_follow_up() -> None:
    interview = answered(Interview(stages(2, 1)), "Which ones?")
    assert (interview.stage_index, interview.follow_ups_used) == (0, 1)
    assert interview.turns[-1].outcome == "answered"
    assert interview.turns[-1].reply == "Which ones?"
    assert not interview.turns[-1].closed_stage


def test_a_reply_closes_the_stage_when_the_model_wants_it() -> None:
    interview = answered(answered(Interview(stages(2, 1))), wants_next=True)
    assert (interview.stage_index, interview.follow_ups_used) == (1, 0)
    assert [turn.closed_stage for turn in interview.turns] == [False, True]


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_a_stage_closes_after_its_follow_ups_whatever_the_model_wants(most: int) -> None:
    interview = Interview(stages(most, 3))
    for used in range(most):
        assert reducer.follow_ups_left(interview) == most - used
        assert not reducer.closes_stage(interview, wants_next=False)
        interview = answered(interview)
    assert reducer.follow_ups_left(interview) == 0
    assert reducer.closes_stage(interview, wants_next=False)
    assert answered(interview).stage_index == 1


def test_a_stage_whose_budget_was_overspent_has_none_left() -> None:
    assert reducer.follow_ups_left(Interview(stages(1), follow_ups_used=5)) == 0


def test_the_interview_is_over_when_the_last_stage_closes() -> None:
    interview = answered(Interview(stages(1)), wants_next=True)
    assert interview.stage is None
    assert reducer.follow_ups_left(interview) == 0
    assert not reducer.closes_stage(interview, wants_next=True)


def test_afterwards_a_reply_changes_no_stage_and_takes_no_notes() -> None:
    over = Interview(stages(1), stage_index=1)
    after = answered(over, "Thank you.", wants_next=True, key="value")
    assert (after.stage_index, after.follow_ups_used, after.facts) == (1, 0, {})
    assert (after.turns[-1].outcome, after.turns[-1].closed_stage) == ("answered", False)


def test_a_reply_that_was_not_completed_spends_nothing() -> None:
    new = Interview(stages(0, 1))
    for cut in (reducer.superseded(said(new)), reducer.interrupted(said(new), "Half a")):
        assert (cut.stage_index, cut.follow_ups_used) == (0, 0)


def test_an_interrupted_turn_keeps_what_was_delivered() -> None:
    turn = reducer.interrupted(said(Interview(stages(1))), "Half a").turns[-1]
    assert (turn.outcome, turn.reply, turn.closed_stage) == ("interrupted", "Half a", False)


def test_unanswered_are_the_utterances_since_anything_was_delivered() -> None:
    interview = Interview(stages(3))
    assert reducer.unanswered(interview) == ()
    interview = reducer.interrupted(said(answered(interview), "one"), "Half a")
    assert reducer.unanswered(interview) == ()
    interview = said(reducer.interrupted(said(reducer.superseded(said(interview, "two")), "three"), ""), "four")
    assert [turn.text for turn in reducer.unanswered(interview)] == ["two", "three", "four"]


# --- notes ------------------------------------------------------------------------------------------------------


def test_notes_are_kept_by_stage_and_newer_ones_win() -> None:
    interview = answered(Interview(stages(3, 3)), source="email", volume="10")
    interview = answered(interview, wants_next=True, volume="20")
    interview = answered(interview, trigger="a form")
    first, second = (stage.stage_id for stage in interview.stages)
    assert interview.facts == {first: {"source": "email", "volume": "20"}, second: {"trigger": "a form"}}


def test_a_reply_without_notes_leaves_them_alone() -> None:
    interview = answered(Interview(stages(3)), a="1")
    assert answered(interview).facts == interview.facts


@given(st.lists(st.dictionaries(st.text(max_size=80), st.text(max_size=600), max_size=30), max_size=6))
def test_notes_are_bounded_whatever_the_model_writes(batches: list[dict[str, str]]) -> None:
    interview = Interview(stages(10))
    for facts in batches:
        interview = noted(interview, facts)
    for known in interview.facts.values():
        assert len(known) <= reducer.MAX_FACTS_PER_STAGE
        assert all(len(key) <= reducer.MAX_FACT_KEY_CHARS for key in known)
        assert all(len(value) <= reducer.MAX_FACT_VALUE_CHARS for value in known.values())


def test_over_the_bound_known_notes_stay_and_can_still_change() -> None:
    many = {f"key {number}": "old" for number in range(reducer.MAX_FACTS_PER_STAGE)}
    interview = noted(Interview(stages(3)), many)
    interview = noted(interview, {"one more": "x", "key 0": "new"})
    assert interview.facts[interview.stages[0].stage_id] == many | {"key 0": "new"}


def test_long_keys_and_values_are_cut() -> None:
    interview = noted(Interview(stages(3)), {"k" * 61: "v" * 501})
    assert interview.facts[interview.stages[0].stage_id] == {"k" * 60: "v" * 500}


# --- the views --------------------------------------------------------------------------------------------------


def test_ready_tells_where_a_new_session_stands() -> None:
    session = record(3, 2)
    ready = views.ready(session, resumed=False, replay=False)
    assert (ready.session_id, ready.resumed, ready.status) == (SESSION_ID, False, "interviewing")
    assert ready.messages is msgspec.UNSET
    assert ready.stage is not None
    assert (ready.stage.stage_id, ready.stage.order, ready.stage.total_stages) == (f"{1:024x}", 1, 2)
    assert (ready.stage.follow_ups_used, ready.stage.max_follow_ups) == (0, 3)
    assert [stage.name for stage in ready.stages] == ["Stage 1", "Stage 2"]


def test_ready_after_the_end_has_all_stages_and_none_running() -> None:
    ready = views.ready(record(3, 2, stage_index=2), resumed=True, replay=False)
    assert (ready.stage, ready.status, len(ready.stages)) == (None, "drafting", 2)


def test_a_replay_is_the_opening_and_what_was_said_and_delivered() -> None:
    interview = answered(Interview(stages(3)), "Which?")
    interview = reducer.interrupted(said(reducer.superseded(said(interview, "b")), "c"), "Half a")
    session = msgspec.structs.replace(record(3), interview=said(interview, "d"))
    lines = views.ready(session, resumed=True, replay=True).messages
    assert lines is not msgspec.UNSET
    assert [(line.role, line.text, line.turn, line.interrupted) for line in lines] == [
        ("assistant", "Opening 1?", 0, False),
        ("user", "words", 1, False),
        ("assistant", "Which?", 1, False),
        ("user", "b", 2, False),
        ("user", "c", 3, False),
        ("assistant", "Half a", 3, True),
        ("user", "d", 4, False),
    ]


def test_the_last_reply_is_the_opening_at_first() -> None:
    reply = views.last_reply(Interview(stages(1)))
    assert (reply.turn, reply.response, reply.next_stage, reply.next_stage_data) == (0, "Opening 1?", False, None)


def test_the_last_reply_passes_over_turns_without_one() -> None:
    interview = reducer.superseded(said(answered(Interview(stages(3, 3)), "Next one", wants_next=True)))
    reply = views.last_reply(said(interview))
    assert (reply.turn, reply.response, reply.next_stage) == (1, "Next one", True)
    assert isinstance(reply.next_stage_data, StageData)
    assert reply.next_stage_data.name == "Stage 2"


def test_the_reply_that_closed_the_last_stage_says_that_drafting_began() -> None:
    reply = views.last_reply(answered(Interview(stages(1)), wants_next=True))
    assert reply.next_stage_data == Completion(status="drafting", completed=True)


def test_the_brief_of_a_first_turn() -> None:
    session = record(3, 2)
    brief = views.brief(msgspec.structs.replace(session, interview=said(session.interview, "Invoices")))
    assert (brief.session_id, brief.turn, brief.words) == (SESSION_ID, 1, "Invoices")
    assert (brief.position, brief.total_stages) == (1, 2)
    assert (brief.follow_ups_used, brief.follow_ups_left) == (0, 3)
    assert (brief.stage, brief.next_stage) == session.interview.stages
    assert (brief.established, brief.history, brief.interrupted) == ({}, session.messages, False)


def test_the_brief_of_the_last_stage_has_no_next_one_and_only_its_own_notes() -> None:
    interview = said(answered(answered(Interview(stages(3, 1)), wants_next=True, a="1"), b="2"))
    brief = views.brief(msgspec.structs.replace(record(3, 1), interview=interview))
    assert (brief.position, brief.next_stage, brief.follow_ups_left) == (2, None, 0)
    assert brief.established == {"b": "2"}


def test_the_brief_says_when_the_last_reply_was_cut_short() -> None:
    session = record(3)
    cut = reducer.interrupted(said(session.interview), "Half a")
    for interview in (said(cut), said(reducer.superseded(said(cut)))):
        assert views.brief(msgspec.structs.replace(session, interview=interview)).interrupted
    unheard = said(reducer.interrupted(said(session.interview), ""))
    assert not views.brief(msgspec.structs.replace(session, interview=unheard)).interrupted
    answered_since = said(answered(said(cut)))
    assert not views.brief(msgspec.structs.replace(session, interview=answered_since)).interrupted
