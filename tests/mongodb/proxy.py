"""A proxy between a MongoDB driver and its server that knows the commands, and does harm to those it is told to.

    async with fault_proxy(mongo_server.uri) as proxy:
        fault = proxy.add(DropReply("update"))
        ...  # a driver that connects to `proxy.uri`

It runs on the test's own trio loop and on its clock, which must be the real one. `tests/mongodb/faults.py` says what
can go wrong. Unacknowledged writes and compressed messages are beyond it.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
import trio
from pymongo.uri_parser import parse_uri

from tests.mongodb.faults import (
    DRIVERS_OWN,
    DropReply,
    DropRequest,
    Fault,
    HoldReply,
    HoldRequest,
    LateRequest,
    SwallowRequest,
)
from tests.mongodb.messages import Message, MessageBuffer

MAX_CONNECTIONS = 250
"""Connections at once, late requests among them: what is above is closed. Each holds a message in each direction."""

MAX_COMMANDS = 10_000
"""Names of commands that are remembered."""

_F = TypeVar("_F", bound=Fault)


class FaultProxy:
    """The driver's way to the server at `host` and `port`, for a client that connects to `uri`."""

    def __init__(self, uri: str, host: str, port: int) -> None:
        self.uri = uri
        self._server = host, port
        self._faults: list[Fault] = []
        self._links: set[_Link] = set()
        self._is_away = False
        self._commands: deque[str] = deque(maxlen=MAX_COMMANDS)

    @property
    def commands(self) -> list[str]:
        """The names of the commands that drivers have sent so far, struck or not, but for the driver's own."""
        return list(self._commands)

    def add(self, fault: _F) -> _F:
        """Arm `fault`, and return it. Of several that fit a command, the one that was added first strikes it."""
        self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Disarm `fault`. What it holds stays held until it is released."""
        self._faults.remove(fault)

    def refuse(self) -> None:
        """The database is away: close all connections, with what is held on them, and every new one at once.

        Only late requests still reach the server: they are on no driver's connection any more.
        """
        self._is_away = True
        for link in self._links:
            link.close()

    def accept(self) -> None:
        """The database is back."""
        self._is_away = False

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection of a driver's. `fault_proxy` runs this."""
        async with stream:
            if len(self._links) >= MAX_CONNECTIONS:
                return
            try:
                server = await trio.open_tcp_stream(*self._server)
            except OSError:
                return
            async with server:
                if not self._is_away:
                    await self._relay(_Link(stream, server, self._fault_for))

    async def _relay(self, link: "_Link") -> None:
        self._links.add(link)
        try:
            await link.run()
            await link.deliver_late()
        finally:
            self._links.remove(link)

    def _fault_for(self, command: str) -> Fault | None:
        if command not in DRIVERS_OWN:
            self._commands.append(command)
        return next((fault for fault in self._faults if fault.take(command)), None)


class _Connection:
    """Whole messages over a TCP connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = MessageBuffer()

    async def receive(self) -> Message | None:
        """Return the next message, or None once the other side has closed the connection."""
        while (message := self._buffer.next_message()) is None:
            data = await self._stream.receive_some()
            if not data:
                return None
            self._buffer.feed(data)
        return message

    async def send(self, message: Message) -> None:
        await self._stream.send_all(message.data)

    async def close(self) -> None:
        await self._stream.aclose()


class _Link:
    """One connection of a driver's, and the proxy's own to the server that belongs to it."""

    def __init__(
        self, driver: trio.SocketStream, server: trio.SocketStream, fault_for: Callable[[str], Fault | None]
    ) -> None:
        self._driver = _Connection(driver)
        self._server = _Connection(server)
        self._fault_for = fault_for
        self._scope = trio.CancelScope()
        self._awaited: dict[int, Fault] = {}
        self._answers = trio.lowlevel.ParkingLot()
        self._late: tuple[LateRequest, Message] | None = None

    def close(self) -> None:
        """End `run`. A late request goes its way all the same."""
        self._scope.cancel()

    async def run(self) -> None:
        """Pass messages on until either side, or a fault, closes the connection; close the driver's."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_broken, self._pass_requests)
                nursery.start_soon(self._until_broken, self._pass_replies)
        await self._driver.close()

    async def deliver_late(self) -> None:
        """If there is a late request, deliver it when it is released."""
        if self._late is None:
            return
        fault, message = self._late
        await fault.hold()
        with suppress(trio.BrokenResourceError):
            await self._server.send(message)
            if await self._server.receive() is not None:
                fault.land()

    async def _until_broken(self, pass_on: Callable[[], Awaitable[None]]) -> None:
        with suppress(trio.BrokenResourceError):
            await pass_on()
        self.close()

    async def _pass_requests(self) -> None:
        while (message := await self._driver.receive()) is not None:
            match fault := self._fault_for(message.command):
                case DropRequest():
                    fault.strike()
                    return
                case LateRequest():
                    self._late = fault, message
                    return
                case SwallowRequest():
                    fault.strike()
                    continue
                case HoldRequest():
                    await fault.hold()
            if fault is not None:
                self._awaited[message.request_id] = fault
            await self._server.send(message)
            if isinstance(fault, HoldRequest):
                await self._answered(message)

    async def _answered(self, request: Message) -> None:
        """Wait for the answer before looking whether the driver is still there: the request is to land if it is not."""
        while request.request_id in self._awaited:
            await self._answers.park()

    async def _pass_replies(self) -> None:
        while (message := await self._server.receive()) is not None:
            match fault := self._awaited.pop(message.answers, None):
                case DropReply():
                    fault.strike()
                    return
                case HoldReply():
                    await fault.hold()
                case HoldRequest():
                    fault.land()
                    self._answers.unpark_all()
            await self._driver.send(message)


@asynccontextmanager
async def fault_proxy(uri: str) -> AsyncIterator[FaultProxy]:
    """A proxy to the first server that `uri` names, without any fault yet; ends with the block, whatever it holds.

    `proxy.uri` is `uri` with the proxy's address: credentials and options stay, and the driver is told not to look for
    the server's own address behind it (`directConnection`). With TLS nobody could read along: the test is skipped.
    """
    parsed = parse_uri(uri)
    if parsed["options"].get("tls"):
        pytest.skip("the proxy cannot read encrypted connections")
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    proxy = FaultProxy(_through(port, uri), *parsed["nodelist"][0])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, proxy.serve, [listener])
        yield proxy
        nursery.cancel_scope.cancel()


def _through(port: int, uri: str) -> str:
    parts = urlsplit(uri)
    user, at, _ = parts.netloc.rpartition("@")
    options = [option for option in parts.query.split("&") if option and not option.startswith("directConnection=")]
    query = "&".join([*options, "directConnection=true"])
    return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}", path=parts.path or "/", query=query).geturl()
