"""A server on a virtual clock, and real WebSocket clients that talk to it over streams in memory.

    client = await evaa.join()
    await client.say("Invoices by mail")
    assert (await client.reply())["response"] == "1: Invoices by mail"
    assert await evaa.memory() == [Said("Invoices by mail", "1: Invoices by mail", "answered")]

Whatever a client gets is stamped with its virtual time (`Frame.at`), so that times can be compared with `==`.
"""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import trio
import trio.testing
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from actors.server import PATH, Server, ServerLimits
from actors.session import Services
from protocols.dialects import PLAIN, TYPED_JSON, TYPED_MSGPACK
from protocols.ports import Interviewer, SpeechToText
from protocols.records import SessionRecord, Stage
from protocols.writing import Compute
from tests.actors.interviewers import FakeInterviewer
from tests.actors.stores import MemorySpill, Said, WatchedStore, ignore
from tests.actors.wire import Wire
from tests.actors.writers import FakeWriter
from tests.computing import at_once

SESSION = "5e1a0000000000000000000a"
OTHER_SESSION = "5e1a0000000000000000000b"

OPENING = "What is it for?"
SECOND_OPENING = "What starts it?"
STAGES = (
    Stage("a" * 24, "Goal", "what it is for", "know what for", 1, OPENING, max_follow_ups=2, follow_ups=("Why?",)),
    Stage("b" * 24, "Trigger", "what starts it", "know the trigger", 2, SECOND_OPENING, max_follow_ups=1),
)

PATIENCE_S = 1_000.0
"""How long, in virtual seconds, a client waits for a frame before the test fails."""

HANDSHAKE_S = 20.0
"""The same for the answer to a handshake."""


class Frame(dict[str, Any]):
    """A frame as the client got it. `at` is when."""

    at: float

    @property
    def kind(self) -> str:
        """The frame's type; plain frames have none, and are replies or errors."""
        plain = "error" if "error" in self else "reply"
        return str(self.get("type", plain))


class Closed(Exception):
    """The connection is closed, and everything that came before has been read."""


