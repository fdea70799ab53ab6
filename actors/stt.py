"""The STT actor: audio in, utterances out. Keeps a connection to the recogniser while there is something to hear.

A connection is opened when the client declares its audio, or at the first chunk; it is closed when no audio comes for
a while, and opened again by the next chunk. One that is lost is replaced, and hears again what no final result has
covered. When the session ends, what was said is finalised first.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import structlog
import trio

from actors.audio_mailbox import AudioMailbox
from actors.outbox import Outbox
from actors.stt_link import Link, LinkLimits
from evaa.stt.redial import Redial, RedialLimits
from evaa.stt.uplink import Skipped, Uplink
from protocols.frontend import ErrorFrame, WarningFrame
from protocols.messages import Message, PartlyHeard, ProbablySaid, Said, SpokeOn
from protocols.ports import SpeechToText, SttLost, SttRefused
from protocols.speech import Eager, Final, Heard, Partial, Resumed

MessageT = TypeVar("MessageT")

CONCLUDE_S = 0.25
"""How long the agent may take to take the last words."""

RECONNECTING = "Speech recognition is reconnecting; go on speaking, what you say is kept"
KEEPS_FAILING = (
    "Speech recognition keeps failing; it is tried again; only the last half minute is kept, and you can type"
)
NOT_SERVED = "Speech recognition is refused; you can type"
NOT_UNDERSTOOD = "Speech recognition cannot make anything of this recording; begin another one, or type"

LONG_OUTAGE_S = 20.0


class SttLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one session's recognition. `hang_up_s`: how long what was said last may be finalised at the end."""

    link: LinkLimits = LinkLimits()
    redial: RedialLimits = RedialLimits()
    hang_up_s: float = 2.0


class _TakenBack(msgspec.Struct, frozen=True):
    """What a lost connection had heard of an utterance, and how far it had got: that is to be heard again."""

    text: str
    until_us: int


