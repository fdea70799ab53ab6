"""The interfaces that plug-ins implement: the interviewer, speech-to-text and the session store."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import msgspec

from protocols.records import Lease, SessionRecord, Stage
from protocols.speech import Heard, SttRequest, SttTraits

# --- the interviewer --------------------------------------------------------------------------------------------


class TurnBrief(msgspec.Struct, frozen=True, kw_only=True):
    """All that an interviewer is told for one turn.

    `words` is what the user said since the last reply. `follow_ups_left` of 0 means that this reply closes the stage,
    whatever the interviewer decides. `next_stage` is None in the last stage. `established` is what is known of this
    stage. `history` is the chat so far, oldest first: the JSON text of one Pydantic AI message each. `interrupted` says
    that the user cut the last reply short.
    """

    session_id: str
    turn: int
    stage: Stage
    position: int
    total_stages: int
    follow_ups_used: int
    follow_ups_left: int
    next_stage: Stage | None
    established: dict[str, str]
    words: str
    history: tuple[str, ...]
    interrupted: bool = False


class Usage(msgspec.Struct, frozen=True):
    """Tokens that a provider counted; zero where there is no provider."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer.

    `text` is what the user sees: it equals the joined pieces that went to the sink. `wants_next` is the interviewer's
    opinion only. `history` is this exchange as Pydantic AI messages, a JSON text each; where it is empty, or not
    what was delivered in the end, EVAA writes it. `followed_protocol` is False when the model left out or garbled its
    control lines.
    """

    text: str
    wants_next: bool
    facts: dict[str, str]
    model: str
    history: tuple[str, ...] = ()
    usage: Usage = Usage()
    followed_protocol: bool = True


class AnswerSink(Protocol):
    """Where an interviewer reports while it works. Every method returns at once and may be called from any loop."""

    def requested(self) -> None:
        """The request is about to leave for the provider."""
        ...

    def text(self, piece: str) -> None:
        """The next visible piece of the answer; empty if something came of which nothing is visible."""
        ...

    def received(self) -> None:
        """The last byte of the answer has come from the provider."""
        ...

    def restarted(self, reason: str) -> None:
        """What came so far is void; the answer begins anew (after a failure in mid-answer, or with another model)."""
        ...


class InterviewerFailed(Exception):
    """An interviewer could not answer.

    `passing` tells whether the same request may succeed later; `retry_after_s` is the provider's own word on when.
    The message names no secret and none of the user's words.
    """

    def __init__(self, message: str, *, passing: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after_s = retry_after_s


class Interviewer(Protocol):
    """Answers the user, one turn at a time. Stateless: all it needs is in the brief."""

    name: str

    async def answer(self, brief: TurnBrief, sink: AnswerSink) -> Answer:
        """Return the answer, having reported its pieces to `sink`. Raises `InterviewerFailed`.

        Cancellation stops the request; nothing reaches the sink afterwards.
        """
        ...


# --- speech-to-text ---------------------------------------------------------------------------------------------


class SttLost(Exception):
    """The provider connection is gone, or could not be had, for a reason that may pass: worth another attempt.

    `retry_after_s` is the provider's own word on when. The message goes into the log; it quotes no transcript.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SttRefused(Exception):
    """The provider will not serve this, however often it is asked: a bad key, a wrong parameter, undecodable audio."""


MessageT = TypeVar("MessageT")
Received_co = TypeVar("Received_co", covariant=True)
Taken_contra = TypeVar("Taken_contra", contravariant=True)


class SttConnection(Protocol[Received_co]):
    """One connection to a recogniser, ready for audio. For one sending and one receiving task.

    Every method raises `SttLost` or `SttRefused` once the connection is over. A cancelled send leaves it unusable.
    """

    request_id: str | None

    async def send_audio(self, data: bytes) -> None:
        """Send the next bytes of audio, never none. Blocks while the provider does not read."""
        ...

    async def keep_alive(self) -> None:
        """Give a sign of life in place of audio."""
        ...

    async def finish_utterance(self) -> None:
        """Ask for the final result of what was sent; it comes through `receive`, if at all."""
        ...

    async def finish_stream(self) -> None:
        """No audio will come any more: ask for the last results. `receive` returns None after them."""
        ...

    async def set_keyterms(self, keyterms: tuple[str, ...]) -> None:
        """Expect these words from now on, in place of the earlier ones; best effort."""
        ...

    async def receive(self) -> Received_co | None:
        """Return the next message that may matter to endpointing; None at the end that `finish_stream` asked for."""
        ...


class Endpointing(Protocol[Taken_contra]):
    """Turns provider messages and time into utterances. Pure; one for each session, across its connections.

    `covered_s`: audio up to here, on the clock of the connection that lives, needs no replay: its words are in
    `pending` or in a `Final` that was given out. `pending` is the text of the current utterance that is settled
    already; `deadline` is when `tick` wants to be called, None if never.
    """

    covered_s: float
    pending: str
    deadline: float | None

    def connected(self, now: float) -> None:
        """A new connection begins: its audio clock starts at 0."""
        ...

    def receive(self, message: Taken_contra, now: float) -> Sequence[Heard]:
        """Return what a message of the provider means."""
        ...

    def tick(self, now: float) -> Sequence[Heard]:
        """Return what the passing of time means."""
        ...

    def finish(self, now: float, sent_s: float) -> Sequence[Heard]:
        """The user has finished, by their own word or because no audio comes; `sent_s` of audio was sent."""
        ...

    def disconnected(self, kept_from_s: float) -> Sequence[Heard]:
        """The connection is lost: what was not settled will be heard again from the replay.

        The audio that can be replayed begins at `kept_from_s`; what was heard before that is settled as it is.
        """
        ...

    def conclude(self) -> Sequence[Heard]:
        """Nothing more will be heard: what there is becomes final."""
        ...


