"""Text that UTF-8 cannot hold: lone surrogates, which a client or a model may send, made storable."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")
V = TypeVar("V")


def storable(value: V) -> V:
    """Return the same value (a string or a record) with each lone surrogate in its texts replaced by U+FFFD.

    Two that make a pair become the character that they stand for.
    """
    return msgspec.convert(_mended(msgspec.to_builtins(value)), type(value))


def mending(write: Callable[[V], T], value: V) -> T:
    """Call `write`, once more with a storable value if this one is not: the scan costs nothing where all is well."""
    try:
        return write(value)
    except UnicodeEncodeError:
        return write(storable(value))


def _mended(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            return {_mended(key): _mended(item) for key, item in value.items()}
        case list() | tuple():
            return [_mended(item) for item in value]
    return value
