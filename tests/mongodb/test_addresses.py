"""What an address may be, what becomes of one that is wrong, and what the driver may say and raise."""

import logging
import socket
from collections.abc import Iterator
from types import ModuleType

import bson.errors
import dns.resolver
import gridfs.errors
import msgspec
import pymongo.errors
import pytest
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import OperationFailure, PyMongoError

from evaa.asyncio_bridge import open_bridge
from evaa.storage.mongodb.connecting import open_mongo_store
from evaa.storage.mongodb.errors import DRIVER_ERRORS, translated
from evaa.storage.mongodb.store import MongoStore
from protocols.ports import RecordTooLarge, StoreError, StoreUnavailable
from tests.contracts.examples import S1, TTL_S, make_record
from tests.mongodb.stores import mongo_store, running_loop

# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mongodb://",
        "mongodb:/host",
        "http://secret@host",
        "mongodb://u:secret@ss@host",
        "mongodb://u:secret/@host",
        "mongodb://u:secret%@host",
        "mongodb://[::1/secret",
        "mongodb://host:secret",
        "mongodb://host:99999",
        "mongodb://host/?secret",
        "mongodb://host/?replcaSet=secret",
        "mongodb://host/?authSource=",
        "mongodb://host/?timeoutMS=secret",
        "mongodb://host/?tls=secret",
        "mongodb://host/?tlsCAFile=/nowhere/secret",
        "mongodb://host/?datetime_conversion=secret",
        "mongodb://host/?authMechanism=secret",
        "mongodb://u@host/?authMechanism=MONGODB-X509&authSource=secret",
        "mongodb://host/?compressors=secret",
        "mongodb://host/?w=0",
        "mongodb://host/?w=0&journal=false",
        "mongodb://one,two/?directConnection=true",
        "mongodb+srv://one.example.com,two.example.com/",
        "mongodb+srv://one.example.com:27017/",
        "mongodb://h/?w=\ud800",
    ],
)
async def test_an_address_that_is_none_is_refused_without_quoting_it(uri: str) -> None:
    async with open_bridge() as bridge:
        with pytest.raises(StoreError) as refusal:
            await open_mongo_store(bridge, uri, "evaa")
    assert type(refusal.value) is StoreError
    assert "MONGODB_URI" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", 'a"b', "$a", "a\0b"])
async def test_a_name_that_is_none_is_refused(name: str) -> None:
    async with open_bridge() as bridge:
        with pytest.raises(StoreError, match="EVAA_MONGODB_DATABASE"):
            await open_mongo_store(bridge, "mongodb://host", name)


@pytest.mark.parametrize("options", [{"replicaSet": "another"}, {"tls": "true"}])
async def test_options_that_do_not_fit_the_server_make_it_unavailable(
    mongo_uri: str, mongo_database: str, options: dict[str, str]
) -> None:
    async with mongo_store(mongo_uri, mongo_database, timeoutMS=100, **options) as store:
        with pytest.raises(StoreUnavailable, match="ServerSelectionTimeoutError"):
            await store.load(S1)


async def test_credentials_that_are_wrong_make_it_unavailable_and_are_not_quoted(
    mongo_uri: str, mongo_database: str
) -> None:
    uri = mongo_uri.replace("mongodb://", "mongodb://somebody:secret@").replace("/?", "/?authSource=elsewhere&")
    async with mongo_store(uri, mongo_database) as store:
        with pytest.raises(StoreUnavailable) as refusal:
            await store.load(S1)
    assert "secret" not in str(refusal.value)
    assert "somebody" not in str(refusal.value)


@pytest.mark.parametrize("host", ["h\0st", "\xe9" * 70], ids=["NUL", "too long"])
async def test_a_host_that_is_none_is_unavailable(host: str) -> None:
    async with mongo_store(f"mongodb://{host}/", "evaa", timeoutMS=100) as store:
        with pytest.raises(StoreUnavailable):
            await store.load(S1)


@pytest.fixture
def silent_name_server() -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, pytest.MonkeyPatch.context() as patch:
        silent.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = silent.getsockname()[1]
        patch.setattr(dns.resolver, "default_resolver", resolver)
        yield


async def test_a_name_server_that_is_silent_stops_neither_the_start_nor_the_loop(silent_name_server: None) -> None:
    uri = "mongodb+srv://u:secret@cluster.example.com/"
    async with mongo_store(uri, "evaa", connectTimeoutMS=300) as store, running_loop() as turns:
        with pytest.raises(StoreUnavailable, match="ConfigurationError"):
            await store.load(S1)
        assert turns() >= 5


# --- options --------------------------------------------------------------------------------------------------------


