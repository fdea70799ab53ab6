"""The image and the composition: what goes in is there, what is needed goes in, and the times fit."""

import json
import re
from fnmatch import fnmatch
from typing import Any

import pytest

from actors.daemon import OVERDUE_S
from evaa.commands.arguments import parse_arguments
from evaa.commands.health import DEADLINE_S
from settings import Settings
from tests.deploy.files import ROOT, compose, directive, read, seconds
from tests.test_layers import PRODUCT, STOREYS, imports, top

DOCKERFILE = re.sub(r"\\\n", " ", read("docker/Dockerfile"))
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def copied() -> set[str]:
    """What is copied from the project into any of the stages."""
    return {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in " ".join(instructions("ENV")).split())


def evaas() -> dict[str, dict[str, Any]]:
    """The services of the composition that are EVAA."""
    return {name: one for name, one in compose()["services"].items() if one["image"] == "evaa"}


# --- the image --------------------------------------------------------------------------------------------------


def test_what_is_copied_is_there_and_not_ignored() -> None:
    for name in copied():
        assert (ROOT / name).exists(), name
    assert {line[1:] for line in IGNORED if line.startswith("!")} == copied()
    assert IGNORED[2:3] == ["*"] or "*" in IGNORED, "everything else stays out, .env first of all"


def test_all_that_the_product_imports_of_itself_is_copied() -> None:
    own = {top(module) for path in PRODUCT for module in imports(path)} & {
        path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    needed = own | set(STOREYS)
    assert {"settings", "evaa", "actors", "protocols", "run"} <= needed
    assert {name.removesuffix(".py") for name in copied()} >= needed


def test_packages_bring_their_files_along() -> None:
    """An installed EVAA has what `[tool.setuptools.package-data]` names; a copied one has everything."""
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    patterns = re.findall(r'"(\*\*/\*\.\w+)"', pyproject)
    data = [
        path.relative_to(ROOT).as_posix()
        for storey in STOREYS
        if (ROOT / storey).is_dir()
        for path in (ROOT / storey).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert data
    assert [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_process_gets_its_signals() -> None:
    (entry,) = instructions("ENTRYPOINT")
    assert json.loads(entry) == ["python", "run.py"], "a shell would not pass SIGTERM on"
    assert instructions("CMD") == []
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_it_is_not_root_and_says_so_by_number() -> None:
    user, group = instructions("USER")[-1].split(":")
    assert int(user) > 0
    assert f"-o {user} -g {group} /var/lib/evaa" in DOCKERFILE


def test_its_health_is_the_health_command() -> None:
    (check,) = instructions("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")
    python, script, *arguments = json.loads(command)
    assert (python, script) == ("python", "run.py")
    assert parse_arguments(arguments, "").command == "health"
    assert seconds(dict(re.findall(r"--(\S+)=(\S+)", options))["timeout"]) > DEADLINE_S + 1


def test_its_port_is_the_servers() -> None:
    assert variables()["EVAA_PORT"] == str(Settings().port) == instructions("EXPOSE")[0]


def test_its_python_is_one_that_the_constraints_are_for() -> None:
    python = directive("ARG PYTHON_VERSION", DOCKERFILE)
    assert f'python_version = "{python}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert all("${PYTHON_VERSION}" in line for line in instructions("FROM"))
    assert "-c constraints.txt" in DOCKERFILE


# --- the composition --------------------------------------------------------------------------------------------


def test_every_name_in_the_composition_exists() -> None:
    whole = compose()
    assert len(evaas()) > 1
    for name, service in whole["services"].items():
        assert set(service.get("depends_on", {})) <= set(whole["services"]) - {name}
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            known = (ROOT / "deploy" / "compose" / source).exists() if source.startswith(".") else None
            assert known or source in whole["volumes"], f"{name}: {volume}"
    build = evaas()["evaa-a"]["build"]
    context = (ROOT / "deploy" / "compose" / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", sorted(evaas()))
def test_a_process_has_the_time_to_drain(name: str) -> None:
    assert seconds(evaas()[name]["stop_grace_period"]) > OVERDUE_S + 2


def test_each_process_has_a_spill_file_of_its_own_and_all_have_one_store() -> None:
    volumes = [tuple(service["volumes"]) for service in evaas().values()]
    assert len(set(volumes)) == len(volumes)
    stores = set()
    for service in evaas().values():
        (mount,) = (volume.split(":")[1] for volume in service["volumes"])
        assert service["environment"]["EVAA_SPILL_PATH"].startswith(f"{mount}/")
        stores.add((service["environment"]["EVAA_STORE"], service["environment"]["MONGODB_URI"]))
        assert "deploy" not in service, "replicas would share the volume"
    assert len(stores) == 1


def test_the_replica_set_is_the_one_that_is_asked_for() -> None:
    mongodb = compose()["services"]["mongodb"]
    name = mongodb["command"][mongodb["command"].index("--replSet") + 1]
    uri = evaas()["evaa-a"]["environment"]["MONGODB_URI"]
    assert uri == f"mongodb://mongodb:27017/?replicaSet={name}"
    check = mongodb["healthcheck"]["test"][-1]
    assert f'_id: "{name}"' in check
    assert 'host: "mongodb:27017"' in check


def test_nothing_is_published_to_the_network_by_itself() -> None:
    published = {name: service["ports"] for name, service in compose()["services"].items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8080:80"]}


def test_the_process_may_write_nowhere_but_to_its_volume() -> None:
    for service in evaas().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
