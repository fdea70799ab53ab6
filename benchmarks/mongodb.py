"""The MongoDB server that is measured: one of its own for each scenario, or the one that the environment names."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.mongodb.server import URI_VARIABLE as TESTS_URI_VARIABLE
from tests.mongodb.server import fresh_database, own_server

URI_VARIABLE = "EVAA_BENCH_MONGODB_URI"


class Database(msgspec.Struct, frozen=True):
    """Where MongoDB is, and a database there that is dropped afterwards."""

    uri: str
    name: str


@contextmanager
def fresh_mongodb() -> Iterator[Database | None]:
    """A database on a server that has seen nothing yet (SecantusDB slows down with its oplog); None if there is none.

    `EVAA_BENCH_MONGODB_URI`, or `EVAA_TEST_MONGODB_URI`, names another server; that one is used as it is.
    """
    with ExitStack() as stack:
        uri = os.environ.get(URI_VARIABLE) or os.environ.get(TESTS_URI_VARIABLE)
        try:
            if not uri:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                uri = stack.enter_context(own_server(Path(folder))).uri
        except pytest.skip.Exception as why:
            _say_once(f"\nMongoDB is left out: {why}")
            yield None
            return
        yield Database(uri, stack.enter_context(fresh_database(uri)))


@cache
def _say_once(text: str) -> None:
    print(text, flush=True)
