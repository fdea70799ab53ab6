"""How a session is written, and how it is found out what became of a write whose answer was lost.

A save says in its filter what it expects to find: the version, and the lease token. One whose answer is lost may have
landed, may land later, or never. So each carries a `writeId` and the number of its attempt. It is looked for once; if
it is not there, the next attempt of the same version accepts, besides that version, any earlier attempt of its own in
its place. Thus a late one neither blocks the next nor overwrites it: what it expects is no longer there.
"""

from typing import Any

import msgspec
from bson import Int64, ObjectId
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from evaa.storage.mongodb.documents import object_id, session_fields
from evaa.storage.mongodb.overflow import Overflow, is_too_large
from protocols.ports import LeaseLost, SessionExists, VersionConflict
from protocols.records import Lease, SessionRecord

_Document = dict[str, Any]
_OUTCOME = {"version": 1, "leaseToken": 1, "writeId": 1, "writeAttempt": 1}


class Attempt(msgspec.Struct, frozen=True):
    """One try to save: of which version, under which token, and the how manieth it is."""

    version: int
    token: int
    write_id: ObjectId
    number: int

    def expects(self) -> _Document:
        """What the stored document must be for this attempt to take effect."""
        if self.number == 1:
            return {"version": self.version}
        earlier = {"writeId": self.write_id, "writeAttempt": {"$lt": self.number}}
        return {"$or": [{"version": self.version}, earlier]}

    def marks(self) -> _Document:
        """What it leaves in the document."""
        return {"version": self.version + 1, "writeId": self.write_id, "writeAttempt": self.number}

    def wrote(self, document: _Document) -> bool:
        """Whether it is what wrote the document last."""
        return all(document.get(name) == value for name, value in self.marks().items())


class Saving:
    """The writes of one store. Its methods are asyncio's, and raise the driver's errors besides the port's own."""

    def __init__(self, memories: AsyncIOMotorCollection[_Document], overflow: Overflow) -> None:
        self._memories = memories
        # What was read must not be rolled back by a failover.
        self._settled = memories.with_options(read_concern=ReadConcern("majority"))
        self._overflow = overflow
        self._unsure: dict[str, Attempt] = {}

    async def create(self, record: SessionRecord, owner: str) -> None:
        """Insert a session at version 0 whose lease has yet to be renewed. Raises `SessionExists`."""
        key, attempt = object_id(record.session_id), Attempt(-1, 1, ObjectId(), 1)
        fields = await self._storable_fields(record, attempt)
        lease = {"leaseOwner": owner, "leaseToken": attempt.token, "leaseUntil": Int64(0)}
        try:
            await self._memories.insert_one({"_id": key, **fields, **attempt.marks(), **lease})
        except PyMongoError as error:
            if await self._has_landed(key, attempt, error):
                return
            if isinstance(error, DuplicateKeyError):
                raise SessionExists("there is a session of this id") from None
            raise

    async def save(self, record: SessionRecord, lease: Lease) -> None:
        """Replace a session's fields. Raises `VersionConflict` and `LeaseLost`."""
        key = object_id(record.session_id)
        attempt = self._next_attempt(record, lease)
        change = {"$set": {**await self._storable_fields(record, attempt), **attempt.marks()}}
        try:
            if not await self._replace(key, attempt, change):
                await self._find_reason(key, attempt)
        except PyMongoError as error:
            # Whatever it is: a refusal may be that of a retry, and a write that was only not replicated is there.
            self._unsure[record.session_id] = attempt
            if not await self._has_landed(key, attempt, error):
                raise
        self._unsure.pop(record.session_id, None)

    def forget(self, session_id: str) -> None:
        """The session has ended: what was unsure of it does not matter any more."""
        self._unsure.pop(session_id, None)

    async def _replace(self, key: ObjectId, attempt: Attempt, change: _Document) -> bool:
        """Change the document, if it is as expected, and delete the files that it cannot name any more.

        Nearly none has ever named a file, and those are not asked for any.
        """
        expected = {"_id": key, "leaseToken": attempt.token, **attempt.expects()}
        if (await self._memories.update_one({**expected, "overflowId": None}, change)).matched_count:
            return True
        if not (await self._memories.update_one(expected, change)).matched_count:
            return False
        await self._overflow.forget_older(key, attempt.version + 1)
        return True

    def _next_attempt(self, record: SessionRecord, lease: Lease) -> Attempt:
        earlier = self._unsure.get(record.session_id)
        if earlier is None or (earlier.version, earlier.token) != (record.version, lease.token):
            return Attempt(record.version, lease.token, ObjectId(), 1)
        return msgspec.structs.replace(earlier, number=earlier.number + 1)

    async def _storable_fields(self, record: SessionRecord, attempt: Attempt) -> _Document:
        fields = session_fields(record)
        if not is_too_large(fields):
            return fields
        return await self._overflow.put(object_id(record.session_id), attempt.version + 1, fields)

    async def _has_landed(self, key: ObjectId, attempt: Attempt, error: PyMongoError) -> bool:
        """Look for a write of unknown outcome, once. False: it has not landed so far, or nobody can be asked.

        A server that cannot be had, or that says nothing, would only take as long again.
        """
        if error.timeout:
            return False
        try:
            document = await self._settled.find_one({"_id": key}, _OUTCOME)
        except PyMongoError:
            return False
        return document is not None and attempt.wrote(document)

    async def _find_reason(self, key: ObjectId, attempt: Attempt) -> None:
        """Say why nothing matched what a save expected; returns if it was the save itself, come by another way."""
        document = await self._memories.find_one({"_id": key}, _OUTCOME)
        if document is None or document.get("leaseToken") != attempt.token:
            raise LeaseLost("the session has another owner, or is gone")
        if not attempt.wrote(document):
            raise VersionConflict(f"the stored version is not {attempt.version}")