class Client:
    """A frontend. It reads all the time; what came waits to be asked for."""

    def __init__(self, websocket: WebSocketConnection, wire: Wire, dialect: str, session_id: str) -> None:
        self.wire = wire
        self.session_id = session_id
        self.closed_at: float | None = None
        self.websocket = websocket
        self.passed: list[Frame] = []
        self.everything: list[Frame] = []
        self.is_plain = dialect == PLAIN
        self.is_packed = dialect == TYPED_MSGPACK
        self._send, self._frames = trio.open_memory_channel[Frame](10_000)

    async def listen(self) -> None:
        """Read until the connection is closed. The harness runs this."""
        with self._send:
            while True:
                try:
                    message = await self.websocket.get_message()
                except ConnectionClosed:
                    self.closed_at = trio.current_time()
                    return
                frame = Frame((msgspec.msgpack if isinstance(message, bytes) else msgspec.json).decode(message))
                frame.at = trio.current_time()
                self.everything.append(frame)
                self._send.send_nowait(frame)

    # --- to the server ----------------------------------------------------------------------------------------------

    async def say(self, text: str, client_id: str | None = None) -> None:
        """Type a prompt."""
        if self.is_plain:
            await self.send(textPrompt=text, sessionId=self.session_id)
        elif client_id is None:
            await self.send(type="text", text=text)
        else:
            await self.send(type="text", text=text, id=client_id)

    async def send(self, **fields: object) -> None:
        """Send a frame."""
        await self.send_raw(msgspec.msgpack.encode(fields) if self.is_packed else msgspec.json.encode(fields).decode())

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message as it is."""
        await self.websocket.send_message(message)

    async def leave(self) -> None:
        """Close the connection in the regular way."""
        await self.websocket.aclose()

    # --- from the server --------------------------------------------------------------------------------------------

    async def receive(self) -> Frame:
        """Return the next frame. Raises `Closed`."""
        with trio.fail_after(PATIENCE_S):
            try:
                return await self._frames.receive()
            except trio.EndOfChannel:
                raise Closed(self.websocket.closed) from None

    async def expect(self, *kinds: str) -> list[Frame]:
        """Return the next frames, which must be of these kinds and in this order."""
        frames = [await self.receive() for _ in kinds]
        assert [frame.kind for frame in frames] == list(kinds), frames
        return frames

    async def until(self, kind: str) -> list[Frame]:
        """Return the frames up to the first of this kind, which is the last of them."""
        self.passed = [await self.receive()]
        while self.passed[-1].kind != kind:
            self.passed.append(await self.receive())
        return self.passed

    async def reply(self) -> Frame:
        """Return the next reply, whatever comes before it."""
        return (await self.until("reply"))[-1]

    async def ask(self, text: str, client_id: str | None = None) -> Frame:
        """Say something; return the reply, once it and the acknowledgement (unless plain) have come."""
        await self.say(text, client_id)
        frames = [await self.reply()]
        if not self.is_plain and not any(frame.kind == "turnStarted" for frame in self.passed):
            frames += await self.until("turnStarted")
        return frames[0]

    async def until_turn(self, turn: int) -> Frame:
        """Return the reply of this turn, whatever comes before it."""
        while (reply := await self.reply())["turn"] != turn:
            pass
        return reply

    async def error(self) -> str:
        """Return the code of the next error, whatever comes before it."""
        return str(error_code((await self.until("error"))[-1]))

    async def rest(self) -> list[Frame]:
        """Wait until the connection is closed; return all the frames until then."""
        frames = []
        while True:
            try:
                frames.append(await self.receive())
            except Closed:
                return frames

    async def close_code(self) -> int:
        """Wait until the connection is closed; return the code that the server gave (1006: none)."""
        await self.rest()
        assert self.websocket.closed is not None
        return self.websocket.closed.code

    async def nothing_for(self, seconds: float) -> None:
        """Wait, and see that no frame comes."""
        with trio.move_on_after(seconds):
            raise AssertionError(await self.receive())

    def heard(self, kind: str) -> list[object]:
        """Of all the frames of this kind that have come: the codes of errors and warnings, others' ids."""
        frames = [frame for frame in self.everything if frame.kind == kind]
        return [error_code(frame) if kind in ("error", "warning") else frame["id"] for frame in frames]

    @property
    def waiting(self) -> list[Frame]:
        """Take what has come by now."""
        frames = []
        while True:
            try:
                frames.append(self._frames.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return frames


class Evaa:
    """One process of EVAA: a server and what it stands on."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        clients: trio.Nursery | None = None,
        store: WatchedStore | None = None,
        spill: MemorySpill | None = None,
        interviewer: Interviewer | None = None,
        stages: tuple[Stage, ...] = STAGES,
        limits: ServerLimits | None = None,
        owner: str = "this process",
        stt: SpeechToText[Any] | None = None,
        compute: Compute = at_once,
    ) -> None:
        self.interviewer = FakeInterviewer()
        self.writer = FakeWriter()
        self.store = WatchedStore() if store is None else store
        self.spill = MemorySpill() if spill is None else spill
        self.wires: list[Wire] = []
        self._nursery = nursery
        self._clients = clients or nursery
        self._stages = stages
        self._has_seeded = False
        services = Services(
            store=self.store,
            interviewer=interviewer or self.interviewer,
            writer=self.writer,
            spill=self.spill,
            owner=owner,
            stt=stt,
            compute=compute,
        )
        self.server = Server(services, ServerLimits() if limits is None else limits)

    # --- clients ----------------------------------------------------------------------------------------------------

    async def join(self, session_id: str = SESSION, dialect: str = TYPED_JSON) -> Client:
        """Connect, and take what a new or resumed session says first: `ready` (unless plain), and a reply."""
        client = await self.connect(session_id, dialect)
        await client.reply()
        return client

    async def connect(
        self,
        session_id: str | None = SESSION,
        dialect: str | None = TYPED_JSON,
        *,
        wire: Wire | None = None,
        nursery: trio.Nursery | None = None,
    ) -> Client:
        """Connect a client that is bound by the URL; not yet bound without a `session_id`."""
        nursery = nursery or self._clients
        path = PATH if session_id is None else f"{PATH}?sessionId={session_id}"
        wire = wire or await self.open_wire()
        websocket = await _handshake(nursery, wire, path, dialect)
        client = Client(websocket, wire, dialect or PLAIN, session_id or SESSION)
        nursery.start_soon(client.listen)
        return client

    async def connect_later(self) -> Callable[[], Awaitable[Client]]:
        """Begin to connect like `connect`; what is returned waits until that is done."""
        send, receive = trio.open_memory_channel[Client](1)

        async def connect() -> None:
            await send.send(await self.connect())

        self._nursery.start_soon(connect)
        await trio.testing.wait_all_tasks_blocked()
        return receive.receive

    async def refused(
        self, path: str = f"{PATH}?sessionId={SESSION}", *dialects: str, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Try to connect; return the status and the body of the refusal."""
        wire = await self.open_wire()
        try:
            async with trio.open_nursery() as nursery:
                await _handshake(nursery, wire, path, *dialects, headers=headers)
        except* ConnectionRejected as group:
            (rejected,) = group.exceptions
            assert isinstance(rejected, ConnectionRejected)
            result = rejected.status_code, (rejected.body or b"").decode()
        else:
            raise AssertionError("the handshake was not refused")
        await wire.hang_up()
        return result

    async def open_wire(self, *, at_once: bool = True) -> Wire:
        """Open a connection to the server, on which nothing is said yet; with `at_once`, wait until it is there."""
        if not self._has_seeded:
            self._has_seeded = True
            await self.store.replace_stages(self._stages)
        wire = Wire.pair()
        self.wires.append(wire)
        self._nursery.start_soon(self._serve, wire)
        if at_once:
            await trio.testing.wait_all_tasks_blocked()
        return wire

    async def _serve(self, wire: Wire) -> None:
        wire.served_by = trio.lowlevel.current_task()
        try:
            with wire.scope:
                await self.server.serve_stream(wire)
        finally:
            wire.served.set()

    # --- what is behind it ------------------------------------------------------------------------------------------

    async def record(self, session_id: str = SESSION) -> SessionRecord:
        """The session as the store has it."""
        record = await self.store.load(session_id)
        assert record is not None
        return record

    async def memory(self, session_id: str = SESSION) -> list[Said]:
        """The turns as the store has them, once all that is under way has come to rest."""
        await trio.testing.wait_all_tasks_blocked()
        turns = (await self.record(session_id)).interview.turns
        assert [turn.turn for turn in turns] == list(range(1, len(turns) + 1))
        return [Said(turn.text, turn.reply, turn.outcome) for turn in turns]

    async def gone(self) -> None:
        """Wait until no connection is left."""
        with trio.fail_after(PATIENCE_S):
            for wire in self.wires:
                await wire.served.wait()
        assert self.server.connections == 0

    def die(self) -> None:
        """Kill the process: from this instant nothing is stored, spilled, sent or received."""
        self.store.unavailable = True
        self.spill.is_dead = True
        for wire in self.wires:
            wire.cut()
            wire.scope.cancel()

    def revive_store(self) -> None:
        """After `die`: the store is there for other processes."""
        self.store.unavailable = False
        self.store.probe = ignore

    async def reborn(self, **changes: Any) -> "Evaa":
        """After `die`: another process over the same store."""
        await self.gone()
        self.revive_store()
        return Evaa(self._nursery, store=self.store, stages=self._stages, owner="the next process", **changes)


def error_code(frame: Frame) -> object:
    """The code of an error frame, in either dialect."""
    return frame["error"]["code"] if "error" in frame else frame["code"]


async def _handshake(
    nursery: trio.Nursery, wire: Wire, path: str, *dialects: str | None, headers: dict[str, str] | None = None
) -> WebSocketConnection:
    with trio.fail_after(HANDSHAKE_S):
        return await wrap_client_stream(
            nursery,
            cast(trio.SocketStream, wire.far_end),
            "evaa",
            path,
            subprotocols=[dialect for dialect in dialects if dialect is not None],
            extra_headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            message_queue_size=10_000,
        )


def raises_once(error: Exception, original: Callable[..., Any], *, at_call: int = 1) -> Callable[..., Any]:
    """Return what stands in for the method `original`: it raises `error` at its n-th call, else does as before."""
    return raises_at(error, original, {at_call})


def raises_at(error: Exception, original: Callable[..., Any], calls: set[int]) -> Callable[..., Any]:
    """Like `raises_once`, for several calls, counted from 1."""
    counter = itertools.count(1)

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if next(counter) in calls:
            raise error
        return original(*args, **kwargs)

    return stand_in
