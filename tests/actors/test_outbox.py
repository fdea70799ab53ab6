"""The writer's mailbox: what is joined, what is withdrawn, what is never dropped."""

import pytest
import trio
import trio.testing

from actors.outbox import Outbox
from evaa.interview.views import NO_TIME_SPENT
from protocols.frontend import Delta, ErrorFrame, Pong, Reply, ServerFrame, Transcript


def reply(turn: int) -> Reply:
    return Reply(turn=turn, response="all", next_stage=False, next_stage_data=None, timing=NO_TIME_SPENT)


def partial(text: str, turn: int = 1) -> Transcript:
    return Transcript(text=text, final=False, turn=turn)


def final(text: str, turn: int = 1) -> Transcript:
    return Transcript(text=text, final=True, turn=turn)


def error() -> ErrorFrame:
    return ErrorFrame(code="internal", message="m", retryable=True)


async def taken(outbox: Outbox) -> list[str]:
    """All that waits, told in short."""
    frames = []
    while len(outbox):
        frame = await outbox.take()
        outbox.written()
        assert frame is not None
        frames.append(_short(frame))
    return frames


def _short(frame: ServerFrame) -> str:
    if isinstance(frame, Delta):
        return f"delta {frame.turn} {frame.text}"
    if isinstance(frame, Transcript):
        return f"{'final' if frame.final else 'partial'} {frame.turn} {frame.text}"
    return f"reply {frame.turn}" if isinstance(frame, Reply) else str(frame.__struct_config__.tag)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(tells_deltas=True, max_frames=4)


async def test_deltas_of_one_turn_that_wait_are_joined(outbox: Outbox) -> None:
    for text in "abc":
        outbox.put(Delta(turn=1, text=text))
    outbox.put(Delta(turn=2, text="d"))
    assert await taken(outbox) == ["delta 1 abc", "delta 2 d"]


async def test_deltas_are_not_joined_over_another_frame(outbox: Outbox) -> None:
    outbox.put(Delta(turn=1, text="a"))
    outbox.put(error())
    outbox.put(Delta(turn=1, text="b"))
    assert await taken(outbox) == ["delta 1 a", "error", "delta 1 b"]


async def test_a_delta_that_was_taken_grows_no_more(outbox: Outbox) -> None:
    outbox.put(Delta(turn=1, text="a"))
    first = await outbox.take()
    outbox.put(Delta(turn=1, text="b"))
    assert isinstance(first, Delta)
    assert first.text == "a"


async def test_a_dialect_without_deltas_gets_none() -> None:
    outbox = Outbox(tells_deltas=False)
    outbox.put(Delta(turn=1, text="a"))
    outbox.put(reply(1))
    assert await taken(outbox) == ["reply 1"]


async def test_a_partial_that_waits_is_replaced_by_the_next_one(outbox: Outbox) -> None:
    for text in ("In", "Invo", "Invoices"):
        outbox.put(partial(text))
    assert await taken(outbox) == ["partial 1 Invoices"]


async def test_a_partial_that_waits_is_replaced_by_the_final_transcript(outbox: Outbox) -> None:
    outbox.put(partial("Invo"))
    outbox.put(final("Invoices"))
    outbox.put(partial("By", 2))
    assert await taken(outbox) == ["final 1 Invoices", "partial 2 By"]


async def test_a_final_transcript_is_never_replaced(outbox: Outbox) -> None:
    for number in range(1, 5):
        outbox.put(final("Invoices", number))
    assert await taken(outbox) == [f"final {number} Invoices" for number in range(1, 5)]


async def test_a_partial_is_replaced_at_the_end_of_the_queue_only(outbox: Outbox) -> None:
    outbox.put(partial("a"))
    outbox.put(error())
    outbox.put(partial("b"))
    assert await taken(outbox) == ["partial 1 a", "error", "partial 1 b"]


async def test_a_partial_that_was_taken_is_not_replaced(outbox: Outbox) -> None:
    outbox.put(partial("a"))
    first = await outbox.take()
    outbox.put(partial("b"))
    assert first == partial("a")
    outbox.written()
    assert await taken(outbox) == ["partial 1 b"]


async def test_partials_without_end_fill_no_outbox(outbox: Outbox) -> None:
    for text in "abcdef":
        outbox.put(partial(text))
    assert not outbox.has_overflowed


async def test_a_dialect_without_deltas_gets_no_transcripts() -> None:
    outbox = Outbox(tells_deltas=False)
    outbox.put(partial("a"))
    outbox.put(final("a"))
    assert len(outbox) == 0


async def test_a_turn_that_is_withdrawn_keeps_its_transcript(outbox: Outbox) -> None:
    outbox.put(final("Invoices"))
    outbox.put(Delta(turn=1, text="a"))
    outbox.withdraw(1)
    assert await taken(outbox) == ["final 1 Invoices"]


async def test_a_turn_is_withdrawn_whole_and_alone(outbox: Outbox) -> None:
    outbox.put(Delta(turn=1, text="a"))
    outbox.put(error())
    outbox.put(reply(1))
    outbox.put(Delta(turn=2, text="b"))
    outbox.withdraw(1)
    assert await taken(outbox) == ["error", "delta 2 b"]


async def test_what_was_taken_cannot_be_withdrawn(outbox: Outbox) -> None:
    outbox.put(reply(1))
    frame = await outbox.take()
    outbox.withdraw(1)
    assert await outbox.take() is frame


async def test_a_frame_that_was_not_written_is_taken_again_but_told_once(outbox: Outbox) -> None:
    told: list[ServerFrame] = []
    outbox.on_taken = told.append
    outbox.put(reply(1))
    outbox.put(reply(2))
    first = await outbox.take()
    assert await outbox.take() is first
    outbox.written()
    second = await outbox.take()
    assert told == [first, second]
    assert first is not second


async def test_over_the_bound_it_takes_nothing_more(outbox: Outbox) -> None:
    for number in range(6):
        outbox.put(Pong(t=number))
    assert outbox.has_overflowed
    assert await taken(outbox) == ["pong"] * 4
    assert await outbox.take() is None


async def test_closing_gives_the_rest_and_then_nothing(outbox: Outbox) -> None:
    outbox.put(reply(1))
    outbox.close()
    assert await taken(outbox) == ["reply 1"]
    assert await outbox.take() is None


@pytest.mark.parametrize("what", ["put", "close"])
async def test_it_wakes_a_writer_that_waits(outbox: Outbox, nursery: trio.Nursery, what: str) -> None:
    got: list[ServerFrame | None] = []

    async def take() -> None:
        got.append(await outbox.take())

    nursery.start_soon(take)
    await trio.testing.wait_all_tasks_blocked()
    frame = reply(1)
    if what == "put":
        outbox.put(frame)
    else:
        outbox.close()
    await trio.testing.wait_all_tasks_blocked()
    assert got == [frame if what == "put" else None]
