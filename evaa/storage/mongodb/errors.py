"""The driver's errors, in the port's words. The driver's messages can quote what is stored; ours cannot."""

import msgspec
from odmantic.exceptions import DocumentParsingError
from pymongo.errors import ConnectionFailure, DocumentTooLarge, OperationFailure, PyMongoError

from protocols.ports import RecordTooLarge, StoreError, StoreUnavailable

_TOO_LARGE = {10334, 17419, 17420}
"""BSONObjectTooLarge, and an update whose result would be too large (error_codes.yml and update code of mongod)."""


def translated(error: PyMongoError) -> StoreError:
    """Return what the port raises for `error`."""
    if isinstance(error, DocumentTooLarge) or (isinstance(error, OperationFailure) and error.code in _TOO_LARGE):
        return RecordTooLarge("MongoDB cannot hold a record of this size")
    code = _code_name(error)
    return StoreUnavailable(f"MongoDB: {type(error).__name__}{f' ({code})' if code else ''}")


def unreadable(error: DocumentParsingError | msgspec.ValidationError) -> StoreError:
    """Return what the port raises for a document that is not what EVAA writes."""
    return StoreError(f"what is stored cannot be read ({type(error).__name__})")


def leaves_doubt(error: PyMongoError) -> bool:
    """Whether a write that ended so may have landed, or may land yet, as far as its sender can know."""
    return isinstance(error, ConnectionFailure) or error.timeout


def _code_name(error: PyMongoError) -> str:
    details = error.details if isinstance(error, OperationFailure) else None
    name = (details or {}).get("codeName", "")
    return name if isinstance(name, str) and name.isidentifier() else ""