def settings(store: MongoStore) -> dict[str, object]:
    options = store._client.delegate.options
    return {
        "timeout": options.timeout,
        "selection": options.server_selection_timeout,
        "connect": options.pool_options.connect_timeout,
        "written": options.write_concern,
        "retries": options.retry_writes,
    }


async def test_without_options_nothing_waits_for_ever_and_a_majority_has_it() -> None:
    async with mongo_store("mongodb://host", "evaa") as store:
        assert settings(store) == {
            "timeout": 5.0,
            "selection": 2.0,
            "connect": 2.0,
            "written": WriteConcern("majority", j=True),
            "retries": True,
        }


@pytest.mark.parametrize("separator", ["&", ";"])
async def test_the_addresss_own_options_win(separator: str) -> None:
    options = ["TimeoutMS=700", "serverSelectionTimeoutMS=500", "connecttimeoutms=400", "w=1", "retryWrites=false"]
    async with mongo_store(f"mongodb://host/?{separator.join(options)}", "evaa") as store:
        found = settings(store)
    expected = {"timeout": 0.7, "selection": 0.5, "connect": 0.4, "written": WriteConcern(1, j=True), "retries": False}
    assert found == expected


async def test_what_evaa_relies_on_no_address_can_change(mongo_uri: str, mongo_database: str) -> None:
    others = {"readPreference": "secondaryPreferred", "tz_aware": "true", "datetime_conversion": "DATETIME_MS"}
    async with mongo_store(mongo_uri, mongo_database, **others) as store:
        assert store._memories.read_preference == ReadPreference.PRIMARY
        lease = await store.create(make_record(), "a", TTL_S)
        assert await store.save(make_record(), lease) == await store.load(S1)


@pytest.mark.parametrize("w", ["1", "majority"])
async def test_weaker_writes_are_as_good_as_the_server_is(mongo_uri: str, mongo_database: str, w: str) -> None:
    async with mongo_store(mongo_uri, mongo_database, w=w, journal="false", timeoutMS=2_000) as store:
        lease = await store.create(make_record(), "a", TTL_S)
        assert await store.save(make_record(), lease) == await store.load(S1)


async def test_the_driver_logs_nothing(
    mongo_uri: str, mongo_database: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with mongo_store(mongo_uri, mongo_database) as store:
        await store.create(make_record(), "a", TTL_S)
    async with mongo_store("mongodb://127.0.0.1:1", "evaa", timeoutMS=50) as store:
        with pytest.raises(StoreUnavailable):
            await store.load(S1)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


# --- errors -----------------------------------------------------------------------------------------------------------


def errors_of(module: ModuleType) -> list[type[Exception]]:
    found = [it for it in vars(module).values() if isinstance(it, type) and issubclass(it, Exception)]
    return [it for it in found if it.__module__ == module.__name__]


@pytest.mark.parametrize("kind", [it for them in (pymongo, bson, gridfs) for it in errors_of(them.errors)])
def test_every_error_of_the_drivers_is_translated(kind: type[Exception]) -> None:
    assert issubclass(kind, DRIVER_ERRORS)
    error = kind.__new__(kind)
    Exception.__init__(error, "a secret")
    if isinstance(error, PyMongoError):
        PyMongoError.__init__(error, "a secret")
    if isinstance(error, OperationFailure):
        OperationFailure.__init__(error, "a secret", 1, {"codeName": "a secret"})
    assert isinstance(translated(error), StoreError)
    assert "secret" not in str(translated(error))


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (OperationFailure("x", 13, {"codeName": "No"}), StoreUnavailable, "MongoDB: OperationFailure (No)"),
        (OperationFailure("x", 13), StoreUnavailable, "MongoDB: OperationFailure"),
        (OperationFailure("x", 10334), RecordTooLarge, "MongoDB cannot hold a record of this size"),
        (pymongo.errors.WriteError("x", 17419), RecordTooLarge, "MongoDB cannot hold a record of this size"),
        (pymongo.errors.DocumentTooLarge("x"), RecordTooLarge, "MongoDB cannot hold a record of this size"),
        (bson.errors.InvalidDocument("x"), StoreError, "MongoDB cannot hold a value of this record (InvalidDocument)"),
        (bson.errors.InvalidBSON("x"), StoreError, "what is stored cannot be read (InvalidBSON)"),
        (msgspec.DecodeError("x"), StoreError, "what is stored cannot be read (DecodeError)"),
        (OverflowError("x"), StoreError, "MongoDB cannot hold a value of this record (OverflowError)"),
        (pymongo.errors.InvalidOperation("x"), StoreUnavailable, "MongoDB: InvalidOperation"),
    ],
)
def test_what_errors_become(error: Exception, expected: type[StoreError], message: str) -> None:
    told = translated(error)
    assert (type(told), str(told)) == (expected, message)
