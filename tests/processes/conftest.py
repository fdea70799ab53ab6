"""What tests of processes may ask for."""

import pytest

from tests.processes.documents import make_memories


@pytest.fixture
def mongo_database(mongo_uri: str, mongo_database: str) -> str:
    """The name of a database of the test's own, in which no session is yet."""
    make_memories(mongo_uri, mongo_database)
    return mongo_database
