"""What the tests of the MongoDB store share besides the server."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from evaa.storage.mongodb.store import MongoStore
from tests.mongodb.server import client
from tests.mongodb.stores import mongo_store


@pytest.fixture
def database(mongo_uri: str, mongo_database: str) -> Iterator[Database[dict[str, Any]]]:
    """The test's database, for whoever edits it by hand."""
    with client(mongo_uri, timeout_s=10) as mongo:
        yield mongo[mongo_database]


@pytest.fixture
async def store(mongo_uri: str, mongo_database: str) -> AsyncIterator[MongoStore]:
    """A store to which nothing happens on the way."""
    async with mongo_store(mongo_uri, mongo_database) as opened:
        yield opened
