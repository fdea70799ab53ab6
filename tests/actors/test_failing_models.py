"""What a client sees when the model does not answer, to the second."""

import trio
from trio.testing import MockClock

from evaa.llm.fallback import FallbackInterviewer
from evaa.llm.scripted import ScriptedInterviewer
from protocols.dialects import PLAIN
from tests.actors.harness import OTHER_SESSION, Evaa
from tests.actors.interviewers import FakeInterviewer, Plan, fails, says
from tests.actors.stores import Said


class Chain:
    """Two models: `first`, `second`."""

    def __init__(self, *plans: Plan) -> None:
        self.first = FakeInterviewer(*plans, name="first")
        self.second = FakeInterviewer(name="second")
        chain = (self.first, self.second)
        self.interviewer = FallbackInterviewer(chain, first_token_timeout_s=4.0, patience_s=6.0)

    @property
    def asked(self) -> tuple[int, int]:
        """How often each has been asked."""
        return len(self.first.briefs), len(self.second.briefs)


async def test_a_retry_is_not_noticed_but_for_the_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    chain = Chain(fails(passing=True, retry_after_s=2.5), fails(passing=True, retry_after_s=1.0))
    client = await Evaa(nursery, interviewer=chain.interviewer).join()
    assert (await client.ask("one")).at == 3.5
    assert (chain.asked, client.heard("warning")) == ((3, 0), [])


async def test_spent_patience_moves_on(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    chain = Chain(fails(passing=True, retry_after_s=5.0), fails(passing=True, retry_after_s=1.0))
    client = await Evaa(nursery, interviewer=chain.interviewer).join()
    assert (await client.ask("one")).at == 5.0
    assert (chain.asked, client.heard("warning")) == ((2, 1), ["agent_unavailable"])


async def test_a_model_rests_for_all_sessions(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    chain = Chain(says(100.0, "never"))
    evaa = Evaa(nursery, interviewer=chain.interviewer)
    assert (await (await evaa.join()).ask("one")).at == 4.0
    other = await evaa.join(OTHER_SESSION)
    await trio.sleep(14.75)
    await other.ask("one")
    assert chain.asked == (1, 2)
    await trio.sleep(0.25)
    await other.ask("two")
    assert (chain.asked, trio.current_time()) == ((2, 2), 4.0 + 15.0)


async def test_the_client_is_warned_and_forgets_what_came_before(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    chain = Chain(says("Half ", 100.0, "never"))
    evaa = Evaa(nursery, interviewer=chain.interviewer)
    client = await evaa.join()
    await client.say("one")
    frames = await client.until("reply")
    assert [frame.kind for frame in frames if frame.kind != "turnStarted"] == [
        "delta",
        "turnCancelled",
        "warning",
        "delta",
        "reply",
    ]
    warning = next(frame for frame in frames if frame.kind == "warning")
    assert (warning["code"], warning["retryable"], warning.at) == ("agent_unavailable", True, 4.0)
    after = [frame["text"] for frame in frames if frame.kind == "delta" and frame.at == 4.0]
    assert "".join(after) == frames[-1]["response"] == "1: one"
    assert await evaa.memory() == [Said("one", "1: one", "answered")]


async def test_a_plain_client_just_gets_the_reply(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    chain = Chain(says("Half ", 100.0, "never"))
    client = await Evaa(nursery, interviewer=chain.interviewer).join(dialect=PLAIN)
    await client.say("one")
    (reply,) = await client.expect("reply")
    assert (reply["response"], reply.at) == ("1: one", 4.0)


async def test_the_interview_goes_on_with_prepared_questions(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    broken = FakeInterviewer(*[fails()] * 2, name="broken")
    chain = FallbackInterviewer((broken, ScriptedInterviewer()), first_token_timeout_s=4.0, patience_s=6.0)
    client = await Evaa(nursery, interviewer=chain).join()
    assert (await client.ask("one"))["response"] == "Got it. Why?"
    assert "warning" in [frame.kind for frame in client.everything]


async def test_an_utterance_during_the_wait_for_a_retry_cancels_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    chain = Chain(fails(passing=True, retry_after_s=5.0))
    evaa = Evaa(nursery, interviewer=chain.interviewer)
    client = await evaa.join()
    await client.say("one")
    await trio.sleep(1)
    reply = await client.ask("two")
    assert (reply["response"], reply.at) == ("2: one\ntwo", 1.0)
    await trio.sleep(60)
    assert [frame["turn"] for frame in client.everything if frame.kind == "reply"] == [0, 2]
    assert chain.asked == (2, 0)
