"""The server that tests run on: there when it says so, gone when it is killed, back with what it had acknowledged."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.errors import ConnectionFailure, NetworkTimeout, ServerSelectionTimeoutError
from pymongo.write_concern import WriteConcern

from tests.mongodb import server as module
from tests.mongodb.server import (
    EXECUTABLE_VARIABLE,
    URI_VARIABLE,
    MongoServer,
    client,
    fresh_database,
    own_server,
    running_server,
)

DURABLE = WriteConcern(w=1, j=True)
SOMEBODYS = "mongodb://somebody:secret@db.example:27018,other.example/app?retryWrites=false"


def test_it_answers_where_it_says(mongo_server: MongoServer, mongo_uri: str) -> None:
    assert mongo_uri == mongo_server.uri
    with client(mongo_uri) as mongo:
        assert mongo.admin.command("ping")["ok"] == 1
        assert mongo.address == (mongo_server.host, mongo_server.port)


def test_a_database_is_fresh(mongo_uri: str, mongo_database: str) -> None:
    with client(mongo_uri) as mongo:
        assert mongo_database not in mongo.list_database_names()


def test_a_database_is_dropped_in_the_end(mongo_uri: str) -> None:
    with client(mongo_uri) as mongo:
        with fresh_database(mongo_uri) as name:
            mongo[name].things.insert_one({"_id": 1})
            assert name in mongo.list_database_names()
        assert name not in mongo.list_database_names()


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with own_server(tmp_path_factory.mktemp("storage")) as server:
        yield server


def test_what_was_acknowledged_survives_a_kill(lasting_server: MongoServer) -> None:
    with client(lasting_server.uri) as mongo:
        things = mongo.app.get_collection("things", write_concern=DURABLE)
        for number in range(50):
            things.insert_one({"_id": number})
        lasting_server.kill()
        lasting_server.start()
        assert [thing["_id"] for thing in things.find().sort("_id")] == [*range(50)]


def test_what_was_stored_survives_a_stop_even_of_a_paused_server(lasting_server: MongoServer) -> None:
    with client(lasting_server.uri) as mongo:
        mongo.app.others.insert_one({"_id": 1})
    lasting_server.pause()
    lasting_server.stop()
    lasting_server.start()
    with client(lasting_server.uri) as mongo:
        assert mongo.app.others.count_documents({}) == 1


def test_a_killed_server_is_gone(lasting_server: MongoServer) -> None:
    with client(lasting_server.uri, timeout_s=1.0, serverSelectionTimeoutMS=500) as mongo:
        mongo.admin.command("ping")
        lasting_server.kill()
        with pytest.raises(ConnectionFailure):
            mongo.admin.command("ping")
        with pytest.raises(ServerSelectionTimeoutError):
            mongo.admin.command("ping")
    lasting_server.kill()  # does nothing
    lasting_server.start()


def test_a_paused_server_is_silent_until_it_is_resumed(lasting_server: MongoServer) -> None:
    with client(lasting_server.uri, timeout_s=1.0) as mongo:
        mongo.admin.command("ping")
        lasting_server.pause()
        with pytest.raises(NetworkTimeout):
            mongo.admin.command("ping")
        lasting_server.resume()
    with client(lasting_server.uri) as mongo:
        mongo.admin.command("ping")


def test_a_server_in_memory_starts_again_empty() -> None:
    with own_server() as server, client(server.uri) as mongo:
        server.pause()
        server.kill()
        server.start()
        assert "app" not in mongo.list_database_names()


# --- where there is none ----------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """One in which nothing is to be found."""
    for name in ("CI", URI_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(EXECUTABLE_VARIABLE, str(tmp_path / "secantusd-py"))
    return monkeypatch


def test_without_an_executable_tests_are_skipped(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.skip.Exception, match="no MongoDB server"), running_server():
        pass


def test_where_ci_is_set_they_fail(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no MongoDB server"), running_server():
        pass


def test_the_default_executable_is_the_one_that_make_installs(environment: pytest.MonkeyPatch) -> None:
    environment.delenv(EXECUTABLE_VARIABLE)
    environment.setattr(module, "DEFAULT_EXECUTABLE", Path("/nowhere/secantusd-py"))
    with pytest.raises(pytest.skip.Exception, match="/nowhere/secantusd-py"), running_server():
        pass


def test_a_server_that_does_not_start_is_quoted(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    executable = tmp_path / "secantusd-py"
    executable.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    executable.chmod(0o755)
    with pytest.raises(AssertionError, match="ended with status 3; it wrote:\nno space left"), running_server():
        pass


def test_a_server_that_stays_silent_is_given_up(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    executable = tmp_path / "secantusd-py"
    executable.write_text("#!/bin/sh\nexec sleep 100\n")
    executable.chmod(0o755)
    environment.setattr(module, "START_S", 0.1)
    with pytest.raises(AssertionError, match="silent"), running_server():
        pass


@pytest.mark.parametrize("what", ["kill", "pause", "resume", "start", "stop"])
def test_the_server_that_the_environment_names_is_left_alone(environment: pytest.MonkeyPatch, what: str) -> None:
    environment.setenv(URI_VARIABLE, SOMEBODYS)
    with running_server() as server:
        assert (server.uri, server.host, server.port) == (SOMEBODYS, "db.example", 27018)
        with pytest.raises(pytest.skip.Exception, match=what):
            getattr(server, what)()


def test_a_test_that_needs_one_of_its_own_is_then_skipped(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv(URI_VARIABLE, SOMEBODYS)
    for server in (own_server(), own_server(tmp_path), running_server(tmp_path)):
        with pytest.raises(pytest.skip.Exception, match="of its own"), server:
            pass
