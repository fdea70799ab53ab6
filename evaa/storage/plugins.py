"""Which session store is used: the choice of plug-ins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import structlog

from evaa.asyncio_bridge import Bridge
from evaa.plugins import load_factory
from protocols.ports import SessionStore

_METHODS = (
    *("name", "create", "acquire", "renew", "release", "load", "save", "overtaken"),
    *("session_ids", "unfinished", "count_sessions", "prepare", "stages", "replace_stages", "close"),
)
_log = structlog.get_logger(actor="store")


class StoreChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of the store. `plugin`: auto, mongodb, sqlite, or `package.module:factory`.

    A factory is called without arguments and returns a `SessionStore`.
    """

    plugin: str
    mongodb_uri: str
    mongodb_database: str
    sqlite_path: str


@asynccontextmanager
async def open_store(bridge: Bridge, choice: StoreChoice) -> AsyncIterator[SessionStore]:
    """The store that was chosen, for the length of the block. Raises `StoreError` and `PluginRefused`."""
    store = await _open(bridge, choice)
    try:
        yield store
    finally:
        await store.close()


async def _open(bridge: Bridge, choice: StoreChoice) -> SessionStore:
    plugin, why = choice.plugin, "EVAA_STORE"
    if plugin == "auto":
        plugin = "mongodb" if choice.mongodb_uri else "sqlite"
        why = "MONGODB_URI is set" if choice.mongodb_uri else "MONGODB_URI is not set"
    _log.info("store.chosen", plugin=plugin, reason=why)
    # Each is imported only where it is chosen: MongoDB's driver takes half a second.
    if plugin == "mongodb":
        from evaa.storage.mongodb.connecting import open_mongo_store  # noqa: PLC0415

        return await open_mongo_store(bridge, choice.mongodb_uri, choice.mongodb_database)
    if plugin == "sqlite":
        from evaa.storage.sqlite import open_sqlite_store  # noqa: PLC0415

        return await open_sqlite_store(choice.sqlite_path)
    return cast(SessionStore, load_factory(plugin, variable="EVAA_STORE", kind="a session store", methods=_METHODS))
