"""The daemon: opens the port, says so, serves until a signal, drains."""

import os
import signal
from collections.abc import AsyncIterator

import structlog
import trio

from actors.server import PATH, Server
from actors.session import Services

SPILL_RETRY_S = 30.0

OVERDUE_S = 28.0
"""A drain that takes longer has met something that hangs."""

_log = structlog.get_logger(actor="server")


class AddressRefused(Exception):
    """The address to listen on cannot be had; the message says why."""


async def run_daemon(server: Server, services: Services, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal hurries. Raises `AddressRefused`.

    What earlier runs could not save is brought into the store first, and again while some of it waits.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise AddressRefused(f"EVAA cannot listen on {host}:{port}: {error}.") from None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_replay_spill, services)
            await nursery.start(server.serve, listeners)
            bound_port = listeners[0].socket.getsockname()[1]
            url = f"ws://{f'[{host}]' if ':' in host else host}:{bound_port}{PATH}"
            _log.info("server.listening", port=bound_port, http_port=None, url=url)
            _log.info("server.stopping", signal=signal.Signals(await anext(signals)).name)
            nursery.start_soon(_hurry_on_signal, server, signals)
            nursery.start_soon(_give_up_in_the_end)
            await server.drain()
            nursery.cancel_scope.cancel()


async def _hurry_on_signal(server: Server, signals: AsyncIterator[int]) -> None:
    _log.info("server.hurrying", signal=signal.Signals(await anext(signals)).name)
    server.hurry()
    await anext(signals)
    _give_up("a third signal")


async def _give_up_in_the_end() -> None:
    await trio.sleep(OVERDUE_S)
    _give_up("overdue")


def _give_up(reason: str) -> None:
    """End the process though something hangs that cannot be cancelled, such as a write to a disk that stalls."""
    _log.error("server.gave_up", reason=reason)
    os._exit(1)


async def _replay_spill(services: Services) -> None:
    while True:
        if services.spill.is_waiting:
            try:
                await services.spill.replay(services.store, services.owner, 1.0)
            except OSError as error:
                _log.error("store.spill_unreadable", error=type(error).__name__)
        await trio.sleep(SPILL_RETRY_S)
