"""The process dies between two steps of a turn; another one takes over what is in the store.

At the moment of death the store takes nothing more, nothing is spilled, and nothing passes the wire.
"""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from actors.connection import Connection
from protocols.dialects import PLAIN, TYPED_JSON
from protocols.frontend import ServerFrame
from protocols.ports import Answer, AnswerSink, TurnBrief
from tests.actors.harness import OPENING, Client, Evaa
from tests.actors.stores import Said

POINTS = [
    "save 1 begins",  # the write-ahead
    "save 1 is done",
    "asked",
    "piece shown",
    "answered",
    "delta taken",
    "delta written",
    "turnStarted taken",
    "turnStarted written",
    "reply taken",
    "reply written",
    "save 2 begins",  # the commit
    "save 2 is done",
]
IN_PLAIN = [point for point in POINTS if not point.startswith(("delta", "turnStarted"))]
CASES = [*[(TYPED_JSON, point) for point in POINTS], *[(PLAIN, point) for point in IN_PLAIN]]


class Death:
    """Kills the process at a named point, and tells whether it came to that."""

    def __init__(self, evaa: Evaa, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_come = False
        self._evaa = evaa
        self._point = point
        evaa.store.probe = self.reached
        evaa.interviewer.will(self._answer)
        self._watch_frames(monkeypatch)

    def reached(self, point: str) -> None:
        if point == self._point and not self.has_come:
            self.has_come = True
            self._evaa.die()

    async def _answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        self.reached("asked")
        await trio.sleep(1)
        sink.text("Never ")
        self.reached("piece shown")
        await trio.sleep(1)
        sink.text("again.")
        self.reached("answered")
        return Answer(text="Never again.", wants_next=False, facts={}, model="fake")

    def _watch_frames(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = Connection.send

        async def watched(connection: Connection, frame: ServerFrame) -> None:
            kind = str(frame.__struct_config__.tag)
            self.reached(f"{kind} taken")
            await send(connection, frame)
            self.reached(f"{kind} written")

        monkeypatch.setattr(Connection, "send", watched)


async def ask_and_die(evaa: Evaa, dialect: str, arm: Callable[[], Death]) -> tuple[Client, bool]:
    """Ask something of a process that is about to die. Whether the client knows that it was heard."""
    client = await evaa.join(dialect=dialect)
    death = arm()
    await client.say("one", "x")
    await evaa.gone()
    assert death.has_come
    await client.wire.hang_up()
    sign = "reply" if dialect == PLAIN else "turnStarted"
    return client, sign in [frame.kind for frame in client.waiting]


@pytest.mark.parametrize("store_s", [0.0, 0.5])
@pytest.mark.parametrize(("dialect", "point"), CASES)
async def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, dialect: str, point: str, store_s: float
) -> None:
    evaa.store.delay_s = store_s
    _, was_acknowledged = await ask_and_die(evaa, dialect, lambda: Death(evaa, point, monkeypatch))
    evaa.revive_store()
    evaa.store.delay_s = 0.0
    before = await evaa.memory()
    if was_acknowledged:
        assert [said.text for said in before] == ["one"]

    successor = await evaa.reborn()
    client = await successor.connect(dialect=dialect)
    first = await client.reply()
    if not before:
        assert first["response"] == OPENING
    elif before[0].outcome == "answered":
        assert first["response"] == before[0].reply == "Never again."
        assert successor.interviewer.briefs == []
    else:
        assert first["response"] == "1: one"  # the reply that was owed
    if dialect == TYPED_JSON:
        assert (await client.ask("one", "x"))["turn"] == 1  # a client that does not know says it again
    elif not before:
        await client.ask("one")
    memory = await successor.memory()
    assert memory == [Said("one", memory[0].reply, "answered")]
    assert (await successor.record()).interview.follow_ups_used == 1
    assert len((await successor.record()).messages) == 1 + 2
    assert (await client.ask("two", "y"))["response"] == "2: two"


@pytest.mark.parametrize(
    ("point", "durable"),
    [("save 1 begins", False), ("save 1 is done", True), ("delta written", True), ("save 2 begins", True)],
)
async def test_from_when_on_the_words_survive(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, point: str, durable: bool
) -> None:
    await ask_and_die(evaa, TYPED_JSON, lambda: Death(evaa, point, monkeypatch))
    evaa.revive_store()
    assert await evaa.memory() == ([Said("one", "", "pending")] if durable else [])


async def test_what_was_cut_short_stays_so(
    evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await evaa.join()
    Death(evaa, "save 2 is done", monkeypatch)
    await client.say("one")
    await trio.sleep(1.5)
    await client.send(type="interrupt")
    await evaa.gone()
    successor = await evaa.reborn()
    again = await successor.connect()
    assert (await again.reply())["response"] == "Never "
    await again.nothing_for(60)
    assert await successor.memory() == [Said("one", "Never ", "interrupted")]


async def test_death_while_the_store_is_away_loses_only_what_was_not_acknowledged(
    evaa: Evaa, autojump_clock: MockClock
) -> None:
    client = await evaa.join()
    await client.ask("one", "x")
    evaa.store.unavailable = True
    await client.say("two", "y")
    await client.reply()
    assert "turnStarted" not in [frame.kind for frame in client.passed]
    evaa.die()
    successor = await evaa.reborn()
    again = await successor.join()
    assert await successor.memory() == [Said("one", "1: one", "answered")]
    assert (await again.ask("two", "y"))["turn"] == 2


async def test_two_deaths_in_a_row(evaa: Evaa, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask_and_die(evaa, TYPED_JSON, lambda: Death(evaa, "turnStarted written", monkeypatch))
    second = await evaa.reborn()
    Death(second, "reply taken", monkeypatch)
    await second.connect()
    await second.gone()
    third = await second.reborn()
    client = await third.connect()
    assert (await client.reply())["response"] == "1: one"
    assert await third.memory() == [Said("one", "1: one", "answered")]
