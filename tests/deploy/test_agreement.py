"""What the deployment and its guide say of EVAA is so."""

import json
import re
import time
from pathlib import Path

import msgspec
import pytest
from bson import Int64

from evaa.storage.mongodb.documents import Memory
from settings import Settings, variable
from tests.deploy.files import DEPLOY, ROOT, container, directive, environment, manifests, read
from tests.mongodb.server import client
from tests.test_layers import PRODUCT

GUIDE = ROOT / "docs" / "operations.md"
FILES = [GUIDE, *sorted(path for path in DEPLOY.rglob("*") if path.is_file())]
KNOWN = {variable(field.name) for field in msgspec.structs.fields(Settings)}

EVENT = re.compile(r"`((?:server|connection|session|turn|stt|llm|actor|store|stages)\.[a-z_]+)`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_variable_that_is_named_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\b(?:EVAA|MONGODB|GROQ|DEEPGRAM)_[A-Z0-9_]+\b", path.read_text("utf-8")))
    assert named <= KNOWN


def test_every_event_that_the_guide_names_is_logged() -> None:
    named = set(EVENT.findall(GUIDE.read_text("utf-8")))
    source = "\n".join(path.read_text("utf-8") for path in PRODUCT)
    assert {"server.gave_up", "store.spilled"} <= named
    assert [event for event in sorted(named) if f'"{event}"' not in source] == []


def test_every_file_that_the_guide_names_is_there_and_every_file_is_named() -> None:
    text = GUIDE.read_text("utf-8")
    named = {ROOT / name for name in re.findall(r"`((?:deploy|docs)/[\w./@-]+)`", text)}
    assert [name_of(path) for path in named if not path.exists()] == []
    unnamed = [path for path in FILES[1:] if path.name not in text]
    assert [name_of(path) for path in unnamed] == []


def test_the_ports_agree() -> None:
    port = str(Settings().port)
    assert re.findall(r"server 127\.0\.0\.1:(\d+)", read("nginx/upstream.conf"))[0] == port
    assert set(re.findall(r"server evaa-\w:(\d+)", read("compose/upstream.conf"))) == {port}
    assert environment("kubernetes/settings.env")["EVAA_PORT"] == port
    assert str(container()["ports"][0]["containerPort"]) == port
    assert directive("EXPOSE", read("docker/Dockerfile")) == port


def test_keda_asks_for_fields_that_sessions_have() -> None:
    (trigger,) = manifests()["ScaledObject/evaa"]["spec"]["triggers"]
    assert trigger["metadata"]["collection"] == Memory.__collection__
    fields = set(re.findall(r'"\$(\w+)"', trigger["metadata"]["query"])) - {"expr", "gt", "toLong"}
    assert fields == {"leaseUntil"}
    assert fields <= set(Memory.model_fields)


def test_kedas_query_counts_the_sessions_that_somebody_owns(mongo_uri: str, mongo_database: str) -> None:
    (trigger,) = manifests()["ScaledObject/evaa"]["spec"]["triggers"]
    now_ms = time.time_ns() // 1_000_000
    with client(mongo_uri) as mongo:
        memories = mongo[mongo_database][trigger["metadata"]["collection"]]
        owned, expired, released = now_ms + 60_000, now_ms - 60_000, 0
        memories.insert_many([{"leaseUntil": Int64(until)} for until in (owned, owned, expired, released)])
        assert memories.count_documents(json.loads(trigger["metadata"]["query"])) == 2
