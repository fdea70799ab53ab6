"""The MongoDB store keeps the contract, against a real server over a real socket."""

from collections.abc import AsyncIterator

import pytest

from evaa.asyncio_bridge import open_bridge
from evaa.storage.mongodb.connecting import open_mongo_store
from evaa.storage.mongodb.store import MongoStore
from tests.contracts.store_contract import StoreContract


class TestMongoStore(StoreContract):
    """The whole contract."""

    @pytest.fixture
    async def store(self, mongo_uri: str, mongo_database: str) -> AsyncIterator[MongoStore]:
        async with open_bridge() as bridge:
            mongo = await open_mongo_store(bridge, mongo_uri, mongo_database)
            yield mongo
            await mongo.close()
