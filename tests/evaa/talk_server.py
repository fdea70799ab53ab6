"""A server that follows a script, and a terminal that is a list: the two ends between which the client is tested.

The server's script is the clock, so nothing here sleeps.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from evaa.commands.talk_effects import Print, Shown
from evaa.commands.talk_terminal import Key
from protocols.dialects import TYPED_JSON

SESSION = "5f" * 12
STAGE = {"stageId": "0" * 24, "name": "Aim", "description": "", "goal": "", "order": 1, "totalStages": 2}
NEXT = {**STAGE, "stageId": "1" * 24, "name": "Trigger", "order": 2}


class Peer:
    """The server's side of one connection."""

    def __init__(self, request: WebSocketRequest, socket: WebSocketConnection) -> None:
        self.request = request
        self.socket = socket

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame, which has to be of this type."""
        frame: dict[str, Any] = json.loads(await self.socket.get_message())
        assert frame["type"] == kind
        return frame

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send_message(json.dumps({"type": kind, **fields}))

    async def ready(self, *messages: dict[str, Any], resumed: bool = False, used: int = 0) -> None:
        stage = {**STAGE, "followUpsUsed": used, "maxFollowUps": 3}
        await self.tell(
            "ready",
            sessionId=SESSION,
            resumed=resumed,
            status="interviewing",
            stage=stage,
            stages=[STAGE, NEXT],
            messages=messages,
        )

    async def reply(self, turn: int, text: str, to: dict[str, Any] | None = None) -> None:
        await self.tell("reply", turn=turn, response=text, nextStage=to is not None, nextStageData=to)

    async def open(self) -> None:
        """Bind a new session and ask its first question."""
        await self.hear("start")
        await self.ready()
        await self.reply(0, "What is it?")

    async def gone(self) -> None:
        """Wait until the client has closed, having sent nothing more."""
        with pytest.raises(ConnectionClosed):
            await self.socket.get_message()


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(*scripts: Script | tuple[int, bytes], dialect: str | None = TYPED_JSON) -> AsyncIterator[str]:
    """Run one script for each connection; refuse a connection where a status and a body stand in its place.

    Yields the URL; all scripts have run to their end when the block is left.
    """
    waiting = list(scripts)

    async def handle(request: WebSocketRequest) -> None:
        script = waiting.pop(0)
        if isinstance(script, tuple):
            await request.reject(script[0], body=script[1])
        else:
            await script(Peer(request, await request.accept(subprotocol=dialect)))
        if not waiting:
            done.set()

    done = trio.Event()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}/ws"
        await done.wait()
        nursery.cancel_scope.cancel()


class Desk:
    """A terminal that is a list: what was shown, and the lines that a test hands in."""

    def __init__(self, *lines: str, interactive: bool = False) -> None:
        self.interactive = interactive
        self.shown: list[Shown] = []
        self._lines = list(lines)
        self._type, self._typed = trio.open_memory_channel[str | Key](10)
        self._changed = trio.Event()

    async def read(self) -> str | Key:
        if self.interactive:
            return await self._typed.receive()
        await trio.lowlevel.checkpoint()
        return self._lines.pop(0) if self._lines else Key.END

    def show(self, effect: Shown) -> None:
        self.shown.append(effect)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def type(self, line: str | Key) -> None:
        await self._type.send(line)

    async def until(self, effect: Shown) -> None:
        while effect not in self.shown:
            await self._changed.wait()

    def told(self, kind: str) -> list[str]:
        return [effect.text for effect in self.shown if isinstance(effect, Print) and effect.kind == kind]
