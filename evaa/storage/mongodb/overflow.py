"""Sessions that are more than a document can hold: what was said lies in GridFS, the rest in the document as ever.

MongoDB's limit is 16 MiB a document (mongodb.com/docs/manual/reference/limits); an interview comes near it only where
somebody pastes whole books into it, but what was acknowledged must be stored all the same. Each save of such a session
writes a file of its own, which is void until the document names it.
"""

from collections.abc import Mapping
from typing import Any

import bson
import msgspec
from bson import ObjectId
from gridfs.errors import NoFile
from motor.motor_asyncio import AsyncIOMotorDatabase, AsyncIOMotorGridFSBucket

from protocols.ports import RecordTooLarge

MAX_DOCUMENT_BYTES = 15 * 2**20
"""Above it a session goes to GridFS; the limit is 16 MiB, with the command round it."""

MAX_SESSION_BYTES = 128 * 2**20
_MOST_BYTES_A_CHARACTER = 4
_FIELDS = ("messages", "turns")


def is_too_large(fields: Mapping[str, Any]) -> bool:
    """Whether a session's fields do not fit into a document. Quick where they are far from it."""
    characters = sum(map(len, fields["messages"])) + sum(
        len(it["text"]) + len(it.get("reply", "")) for it in fields["turns"]
    )
    if characters * _MOST_BYTES_A_CHARACTER < MAX_DOCUMENT_BYTES // 2:
        return False
    return len(bson.encode(fields)) > MAX_DOCUMENT_BYTES


class Overflow:
    """The files of sessions that are too large. Its methods are asyncio's."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._bucket = AsyncIOMotorGridFSBucket(database, bucket_name="memories")

    async def put(self, session_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Store what is large of the fields in a new file; return the fields that name it instead.

        Raises `RecordTooLarge` beyond `MAX_SESSION_BYTES`, and what the driver raises.
        """
        data = msgspec.json.encode({name: fields[name] for name in _FIELDS})
        if len(data) > MAX_SESSION_BYTES:
            raise RecordTooLarge(f"a session may have {MAX_SESSION_BYTES >> 20} MiB at most")
        file_id: ObjectId = await self._bucket.upload_from_stream(session_id, data)
        return {**fields, **{name: [] for name in _FIELDS}, "overflowId": file_id}

    async def get(self, file_id: ObjectId) -> dict[str, Any] | None:
        """Return the fields that a file holds; None if it is gone, since a newer one took its place."""
        fields: dict[str, Any] | None
        try:
            stream = await self._bucket.open_download_stream(file_id)
            fields = msgspec.json.decode(await stream.read())
        except NoFile:
            fields = None
        return fields

    async def forget(self, file_id: ObjectId | None) -> None:
        """Delete a file that no document names any more, if there is one."""
        if file_id is None:
            return
        try:
            await self._bucket.delete(file_id)
        except NoFile:
            return
