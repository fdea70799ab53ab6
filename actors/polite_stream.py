"""A stream that says why it closes, where trio-websocket leaves that out."""

from collections.abc import Callable

import trio
from trio_websocket import WebSocketConnection

from evaa.steady_stream import SteadyStream

_CLOSE_FRAME = 0x88
"""First byte of a close frame: opcode 8, alone in its message (RFC 6455 section 5.2)."""

_FAREWELL_S = 1.0


class PoliteStream(trio.abc.Stream):
    """Wraps a server's stream. Where the client broke the protocol, a close frame goes out before the close.

    trio-websocket 0.12 closes such a connection without one, so that the client sees 1006 in place of 1002 (protocol
    error) or 1007 (text that is not UTF-8). `websocket` is to be set once the handshake is done. `takes_any_sender`
    tells whether several tasks may send at once. `on_end` is called when the client's end of the stream has come:
    trio-websocket does not notice that in the middle of a handshake.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.websocket: WebSocketConnection | None = None
        self.on_end: Callable[[], None] | None = None
        self.takes_any_sender = isinstance(stream, SteadyStream)
        self._stream = stream
        self._has_said_why = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`; trio-websocket sends a frame a call."""
        self._has_said_why |= data[:1] == bytes([_CLOSE_FRAME])
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        data = bytes(await self._stream.receive_some(max_bytes))
        if not data and self.on_end is not None:
            self.on_end()
        return data

    async def aclose(self) -> None:
        """Close the stream; at most a second for the close frame."""
        reason = self.websocket.closed if self.websocket is not None else None
        try:
            if reason is not None and reason.code in (1002, 1007) and not self._has_said_why:
                with trio.move_on_after(_FAREWELL_S):
                    await self.send_all(bytes([_CLOSE_FRAME, 2]) + int(reason.code).to_bytes(2, "big"))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone first
        finally:
            await self._stream.aclose()
