"""The daemon as a program that hears: real processes on both ends, and Deepgram's simulator behind a real port."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from evaa.simulators.deepgram import DeepgramSimulator
from evaa.simulators.deepgram.recordings import load_recordings
from tests.evaa.recordings import AUDIO, chunks
from tests.processes.client import Client, connected
from tests.processes.daemon import ROOT, Daemon, running_daemon

SESSION = "0123456789abcdef01234567"
WEBM = {"container": "webm", "codec": "opus"}
KEY = "a-key-that-is-no-secret"


@asynccontextmanager
async def hearing_daemon(folder: Path, url: str, **environment: str) -> AsyncIterator[Daemon]:
    """A daemon that hears over Deepgram's protocol at `url`."""
    hears = {"EVAA_STT": "deepgram", "EVAA_DEEPGRAM_URL": url, "DEEPGRAM_API_KEY": KEY}
    async with running_daemon(folder, EVAA_LLM="scripted", **hears, **environment) as daemon:
        yield daemon


@asynccontextmanager
async def simulated_deepgram() -> AsyncIterator[tuple[DeepgramSimulator, str]]:
    """The simulator on a port of its own, which knows the recordings; and its URL."""
    simulator = DeepgramSimulator(load_recordings(AUDIO), api_key=KEY)
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(simulator.serve)
        yield simulator, url
        nursery.cancel_scope.cancel()


async def talk(daemon: Daemon, folder: Path, recording: str) -> subprocess.CompletedProcess[bytes]:
    """`run.py talk --audio`, to its end."""
    url = daemon.url.partition("?")[0]
    command = [sys.executable, str(ROOT / "run.py"), "talk", "--url", url, "--audio", str(AUDIO / recording)]
    with trio.fail_after(30):
        return await trio.run_process(command, cwd=folder, capture_stdout=True, capture_stderr=True, check=False)


async def speak(client: Client, pieces: list[bytes]) -> None:
    await client.send(type="start", sessionId=SESSION, audio=WEBM)
    for piece in pieces:
        await client.send_audio(piece)


async def test_talk_plays_a_recording_and_shows_what_was_heard_and_the_reply(tmp_path: Path) -> None:
    async with simulated_deepgram() as (simulator, url), hearing_daemon(tmp_path, url) as daemon:
        result = await talk(daemon, tmp_path, "c_yes.webm")
        shown = result.stdout.decode().splitlines()
        assert (result.returncode, result.stderr) == (0, b"")
        completed = await daemon.logged("turn.completed")
        assert (completed["turn"], completed["source"]) == (1, "voice")
        assert completed["stt_ms"] > 0
        assert shown[shown.index("you: Yes.") + 1].startswith("EVAA: ")
        assert await daemon.stop() == 0
    assert [final.text for record in simulator.connections for final in record.finals] == ["Yes."]
    assert "Yes." not in str(daemon.log)
    assert KEY not in str(daemon.log)


async def test_with_simulate_nothing_else_is_needed(tmp_path: Path) -> None:
    async with (
        running_daemon(tmp_path, "--simulate") as daemon,
        connected(f"{daemon.url}?sessionId={SESSION}") as client,
    ):
        await client.next("reply")
        await client.send(type="text", text="We type forty invoices a day by hand.")
        assert (await client.next("reply"))["turn"] == 1
        await speak(client, chunks("a_dental")[:24])
        assert (await client.next("transcript"))["turn"] == 2  # whatever the simulator takes it for
        assert await daemon.stop() == 0


async def test_a_session_goes_on_after_a_crash_in_mid_utterance(tmp_path: Path) -> None:
    async with simulated_deepgram() as (simulator, url):
        async with hearing_daemon(tmp_path, url) as daemon, connected(f"{daemon.url}?sessionId={SESSION}") as client:
            opening = (await client.next("reply"))["response"]
            await speak(client, chunks("a_dental")[:24])
            assert (await client.next("transcript"))["text"].startswith("We")
            await daemon.kill()
        with trio.fail_after(10):
            while simulator.counters.open_connections:
                await trio.testing.wait_all_tasks_blocked(0.01)
        async with hearing_daemon(tmp_path, url) as daemon, connected(f"{daemon.url}?sessionId={SESSION}") as client:
            assert (await client.next("ready"))["resumed"] is True
            assert (await client.next("reply"))["response"] == opening
            await speak(client, chunks("c_yes"))
            await client.send(type="endOfSpeech")
            started = await client.next("turnStarted")
            assert (started["turn"], started["source"]) == (1, "voice")
            assert await daemon.stop() == 0
