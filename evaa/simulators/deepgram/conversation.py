"""One WebSocket conversation of the Deepgram simulator: what comes is heard and listened to, what is said leaves.

One task reads and feeds; another writes, and does to the connection what its script says. Each ends the other.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import trio
from wsproto.events import CloseConnection, Ping

from evaa.simulators.deepgram.ear import Ear
from evaa.simulators.deepgram.hearing import Hearing
from evaa.simulators.deepgram.listener import Close, Listener, Out, Say, message_type
from evaa.simulators.deepgram.script import NO_STATUS, Closed, ConnectionRecord, Fault, Final, Received, Sent
from evaa.simulators.deepgram.wire import READ_BYTES, Frame, Wire

MAX_UNSENT = 256
"""Messages that wait to leave; with more of them nothing is read, as with any server that is not heard out."""

CLOSE_S = 5.0
"""How long the client may take to answer a close frame."""

RATE = 1.25
"""How much faster than real time audio may come (Deepgram's documented limit)."""

_encode = msgspec.json.Encoder().encode


class Conversation:
    """Everything from the handshake to the end of one connection; what happens is put into its record."""

    def __init__(
        self,
        wire: Wire,
        record: ConnectionRecord,
        fault: Fault,
        listener: Listener,
        ear: Ear,
        hearing: Hearing,
        *,
        keep_audio: bool,
    ) -> None:
        self._wire = wire
        self._record = record
        self._fault = fault
        self._listener = listener
        self._ear = ear
        self._hearing = hearing
        self._keeps_audio = keep_audio
        self._is_over = False  # the listener has said its last word
        self._scope = trio.CancelScope()
        self._outbox, self._to_send = trio.open_memory_channel[tuple[float, Out]](MAX_UNSENT)
        wire.limit = fault.cut_after_received_bytes
        record.heard, record.warnings = hearing.spans, ear.warnings

    async def run(self) -> None:
        """Converse until the connection has ended. Raises trio.BrokenResourceError and trio.TooSlowError in groups."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._write)
                await self._read()
                nursery.cancel_scope.cancel()
        finally:
            self._ear.close()

    def _end(self, closed: Closed) -> None:
        """Note how it ended, unless it had before, and stop both tasks."""
        self._record.closed = self._record.closed or closed
        self._scope.cancel()

    async def _cut(self) -> None:
        self._end(Closed("simulator", "cut"))
        await self._wire.cut()

    # --- reading ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        await self._say(self._listener.open(trio.current_time()))
        while not self._scope.cancel_called:
            deadline = math.inf if self._is_over else self._listener.deadline
            with trio.move_on_at(deadline) as waiting:
                frames = await self._wire.receive(self._fault.read_bytes_per_s or READ_BYTES)
            if waiting.cancelled_caught:
                if not self._is_over:
                    await self._say(self._listener.expire(trio.current_time()))
            elif frames is None:
                await self._stop_reading()
            else:
                for frame in frames:
                    await self._take(frame)
                await self._slow_down()

    async def _stop_reading(self) -> None:
        if self._wire.limit is not None and self._wire.received_bytes >= self._wire.limit:
            await self._cut()
        else:
            self._end(Closed("client", "left"))

    async def _slow_down(self) -> None:
        fault = self._fault
        if fault.stop_reading_after_audio_s is not None and self._hearing.clock_s >= fault.stop_reading_after_audio_s:
            await trio.sleep_forever()
        if fault.read_bytes_per_s is not None:
            await trio.sleep_until(self._record.opened_s + self._wire.received_bytes / fault.read_bytes_per_s)

    async def _take(self, frame: Frame) -> None:
        now = trio.current_time()
        if isinstance(frame, bytes):
            self._note(Received(now, "audio", len(frame)))
            if not self._is_over:
                await self._hear(frame, now)
        elif isinstance(frame, str):
            self._note(Received(now, "text", len(frame.encode()), frame))
            if not self._is_over:
                await self._control(frame, now)
        elif isinstance(frame, CloseConnection):
            await self._answer_close(frame, now)
        else:
            is_ping = isinstance(frame, Ping)
            self._note(Received(now, "ping" if is_ping else "pong", len(frame.payload)))
            self._listener.alive(now)
            if isinstance(frame, Ping):
                await self._wire.send_pong(frame)

    def _note(self, received: Received) -> None:
        self._record.received.append(received)

    async def _control(self, text: str, now: float) -> None:
        words = self._hearing.flush() if message_type(text) in self._listener.flushed_by else []
        await self._say(self._listener.control(text, words, now))

    async def _answer_close(self, frame: CloseConnection, now: float) -> None:
        reason = frame.reason or ""
        self._note(Received(now, "close", len(reason.encode()), reason))
        by: Literal["client", "simulator"] = "client" if self._wire.has_their_close else "simulator"
        closed = Closed(by, "close", int(frame.code), reason)
        self._record.closed = self._record.closed or closed
        await self._wire.send_close(None if frame.code == NO_STATUS else int(frame.code), reason)
        self._end(closed)

    async def _hear(self, data: bytes, now: float) -> None:
        record, listener, hearing = self._record, self._listener, self._hearing
        if not data:
            if listener.ends_at_empty_audio:
                await self._control('{"type":"CloseStream"}', now)
            return
        cut_at = self._fault.cut_after_audio_bytes
        if cut_at is not None and record.audio_bytes + len(data) >= cut_at:
            data = data[: cut_at - record.audio_bytes]
        record.audio_bytes += len(data)
        if self._keeps_audio:
            record.audio_pieces.append(data)
        packets = self._ear.hear(data)
        said: list[Out] = []
        for packet in packets:
            words = hearing.hear(packet, now)
            said += listener.advance(hearing.clock_s, words, hearing.voice_s)
        said += listener.audio(now, was_decodable=bool(packets))
        self._measure(now)
        if cut_at is not None and record.audio_bytes >= cut_at:
            await self._cut()
        elif said:
            await self._say(said)

    def _measure(self, now: float) -> None:
        record = self._record
        if record.first_audio_s is None:
            record.first_audio_s = now
        record.audio_s, record.decoded_samples = self._hearing.clock_s, self._hearing.samples
        record.ahead_s = max(record.ahead_s, record.audio_s - RATE * (now - record.first_audio_s))

    # --- writing ------------------------------------------------------------------------------------------------

    async def _say(self, said: Sequence[Out]) -> None:
        self._is_over |= any(isinstance(out, Close) for out in said)
        stall_s = self._fault.stall_after_audio_s
        if stall_s is not None and self._hearing.clock_s >= stall_s:
            return
        due_s = trio.current_time() + self._fault.result_delay_s
        for out in said:
            await self._outbox.send((due_s, out))

    async def _write(self) -> None:
        await self._do_what_is_scripted()
        async for due_s, out in self._to_send:
            if due_s > trio.current_time():
                await trio.sleep_until(due_s)
            await self._send(out)

    async def _send(self, out: Out) -> None:
        if isinstance(out, Close):
            await self._close(out.code, out.reason)
            return
        text = _encode(out.message).decode()
        if self._fault.cut_in_message == self._record.sent_count + 1:
            await self._wire.send_half(text)
            await self._cut()
            await trio.sleep_forever()  # until the cancellation is delivered
        self._record.sent_count += 1
        self._record.sent.append(Sent(trio.current_time(), out.message))
        if out.final:
            self._record.finals.append(_final_of(out))
        await self._wire.send_text(text)
        await self._do_what_is_scripted()

    async def _do_what_is_scripted(self) -> None:
        """Do what is due after as many messages as were sent by now."""
        fault, count = self._fault, self._record.sent_count
        if fault.cut_after_messages == count:
            await self._cut()
            await trio.sleep_forever()
        if fault.close_code is not None and fault.close_after_messages == count:
            await self._close(None if fault.close_code == NO_STATUS else fault.close_code, fault.close_reason)
        if fault.fatal_error is not None and fault.fatal_after_messages == count:
            self._is_over = True
            for out in self._listener.fail(fault.fatal_error):
                await self._send(out)

    async def _close(self, code: int | None, reason: str) -> None:
        """Send a close frame and give the client some time to answer it."""
        self._is_over = True
        self._record.closed = self._record.closed or Closed("simulator", "close", code or NO_STATUS, reason)
        await self._wire.send_close(code, reason)
        await trio.sleep(CLOSE_S)
        self._scope.cancel()
        await trio.sleep_forever()


def _final_of(said: Say) -> Final:
    message: dict[str, Any] = said.message
    text = message["transcript"] if "transcript" in message else message["channel"]["alternatives"][0]["transcript"]
    first, last = said.final[0], said.final[-1]
    return Final(text, first.recording, first.recorded_start_s, last.recorded_end_s)
