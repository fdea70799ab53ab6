"""Stages that were changed for interviews that run already (`stages import --now`)."""

from collections.abc import Sequence

import msgspec

from protocols.records import Interview, Stage


def with_imposed(interview: Interview, stages: Sequence[Stage]) -> Interview:
    """Return the interview with the newest wording of each stage that it has not reached and that was imposed since.

    Which stages it has, and their order, stay. The very same interview comes back where nothing is to be changed.
    """
    newest = {stage.stage_id: stage for stage in stages if stage.imposed_at_ms}
    reached = interview.stage_index + 1
    changed = tuple(
        _newer(stage, newest.get(stage.stage_id, stage)) if index >= reached else stage
        for index, stage in enumerate(interview.stages)
    )
    return interview if changed == interview.stages else msgspec.structs.replace(interview, stages=changed)


def _newer(stage: Stage, other: Stage) -> Stage:
    if other.imposed_at_ms <= stage.imposed_at_ms:
        return stage
    return msgspec.structs.replace(other, order=stage.order)
