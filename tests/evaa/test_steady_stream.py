"""A write that was cancelled is completed by the next one, over a real socket pair: no byte is lost or doubled."""

import random

import pytest
import trio
import trio.testing

from evaa.steady_stream import SteadyStream

BIG = 4 * 1024 * 1024  # more than any socket buffer holds


def numbered(count: int) -> bytes:
    """Bytes of which every eight are different, so that a loss or a repetition shows."""
    return b"".join(number.to_bytes(8, "big") for number in range(count // 8))


async def pair() -> tuple[SteadyStream, trio.SocketStream]:
    left, right = trio.socket.socketpair()
    return SteadyStream(trio.SocketStream(left)), trio.SocketStream(right)


async def read_exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = await stream.receive_some(count - len(data))
        assert chunk, "the stream ended too early"
        data += chunk
    return bytes(data)


async def write_until_it_blocks(stream: SteadyStream, data: bytes) -> None:
    """Begin to write, and give up as soon as nothing goes on."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            await trio.testing.wait_all_tasks_blocked(0.02)
            scope.cancel()
    assert scope.cancelled_caught


async def test_a_cancelled_write_is_completed_by_the_next() -> None:
    near, far = await pair()
    first, second = numbered(BIG), b"and then a close frame"
    async with near, far:
        await write_until_it_blocks(near, first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, second)
            assert await read_exactly(far, len(first) + len(second)) == first + second


async def test_a_write_that_was_cancelled_before_it_began_is_not_lost_either() -> None:
    near, far = await pair()
    async with near, far:
        with trio.CancelScope() as scope:
            scope.cancel()
            await near.send_all(b"one ")
        await near.send_all(b"two")
        assert await read_exactly(far, 7) == b"one two"


async def test_several_cancelled_writes_stay_in_order() -> None:
    near, far = await pair()
    pieces = [numbered(BIG), b"a" * 1_000, numbered(BIG)[::-1], b"end"]
    async with near, far:
        for piece in pieces[:-1]:
            await write_until_it_blocks(near, piece)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, pieces[-1])
            whole = b"".join(pieces)
            assert await read_exactly(far, len(whole)) == whole


@pytest.mark.parametrize("seed", range(5))
async def test_writes_that_are_cancelled_anywhere(seed: int) -> None:
    chance = random.Random(seed)
    near, far = await pair()
    pieces = [chance.randbytes(chance.randrange(200_000)) for _ in range(40)]
    whole = b"".join(pieces)
    received = bytearray()

    async def read() -> None:
        while len(received) < len(whole):
            received.extend(await far.receive_some(chance.randrange(1, 100_000)))
            for _ in range(chance.randrange(4)):
                await trio.lowlevel.checkpoint()

    async def write() -> None:
        for piece in pieces:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(cancel_soon, scope)
                    await near.send_all(piece)
                    nursery.cancel_scope.cancel()
        await near.send_all(b"")

    async def cancel_soon(scope: trio.CancelScope) -> None:
        for _ in range(chance.randrange(6)):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with near, far:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(write)
        assert bytes(received) == whole


async def test_what_several_tasks_write_is_never_mixed_up() -> None:
    near, far = await pair()
    pieces = [bytes([number]) * 700_000 for number in range(10)]
    received = bytearray()
    async with near, far, trio.open_nursery() as nursery:
        for piece in pieces:
            nursery.start_soon(near.send_all, piece)
        while len(received) < sum(map(len, pieces)):
            received += await far.receive_some(300_000)
    runs = [received[begin : begin + 700_000] for begin in range(0, len(received), 700_000)]
    assert sorted(runs) == pieces


async def test_a_write_that_the_kernel_takes_at_once_is_no_checkpoint() -> None:
    near, far = await pair()
    async with near, far:
        with trio.CancelScope() as scope:
            scope.cancel()
            await near.send_all(b"x" * 1_000)
        assert not scope.cancelled_caught
        assert await far.receive_some(1_000) == b"x" * 1_000


async def test_a_write_to_a_peer_that_is_gone_is_broken() -> None:
    near, far = await pair()
    await far.aclose()
    async with near:
        with pytest.raises(trio.BrokenResourceError):
            await near.send_all(b"one")


async def test_a_write_after_closing_is_refused() -> None:
    near, far = await pair()
    await near.aclose()
    async with far:
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"one")


async def test_closing_ends_a_write_that_is_under_way() -> None:
    near, far = await pair()
    async with far, trio.open_nursery() as nursery:

        async def write() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await near.send_all(numbered(BIG))

        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked(0.02)
        await near.aclose()


async def test_it_reads_what_the_socket_reads() -> None:
    near, far = await pair()
    async with near:
        await far.send_all(b"hello")
        assert await near.receive_some() == b"hello"
        await far.aclose()
        assert await near.receive_some() == b""


async def test_waiting_until_a_write_might_not_block() -> None:
    near, far = await pair()
    async with near, far:
        with trio.fail_after(5):
            await near.wait_send_all_might_not_block()
