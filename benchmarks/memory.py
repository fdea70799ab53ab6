"""What a session that says nothing holds in memory."""

import asyncio

import aiohttp

from benchmarks import recording
from benchmarks.processes import contestant, rss_kb
from benchmarks.recogniser import Plan
from benchmarks.speakers import RecogniserControl, Speaker, connected

HEADING = """
Memory (resident set) with idle sessions, each bound. "A further session" is from half of them to all: the first ones
fit into what the start left free.

| sessions | | MB with none | with half | with all | kB a session | kB a further session |
|---|---|---|---|---|---|---|"""

SETTLING_S = 0.5


def print_table(provider: str, recogniser: str, *, quick: bool) -> None:
    """Measure each contestant in a fresh process: what sessions leave behind would be used again."""
    sessions = 200 if quick else 500
    typed, speaking = f"{sessions} typed only", f"{sessions} with the recogniser on the line"
    print(HEADING)
    with contestant("evaa", provider, recogniser) as (pid, url):
        print(row(typed, "evaa", sessions, *asyncio.run(hold(pid, url, recogniser, sessions, calls=False))), flush=True)
    if not quick:
        with contestant("relay", recogniser) as (pid, url):
            print(row(speaking, "relay", sessions, *asyncio.run(hold(pid, url, recogniser, sessions))), flush=True)
    with contestant("evaa", provider, recogniser, {"EVAA_STT_IDLE_S": "300"}) as (pid, url):
        print(row(speaking, "evaa", sessions, *asyncio.run(hold(pid, url, recogniser, sessions))), flush=True)


async def hold(pid: int, url: str, recogniser: str, sessions: int, *, calls: bool = True) -> list[int]:
    """Memory in kB before, with half, and with so many sessions; they call the recogniser, or do not."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        control = RecogniserControl(http, recogniser)
        await control.wait_for(0)
        await control.plan(Plan())
        async with connected(http, url, clients(3), declares=calls):
            await asyncio.sleep(SETTLING_S)  # the first few load what is loaded when it is needed
        await control.wait_for(0)
        used_kb = [rss_kb(pid)]
        half = sessions // 2
        async with connected(http, url, clients(half), declares=calls):
            await control.wait_for(half if calls else 0)
            await asyncio.sleep(SETTLING_S)
            used_kb.append(rss_kb(pid))
            async with connected(http, url, clients(half), declares=calls):
                await control.wait_for(2 * half if calls else 0)
                await asyncio.sleep(SETTLING_S)
                used_kb.append(rss_kb(pid))
    return used_kb


def clients(count: int) -> list[Speaker]:
    return [Speaker(str(number), recording.DIALECTS["binary"]) for number in range(count)]


def row(what: str, name: str, sessions: int, none_kb: int, half_kb: int, all_kb: int) -> str:
    megabytes = " | ".join(f"{used_kb / 1024:.1f}" for used_kb in (none_kb, half_kb, all_kb))
    each, further = (all_kb - none_kb) / sessions, (all_kb - half_kb) * 2 / sessions
    return f"| {what} | {name} | {megabytes} | {each:.0f} | {further:.0f} |"
