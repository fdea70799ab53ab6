"""The harness's server as it looks into its store once a second, which it does only where it serves listeners."""

from typing import cast

import trio

from tests.actors.harness import STAGES, Evaa


class NobodyComes(trio.abc.Listener[trio.SocketStream]):
    """A listener that no client ever finds: the harness's come another way."""

    async def accept(self) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def looking(evaa: Evaa, nursery: trio.Nursery) -> Evaa:
    """Let the server look; it finds the harness's stages, so that it puts none of its own there."""
    await evaa.store.replace_stages(STAGES)
    await nursery.start(evaa.server.serve, [cast(trio.SocketListener, NobodyComes())])
    return evaa
