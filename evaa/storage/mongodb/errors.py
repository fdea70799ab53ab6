"""The driver's errors, in the port's words. The driver's messages can quote what is stored; ours cannot."""

import msgspec
from bson.errors import BSONError, InvalidBSON
from odmantic.exceptions import DocumentParsingError
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from protocols.ports import RecordTooLarge, StoreError, StoreUnavailable

# BSON's errors are no errors of PyMongo's, and those of numbers and times out of its range are Python's own.
DRIVER_ERRORS = (PyMongoError, BSONError, OverflowError, DocumentParsingError, msgspec.DecodeError)
"""What a call of the driver's, or the reading of what it returned, may raise."""

_UNREADABLE = (InvalidBSON, DocumentParsingError, msgspec.DecodeError)
_TOO_LARGE = {10334, 17419, 17420}
"""BSONObjectTooLarge, and an update whose result would be too large (error_codes.yml and update code of mongod)."""


def translated(error: Exception) -> StoreError:
    """Return what the port raises for `error`, one of `DRIVER_ERRORS`."""
    name = type(error).__name__.lstrip("_")
    if isinstance(error, DocumentTooLarge) or (isinstance(error, OperationFailure) and error.code in _TOO_LARGE):
        return RecordTooLarge("MongoDB cannot hold a record of this size")
    if isinstance(error, PyMongoError):
        code = _code_name(error)
        return StoreUnavailable(f"MongoDB: {name}{f' ({code})' if code else ''}")
    if isinstance(error, _UNREADABLE):
        return StoreError(f"what is stored cannot be read ({name})")
    return StoreError(f"MongoDB cannot hold a value of this record ({name})")


def _code_name(error: PyMongoError) -> str:
    details = error.details if isinstance(error, OperationFailure) else None
    name = (details or {}).get("codeName", "")
    return name if isinstance(name, str) and name.isidentifier() else ""
