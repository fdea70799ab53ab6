"""The database of processes under test, as plain pymongo sees it."""

from typing import Any

from bson import ObjectId

from tests.mongodb.server import client

_MEMORIES = "memories"


def make_memories(uri: str, database: str) -> None:
    """Make the collection of the sessions, still empty.

    SecantusDB 0.7.0b3 may answer nobody any more when a first insert makes a collection while somebody else makes its
    indexes: at the first start of EVAA, if a client comes within milliseconds. A mongod knows no such trouble.
    """
    with client(uri) as mongo:
        mongo[database].create_collection(_MEMORIES)


def stored_session(uri: str, database: str, session_id: str) -> dict[str, Any]:
    """A session's document."""
    with client(uri) as mongo:
        document = mongo[database][_MEMORIES].find_one({"_id": ObjectId(session_id)})
    assert document is not None, f"there is no session {session_id}"
    return document
