"""Every test here runs on a virtual clock, but for those that ask for real sockets."""

import pytest
import trio
from trio.testing import MockClock

from tests.actors.harness import Evaa


@pytest.fixture
async def evaa(nursery: trio.Nursery, autojump_clock: MockClock) -> Evaa:
    """A server with two short stages, an interviewer that answers at once, and a store in memory.

    A test that uses it must name `autojump_clock` too: that is how pytest-trio knows which clock to run it on.
    """
    assert trio.lowlevel.current_clock() is autojump_clock, "name autojump_clock among the test's arguments"
    return Evaa(nursery)
