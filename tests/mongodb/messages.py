"""MongoDB's wire protocol, as far as a proxy needs it: where a message ends, what it answers, which command it is.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

import struct

import msgspec
from bson.raw_bson import RawBSONDocument

OP_MSG = 2013
HEADER_BYTES = 16
MAX_MESSAGE_BYTES = 48_000_000

_FIRST_SECTION = HEADER_BYTES + 4
_BODY = 0


class Message(msgspec.Struct, frozen=True):
    """A whole message, with its header."""

    data: bytes

    @property
    def request_id(self) -> int:
        """The number that an answer to this message refers to."""
        return _int32(self.data, 4)

    @property
    def answers(self) -> int:
        """The number of the request that this message is the reply to."""
        return _int32(self.data, 8)

    @property
    def command(self) -> str:
        """The command's name; empty for a message of another kind, such as a driver's first hello."""
        if _int32(self.data, 12) != OP_MSG:
            return ""
        at = _FIRST_SECTION
        while self.data[at] != _BODY:  # a sequence of documents, with its length in front
            at += 1 + _int32(self.data, at + 1)
        size = _int32(self.data, at + 1)
        return next(iter(RawBSONDocument(self.data[at + 1 : at + 1 + size])))


class MessageBuffer:
    """Cuts what comes from a connection into whole messages; holds less than one message and one `feed`."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has come."""
        self._data += data

    def next_message(self) -> Message | None:
        """Take the next message out, or None while it is not complete. Raises `ValueError` at what is no message."""
        if len(self._data) < HEADER_BYTES:
            return None
        size = _int32(self._data, 0)
        if not HEADER_BYTES <= size <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes")
        if len(self._data) < size:
            return None
        message = Message(bytes(self._data[:size]))
        del self._data[:size]
        return message


def _int32(data: bytes | bytearray, at: int) -> int:
    value: int = struct.unpack_from("<i", data, at)[0]
    return value
