"""Sessions that are imported into the store of a server that runs."""

from io import BytesIO, StringIO

import msgspec
import trio
from trio.testing import MockClock

from evaa.commands.session_lines import encode_line
from evaa.commands.sessions import export_sessions, import_sessions
from protocols.records import SessionRecord
from tests.actors.harness import OTHER_SESSION, Evaa
from tests.actors.looking import looking
from tests.actors.stores import Said


def told(record: SessionRecord, text: str) -> SessionRecord:
    """The session, in which the user had said something else."""
    turn = msgspec.structs.replace(record.interview.turns[0], text=text)
    interview = msgspec.structs.replace(record.interview, turns=(turn,))
    return msgspec.structs.replace(record, interview=interview)


async def test_a_live_session_that_is_replaced_is_closed_and_resumed_as_it_was_imported(
    evaa: Evaa, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await looking(evaa, nursery)
    client, neighbour = await evaa.join(), await evaa.join(OTHER_SESSION)
    await client.ask("one")
    await trio.sleep(2)
    source, err = BytesIO(encode_line(told(await evaa.record(), "another"))), StringIO()
    assert await import_sessions(evaa.store, source, err, replaces=True) == 0
    assert await client.close_code() == 4409

    again = await evaa.join()
    assert await evaa.memory() == [Said("another", "1: one", "answered")]
    await again.ask("two")
    assert [said.text for said in await evaa.memory()] == ["another", "two"]
    await neighbour.ask("still there")


async def test_a_live_session_that_differs_is_left_alone(
    evaa: Evaa, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await looking(evaa, nursery)
    client = await evaa.join()
    await client.ask("one")
    await trio.sleep(2)
    source, err = BytesIO(encode_line(told(await evaa.record(), "another"))), StringIO()
    assert await import_sessions(evaa.store, source, err) == 1
    await trio.sleep(2)
    await client.ask("two")
    assert [said.text for said in await evaa.memory()] == ["one", "two"]


async def test_a_live_session_can_be_exported(evaa: Evaa, autojump_clock: MockClock) -> None:
    client = await evaa.join()
    await client.ask("one")
    out = BytesIO()
    assert await export_sessions(evaa.store, out, StringIO()) == 0
    assert out.getvalue() == encode_line(await evaa.record())
    await client.ask("two")
