"""The units, as systemd itself reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

from actors.daemon import OVERDUE_S
from tests.deploy.files import directive, environment, read, seconds, tool

UNITS = ("evaa.service", "evaa@.service")
PYTHON = "/opt/evaa/.venv/bin/python"
TOO_EXPOSED = 20
"""systemd rates a service from 0 (nothing is open to it) to 100; this is 2.0 in its report."""


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(unit: str, tmp_path: Path) -> None:
    copy = tmp_path / unit.replace("@", "@8765")
    copy.write_text(read(f"systemd/{unit}").replace(PYTHON, sys.executable))  # systemd looks whether it exists
    command = [tool("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_little_that_is_open_to_it(unit: str, tmp_path: Path) -> None:
    copy = tmp_path / unit.replace("@", "@8765")
    copy.write_text(read(f"systemd/{unit}"))
    command = [
        tool("systemd-analyze"),
        "security",
        "--offline=yes",
        "--no-pager",
        f"--threshold={TOO_EXPOSED}",
        str(copy),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_it_starts_what_is_there_and_lets_it_drain(unit: str) -> None:
    text = read(f"systemd/{unit}")
    assert directive("ExecStart", text).endswith(f"{PYTHON} /opt/evaa/run.py")
    assert directive("KillSignal", text) == "SIGTERM"
    assert seconds(directive("TimeoutStopSec", text)) > OVERDUE_S + 2
    assert directive("WorkingDirectory", text) == f"%S/{directive('StateDirectory', text)}"


def test_both_units_differ_only_where_they_must() -> None:
    one, many = (read(f"systemd/{unit}").splitlines() for unit in UNITS)
    own = {line.partition("=")[0] for line in set(one) ^ set(many) if not line.startswith("#")}
    assert own == {"Description", "StateDirectory", "WorkingDirectory", "ExecStart", "Environment"}


def test_each_instance_has_a_port_and_a_spill_file_of_its_own() -> None:
    text = read("systemd/evaa@.service")
    assert "/usr/bin/env EVAA_PORT=%i EVAA_SPILL_PATH=evaa.spill.jsonl " in directive("ExecStart", text)
    assert directive("StateDirectory", text).endswith("/%i")
    assert "Environment=EVAA_STORE=mongodb" in text


def test_the_example_of_the_settings_holds_no_secret_and_no_public_address() -> None:
    assert environment("systemd/evaa.env.example") == {"EVAA_HOST": "127.0.0.1"}
