"""What is stored: stages, the interview's state, and the session that holds them.

All of it is immutable; a change makes a new value. Field names are camelCase when encoded, as the brief
names them (`sessionId`, `currentStageId`, ...). Times are milliseconds since the Unix epoch.
"""

from typing import Literal

from protocols.base import Record
from protocols.documents import Documents

Source = Literal["voice", "text"]
Outcome = Literal["pending", "answered", "interrupted", "superseded"]
Status = Literal["interviewing", "drafting", "complete"]


class Stage(Record, frozen=True):
    """One stage of the interview.

    `opening` is the stage's first question. `follow_ups` are the questions that the scripted interviewer asks, in
    order; a model makes up its own. At most `max_follow_ups` follow-ups are asked after the opening. `keyterms` are
    words that speech recognition should expect here. `imposed_at_ms` tells when this wording was imposed on running
    sessions that had not reached the stage; 0: never.
    """

    stage_id: str
    name: str
    description: str
    goal: str
    order: int
    opening: str
    max_follow_ups: int = 3
    follow_ups: tuple[str, ...] = ()
    keyterms: tuple[str, ...] = ()
    imposed_at_ms: int = 0


class TurnRecord(Record, frozen=True):
    """One utterance of the user's and what became of it.

    `reply` is what was delivered of the answer: all of it (`answered`), a part (`interrupted`) or nothing (`pending`:
    a reply is owed; `superseded`: the utterance was joined to the next one before anything was delivered).
    `client_id` is the id that the client gave its text: the same id sent again is the same utterance.
    """

    turn: int
    stage_id: str
    source: Source
    text: str
    said_at_ms: int
    client_id: str | None = None
    reply: str = ""
    outcome: Outcome = "pending"
    closed_stage: bool = False


class Interview(Record, frozen=True):
    """Where an interview stands. `stage_index` equals `len(stages)` once the last stage has closed.

    `stages` is the set that the session began with, so that editing the stages never moves a running interview.
    `facts` holds, by stage id, what is established.
    """

    stages: tuple[Stage, ...]
    stage_index: int = 0
    follow_ups_used: int = 0
    turns: tuple[TurnRecord, ...] = ()
    facts: dict[str, dict[str, str]] = {}

    @property
    def stage(self) -> Stage | None:
        """The stage that is running; None once the last has closed."""
        return self.stages[self.stage_index] if self.stage_index < len(self.stages) else None


class SessionRecord(Record, frozen=True):
    """One session as it is stored.

    `messages` is the agent's own chat history, oldest first: the JSON text of one Pydantic AI message each. `version`
    counts the saves; it is the version that a save expects to find. `documents` is what was written of it so far.
    """

    session_id: str
    interview: Interview
    created_at_ms: int
    updated_at_ms: int
    messages: tuple[str, ...] = ()
    version: int = 0
    documents: Documents | None = None

    @property
    def status(self) -> Status:
        """`interviewing` while a stage runs, `drafting` while documents are to be written, else `complete`.

        To be written are, perhaps, those of which the user has said something that nobody has considered yet.
        """
        if self.interview.stage is not None:
            return "interviewing"
        documents = self.documents
        is_settled = documents is not None and documents.is_finished
        is_read = documents is not None and documents.read_up_to_turn >= len(self.interview.turns)
        return "complete" if is_settled and is_read else "drafting"


class Lease(Record, frozen=True):
    """Who owns a session. `token` is the fencing token: it grows with each change of owner, and never goes back."""

    session_id: str
    owner: str
    token: int
