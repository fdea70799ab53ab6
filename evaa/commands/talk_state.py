"""What the terminal client knows of its session."""

from typing import TypeAlias

import msgspec

from evaa.commands.talk_effects import Effect
from evaa.commands.talk_frames import SeenStage
from protocols.frontend import AudioFormat


class Said(msgspec.Struct, frozen=True):
    """A text of the user's that is not yet both acknowledged and answered."""

    id: str
    text: str
    turn: int | None = None
    acknowledged: bool = False
    answered: bool = False


class View(msgspec.Struct, frozen=True):
    """What the client knows of its session.

    `newest` is the newest turn known, and `settled` the newest that gets no reply any more, because it has one or was
    interrupted. `owed` is the turn that EVAA has said it is answering. `failed` says that some text was refused or was
    left without an answer. `is_refused` is set when EVAA will have nothing more to do with this client.

    `is_complete`: the interview is, and what the user says is about its documents. `is_drafting`: EVAA is to tell
    of a version, once it is written. `progress` is what is shown of that work; `told` the version, with its state, that
    was told last.

    `audio` is how the recording that is played is declared. `partial` is what is being heard and not yet final, and
    `heard` the newest turn whose transcript is. `missed` says that something which was being heard, or had been heard,
    did not outlive the connection: EVAA does not have it. `losses` counts the connections that were lost.
    """

    session_id: str
    audio: AudioFormat | None = None
    bound: bool = False
    was_bound: bool = False
    opening_due: bool = False
    stage: SeenStage | None = None
    stages: tuple[SeenStage, ...] = ()
    follow_ups: int = 0
    stage_line: str = ""
    newest: int = -1
    settled: int = -1
    owed: int = -1
    streaming: int = -1
    streamed: str = ""
    said: tuple[Said, ...] = ()
    partial: str = ""
    heard: int = -1
    missed: bool = False
    losses: int = 0
    failed: bool = False
    reconnect_after_s: float = 0.0
    is_refused: bool = False
    is_complete: bool = False
    is_drafting: bool = False
    progress: str = ""
    told: tuple[int, str] | None = None

    @property
    def busy(self) -> bool:
        """Whether a reply is coming or owed."""
        return bool(self.streamed) or self.owed > self.settled or any(not said.answered for said in self.said)

    @property
    def open(self) -> bool:
        """Whether the user may speak: connected, and the opening question asked."""
        return self.bound and not self.opening_due

    @property
    def idle(self) -> bool:
        """Whether EVAA waits for the user: everything that was said is answered, and nothing is being heard."""
        return self.open and not self.busy and not self.partial


Change: TypeAlias = tuple[View, tuple[Effect, ...]]
