"""Changing the words to expect: one change at a time, the newest wins."""

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from evaa.stt.keyterms import ANSWER_S, Keyterms
from protocols.ports import SttLost


class Wire:
    """What was sent; `holds` sending back."""

    def __init__(self, *, takes_them: bool = True) -> None:
        self.keyterms = Keyterms(self.send, takes_them=takes_them)
        self.messages: list[Any] = []
        self.reads = trio.Event()
        self.reads.set()

    async def send(self, text: str) -> None:
        self.messages.append(msgspec.json.decode(text))
        await self.reads.wait()

    @property
    def sent(self) -> list[list[str]]:
        assert all(message.keys() == {"type", "keyterms"} for message in self.messages)
        assert all(message["type"] == "Configure" for message in self.messages)
        return [message["keyterms"] for message in self.messages]


async def test_the_first_change_goes_at_once(autojump_clock: MockClock) -> None:
    wire = Wire()
    await wire.keyterms.replace(("Zapier", "n8n"))
    assert wire.sent == [["Zapier", "n8n"]]


async def test_one_change_is_in_flight_and_the_newest_of_the_others_follows(autojump_clock: MockClock) -> None:
    wire = Wire()
    for term in "abc":
        await wire.keyterms.replace((term,))
    assert wire.sent == [["a"]]
    await wire.keyterms.answered()
    assert wire.sent == [["a"], ["c"]]
    await wire.keyterms.replace(("d",))
    assert wire.sent == [["a"], ["c"]]
    await wire.keyterms.answered()
    await wire.keyterms.answered()
    assert wire.sent == [["a"], ["c"], ["d"]]
    await wire.keyterms.replace(("e",))
    assert wire.sent[3:] == [["e"]]


async def test_a_change_that_comes_while_another_is_being_sent_waits(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    wire = Wire()
    wire.reads = trio.Event()
    nursery.start_soon(wire.keyterms.replace, ("a",))
    await trio.testing.wait_all_tasks_blocked()
    await wire.keyterms.replace(("b",))
    assert wire.sent == [["a"]]
    wire.reads.set()
    await trio.testing.wait_all_tasks_blocked()
    await wire.keyterms.answered()
    assert wire.sent == [["a"], ["b"]]


async def test_an_answer_that_never_comes_holds_no_change_back_for_ever(autojump_clock: MockClock) -> None:
    wire = Wire()
    await wire.keyterms.replace(("a",))
    await trio.sleep(ANSWER_S - 0.1)
    await wire.keyterms.replace(("b",))
    assert wire.sent == [["a"]]
    await trio.sleep(0.1)
    await wire.keyterms.replace(("c",))
    assert wire.sent == [["a"], ["c"]]
    await wire.keyterms.answered()
    assert wire.sent == [["a"], ["c"]]


async def test_no_words_are_a_change_too(autojump_clock: MockClock) -> None:
    wire = Wire()
    await wire.keyterms.replace(("a",))
    await wire.keyterms.replace(())
    await wire.keyterms.answered()
    assert wire.sent == [["a"], []]


async def test_only_fitting_terms_are_sent(autojump_clock: MockClock) -> None:
    wire = Wire()
    await wire.keyterms.replace((" a  b ", "", "a b", "x" * 101))
    assert wire.sent == [["a b"]]


async def test_a_model_that_takes_none_is_told_none(autojump_clock: MockClock) -> None:
    wire = Wire(takes_them=False)
    await wire.keyterms.replace(("a",))
    await wire.keyterms.answered()
    await wire.keyterms.replace(("b",))
    assert wire.sent == []


async def test_a_connection_that_is_lost_says_so() -> None:
    async def send(text: str) -> None:
        raise SttLost("cut")

    with pytest.raises(SttLost):
        await Keyterms(send, takes_them=True).replace(("a",))