class Stt:
    """Hears what is in the mailbox, and tells the agent.

    Finals wait for room in the agent's mailbox; partials that find none are dropped, since the next one replaces them.
    """

    def __init__(
        self,
        mailbox: AudioMailbox,
        stt: SpeechToText[MessageT],
        outbox: Outbox,
        agent: trio.MemorySendChannel[Message],
        limits: SttLimits,
        *,
        keyterms: Callable[[], tuple[str, ...]],
        session_id: str,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
    ) -> None:
        self._mailbox = mailbox
        self._stt = stt
        self._outbox = outbox
        self._agent = agent
        self._limits = limits
        self._keyterms = keyterms
        self._endpointing = stt.endpointing(mailbox.pending)
        self._redial = Redial(limits.redial, jitter)
        self._link: Link | None = None
        self._heard_until_us = mailbox.audio.start_us
        self._untold: deque[Message] = deque()
        self._telling = trio.StrictFIFOLock()
        self._lost: Uplink | None = None
        self._away_since: float | None = None
        self._has_told_long = False
        self._shown = ""
        self._taken_back = _TakenBack("", 0)
        self._scope = trio.CancelScope()
        self._log = structlog.get_logger(actor="stt", session_id=session_id, stt=stt.name)

    async def run(self) -> None:
        """Hear until stopped or cancelled; what was heard until then becomes final."""
        if self._mailbox.is_used:  # by an actor that failed: what that one thought probable is void
            self._untold.append(SpokeOn())
        self._mailbox.is_used = True
        try:
            with self._scope:
                while await self._is_wanted():
                    await self._connect()
        except* trio.Cancelled:
            self._mailbox.close()
            raise
        finally:
            if self._mailbox.is_closing:  # else what a failed actor has heard is its successor's
                await self._conclude()

    def stop(self) -> None:
        """Finalise what was said, within the bound, then return."""
        self._mailbox.close()
        self._scope.deadline = trio.current_time() + self._limits.hang_up_s

    async def _conclude(self) -> None:
        with trio.move_on_after(CONCLUDE_S, shield=True):  # the agent has room, unless it fails
            await self._finalise()

    async def _is_wanted(self) -> bool:
        """Wait until a connection is wanted; False when the session ends and everything was heard."""
        mailbox = self._mailbox
        while not (mailbox.is_closing or (mailbox.is_open and (mailbox.wants_connection or mailbox.has_unheard))):
            await mailbox.wait()
        return mailbox.is_open and mailbox.has_unheard if mailbox.is_closing else True

    # --- connections --------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Hear over one connection, to its end, and do what its end asks for."""
        connected_at: float | None = None
        lost: SttLost | None = None
        refused: SttRefused | None = None
        request = self._mailbox.request(self._keyterms())
        try:
            async with self._stt.connect(request) as connection:
                connected_at = trio.current_time()
                self._mailbox.wants_connection = False  # from here on, who asks for one means the next
                self._log.info("stt.connected", request_id=connection.request_id, behind_s=self._behind_s())
                await self._settle_what_is_gone()
                self._link = Link(
                    connection,
                    request,
                    self._endpointing,
                    self._mailbox,
                    self._stt.traits,
                    self._limits.link,
                    heard_until_us=self._heard_until_us,
                    hear=self._hear,
                    keyterms=self._keyterms,
                )
                await self._close_well(await self._link.run())
        except* SttRefused as group:
            refused = _first(group, SttRefused)
        except* SttLost as group:
            lost = _first(group, SttLost)
        if refused is not None:
            await self._give_up(refused, connected_at)
        elif lost is not None:
            await self._on_lost(lost, connected_at)
        self._link = None

    async def _close_well(self, reason: str) -> None:
        """The connection has said all that it will say: what it heard needs no replay."""
        link = self._link
        assert link is not None
        await self._finalise()
        self._lost = None
        if link.uplink is not None:
            self._note_progress(link, link.uplink.sent_s)
            self._mailbox.audio.cover(self._heard_until_us)
        self._log.info("stt.closed", reason=reason)

    async def _on_lost(self, lost: SttLost, connected_at: float | None) -> None:
        now = trio.current_time()
        await self._take_back()
        lasted_s, has_heard = None, False
        if self._link is not None and self._link.uplink is not None and connected_at is not None:
            lasted_s, has_heard = now - connected_at, self._link.has_heard
            self._note_progress(self._link, self._endpointing.covered_s)
        if not self._mailbox.has_unheard:
            self._mailbox.wants_connection = False  # nobody speaks: the next chunk opens another
        delay_s = self._redial.delay_s(lasted_s=lasted_s, has_heard=has_heard, retry_after_s=lost.retry_after_s)
        self._log.warning("stt.reconnecting", reason=str(lost), back_off_s=delay_s, behind_s=self._behind_s())
        self._tell_outage(now)
        await self._pause(delay_s)

    def _tell_outage(self, now: float) -> None:
        """Tell the client once that it is away, and once that it stays away."""
        if self._away_since is None:
            self._away_since = now
            self._tell(WarningFrame(code="stt_unavailable", message=RECONNECTING, retryable=True))
        is_long = self._redial.is_breaker_open or now - self._away_since >= LONG_OUTAGE_S
        if is_long and not self._has_told_long:
            self._has_told_long = True
            self._tell(ErrorFrame(code="stt_unavailable", message=KEEPS_FAILING, retryable=True))

    def _note_progress(self, link: Link, heard_s: float) -> None:
        """Note how far the connection has come; one that has come farther than those before it was of use."""
        assert link.uplink is not None
        position_us = link.uplink.position_us(heard_s)
        if heard_s > 0 and position_us > self._heard_until_us:
            self._redial.was_of_use()
            self._away_since, self._has_told_long = None, False
        self._heard_until_us = max(self._heard_until_us, position_us)

    async def _pause(self, delay_s: float) -> None:
        """Wait before the next attempt; the end of the session cuts that short."""
        is_ending = self._mailbox.is_closing
        with trio.move_on_after(delay_s):
            while is_ending or not self._mailbox.is_closing:
                await self._mailbox.wait()

    async def _give_up(self, refused: SttRefused, connected_at: float | None) -> None:
        """No attempt will do: for this recording if it was heard of at all, else for the whole session."""
        self._log.error("stt.refused", reason=str(refused))
        await self._finalise()
        self._lost = None
        if connected_at is None:
            self._tell(ErrorFrame(code="stt_unavailable", message=NOT_SERVED, retryable=False))
            self._mailbox.shut()
        else:
            self._tell(ErrorFrame(code="bad_audio", message=NOT_UNDERSTOOD, retryable=False))
            self._mailbox.drop_recording()
            self._heard_until_us = self._mailbox.audio.start_us

    def _behind_s(self) -> float:
        """How much audio waits to be heard, again or for the first time."""
        audio = self._mailbox.audio
        return round((audio.end_us - audio.start_us) / 1_000_000, 3)

    # --- what is heard ------------------------------------------------------------------------------------------

    async def _take_back(self) -> None:
        """What was not settled will be heard again, from the replay. At the session's end there is no time for that."""
        link = self._link
        if link is not None and link.uplink is not None:
            self._lost = link.uplink
        if link is None or link.uplink is None:
            await self._hear(self._endpointing.disconnected(0.0))
        elif self._mailbox.is_closing:
            await self._finalise()
            self._mailbox.audio.cover(link.uplink.position_us(self._endpointing.covered_s))
        else:
            if _words(self._shown) > _words(self._taken_back.text):
                self._taken_back = _TakenBack(self._shown, link.uplink.position_us(link.uplink.sent_s))
            kept_from_s = link.uplink.clock_s(self._mailbox.audio.start_us)
            await self._hear(self._endpointing.disconnected(kept_from_s))

    async def _settle_what_is_gone(self) -> None:
        """What was heard of audio that is not kept any more cannot be heard again: it stays as it was heard."""
        if self._lost is not None:
            await self._hear(self._endpointing.disconnected(self._lost.clock_s(self._mailbox.audio.start_us)))
            self._lost = None

    async def _finalise(self) -> None:
        """What was heard becomes final; if an earlier connection had heard more of it, as that one had heard it."""
        audio, taken_back = self._mailbox.audio, self._taken_back
        heard = self._endpointing.conclude()
        words = sum(_words(event.text) for event in heard if isinstance(event, Final))
        if audio.start_us < taken_back.until_us and words < _words(taken_back.text):
            heard = [Final(taken_back.text, None, "taken_back")]
            audio.cover(taken_back.until_us)
        await self._hear(heard)
        self._mailbox.pending = ""

    async def _hear(self, heard: Sequence[Heard]) -> None:
        now = trio.current_time()
        for event in heard:
            match event:
                case Partial(text):
                    self._shown = text
                    self._untold.append(PartlyHeard(text))
                case Eager(text):
                    self._untold.append(ProbablySaid(text, now))
                case Resumed():
                    self._untold.append(SpokeOn())
                case Final(text):
                    self._shown, self._taken_back = "", _TakenBack("", 0)
                    said = Said(text=text, source="voice", at=now, stt_ms=self._stt_ms(event, now))
                    self._untold.append(said)
        self._report_missing()
        await self._tell_agent()

    async def _tell_agent(self) -> None:
        """Tell what was heard, in its order; a hint that finds no room is dropped, what counts comes with the final.

        No checkpoint while there is room: a connection may end in the very instant in which it has said something.
        What could not be told before a cancellation is told the next time. All tasks of a link come here.
        """
        try:
            self._telling.acquire_nowait()  # as nearly always, and without a round of the scheduler
        except trio.WouldBlock:
            await self._telling.acquire()
        try:
            await self._tell_untold()
        finally:
            self._telling.release()

    async def _tell_untold(self) -> None:
        while self._untold:
            message = self._untold[0]
            try:
                self._agent.send_nowait(message)
            except trio.WouldBlock:
                if not isinstance(message, PartlyHeard | ProbablySaid):
                    await self._agent.send(message)
            self._untold.popleft()

    def _stt_ms(self, final: Final, now: float) -> float | None:
        """From the arrival of the last word's audio to its final transcript."""
        link = self._link
        if link is None or link.uplink is None or final.spoken_until_s is None:
            return None
        arrived_at = self._mailbox.audio.arrived_at(link.uplink.position_us(final.spoken_until_s))
        return None if arrived_at is None else round((now - arrived_at) * 1000, 3)

    def _report_missing(self) -> None:
        """Tell the client of audio that could not be heard, in one frame whatever happened since the last message."""
        if self._link is None or self._link.uplink is None or not (skipped := self._link.uplink.skipped()):
            return
        whole = Skipped(skipped[0].from_us, skipped[-1].until_us)
        self._log.error("stt.skipped", from_s=whole.from_us / 1e6, until_s=whole.until_us / 1e6)
        self._tell(ErrorFrame(code="audio_overflow", message=_describe(whole), retryable=False))

    def _tell(self, frame: ErrorFrame | WarningFrame) -> None:
        if not self._mailbox.is_closing:
            self._outbox.put(frame)


def _words(text: str) -> int:
    return len(text.split())


def _describe(skipped: Skipped) -> str:
    span = f"from {skipped.from_us / 1e6:.1f} s to {skipped.until_us / 1e6:.1f} s"
    return f"Speech recognition was away for too long: the recording {span} was not heard; please say that again"


ErrorT = TypeVar("ErrorT", bound=Exception)


def _first(group: BaseException, kind: type[ErrorT]) -> ErrorT:
    """The first error of this kind in a group."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    assert isinstance(group, kind)
    return group
