"""How EVAA connects to MongoDB: the address is checked, the client's time-outs and write concern are set."""

import re
import warnings
from typing import Any
from urllib.parse import urlsplit

from bson.codec_options import DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import ConfigurationError, PyMongoError

from evaa.asyncio_bridge import Bridge
from evaa.storage.mongodb.store import MongoStore
from protocols.ports import StoreError

_OPTIONS: dict[str, Any] = {
    "timeoutMS": 5_000,  # without it, a server that falls silent hangs a call for ever
    "serverSelectionTimeoutMS": 2_000,  # for the client's end: a call waits for a server until its own time is up
    "connectTimeoutMS": 2_000,  # also the name server's, which none of the others bounds
    "w": "majority",  # else a failover may forget a save that was acknowledged, or who the owner is
    "journal": True,
    "appname": "evaa",
}
"""What EVAA relies on. The address may say otherwise."""

_FIXED: dict[str, Any] = {
    "readPreference": "primary",
    "tz_aware": False,
    "datetime_conversion": DatetimeConversion.DATETIME,
}
"""What the address cannot change: a secondary may not know yet what was saved last, and the models know UTC only."""

_MISTAKES = (PyMongoError, ValueError, TypeError, LookupError, OSError, UserWarning)
"""What the driver raises for an address; an `OSError` for a file that an option names."""


async def open_mongo_store(bridge: Bridge, uri: str, database: str) -> MongoStore:
    """Return the store; `close` gives its connections and threads back.

    It connects when it is first used, so the server may be away. Raises `StoreError` for an address that is none.
    """

    async def make() -> MongoStore:
        uri.encode()  # bytes of the environment that are no text: the driver would stumble over them later
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the driver only warns of an option that it does not know, or not so
            client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri, **_options_besides(uri), **_FIXED)
        if not client.write_concern.acknowledged:
            raise ConfigurationError("nobody would know what was saved")
        return MongoStore(bridge, client, database)

    try:
        return await bridge.call(make)
    except _MISTAKES as error:
        # Without the driver's message, which may quote the password.
        raise StoreError(
            f"MONGODB_URI or EVAA_MONGODB_DATABASE is wrong ({type(error).__name__}): the address must look like"
            " mongodb://user:password@host:27017/?replicaSet=name, special characters in the password as %XX,"
            " its options must be ones that PyMongo knows, without w=0, and a database's name has no spaces and none of"
            ' /\\."$'
        ) from None


def _options_besides(uri: str) -> dict[str, Any]:
    """Our options but for those that the address sets itself."""
    given = {option.partition("=")[0].lower() for option in re.split("[&;]", urlsplit(uri).query)}
    return {name: value for name, value in _OPTIONS.items() if name.lower() not in given}
