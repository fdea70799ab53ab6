"""Which stages of a running interview change when stages are imposed, and which never do."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from evaa.interview.imposed import with_imposed
from protocols.records import Interview, Stage
from tests.evaa.interviews import stages

FOUR = stages(1, 2, 3, 0)


def newer(stage: Stage, at_ms: int = 100, **changes: object) -> Stage:
    return msgspec.structs.replace(stage, opening=f"{stage.opening} (of {at_ms})", imposed_at_ms=at_ms, **changes)


def test_only_stages_that_are_not_reached_change() -> None:
    interview = Interview(FOUR, stage_index=1)
    imposed = tuple(map(newer, FOUR))
    assert with_imposed(interview, imposed).stages == (*FOUR[:2], *imposed[2:])


def test_nothing_else_of_the_interview_changes() -> None:
    interview = Interview(FOUR, stage_index=1, follow_ups_used=1, facts={"a": {"b": "c"}})
    changed = with_imposed(interview, tuple(map(newer, FOUR)))
    assert msgspec.structs.replace(changed, stages=FOUR) == interview


def test_the_last_stage_and_the_end_are_out_of_reach() -> None:
    for index in (3, 4):
        interview = Interview(FOUR, stage_index=index)
        assert with_imposed(interview, tuple(map(newer, FOUR))) is interview


def test_what_was_not_imposed_changes_nothing() -> None:
    interview = Interview(FOUR)
    assert with_imposed(interview, [newer(stage, at_ms=0) for stage in FOUR]) is interview


def test_which_stages_there_are_and_their_order_stay() -> None:
    interview = Interview(FOUR)
    added = newer(stages(0, 0, 0, 0, 0)[4], order=2)
    moved = [newer(FOUR[3], order=1), added, newer(FOUR[1], order=9)]  # the third is gone
    changed = with_imposed(interview, moved).stages
    assert [stage.stage_id for stage in changed] == [stage.stage_id for stage in FOUR]
    assert [stage.order for stage in changed] == [stage.order for stage in FOUR]
    assert changed == (FOUR[0], newer(FOUR[1]), FOUR[2], newer(FOUR[3]))


def test_an_older_one_is_ignored() -> None:
    interview = with_imposed(Interview(FOUR), [newer(FOUR[2], 100)])
    assert with_imposed(interview, [newer(FOUR[2], 99)]) is interview
    other = msgspec.structs.replace(newer(FOUR[2], 100), opening="Another?")
    assert with_imposed(interview, [other]) is interview
    assert with_imposed(interview, [newer(FOUR[2], 101)]).stages[2] == newer(FOUR[2], 101)


@given(
    reached=st.integers(0, 4),
    imports=st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), unique_by=lambda it: it[0]), max_size=6),
)
def test_each_stage_has_the_newest_that_came_in_time(reached: int, imports: list[list[tuple[int, int]]]) -> None:
    interview = Interview(FOUR, stage_index=reached)
    for stages_of_it in imports:
        imposed = [newer(FOUR[index], at_ms) for index, at_ms in stages_of_it]
        interview = with_imposed(interview, imposed)
        assert with_imposed(interview, imposed) is interview
    for index, stage in enumerate(interview.stages):
        came = [at_ms for import_ in imports for position, at_ms in import_ if position == index]
        newest = max(came, default=0)
        assert stage == (newer(FOUR[index], newest) if newest and index > reached else FOUR[index])
