"""A store for `EVAA_STORE=benchmarks.slow_store:make`: EVAA's SQLite store, whose writes take half a second more."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from evaa.storage.sqlite import SqliteStore, open_sqlite_store

DELAY_S = 0.5
WRITES = {"create", "acquire", "renew", "release", "save", "prepare", "replace_stages"}


class SlowStore:
    """Every method is the SQLite store's, which is opened by the first of them."""

    name = "slow"

    def __init__(self, path: str) -> None:
        self._path = path
        self._opening = trio.Lock()
        self._store: SqliteStore | None = None

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            store = await self._opened()
            if method in WRITES:
                await trio.sleep(DELAY_S)
            return await getattr(store, method)(*args, **kwargs)

        return call

    async def _opened(self) -> SqliteStore:
        async with self._opening:
            if self._store is None:
                self._store = await open_sqlite_store(self._path)
        return self._store


def make() -> SlowStore:
    return SlowStore(os.environ["EVAA_SQLITE_PATH"])
