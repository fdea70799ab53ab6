"""The daemon as a program: its commands, its settings, its drain."""

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes.client import connected
from tests.processes.daemon import ROOT, running_daemon

WORDS = "We type forty invoices a day by hand."
SESSION = "0123456789abcdef01234567"


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python run.py` to its end."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False)


def test_help_explains_commands_and_settings(tmp_path: Path) -> None:
    result = run("--help", folder=tmp_path)
    assert result.returncode == 0
    for word in ("serve", "talk", "stages", "--simulate", "EVAA_PORT", "GROQ_API_KEY"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"EVAA_PORT": "many"}, "EVAA_PORT"),
        ({"EVAA_LLM": "groq"}, "GROQ_API_KEY"),
        ({"EVAA_LLM": "no.such.module:factory"}, "EVAA_LLM"),
        ({"EVAA_SQLITE_PATH": "/nowhere/at/all.sqlite3"}, "/nowhere/at"),
        ({"EVAA_HOST": "192.0.2.1"}, "192.0.2.1"),
        ({"EVAA_AUTH_SECRET": "x"}, "EVAA_AUTH_SECRET"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    tmp_path: Path, environment: dict[str, str], variable: str
) -> None:
    result = run(folder=tmp_path, **{"EVAA_PORT": "0", **environment})
    assert result.returncode == 1
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("EVAA cannot start: ")
    assert variable in sentence


def test_stages_are_listed_exported_and_imported(tmp_path: Path) -> None:
    assert "Overview and goal" in run("stages", "list", folder=tmp_path).stdout
    exported = run("stages", "export", "--format", "json", folder=tmp_path)
    stages = json.loads(exported.stdout)
    stages = stages["stages"] if isinstance(stages, dict) else stages
    stages[0]["name"] = "A new beginning"
    (tmp_path / "stages.json").write_text(json.dumps(stages))
    assert run("stages", "import", "stages.json", folder=tmp_path).returncode == 0
    assert "A new beginning" in run("stages", "list", folder=tmp_path).stdout

    stages[1]["maxFollowUps"] = "three"
    (tmp_path / "stages.json").write_text(json.dumps(stages))
    refused = run("stages", "import", "stages.json", folder=tmp_path)
    assert refused.returncode == 1
    assert "stages[1].maxFollowUps" in refused.stderr
    assert "A new beginning" in run("stages", "list", folder=tmp_path).stdout


async def test_a_session_is_resumed_by_another_process(tmp_path: Path) -> None:
    async with running_daemon(tmp_path) as daemon:
        async with connected(f"{daemon.url}?sessionId={SESSION}") as client:
            await client.next("reply")
            await client.send(type="text", text=WORDS)
            first = await client.next("reply")
        assert await daemon.stop() == 0
    async with running_daemon(tmp_path) as daemon, connected(f"{daemon.url}?sessionId={SESSION}") as client:
        assert (await client.next("ready"))["resumed"] is True
        assert (await client.next("reply"))["response"] == first["response"]


async def test_the_simulated_model_interviews_without_a_key(tmp_path: Path) -> None:
    async with (
        running_daemon(tmp_path, "--simulate") as daemon,
        connected(f"{daemon.url}?sessionId={SESSION}") as client,
    ):
        await client.next("reply")
        await client.send(type="text", text=WORDS)
        assert (await client.next("reply"))["turn"] == 1
        completed = await daemon.logged("turn.completed")
        assert completed["model"] == "openai/gpt-oss-20b"
        assert completed["input_tokens"] > 0
        for figure in ("first_token_ms", "total_ms", "overhead_ms", "store_ms", "output_tokens"):
            assert figure in completed


async def test_sigterm_drains_and_exits_with_0(tmp_path: Path) -> None:
    async with running_daemon(tmp_path) as daemon, connected(f"{daemon.url}?sessionId={SESSION}") as client:
        await client.next("reply")
        daemon.process.send_signal(signal.SIGTERM)
        assert (await client.next("goingAway"))["reconnectAfterMs"] > 0
        assert await client.close_code() == 1001
        await daemon.read_to_end()
        assert await daemon.process.wait() == 0
    assert daemon.log[-1]["event"] == "server.drained"


@pytest.mark.parametrize(
    ("path", "offered", "status", "reason"),
    [
        ("/nowhere", "", 404, "/ws"),
        ("/ws?sessionId=short", "", 400, "24 hexadecimal digits"),
        ("/ws", "graphql-ws", 400, "evaa.v1.json"),
    ],
)
async def test_a_wrong_handshake_is_refused_with_a_reason(
    tmp_path: Path, path: str, offered: str, status: int, reason: str
) -> None:
    async with running_daemon(tmp_path) as daemon:
        address = urlsplit(daemon.url)
        http = HTTPConnection(address.hostname or "", address.port, timeout=10)
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        if offered:
            headers["Sec-WebSocket-Protocol"] = offered
        http.request("GET", path, headers=headers)
        response = http.getresponse()
        assert (response.status, reason in response.read().decode()) == (status, True)
        http.close()


async def test_a_second_signal_does_not_wait_for_the_live_turn_whose_reply_stays_owed(tmp_path: Path) -> None:
    slow = {"EVAA_LLM": "tests.processes.slow_interviewer:make", "EVAA_LLM_FIRST_TOKEN_TIMEOUT_S": "600"}
    async with (
        running_daemon(tmp_path, EVAA_DRAIN_S="15", **slow) as daemon,
        connected(f"{daemon.url}?sessionId={SESSION}") as client,
    ):
        await client.send(type="text", text=WORDS)
        await client.next("turnStarted")
        daemon.process.send_signal(signal.SIGTERM)
        await client.next("goingAway")
        daemon.process.send_signal(signal.SIGINT)
        assert await client.close_code() == 1001
        await daemon.read_to_end()
        assert await daemon.process.wait() == 0
    assert "server.hurrying" in [line["event"] for line in daemon.log]
    async with running_daemon(tmp_path) as daemon, connected(f"{daemon.url}?sessionId={SESSION}") as client:
        assert (await client.next("reply"))["turn"] == 1
