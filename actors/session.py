"""One connected session: its mailboxes, its actors, their order."""

import contextlib
import time
from collections import deque
from functools import lru_cache, partial
from typing import Any

import msgspec
import structlog
import trio

from actors.agent import Agent, DrainAsked
from actors.audio_mailbox import AudioMailbox
from actors.connection import Binding, Connection, Heartbeat, Reader, Writer
from actors.outbox import Outbox
from actors.persistence import Persistence, PersistenceLimits, SaveSlot, Spill
from actors.stt import Stt, SttLimits
from actors.supervisor import GOING_AWAY, Actor, ChildSpec, EndSession, RestartBudget, Supervisor
from actors.writing import Writing, WritingLimits
from evaa.computing import in_a_thread
from evaa.interview.engine import TurnEngine
from evaa.interview.exchange import exchange
from evaa.interview.stages import default_stages
from protocols.frontend import CloseCode, ErrorFrame, FrameRefused, GoingAway, Text
from protocols.messages import Effect, Message, Send, StagesStored
from protocols.ports import Interviewer, SessionExists, SessionStore, SpeechToText, StoreError, StoreUnavailable
from protocols.records import Interview, Lease, SessionRecord, Stage
from protocols.writing import Compute, DocumentWriter

MAILBOX_MESSAGES = 64
RECONNECT_AFTER_MS = 1_000
STT_CLOSE_S = 0.5
STORE_AWAY = "The session cannot be loaded, since the store cannot be reached; trying again"


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one session, in seconds."""

    persistence: PersistenceLimits = PersistenceLimits()
    stt: SttLimits = SttLimits()
    writing: WritingLimits = WritingLimits()
    restarts: int = 3
    restarts_within_s: float = 10.0
    store_patience_s: float = 10.0
    writer_grace_s: float = 2.0
    release_s: float = 1.0


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The plug-ins that sessions share, and who this process is as an owner of sessions.

    `stt` is None where there is no speech recognition. `keyterms` are words that it should always expect. `compute`
    does what takes long without I/O.
    """

    store: SessionStore
    interviewer: Interviewer
    writer: DocumentWriter
    spill: Spill
    owner: str
    stt: SpeechToText[Any] | None = None
    keyterms: tuple[str, ...] = ()
    compute: Compute = in_a_thread


