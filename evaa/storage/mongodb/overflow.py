"""Sessions that are more than a document can hold: what was said lies in GridFS, the rest in the document as ever.

MongoDB's limit is 16 MiB a document (mongodb.com/docs/manual/reference/limits); an interview comes near it only where
somebody pastes whole books into it, but what was acknowledged must be stored all the same. Each save of such a session
writes a file of its own, which is void until the document names it. A file says which version of which session it is
of: once a later version is stored no save of it can take effect any more, so that it can go, whoever wrote it.
"""

from collections.abc import Mapping
from typing import Any

import bson
import msgspec
import structlog
from bson import ObjectId
from gridfs.errors import CorruptGridFile, NoFile
from motor.motor_asyncio import AsyncIOMotorDatabase, AsyncIOMotorGridFSBucket
from pymongo.errors import PyMongoError

from evaa.storage.mongodb.documents import NOTHING_SPOKEN, Spoken
from evaa.storage.mongodb.errors import translated
from protocols.ports import RecordTooLarge

MAX_DOCUMENT_BYTES = 15 * 2**20
"""Above it a session goes to GridFS; the limit is 16 MiB, with the command round it."""

MAX_SESSION_BYTES = 128 * 2**20
_log = structlog.get_logger(actor="store")


def is_too_large(fields: Mapping[str, Any]) -> bool:
    """Whether a session's fields do not fit into a document. Costs 20 microseconds for the usual 50 KB."""
    return len(bson.encode(fields)) > MAX_DOCUMENT_BYTES


class Overflow:
    """The files of sessions that are too large. Its methods are asyncio's."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._bucket = AsyncIOMotorGridFSBucket(database, bucket_name="memories")
        self._files = database["memories.files"]

    async def put(self, session: ObjectId, version: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Store what is large of the fields of a version in a new file; return the fields that name it instead.

        Raises `RecordTooLarge` beyond `MAX_SESSION_BYTES`, and what the driver raises.
        """
        data = msgspec.json.encode({name: fields[name] for name in NOTHING_SPOKEN})
        if len(data) > MAX_SESSION_BYTES:
            raise RecordTooLarge(f"a session may have {MAX_SESSION_BYTES >> 20} MiB at most")
        metadata = {"sessionId": session, "version": version}
        file_id: ObjectId = await self._bucket.upload_from_stream(str(session), data, metadata=metadata)
        return {**fields, **NOTHING_SPOKEN, "overflowId": file_id}

    async def get(self, file_id: ObjectId) -> Spoken | None:
        """Return what a file holds; None if it is gone, or going, since a newer one took its place.

        Raises `msgspec.DecodeError` if it is not what EVAA writes, and what the driver raises.
        """
        spoken: Spoken | None
        try:
            stream = await self._bucket.open_download_stream(file_id)
            spoken = msgspec.json.decode(await stream.read(), type=Spoken)
        except (NoFile, CorruptGridFile):
            spoken = None
        return spoken

    async def forget_older(self, session: ObjectId, version: int) -> None:
        """Delete the files of a session's versions before this one, which is stored. The next time, if that fails."""
        older = {"filename": str(session), "metadata.version": {"$lt": version}}
        try:
            for file in await self._files.find(older, {"_id": 1}).to_list(None):
                await self._bucket.delete(file["_id"])
        except NoFile:
            pass  # somebody else is at it
        except PyMongoError as error:
            _log.warning("store.files_kept", reason=str(translated(error)))
