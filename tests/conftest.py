"""What tests of any kind may ask for: a MongoDB server.

The fixtures are synchronous, so that a test on any clock, or on none, can use them.
"""

from collections.abc import Iterator

import pytest

from tests.mongodb.server import MongoServer, fresh_database, running_server


@pytest.fixture(scope="module")
def mongo_server() -> Iterator[MongoServer]:
    """A fresh server for the test module: one that has had many writes is slow.

    A test that does something to its server takes an `own_server`, so that the others keep theirs.
    """
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def mongo_uri(mongo_server: MongoServer) -> str:
    """Where the module's server is."""
    return mongo_server.uri


@pytest.fixture
def mongo_database(mongo_uri: str) -> Iterator[str]:
    """The name of a database of the test's own, which does not exist yet."""
    with fresh_database(mongo_uri) as name:
        yield name