class SpeechToText(Protocol[MessageT]):
    """A speech-to-text provider. One instance serves the process.

    EVAA keeps the audio until it is covered, replays it to a new connection, and decides when to connect again; a
    plug-in knows its provider's wire protocol and what its messages mean, nothing more.
    """

    name: str
    traits: SttTraits

    def endpointing(self, pending: str = "") -> Endpointing[MessageT]:
        """Return the endpointing of a new session, or of one whose recogniser was restarted with `pending` heard."""
        ...

    def connect(self, request: SttRequest) -> AbstractAsyncContextManager[SttConnection[MessageT]]:
        """A connection for the length of the block, closed at its end, within a bound.

        Raises `SttLost` and `SttRefused`, alone or in a group, where it cannot be had.
        """
        ...


# --- the session store ------------------------------------------------------------------------------------------


class StoreError(Exception):
    """Base of what a store raises."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or did not answer in time; nothing is known to be wrong with the request.

    A save that ends so has not happened as far as the store can tell. If its outcome is in doubt, the store sees to it
    that the doubt can hurt nobody: it may still land only while no later save of the session does, and a later save
    of the same version under the same lease takes its place. The message goes into the log, so it quotes no data.
    """


class SessionExists(StoreError):
    """`create` found the session already there."""


class VersionConflict(StoreError):
    """`save` expected another version than the stored one."""


class LeaseLost(StoreError):
    """The lease token is no longer the session's: another owner has taken it over. Also raised if it is gone."""


class LeaseHeld(StoreError):
    """Another owner holds the lease and no take-over was asked for."""


class RecordTooLarge(StoreError):
    """The store cannot hold a record of this size."""


LONG_EXPIRED_S = 30.0
"""After so long without its owner, a session may be finished by anybody."""


class SessionStore(Protocol):
    """Where sessions and stages live. One instance serves the process; all methods are safe to call concurrently.

    The ids of sessions and stages are 24 hexadecimal digits in lower case. A save that was cancelled
    is never in doubt: the call returns only when its outcome is known. Every method may raise `StoreUnavailable`.
    """

    name: str

    async def create(self, record: SessionRecord, owner: str, ttl_s: float) -> Lease:
        """Store a new session at version 0, owned by `owner`. Raises `SessionExists`."""
        ...

    async def acquire(self, session_id: str, owner: str, ttl_s: float, *, take_over: bool = True) -> Lease | None:
        """Take the session's lease; None if there is no such session.

        The newest owner wins: with `take_over` another owner's lease ends at once, and its token is refused from then
        on. Without it, raises `LeaseHeld` while that lease has not expired. An owner that holds it already keeps its
        token.
        """
        ...

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        """Extend the lease by `ttl_s` from now, on the store's clock. Raises `LeaseLost`.

        A lease that has expired or was released, and that nobody has taken since, can still be renewed, and saved
        under: only its token counts.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease up, if it is still ours; the token is kept, so that the next owner's is larger."""
        ...

    async def load(self, session_id: str) -> SessionRecord | None:
        """Return the session as last saved; None if there is none. Raises `StoreError` if it cannot be read."""
        ...

    async def save(self, record: SessionRecord, lease: Lease) -> SessionRecord:
        """Replace the stored session if it has `record.version` and the lease's token; return it as stored.

        The returned record's version is one higher. When this returns, the session survives a crash of the process
        and a loss of power. Raises `VersionConflict`, `LeaseLost`, `RecordTooLarge`.
        """
        ...

    async def overtaken(self, leases: Sequence[Lease]) -> frozenset[str]:
        """Return the ids of those sessions whose lease has another token by now, or that are gone.

        One query for all of them: it is asked every second. Without any lease it still finds out whether the store
        answers.
        """
        ...

    async def session_ids(self, after: str = "", limit: int = 1_000) -> tuple[str, ...]:
        """Return the first `limit` ids of sessions that are greater than `after`, in their order."""
        ...

    async def unfinished(self, limit: int) -> tuple[str, ...]:
        """Return the ids of up to `limit` sessions whose documents are to be written and that nobody owns now.

        Nobody's are those that were released, or whose lease ended 30 s ago (`LONG_EXPIRED_S`): an owner that was only
        cut off from the store should come first. Those that have waited longest come first.
        """
        ...

    async def count_sessions(self) -> int:
        """Return how many sessions are stored; it may be an estimate."""
        ...

    async def prepare(self, stages: Sequence[Stage]) -> None:
        """Make ready what the store needs (indexes, say), and store these stages if there are none.

        Called at every start of every process, and again until it succeeds; changes nothing where all is there.
        """
        ...

    async def stages(self) -> tuple[Stage, ...]:
        """Return the stages that new sessions begin with, in their order; empty before the first seeding.

        Raises `StoreError` if they cannot be read: people may edit them in the database.
        """
        ...

    async def replace_stages(self, stages: Sequence[Stage]) -> None:
        """Put these stages, each with an id of its own, in place of the stored ones, all or nothing.

        Running sessions keep what they began with.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then release every resource. Idempotent."""
        ...
