"""The frontend's WebSocket: the reader, the writer and the heartbeat of one session, and the connection they share."""

from collections import deque

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.audio_mailbox import AudioMailbox
from actors.outbox import Outbox
from actors.supervisor import EndSession
from protocols.dialects import Dialect, WrongKind
from protocols.frontend import (
    Audio,
    AudioFormat,
    ClientFrame,
    CloseCode,
    Completed,
    EndOfSpeech,
    ErrorFrame,
    Export,
    FrameRefused,
    Interrupt,
    Ping,
    Pong,
    Reply,
    ServerFrame,
    Start,
    Text,
    parse_session_id,
)
from protocols.messages import CompletedWritten, ExportAsked, InterruptAsked, Message, ReplayAsked, ReplyWritten, Said


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what a client may do, in seconds, characters and frames."""

    idle_timeout_s: float = 900.0
    write_deadline_s: float = 10.0
    ping_interval_s: float = 10.0
    ping_timeout_s: float = 9.0
    close_timeout_s: float = 1.0
    max_text_chars: int = 20_000
    max_bad_frames: int = 10


class Connection:
    """One client: its WebSocket, its dialect, its bounds.

    Frames are numbered in the order in which they are written. Both directions raise `EndSession` where the
    connection cannot go on; a client that has closed ends the session with 1000.
    """

    def __init__(self, websocket: WebSocketConnection, dialect: Dialect, limits: ConnectionLimits) -> None:
        self.dialect = dialect
        self.limits = limits
        self._websocket = websocket
        self._received_at = trio.current_time()
        self._is_writing = False
        self._seq = 0
        self._bad_frames = 0

    async def receive(self) -> tuple[ClientFrame, ...]:
        """Wait for the next message and return its frames.

        Raises `FrameRefused` for a message that makes no sense, and `EndSession` when the client has closed, or sent a
        kind of message that its dialect does not have (1003).
        """
        try:
            message = await self._websocket.get_message()
        except ConnectionClosed as closed:
            raise _ended(closed) from None
        self._received_at = trio.current_time()
        try:
            return self.dialect.decode(message)
        except WrongKind as wrong:
            raise EndSession(CloseCode.UNSUPPORTED_DATA, str(wrong)) from None

    @property
    def idle_at(self) -> float:
        """When the connection has been idle for too long, if nothing is received until then."""
        return self._received_at + self.limits.idle_timeout_s

    def check_idle(self) -> None:
        """Raises `EndSession` (4408) if nothing was received for the idle time-out."""
        if trio.current_time() >= self.idle_at:
            raise EndSession(CloseCode.IDLE, f"nothing was received for {self.limits.idle_timeout_s:g} s")

    def count_refused(self) -> None:
        """Another refused frame in a row. Raises `EndSession` (4400) over the bound."""
        self._bad_frames += 1
        if self._bad_frames >= self.limits.max_bad_frames:
            raise EndSession(CloseCode.TOO_MANY_BAD_FRAMES, "too many refused frames in a row")

    def count_accepted(self) -> None:
        """A frame made sense: the row of refused ones is over."""
        self._bad_frames = 0

    async def send(self, frame: ServerFrame) -> None:
        """Write a frame. Raises `EndSession`: 4413 if the client does not read it before the write deadline."""
        frame.seq = self._seq
        message = self.dialect.encode(frame)
        if message is None:
            return
        with trio.move_on_after(self.limits.write_deadline_s) as scope:
            self._is_writing = True
            try:
                await self._websocket.send_message(message)
            except ConnectionClosed as closed:
                raise _ended(closed) from None
            finally:
                self._is_writing = False
        if scope.cancelled_caught:
            raise EndSession(CloseCode.CLIENT_DOES_NOT_READ, "the client does not read")
        self._seq += 1

    async def check_alive(self) -> None:
        """Ping the client. Raises `EndSession` if no pong comes in time."""
        with trio.move_on_after(self.limits.ping_timeout_s) as scope:
            try:
                await self._websocket.ping()
            except ConnectionClosed as closed:
                raise _ended(closed) from None
        if scope.cancelled_caught and not self._is_writing:  # else the write deadline says why
            raise EndSession(CloseCode.SESSION_FAILED, "no answer to a ping; reconnect to resume")

    async def close(self, code: int, reason: str) -> None:
        """Close the WebSocket; bounded and shielded, so that it is closed in any case when this returns."""
        with trio.move_on_after(self.limits.close_timeout_s, shield=True):
            await self._websocket.aclose(code, reason)


def _ended(closed: ConnectionClosed) -> EndSession:
    """The client's end of the connection; 1006 (RFC 6455 section 7.4.1) if it said nothing."""
    return EndSession(int(closed.reason.code) if closed.reason is not None else 1006, "closed by the client")


