"""What EVAA keeps in MongoDB, as ODMantic models, and how it becomes the port's records and back.

The collections and the fields of the brief keep its names. A session's document is flat and readable with MongoDB's own
tools; nothing that a user or a model wrote becomes a key in it, since BSON knows keys that it refuses (those with a
NUL), and numbers too. So the chat history is an array of JSON texts, one for each Pydantic AI message, and what is
established is a list of names and values.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import msgspec
from bson import ObjectId
from odmantic import Field, Index, Model
from odmantic.config import ODMConfigDict

from protocols.documents import Documents
from protocols.ports import StoreError
from protocols.records import Interview, SessionRecord, Stage, TurnRecord

_OBJECT_ID = re.compile("[0-9a-f]{24}")
_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)


class Fact(msgspec.Struct, frozen=True):
    """One thing that is established."""

    name: str
    value: str


class StageFacts(msgspec.Struct, frozen=True, rename="camel"):
    """What is established of one stage."""

    stage_id: str
    facts: tuple[Fact, ...] = ()


class Memory(Model):
    """A session: the agent's memory of it, where its interview stands, and who owns it.

    `version` counts the saves. `writeId` and `writeAttempt` name the save that wrote last, so that one whose answer was
    lost can be recognised. `leaseUntil` is on the server's clock, in milliseconds since the epoch. `overflowId` is the
    GridFS file that holds `messages` and `turns` where they are more than a document can hold.
    """

    model_config = ODMConfigDict(
        collection="memories", indexes=lambda: [Index(Memory.status, Memory.updatedAt), Index(Memory.leaseUntil)]
    )

    sessionId: ObjectId = Field(primary_field=True)
    messages: list[str]
    currentStageId: ObjectId | None
    createdAt: datetime
    updatedAt: datetime
    status: str
    stageIndex: int
    followUpsUsed: int
    stages: list[dict[str, Any]]
    turns: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    version: int
    writeId: ObjectId | None = None
    writeAttempt: int = 0
    leaseOwner: str | None = None
    leaseToken: int
    leaseUntil: int = 0
    overflowId: ObjectId | None = None
    documents: dict[str, Any] | None = None


class StageDocument(Model):
    """A stage, as `run.py stages` writes it or as people edit it: what the brief does not name may be left out."""

    model_config = ODMConfigDict(collection="stages", indexes=lambda: [Index(StageDocument.order)])

    id: ObjectId = Field(primary_field=True)
    name: str = Field(min_length=1)
    description: str = ""
    goal: str = Field(min_length=1)
    order: int
    opening: str = ""
    maxFollowUps: int = Field(default=3, ge=0)
    followUps: list[str] = []
    keyterms: list[str] = []
    imposedAtMs: int = 0


class Spoken(msgspec.Struct, frozen=True):
    """What was said in a session, and written of it: the fields that may be too large for its document."""

    messages: tuple[str, ...]
    turns: tuple[TurnRecord, ...]
    documents: Documents | None = None


NOTHING_SPOKEN: dict[str, Any] = msgspec.to_builtins(Spoken((), ()))
"""What stands in a document whose large fields lie elsewhere."""


# --- sessions ---------------------------------------------------------------------------------------------------


def session_fields(record: SessionRecord) -> dict[str, Any]:
    """Return what a save replaces in a session's document. Raises `StoreError` for an id that is no ObjectId."""
    interview = record.interview
    return {
        "messages": list(record.messages),
        "currentStageId": object_id(interview.stage.stage_id) if interview.stage else None,
        "createdAt": _datetime(record.created_at_ms),
        "updatedAt": _datetime(record.updated_at_ms),
        "status": record.status,
        "stageIndex": interview.stage_index,
        "followUpsUsed": interview.follow_ups_used,
        "stages": msgspec.to_builtins(interview.stages),
        "turns": msgspec.to_builtins(interview.turns),
        "documents": msgspec.to_builtins(record.documents),
        "facts": [
            msgspec.to_builtins(StageFacts(stage_id, tuple(Fact(*fact) for fact in facts.items())))
            for stage_id, facts in interview.facts.items()
        ],
        "overflowId": None,
    }


def session_record(memory: Memory, overflow: Spoken | None) -> SessionRecord:
    """Return the record of a document; `overflow` is what its GridFS file holds, if it has one.

    Raises `msgspec.ValidationError` if the document is not what EVAA writes; whole numbers may be doubles, which tools
    make of them that know no others.
    """
    spoken = overflow or msgspec.convert(memory, Spoken, from_attributes=True, strict=False)
    interview = Interview(
        stages=msgspec.convert(memory.stages, tuple[Stage, ...], strict=False),
        stage_index=memory.stageIndex,
        follow_ups_used=memory.followUpsUsed,
        turns=spoken.turns,
        facts={
            stage.stage_id: {fact.name: fact.value for fact in stage.facts}
            for stage in msgspec.convert(memory.facts, list[StageFacts])
        },
    )
    return SessionRecord(
        session_id=str(memory.sessionId),
        interview=interview,
        created_at_ms=_ms(memory.createdAt),
        updated_at_ms=_ms(memory.updatedAt),
        messages=spoken.messages,
        version=memory.version,
        documents=spoken.documents,
    )


# --- stages -----------------------------------------------------------------------------------------------------


def stage_fields(stage: Stage) -> dict[str, Any]:
    """Return a stage's whole document."""
    return {
        "_id": object_id(stage.stage_id),
        "name": stage.name,
        "description": stage.description,
        "goal": stage.goal,
        "order": stage.order,
        "opening": stage.opening,
        "maxFollowUps": stage.max_follow_ups,
        "followUps": list(stage.follow_ups),
        "keyterms": list(stage.keyterms),
        "imposedAtMs": stage.imposed_at_ms,
    }


def stage_record(document: StageDocument) -> Stage:
    """Return the stage; one that was added by hand without a question of its own asks about what it describes."""
    return Stage(
        stage_id=str(document.id),
        name=document.name,
        description=document.description,
        goal=document.goal,
        order=document.order,
        opening=document.opening or f"Let us talk about this: {document.name}. {document.description}".rstrip(),
        max_follow_ups=document.maxFollowUps,
        follow_ups=tuple(document.followUps),
        keyterms=tuple(document.keyterms),
        imposed_at_ms=document.imposedAtMs,
    )


# --- values -----------------------------------------------------------------------------------------------------


def object_id(text: str) -> ObjectId:
    """Return the ObjectId of 24 hexadecimal digits in lower case. Raises `StoreError` for anything else."""
    if not _OBJECT_ID.fullmatch(text):
        raise StoreError("MongoDB holds ids of 24 hexadecimal digits only, in lower case")
    return ObjectId(text)


def _datetime(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS
