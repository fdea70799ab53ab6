"""A real MongoDB server for tests: one of its own for each test module, or the one that the environment names.

The server is SecantusDB, which speaks MongoDB's wire protocol over WiredTiger, MongoDB's own storage engine. It is
under the GPL-2.0 and is only ever run, as a process out of a virtual environment of its own; nothing here imports it.
What passes on it is to be tried on a real mongod too: `EVAA_TEST_MONGODB_URI=mongodb://... make check`.

Known to be different from mongod, in 0.7.0b3: a write that the driver retries is applied a second time where the
client has a `timeoutMS`. The retry has less time left, so its `maxTimeMS` is another, and SecantusDB takes it for
another write; mongod goes by the session and the transaction number alone. In expressions, `$$NOW` cannot be compared
with a stored date.
"""

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

URI_VARIABLE = "EVAA_TEST_MONGODB_URI"
EXECUTABLE_VARIABLE = "EVAA_TEST_SECANTUSDB"
DEFAULT_EXECUTABLE = Path(__file__).resolve().parents[2] / ".venv-mongodb" / "bin" / "secantusd-py"

IN_MEMORY = ":memory:"
START_S = 20.0
"""How long a server may take until it answers; it takes half a second."""

STOP_S = 5.0
"""How long it may take to stop when asked to; it takes two seconds. Just started or resumed, it may not hear it."""

POLL_S = 0.02
_HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)


class MongoServer:
    """A MongoDB server at `uri`. This one belongs to somebody else: whoever would do something to it is skipped."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.host, self.port = parse_uri(uri)["nodelist"][0]

    def kill(self) -> None:
        """SIGKILL: no cleanup whatever. A server that has ended already stays so."""
        self._refuse("kill")

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing, not even to a new one."""
        self._refuse("pause")

    def resume(self) -> None:
        """SIGCONT: it answers everything that has come meanwhile. Returns when it answers again."""
        self._refuse("resume")

    def start(self) -> None:
        """Start again after `kill` or `stop`, at the same address and on the same storage (in memory: an empty one)."""
        self._refuse("start")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long. Takes two seconds: a server of SecantusDB's is in no hurry."""
        self._refuse("stop")

    def _refuse(self, what: str) -> NoReturn:
        pytest.skip(f"would {what} the server that {URI_VARIABLE} names")


class OwnServer(MongoServer):
    """A server process of the test's own, whose files other than the storage are in `folder`."""

    def __init__(self, executable: Path, folder: Path, storage: Path | None) -> None:
        super().__init__(f"mongodb://{_HOST}:{_free_port()}/?directConnection=true")
        self._executable = executable
        self._folder = folder
        self._storage = IN_MEMORY if storage is None else str(storage)
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "secantusd.toml").touch()  # else it would look for one that the user has

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        process = self._running
        process.send_signal(signal.SIGSTOP)
        # The signal is only on its way: wait until the process stands.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        process = self._running
        process.send_signal(signal.SIGCONT)
        self._wait_until_it_answers(process)

    def start(self) -> None:
        assert self._process is None, "it runs already"
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *(self._executable, "--config", self._folder / "secantusd.toml"),
                    *("--host", _HOST, "--port", str(self.port), "--storage-path", self._storage),
                    *("--cache-size", "128M", "--log-level", "WARNING"),
                ],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()  # a paused process would not hear the other signal, nor one that is not awake yet
        self._end(signal.SIGTERM)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server does not run"
        return self._process

    @property
    def _errors(self) -> Path:
        return self._folder / "stderr.txt"

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**ours, "TMPDIR": str(self._folder)}  # what it keeps "in memory" is in a folder there

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while not self._listens():
            try:
                status = process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                self._fail(f"is silent after {START_S} s")
            self._fail(f"ended with status {status}")
        try:
            with client(self.uri, timeout_s=START_S) as mongo:
                mongo.admin.command("ping")
        except PyMongoError as error:
            self._fail(f"does not answer ({error})")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((_HOST, self.port)) == 0

    def _fail(self, what: str) -> NoReturn:
        self.kill()
        raise AssertionError(f"the MongoDB server {what}; it wrote:\n{self._errors.read_text(errors='replace')}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_server(storage: Path | None = None) -> Iterator[MongoServer]:
    """A server that answers: the one that `EVAA_TEST_MONGODB_URI` names, if the environment does, else an `own_server`.

    A test that stops or kills its server takes an `own_server`, as one with a `storage` folder always does.
    """
    uri = os.environ.get(URI_VARIABLE)
    if uri and storage is None:
        yield MongoServer(uri)
        return
    with own_server(storage) as server:
        yield server


@contextmanager
def own_server(storage: Path | None = None) -> Iterator[MongoServer]:
    """A server process that answers, ended with the block: in memory, or with its data in the folder `storage`.

    Without an executable to run the test is skipped, or fails where `CI` is set. It is also skipped where
    `EVAA_TEST_MONGODB_URI` names a server: the test is about that one, and what it would do to it is not to be done.
    """
    if os.environ.get(URI_VARIABLE):
        pytest.skip(f"needs a server of its own, and {URI_VARIABLE} names another")
    executable = _find_executable()
    with tempfile.TemporaryDirectory(prefix="evaa-mongodb-", ignore_cleanup_errors=True) as folder:
        server = OwnServer(executable, Path(folder), storage)
        try:
            server.start()
            yield server
        finally:
            server.kill()  # 2 s less than `stop`; it loses nothing that anybody will look for


def client(uri: str, *, timeout_s: float = 2.0, **options: Any) -> MongoClient[dict[str, Any]]:
    """A plain pymongo client that waits for nothing longer than `timeout_s`; `options` are pymongo's own."""
    timeout_ms = round(timeout_s * 1_000)
    limits = {"serverSelectionTimeoutMS": timeout_ms, "connectTimeoutMS": timeout_ms, "socketTimeoutMS": timeout_ms}
    return MongoClient(uri, **{**limits, **options})


@contextmanager
def fresh_database(uri: str) -> Iterator[str]:
    """The name of a database that does not exist yet; what is in it afterwards is dropped."""
    name = f"evaa_test_{ObjectId()}"
    yield name
    with client(uri) as mongo:
        mongo.drop_database(name)


def _find_executable() -> Path:
    executable = Path(os.environ.get(EXECUTABLE_VARIABLE) or DEFAULT_EXECUTABLE)
    if executable.exists():
        return executable.absolute()
    reason = f"no MongoDB server: {executable} does not exist (`make test` installs one)"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and where CI is set these tests are not skipped", pytrace=False)
    pytest.skip(reason)


def _free_port() -> int:
    """A free port that the system gives to no outgoing connection: a server that comes back must find it free."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_HOST, port))
            return port
    raise AssertionError(f"no free port among {_PORTS}")