class Reader:
    """Turns what the client sends into messages for the agent.

    It drains its socket, but for a client that sends more than it reads: where the agent's mailbox is full, the frame
    is refused with `rate_limited`; where the outbox is more than half full, the reader waits for the writer. `first`
    are frames that came before there was a reader.
    """

    def __init__(
        self,
        connection: Connection,
        session_id: str,
        outbox: Outbox,
        agent: trio.MemorySendChannel[Message],
        audio: AudioMailbox,
        first: deque[ClientFrame],
    ) -> None:
        self._connection = connection
        self._session_id = session_id
        self._outbox = outbox
        self._agent = agent
        self._audio = audio
        self._first = first

    async def run(self) -> None:
        """Read until the connection ends; raises `EndSession`."""
        while self._first:
            self._take_all((self._first.popleft(),))
        while True:
            await self._outbox.wait_for_room()
            try:
                frames = await self._connection.receive()
            except FrameRefused as refused:
                self._refuse(refused)
                self._connection.count_refused()
            else:
                self._take_all(frames)

    def _take_all(self, frames: tuple[ClientFrame, ...]) -> None:
        """Take the frames of one message; what one of them does wrong is not the next one's fault."""
        is_refused = False
        for frame in frames:
            try:
                self._take(frame)
            except FrameRefused as refused:
                is_refused = True
                self._refuse(refused)
                if isinstance(frame, Start):
                    break  # what follows is for another session
        if is_refused:
            self._connection.count_refused()
        else:
            self._connection.count_accepted()

    def stop(self) -> None:
        """Nothing to finish: what was not read stays with the client."""

    def _refuse(self, refused: FrameRefused) -> None:
        self._outbox.put(refused.as_error())

    def _take(self, frame: ClientFrame) -> None:
        match frame:
            case Audio(data):
                for missing in self._audio.put(data):
                    self._outbox.put(ErrorFrame(code="bad_audio", message=missing, retryable=False))
            case Text(text, client_id):
                self._take_text(text, client_id)
            case Start():
                self._take_start(frame)
            case Interrupt():
                self._tell(InterruptAsked())
            case Ping(t):
                self._outbox.put(Pong(t=t))
            case EndOfSpeech():
                self._audio.finish()
            case Export(form):
                self._tell(ExportAsked(form))

    def _take_start(self, start: Start) -> None:
        check_same_session(start, self._session_id)
        if start.audio is not None:
            self._audio.declare(start.audio, start.language)
        if self._connection.dialect.tells_deltas:
            self._tell(ReplayAsked(start.replay))

    def _take_text(self, text: str, client_id: str | None) -> None:
        limit = self._connection.limits.max_text_chars
        if len(text) > limit:
            raise FrameRefused("text_too_long", f"a text may have {limit} characters; this one has {len(text)}")
        if text.strip():
            self._tell(Said(text=text, source="text", at=trio.current_time(), client_id=client_id))
        elif self._connection.dialect.tells_deltas:
            raise FrameRefused("bad_frame", "text must not be empty")

    def _tell(self, message: Message) -> None:
        try:
            self._agent.send_nowait(message)
        except trio.WouldBlock:
            refused = FrameRefused("rate_limited", "too many frames at once; slow down", retryable=True)
            self._refuse(refused)


class Writer:
    """Writes what the outbox holds, and tells the agent what has been delivered."""

    def __init__(self, connection: Connection, outbox: Outbox, agent: trio.MemorySendChannel[Message]) -> None:
        self._connection = connection
        self._outbox = outbox
        self._agent = agent

    async def run(self) -> None:
        """Write until the outbox is closed and empty; raises `EndSession` if the client does not read."""
        while (frame := await self._outbox.take()) is not None:
            await self._connection.send(frame)
            self._outbox.written()
            if isinstance(frame, Reply):
                await self._agent.send(ReplyWritten(turn=frame.turn, at=trio.current_time()))
            elif isinstance(frame, Completed):
                await self._agent.send(CompletedWritten(frame.brd["version"]))
        if self._outbox.has_overflowed:
            raise EndSession(CloseCode.CLIENT_DOES_NOT_READ, "the client does not read: its outbox is full")

    def stop(self) -> None:
        """Write what is there, then return."""
        self._outbox.close()


class Heartbeat:
    """Pings the client, so that a dead one is found within the ping interval and its time-out; ends an idle one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self) -> None:
        """Watch until the connection ends; raises `EndSession`."""
        interval_s = self._connection.limits.ping_interval_s
        ping_at = trio.current_time() + interval_s
        while True:
            await trio.sleep_until(min(ping_at, self._connection.idle_at))
            self._connection.check_idle()
            if trio.current_time() >= ping_at:
                await self._connection.check_alive()
                ping_at = trio.current_time() + interval_s

    def stop(self) -> None:
        """Nothing to finish."""


class Binding(msgspec.Struct, frozen=True):
    """What binds a connection to a session. `first` are the frames that are to be read once it is bound."""

    session_id: str
    replay: bool = False
    audio: AudioFormat | None = None
    language: str | None = None
    first: tuple[ClientFrame, ...] = ()


async def receive_binding(connection: Connection) -> Binding:
    """Wait for the frame that binds. What comes before it is refused with `not_bound`. Raises `EndSession`."""
    while True:
        try:
            with trio.move_on_at(connection.idle_at):
                frames = await connection.receive()
            connection.check_idle()
            start, *rest = frames
            if not isinstance(start, Start) or start.session_id is None:
                raise FrameRefused("not_bound", "the first frame must carry the sessionId")
            session_id = parse_session_id(start.session_id)
        except FrameRefused as refused:
            await connection.send(refused.as_error())
            connection.count_refused()
        else:
            connection.count_accepted()
            return Binding(session_id, start.replay, start.audio, start.language, tuple(rest))


def check_same_session(start: Start, session_id: str) -> None:
    """Raise `FrameRefused` if the frame names another session than the connection is bound to."""
    if start.session_id is not None and parse_session_id(start.session_id) != session_id:
        raise FrameRefused("session_mismatch", f"this connection is bound to session {session_id}")