class Session:
    """A bound connection and the actors that serve it.

    `end` and `drain` may be called at any time, before `run` too; `finished` is set when everything is saved or
    spilled and the WebSocket is closed. `close_code` is what it ended with; None until then.
    """

    def __init__(self, connection: Connection, binding: Binding, services: Services, limits: SessionLimits) -> None:
        self.finished = trio.Event()
        self.close_code: int | None = None
        self._connection = connection
        self._session_id = binding.session_id
        self._replay = binding.replay
        self._declared = binding.audio
        self._language = binding.language
        self._first = deque(binding.first)
        self._said_with_binding = sum(isinstance(frame, Text) and bool(frame.text.strip()) for frame in binding.first)
        self._services = services
        self._limits = limits
        self._audio = AudioMailbox(is_open=services.stt is not None)
        self._outbox = Outbox(tells_deltas=connection.dialect.tells_deltas)
        self._to_agent, self._agent_mailbox = trio.open_memory_channel[Message](MAILBOX_MESSAGES)
        self._supervisor = Supervisor(
            self._children(), RestartBudget(limits.restarts, limits.restarts_within_s), session_id=self._session_id
        )
        self._slot: SaveSlot
        self._is_loaded = False
        self._lease: Lease | None = None
        self._told_stages: tuple[Stage, ...] = ()
        self._is_resumed = False
        self._has_greeted = False
        self._is_draining = False
        self._log = structlog.get_logger(session_id=self._session_id)

    @property
    def lease(self) -> Lease | None:
        """What the session is owned by; None until it is loaded."""
        return self._lease

    def tell_stages(self, stages: tuple[Stage, ...]) -> None:
        """Tell the agent which stages are stored, if it does not know. Returns at once; may be repeated."""
        if self._lease is not None and stages is not self._told_stages:
            with contextlib.suppress(trio.WouldBlock):
                self._to_agent.send_nowait(StagesStored(stages))
                self._told_stages = stages

    def end(self, code: int, reason: str) -> None:
        """End the session; what was said is saved. Returns at once."""
        self._supervisor.end(code, reason)

    def drain(self) -> None:
        """Let the live turn finish, then end with 1001. Returns at once."""
        if self._has_greeted and not self._is_draining:
            self._outbox.put(_going_away())
        self._is_draining = True
        try:
            self._to_agent.send_nowait(DrainAsked())
        except trio.WouldBlock:
            self._end_drained()

    def _end_drained(self) -> None:
        self.end(CloseCode.GOING_AWAY, GOING_AWAY)

    async def run(self) -> None:
        """Load or begin the session, serve it to its end, close the connection. Raises nothing but bugs' errors.

        Cancellation ends it at once: what waits is saved or spilled within the persistence actor's bound.
        """
        end = EndSession(CloseCode.SESSION_FAILED, "the session failed; reconnect to resume it")
        begun = trio.current_time()
        try:
            end = await self._serve()
        except* trio.Cancelled:
            end = EndSession(CloseCode.GOING_AWAY, GOING_AWAY)
            raise
        finally:
            with trio.CancelScope(shield=True):
                await self._release()
                await self._connection.close(end.code, end.reason)
            self._to_agent.close()
            self._agent_mailbox.close()
            self.close_code = end.code
            self.finished.set()
            lasted_s = round(trio.current_time() - begun, 3)
            self._log.info("session.closed", code=end.code, reason=end.reason, lasted_s=lasted_s)

    async def _serve(self) -> EndSession:
        try:
            with trio.fail_after(self._limits.store_patience_s):
                record = await self._open_record()
        except trio.TooSlowError:
            return EndSession(CloseCode.OVERLOADED, "the store cannot be reached; try again later")
        except StoreError as error:
            self._log.error("store.refused", reason=str(error))
            return EndSession(CloseCode.SESSION_FAILED, "the session cannot be loaded")
        except EndSession as end:
            return end
        assert self._lease is not None
        self._slot = SaveSlot(record)
        self._is_loaded = True
        self._log.info(
            "session.opened",
            dialect=self._connection.dialect.name,
            resumed=self._is_resumed,
            turns=len(record.interview.turns),
            stage=record.interview.stage_index + 1,
            lease_token=self._lease.token,
        )
        return await self._supervisor.run()

    async def _open_record(self) -> SessionRecord:
        """Load the session, or begin it; waits for a store that is away, telling the client so once."""
        is_told = False
        while True:
            if (end := self._supervisor.asked_end) is not None:
                raise end
            try:
                return await self._load_or_create()
            except StoreUnavailable as error:
                back_off_s = self._limits.persistence.first_back_off_s
                self._log.warning("store.retrying", reason=str(error), back_off_s=back_off_s)
                if not is_told:
                    is_told = True
                    frame = ErrorFrame(code="storage_unavailable", message=STORE_AWAY, retryable=True)
                    await self._connection.send(frame)
                await trio.sleep(back_off_s)

    async def _load_or_create(self) -> SessionRecord:
        store, owner, ttl_s = self._services.store, self._services.owner, self._limits.persistence.lease_ttl_s
        await self._bring_in_what_was_spilled()
        while True:
            self._lease = await store.acquire(self._session_id, owner, ttl_s)
            if self._lease is not None and (record := await store.load(self._session_id)) is not None:
                self._is_resumed = True
                return record
            stages = await self._read_stages() or default_stages()
            now_ms = time.time_ns() // 1_000_000
            opening = exchange("", stages[0].opening)
            record = SessionRecord(self._session_id, Interview(stages), now_ms, now_ms, messages=opening)
            try:
                self._lease = await store.create(record, owner, ttl_s)
            except SessionExists:
                continue  # another process was faster
            return record

    async def _bring_in_what_was_spilled(self) -> None:
        """Before the lease moves on: what an earlier session spilled is still under its own."""
        services = self._services
        if not services.spill.is_waiting:
            return
        try:
            replayed = await services.spill.replay(services.store, services.owner, self._limits.persistence.lease_ttl_s)
        except OSError as error:
            raise StoreUnavailable(f"the spill file cannot be read: {type(error).__name__}") from None
        if replayed.kept:
            raise StoreUnavailable("what was spilled cannot be saved yet")

    async def _read_stages(self) -> tuple[Stage, ...]:
        try:
            return await self._services.store.stages()
        except StoreUnavailable:
            raise
        except StoreError as error:  # people edit them in the database; an interview is better than none
            self._log.error("stages.unreadable", reason=str(error))
            return ()

    def _children(self) -> list[ChildSpec]:
        # Each is built when it starts: by then the slot and the lease are there.
        last_save_s = self._limits.persistence.last_save_s
        stt_grace_s = self._limits.stt.hang_up_s + STT_CLOSE_S
        return [
            ChildSpec("persistence", self._build_persistence, stop_grace_s=last_save_s),
            ChildSpec("agent", self._build_agent, depends_on=frozenset({"persistence"})),
            *([ChildSpec("stt", self._build_stt, stop_grace_s=stt_grace_s)] if self._services.stt is not None else []),
            ChildSpec("writer", self._build_writer, stop_grace_s=self._limits.writer_grace_s),
            ChildSpec("heartbeat", partial(Heartbeat, self._connection)),
            ChildSpec("reader", self._build_reader),
        ]

    def _build_persistence(self) -> Actor:
        assert self._lease is not None
        services = self._services
        return Persistence(
            self._slot, services.store, self._lease, self._to_agent, services.spill, self._limits.persistence
        )

    def _build_agent(self) -> Actor:
        return Agent(
            self._slot,
            self._outbox,
            self._agent_mailbox,
            self._services.interviewer,
            self._build_writing(),
            reply_acknowledges=not self._connection.dialect.tells_deltas,
            greeting=self._greet,
            on_drained=self._end_drained,
            on_settled=self._on_settled,
            is_draining=self._is_draining,
        )

    def _build_writing(self) -> Writing:
        services = self._services
        return Writing(services.writer, self._limits.writing, self._session_id, services.compute)

    def _on_settled(self) -> None:
        """The documents are whole; the user may have more to say."""

    def _build_stt(self) -> Actor:
        assert self._services.stt is not None
        return Stt(
            self._audio,
            self._services.stt,
            self._outbox,
            self._to_agent,
            self._limits.stt,
            keyterms=self._keyterms,
            session_id=self._session_id,
        )

    def _keyterms(self) -> tuple[str, ...]:
        """What recognition should expect in the stage that runs."""
        stage = self._slot.latest.record.interview.stage
        return _joined(self._services.keyterms, () if stage is None else stage.keyterms)

    def _build_writer(self) -> Actor:
        return Writer(self._connection, self._outbox, self._to_agent)

    def _build_reader(self) -> Actor:
        return Reader(self._connection, self._session_id, self._outbox, self._to_agent, self._audio, self._first)

    def _greet(self, engine: TurnEngine) -> list[Effect]:
        now = trio.current_time()
        if self._has_greeted:
            return engine.resume_after_crash(now=now)
        self._has_greeted = True
        effects = engine.greet(
            resumed=self._is_resumed, replay=self._replay, now=now, said_already=self._said_with_binding
        )
        if self._declared is not None:
            try:
                self._audio.declare(self._declared, self._language)
            except FrameRefused as refused:
                effects.append(Send(refused.as_error()))
        if self._is_draining:
            effects.append(Send(_going_away()))
        return effects

    async def _release(self) -> None:
        # A store that is away would only hold up the end; whoever comes next takes the lease in any case.
        is_away = self._is_loaded and self._slot.store_is_away
        if self._lease is not None and not is_away:
            with trio.move_on_after(self._limits.release_s):
                try:
                    await self._services.store.release(self._lease)
                except StoreUnavailable as error:
                    self._log.warning("store.retrying", reason=str(error), back_off_s=None)


def _going_away() -> GoingAway:
    return GoingAway(reconnect_after_ms=RECONNECT_AFTER_MS)


@lru_cache(maxsize=256)
def _joined(always: tuple[str, ...], here: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*here, *always)))
