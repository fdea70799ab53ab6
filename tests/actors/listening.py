"""A server on a real port, for clients that are not the harness's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.server import Server, ServerLimits
from actors.session import Services
from evaa.commands.address import url_on_this_machine
from tests.actors.harness import STAGES
from tests.actors.interviewers import FakeInterviewer
from tests.actors.stores import MemorySpill, WatchedStore
from tests.actors.writers import FakeWriter


@asynccontextmanager
async def listening(
    limits: ServerLimits | None = None, store: WatchedStore | None = None
) -> AsyncIterator[tuple[Server, str]]:
    """A server on a port of its own; yields it with its URL."""
    store = store or WatchedStore()
    await store.replace_stages(STAGES)
    services = Services(
        store=store, interviewer=FakeInterviewer(), spill=MemorySpill(), writer=FakeWriter(), owner="this process"
    )
    server = Server(services, limits or ServerLimits())
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.serve, listeners)
        yield server, url_on_this_machine("127.0.0.1", listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()
