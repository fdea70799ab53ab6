"""Stages that are imported while sessions run: with `--now` they reach the stages that are still to come."""

import msgspec
import pytest
import trio
from trio.testing import MockClock

from evaa.commands.stages import store_stages
from tests.actors.harness import OPENING, OTHER_SESSION, STAGES, Client, Evaa
from tests.actors.interviewers import says
from tests.actors.looking import looking

WITHIN_S = 2.0
NEW_OPENING = "What are you really after?"
CHANGED = (
    msgspec.structs.replace(STAGES[0], opening=NEW_OPENING, goal="know more"),
    msgspec.structs.replace(STAGES[1], name="What starts it all", description="the very beginning", goal="know it"),
)


@pytest.fixture
async def evaa(evaa: Evaa, nursery: trio.Nursery, autojump_clock: MockClock) -> Evaa:
    """The server, looking into its store."""
    return await looking(evaa, nursery)


async def joined(evaa: Evaa) -> Client:
    """A client in the first stage, of whose session everything is saved."""
    client = await evaa.join()
    await client.ask("Invoices")
    await trio.sleep(WITHIN_S)  # the server has seen the stages as they are
    return client


async def test_a_stage_that_is_still_to_come_has_its_new_wording(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await joined(evaa)
    await store_stages(evaa.store, CHANGED, now_ms=5)
    await trio.sleep(WITHIN_S)

    imposed = msgspec.structs.replace(CHANGED[1], imposed_at_ms=5)
    assert (await evaa.record()).interview.stages == (STAGES[0], imposed)
    assert [frame.kind for frame in client.waiting] == []

    evaa.interviewer.will(says("Good.", closes=True))
    reply = await client.ask("The paid ones")
    assert reply["nextStage"] is True
    assert reply["nextStageData"] == {
        "stageId": STAGES[1].stage_id,
        "name": "What starts it all",
        "description": "the very beginning",
        "goal": "know it",
        "order": 2,
        "totalStages": 2,
    }
    assert evaa.interviewer.briefs[-1].stage == STAGES[0]
    assert evaa.interviewer.briefs[-1].next_stage == imposed
    await client.ask("A mail")
    assert evaa.interviewer.briefs[-1].stage == imposed


async def test_what_is_imposed_is_saved_once(evaa: Evaa, autojump_clock: MockClock) -> None:
    await joined(evaa)
    saves = evaa.store.saves
    await store_stages(evaa.store, CHANGED, now_ms=5)
    await trio.sleep(100)
    assert evaa.store.saves == saves + 1


async def test_a_change_without_now_is_for_new_sessions_only(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await joined(evaa)
    saves = evaa.store.saves
    await store_stages(evaa.store, CHANGED)
    await trio.sleep(100)
    assert evaa.store.saves == saves
    assert (await evaa.record()).interview.stages == STAGES
    evaa.interviewer.will(says("Good.", closes=True))
    assert (await client.ask("The paid ones"))["nextStageData"]["name"] == STAGES[1].name


@pytest.mark.parametrize("now_ms", [None, 5])
async def test_a_new_session_begins_with_the_new_ones(
    evaa: Evaa, autojump_clock: MockClock, now_ms: int | None
) -> None:
    await joined(evaa)
    await store_stages(evaa.store, CHANGED, now_ms=now_ms)
    newcomer = await evaa.connect(OTHER_SESSION)
    assert (await newcomer.reply())["response"] == NEW_OPENING != OPENING
    stages = (await evaa.record(OTHER_SESSION)).interview.stages
    assert stages == tuple(msgspec.structs.replace(stage, imposed_at_ms=now_ms or 0) for stage in CHANGED)


async def test_a_session_that_is_resumed_gets_them_too(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await joined(evaa)
    await client.leave()
    await evaa.gone()
    await store_stages(evaa.store, CHANGED, now_ms=5)
    await trio.sleep(WITHIN_S)
    assert (await evaa.record()).interview.stages == STAGES
    await evaa.join()
    await trio.sleep(WITHIN_S)
    assert (await evaa.record()).interview.stages == (STAGES[0], msgspec.structs.replace(CHANGED[1], imposed_at_ms=5))
