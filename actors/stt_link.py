"""One provider connection in use: what is sent over it, what is heard, and the clocks that watch it."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

import msgspec
import trio

from actors.audio_mailbox import AudioMailbox
from evaa.stt.uplink import Uplink
from protocols.ports import Endpointing, SttConnection, SttLost
from protocols.speech import AskToFinish, Final, Heard, Partial, SttRequest, SttTraits

MessageT = TypeVar("MessageT")
End = Literal["idle", "next recording", "closing"]
Control = Literal["keep_alive", "finish", "keyterms"]
NEVER = float("inf")
COVERED_S = 0.1
"""Less than this is not worth asking for: results end where a frame of the recogniser does."""


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds.

    - `idle_s`: a connection over which no audio went for so long is closed; the next chunk opens another.
    - `pause_s`: no audio for so much longer than a chunk lasts, and an utterance that has begun is finished: without
      audio, the provider's clock stands still, and its own endpointing with it.
    - `send_deadline_s`: a provider that does not read for so long is lost.
    - `end_s`: how long the last results of a connection may take.
    """

    idle_s: float = 30.0
    pause_s: float = 1.0
    send_deadline_s: float = 5.0
    end_s: float = 2.0


class Link:
    """Sends the mailbox's audio over one connection and tells `hear` what is heard.

    One task sends, audio and control in one order; one receives; one watches the clocks, so that a chunk on its way
    sets no timer. `hear` may block, which holds back what is received, never what is sent.
    """

    def __init__(
        self,
        connection: SttConnection[MessageT],
        request: SttRequest,
        endpointing: Endpointing[MessageT],
        mailbox: AudioMailbox,
        traits: SttTraits,
        limits: LinkLimits,
        *,
        heard_until_us: int,
        hear: Callable[[Sequence[Heard]], Awaitable[None]],
        keyterms: Callable[[], tuple[str, ...]],
    ) -> None:
        self.uplink: Uplink | None = None
        self.has_heard = False
        self._connection = connection
        self._request = request
        self._endpointing = endpointing
        self._mailbox = mailbox
        self._traits = traits
        self._limits = limits
        self._heard_until_us = heard_until_us
        self._hear = hear
        self._keyterms = keyterms
        self._terms = request.keyterms
        self._controls: deque[Control] = deque()
        self._end: End | None = None
        self._is_speaking = bool(endpointing.pending)
        self._has_paused = True
        self._began = self._sent_at = trio.current_time()
        self._audio_at: float | None = None
        self._sending_since: float | None = None
        self._heard_at = self._began
        self._heard_us = 0
        self._is_all_heard = True
        self._watcher = trio.lowlevel.ParkingLot()
        self._watched_until = NEVER

    async def run(self) -> End:
        """Serve until there is nothing more to hear over this connection, and return why.

        Raises `SttLost` and `SttRefused`, in a group. Cancellation leaves the connection to whoever opened it.
        """
        self._endpointing.connected(self._began)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, nursery.cancel_scope)
            nursery.start_soon(self._watch)
            end = await self._send()
            with trio.move_on_after(self._limits.end_s) as patience:
                await self._connection.finish_stream()
                await trio.sleep_forever()  # the receiver ends it
            if patience.cancelled_caught:
                raise SttLost(f"the provider gave no last results within {self._limits.end_s:g} s")
        return end

    # --- sending ------------------------------------------------------------------------------------------------

    async def _send(self) -> End:
        """Send until the connection has no more to hear, and return why."""
        while True:
            if self._controls:
                await self._send_control(self._controls.popleft())
                continue
            uplink = self.uplink or self._open_uplink()
            if uplink is not None and uplink.is_at_finish:
                uplink.finish_passed_on()
                await self._finish()
            elif uplink is None or not uplink.is_behind:
                if (end := self._why_over()) is not None:
                    return end
                await self._mailbox.wait()
            elif message := uplink.take(trio.current_time()):
                await self._send_audio(message)
            else:
                with trio.move_on_at(uplink.due_at()):
                    await self._mailbox.wait()

    def _open_uplink(self) -> Uplink | None:
        """There is audio: from here on the connection's clock runs."""
        mailbox = self._mailbox
        if not mailbox.has_unheard:
            return None
        wanted = mailbox.request(self._terms)
        if (wanted.encoding, wanted.sample_rate) != (self._request.encoding, self._request.sample_rate):
            self._end = "next recording"
            return None
        self.uplink = Uplink(mailbox.audio, self._traits, heard_until_us=self._heard_until_us, now=trio.current_time())
        self._watch_anew()
        return self.uplink

    def _why_over(self) -> End | None:
        if self._mailbox.is_closing:
            return "closing"
        if self.uplink is not None and self.uplink.is_at_end:
            return "next recording"
        return self._end

    async def _send_audio(self, message: bytes) -> None:
        now = trio.current_time()
        if (terms := self._keyterms()) != self._terms:
            self._terms = terms
            self._controls.append("keyterms")
        if self._is_all_heard:
            self._is_all_heard = False
            self._heard_at = now
        self._sending_since = now
        await self._connection.send_audio(message)
        self._sending_since = None
        self._sent_at = self._audio_at = now
        if self._has_paused:
            self._has_paused = False
            self._watch_anew()

    async def _send_control(self, control: Control) -> None:
        self._sending_since = trio.current_time()
        if control == "keep_alive":
            await self._connection.keep_alive()
        elif control == "finish":
            await self._connection.finish_utterance()
        else:
            await self._connection.set_keyterms(self._terms)
        self._sending_since = None
        self._sent_at = trio.current_time()
        self._watch_anew()

    def _control(self, control: Control) -> None:
        if control not in self._controls:
            self._controls.append(control)
            self._mailbox.wake()

    # --- hearing ------------------------------------------------------------------------------------------------

    async def _receive(self, scope: trio.CancelScope) -> None:
        while (message := await self._connection.receive()) is not None:
            self._heard_at = now = trio.current_time()
            self._heard_us = self._sent_us
            self._is_all_heard = True
            await self._take(self._endpointing.receive(message, now))
        scope.cancel()

    async def _finish(self) -> None:
        """The user has finished: so should the utterance be."""
        if self.uplink is not None and (self.uplink.sent_us or self._endpointing.pending):
            await self._take(self._endpointing.finish(trio.current_time(), self.uplink.sent_s))

    async def _take(self, heard: Sequence[Heard]) -> None:
        for event in heard:
            match event:
                case AskToFinish():
                    self._control("finish")
                case Partial(text):
                    self._is_speaking = bool(text)
                case Final():
                    self._is_speaking = False
        self.has_heard = self.has_heard or bool(heard)
        try:
            await self._hear(heard)
        finally:  # what was heard is told though the connection ends meanwhile: it must not be heard again
            self._mailbox.pending = self._endpointing.pending
            if self.uplink is not None:
                self._mailbox.audio.cover(self.uplink.position_us(self._endpointing.covered_s))
        self._watch_anew()

    # --- watching -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            now = trio.current_time()
            self._check_alive(now)
            if self._idle_at() <= now:
                self._end = "idle"
                self._mailbox.wake()
                return await self._watch_the_end()
            if self._keep_alive_at() <= now:
                self._control("keep_alive")
            if self._pause_at() <= now:
                self._has_paused = True
                if self._is_speaking or self._has_uncovered:
                    await self._finish()
            if (self._endpointing.deadline or NEVER) <= now:
                await self._take(self._endpointing.tick(now))
            self._watched_until = self._next_deadline()
            with trio.move_on_at(self._watched_until):
                await self._watcher.park()

    def _watch_anew(self) -> None:
        """A deadline may have come nearer. (That of a send need not be watched anew: others are nearer.)"""
        if self._next_deadline() < self._watched_until:
            self._watcher.unpark()

    async def _watch_the_end(self) -> None:
        """The connection is about to be closed; only a provider that does not read can hold that up."""
        await trio.sleep(self._limits.send_deadline_s)
        raise SttLost("the provider does not read")

    def _next_deadline(self) -> float:
        keep_alive_at = NEVER if "keep_alive" in self._controls else self._keep_alive_at()
        deadlines = (self._stuck_at(), self._silent_at(), self._idle_at(), keep_alive_at, self._pause_at())
        return min(*deadlines, self._endpointing.deadline or NEVER)

    def _check_alive(self, now: float) -> None:
        if self._stuck_at() <= now:
            raise SttLost(f"the provider read nothing for {self._limits.send_deadline_s:g} s")
        if self._silent_at() <= now:
            if self._sent_us - self._heard_us >= self._traits.unheard_s * 1_000_000:
                raise SttLost(f"the provider said nothing for {self._traits.silence_s:g} s")
            self._heard_at = now  # there was too little audio to say anything about

    @property
    def _sent_us(self) -> int:
        return 0 if self.uplink is None else self.uplink.sent_us

    @property
    def _has_uncovered(self) -> bool:
        """Whether there may be words that nothing was heard of: less than a second of audio goes without a result."""
        return self._endpointing.covered_s + COVERED_S < self._sent_us / 1_000_000

    def _stuck_at(self) -> float:
        return NEVER if self._sending_since is None else self._sending_since + self._limits.send_deadline_s

    def _silent_at(self) -> float:
        return NEVER if self.uplink is None else self._heard_at + self._traits.silence_s

    def _keep_alive_at(self) -> float:
        return NEVER if self._sending_since is not None else self._sent_at + self._traits.keep_alive_s

    def _idle_at(self) -> float:
        if self._audio_at is not None:
            return self._audio_at + self._limits.idle_s
        return self._began + min(self._limits.idle_s, self._traits.unused_s or NEVER)

    def _pause_at(self) -> float:
        """When what was said is to be finished since no audio comes; later as long as there is any to send."""
        if self._audio_at is None or self._has_paused:
            return NEVER
        last_chunk_s = self._mailbox.audio.last_chunk_us / 1_000_000
        return max(self._mailbox.last_chunk_at, self._audio_at) + self._limits.pause_s + last_chunk_s
