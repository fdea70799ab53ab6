"""The SQLite store keeps the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evaa.storage.sqlite import SqliteStore, open_sqlite_store
from tests.contracts.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    """The whole contract, on a real file with real threads."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        sqlite = await open_sqlite_store(tmp_path / "evaa.sqlite3")
        yield sqlite
        await sqlite.close()
