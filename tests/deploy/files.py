"""The deployment's files as the tests read them, and the tools that check them."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def read(path: str) -> str:
    """A file under deploy/."""
    return (DEPLOY / path).read_text("utf-8")


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def compose() -> dict[str, Any]:
    """The compose file, with the defaults of its variables filled in."""
    (file,) = yaml.safe_load_all(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", read("compose/compose.yaml")))
    return dict(file)


def manifests() -> dict[str, dict[str, Any]]:
    """All Kubernetes manifests: `Kind/name`, and what it is."""
    found = [document for path in sorted(KUBERNETES.glob("*.yaml")) for document in documents(path)]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found if one["kind"] != "Kustomization"}


def pod() -> dict[str, Any]:
    """What every pod is made of."""
    return dict(manifests()["StatefulSet/evaa"]["spec"]["template"])


def container() -> dict[str, Any]:
    """The pod's only container."""
    (one,) = pod()["spec"]["containers"]
    return dict(one)


def environment(path: str) -> dict[str, str]:
    """The variables of an environment file under deploy/ that are not commented out."""
    lines = [line for line in read(path).splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def directive(name: str, text: str) -> str:
    """The value of the only directive of this name in a unit (`Name=value`), an nginx file or a Dockerfile."""
    (value,) = re.findall(rf"^\s*{name}[ =](.*?);?\s*$", text, re.MULTILINE)
    return str(value)


def seconds(text: str) -> float:
    """A time such as `40`, `40s` or `1h`."""
    number, unit = re.fullmatch(r"(\d+)([smh]?)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit]


def tool(name: str) -> str:
    """The path of a program. Where it is missing the test is skipped, but in CI, which has to have it, it fails."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is not None:
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and CI has to have it")
    pytest.skip(f"{name} is not installed")
