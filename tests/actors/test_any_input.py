"""Whatever a client sends, its session goes on, unless the contract says that it ends."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from protocols.dialects import PLAIN, TYPED_JSON
from tests.actors.harness import SESSION, Evaa, error_code

DIALECTS = [PLAIN, TYPED_JSON]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["type", "text", "id", "sessionId", "audioChunk", "textPrompt", "t", "format", "replay", "audio", "language"]
TYPES = ["start", "text", "audio", "endOfSpeech", "interrupt", "export", "ping", "reply"]
nearly_frames = st.dictionaries(
    st.sampled_from(KEYS), json_values | st.sampled_from([*TYPES, SESSION, "AAAA"]), max_size=5
).map(lambda frame: msgspec.json.encode(frame).decode())
messages = st.one_of(st.text(), st.binary(), nearly_frames, json_values.map(lambda v: msgspec.json.encode(v).decode()))


def run_virtually(test: Any) -> None:
    """Run an async test in a trio of its own, on a virtual clock."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await test(Evaa(nursery))
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_messages(dialect: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(messages, max_size=9))
    def check(sent: list[str | bytes]) -> None:
        async def test(evaa: Evaa) -> None:
            client = await evaa.join(dialect=dialect)
            for message in sent:
                await client.send_raw(message)
                await trio.testing.wait_all_tasks_blocked()
            await client.say("still here", "the last")
            while True:
                reply = await client.reply()
                if "still here" in reply["response"]:
                    break
            assert client.closed_at is None
            codes = {error_code(frame) for frame in client.everything if frame.kind == "error"}
            assert codes <= {
                "bad_frame",
                "stt_unavailable",
                "not_complete",
                "bad_session_id",
                "session_mismatch",
            }
            assert (await evaa.memory())[-1].text == "still here"

        run_virtually(test)

    check()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_text_of_the_user_comes_back_as_it_was(dialect: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.text(min_size=1).filter(str.strip))
    def check(words: str) -> None:
        async def test(evaa: Evaa) -> None:
            client = await evaa.join(dialect=dialect)
            assert (await client.ask(words))["response"] == f"1: {words}"
            assert [said.text for said in await evaa.memory()] == [words]

        run_virtually(test)

    check()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_bytes_on_the_wire_end_their_own_connection_at_most(dialect: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=200), max_size=5))
    def check(chunks: list[bytes]) -> None:
        async def test(evaa: Evaa) -> None:
            client = await evaa.join(dialect=dialect)
            for chunk in chunks:
                try:
                    await client.wire.far_end.send_all(chunk)
                except trio.BrokenResourceError:
                    break
                await trio.testing.wait_all_tasks_blocked()
            client.wire.scope.deadline = trio.current_time() + 30
            await client.wire.served.wait()
            again = await evaa.connect(dialect=dialect)
            await again.reply()
            assert (await again.ask("still here"))["response"].endswith("still here")

        run_virtually(test)

    check()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_anything_before_it_is_bound(dialect: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text() | st.binary() | json_values.map(lambda v: msgspec.json.encode(v).decode()), max_size=9))
    def check(sent: list[str | bytes]) -> None:
        async def test(evaa: Evaa) -> None:
            client = await evaa.connect(session_id=None, dialect=dialect)
            for message in sent:
                await client.send_raw(message)
                assert await client.error() in ("bad_frame", "not_bound", "bad_session_id")
            await client.send(type="start", sessionId=SESSION)
            assert (await client.reply())["response"]

        run_virtually(test)

    check()
