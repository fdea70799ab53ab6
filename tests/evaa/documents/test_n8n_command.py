import os
from io import BytesIO, StringIO
from pathlib import Path

import msgspec
import pytest

import run
from evaa.commands.arguments import parse_arguments
from evaa.commands.n8n import MAX_BYTES, check_file
from evaa.documents.n8n.workflow import export
from tests.evaa.documents.example import BRD
from tests.evaa.documents.n8n_builders import good


def checked(path: str, standard_input: bytes = b"") -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    status = check_file(path, BytesIO(standard_input), out, err)
    return status, out.getvalue(), err.getvalue()


def test_a_good_workflow() -> None:
    assert checked("-", msgspec.json.encode(good())) == (0, "-: 0 errors, 0 warnings\n", "")


def test_a_skeleton_has_warnings_only(tmp_path: Path) -> None:
    path = tmp_path / "skeleton.json"
    path.write_bytes(export(BRD))

    status, out, err = checked(str(path))

    assert (status, err) == (0, "")
    assert out.startswith("warning [credential-missing, activation] nodes[1] ")
    assert out.endswith(f"\n{path}: 0 errors, 1 warning\n")


def test_an_error_is_the_exit_status() -> None:
    status, out, _ = checked("-", b"{}")
    assert status == 1
    assert out.endswith("-: 4 errors, 0 warnings\n")
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize("path", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read(path: str, tmp_path: Path) -> None:
    status, out, err = checked(str(tmp_path / path))
    assert (status, out) == (1, "")
    assert "cannot be read" in err


def test_a_file_name_does_nothing_to_a_terminal_and_can_be_written(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path / "x\x1b[2J") + b"\xff")
    for content in (b"{}", b" " * (MAX_BYTES + 1)):
        Path(path).write_bytes(content)
        _, out, err = checked(path)
        assert (out + err).splitlines()[-1].startswith(rf"{tmp_path}/x\u001b[2J\udcff")
    Path(path).unlink()
    assert checked(path)[2].startswith(rf"{tmp_path}/x\u001b[2J\udcff cannot be read: ")


def test_a_file_that_is_too_large() -> None:
    status, out, err = checked("-", b" " * (MAX_BYTES + 1))
    assert (status, out) == (1, "")
    assert err == "- is larger than 16 MiB: that is no workflow of n8n's\n"


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.json").write_bytes(msgspec.json.encode({**good(), "nodes": []}))

    arguments = parse_arguments(["n8n", "check", "w.json"], "")

    assert (arguments.command, arguments.action, arguments.file) == ("n8n", "check", "w.json")
    monkeypatch.setattr(run, "configure_logs", lambda *_: None)  # it is for the whole process
    assert run.main(["n8n", "check", "w.json"]) == 1
    assert "[no-nodes, activation] nodes: " in capsys.readouterr().out
