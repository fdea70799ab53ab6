"""What a chunk of audio costs, and how long it is on its way to the recogniser."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

from benchmarks import recording
from benchmarks.processes import contestant, cpu_s, percentile, spread
from benchmarks.recogniser import Listener, Plan
from benchmarks.speakers import RecogniserControl, Speaker, connected

SKIPPED_S = 1.0
"""The beginning is left out: where the audio cannot be declared, the recogniser is called at the first chunk."""

HEADING = """
Chunks of audio on their way to the recogniser, 10 a second in each stream; p50 / p95 / p99 in ms

| audio | streams | | chunk sent → at the recogniser | / relay | CPU ms a chunk | / relay |
|---|---|---|---|---|---|---|"""


@dataclass
class Figures:
    """What one contestant did in one scenario."""

    delay_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0
    lost: int = 0


@dataclass(frozen=True)
class Scenario:
    """`is_silent`: nobody speaks, so that no transcripts go back, which a relay has not either."""

    audio: str
    streams: int
    duration_s: float
    is_silent: bool = False


def scenarios(*, quick: bool) -> list[Scenario]:
    if quick:
        return [Scenario("binary", 1, 1.8), Scenario("binary", 50, 1.6, is_silent=True), Scenario("binary", 50, 1.6)]
    durations = {1: 6.0, 50: 4.0, 200: 4.0}
    kinds = [("binary", True), *((audio, False) for audio in recording.DIALECTS)]
    return [
        Scenario(audio, streams, time, is_silent) for audio, is_silent in kinds for streams, time in durations.items()
    ]


def print_table(evaa: tuple[int, str], recogniser: str, *, quick: bool) -> None:
    """Run every scenario with every contestant, one after the other, and print what came out."""
    print(HEADING)
    with contestant("relay", recogniser) as relay, contestant("aiohttp_relay", recogniser) as aiohttp_relay:
        for pid, url in (evaa,) if quick else (relay, aiohttp_relay, evaa):
            asyncio.run(run_scenario(pid, url, recogniser, Scenario("binary", 2, SKIPPED_S + 0.2)))
        for scenario in scenarios(quick=quick):
            baseline = asyncio.run(run_scenario(*relay, recogniser, scenario))
            print(row(scenario, "relay", baseline, baseline), flush=True)
            if scenario.audio == "binary" and not scenario.is_silent and not quick:
                other = asyncio.run(run_scenario(*aiohttp_relay, recogniser, scenario))
                print(row(scenario, "aiohttp_relay", other, baseline), flush=True)
            print(row(scenario, "evaa", asyncio.run(run_scenario(*evaa, recogniser, scenario)), baseline), flush=True)


async def run_scenario(pid: int, url: str, recogniser: str, scenario: Scenario) -> Figures:
    clients = [Speaker(str(number), recording.DIALECTS[scenario.audio]) for number in range(scenario.streams)]
    clock = asyncio.get_running_loop().time
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        control = RecogniserControl(http, recogniser)
        await control.wait_for(0)
        await control.plan(Plan(is_silent=scenario.is_silent))
        async with connected(http, url, clients):
            await asyncio.sleep(0.3)
            begin, step = clock() + 0.2, recording.CHUNK_INTERVAL_S / scenario.streams
            async with asyncio.TaskGroup() as group:
                for number, client in enumerate(clients):
                    group.create_task(client.speak(begin + number * step, scenario.duration_s))
                await asyncio.sleep(begin + SKIPPED_S - clock())
                before_s = cpu_s(pid)
            await asyncio.sleep(0.1)
            used_s = cpu_s(pid) - before_s
            listeners = {listener.speaker.strip(): listener for listener in (await control.stats()).listeners}
    return figures(clients, listeners, used_s)


def figures(clients: list[Speaker], listeners: dict[str, Listener], used_s: float) -> Figures:
    result = Figures()
    skipped = round(SKIPPED_S / recording.CHUNK_INTERVAL_S)
    for client in clients:
        delays = delays_ms(client, listeners.get(client.name))[skipped:]
        result.delay_ms += [delay for delay in delays if delay is not None]
        result.lost += delays.count(None)
    result.cpu_ms = used_s * 1000 / sum(len(client.sent_ns) - skipped for client in clients)
    return result


def delays_ms(client: Speaker, listener: Listener | None) -> list[float | None]:
    """From each chunk's sending to its arrival; None for what did not arrive."""
    arrivals = iter(listener.arrivals if listener is not None else ())
    delays: list[float | None] = []
    have = end = at_ns = 0
    for chunk, sent_ns in zip(recording.chunks(client.name), client.sent_ns, strict=False):
        end += len(chunk)
        while have < end - recording.HELD_BACK_BYTES:
            have, at_ns = next(arrivals, (1 << 60, 0))
        delays.append((at_ns - sent_ns) / 1e6 if at_ns else None)
    return delays


def row(scenario: Scenario, name: str, mine: Figures, relay: Figures) -> str:
    delay_ratio = cpu_ratio = "-"
    if mine.delay_ms and relay.delay_ms:
        delay_ratio = f"{percentile(mine.delay_ms, 0.5) / percentile(relay.delay_ms, 0.5):.1f}"
        cpu_ratio = f"{mine.cpu_ms / relay.cpu_ms:.1f}"
    silence = ", silence" if scenario.is_silent else ""
    lost = f" ({mine.lost} did not arrive)" if mine.lost else ""
    return (
        f"| {scenario.audio}{silence} | {scenario.streams} | {name} | {spread(mine.delay_ms)}{lost} | {delay_ratio} "
        f"| {mine.cpu_ms:.2f} | {cpu_ratio} |"
    )
