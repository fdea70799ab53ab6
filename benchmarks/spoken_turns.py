"""From the end of an utterance to the request for its reply, and to the reply, with and without speculation."""

import asyncio
import re
from dataclasses import dataclass, field

import aiohttp
import msgspec

from benchmarks import recording
from benchmarks.processes import percentile, spread
from benchmarks.provider import behaviour
from benchmarks.recogniser import Plan
from benchmarks.speakers import RecogniserControl, Speaker, connected
from evaa.simulators.groq.script import Behaviour, Counters

ASKED = re.compile(r"a(\d+)")
NUMBER = re.compile(r"Number (\d+)")
FIRST_TOKEN_S = 0.3
EAGER_S = 0.25
ANSWERED_S = 0.5
"""The last reply comes within this time after its first token was due."""

FINALS_HEADING = """
`EndOfTurn` left the recogniser → the request is at the model; p50 / p95 / p99 in ms

| sessions | turns | `EndOfTurn` → request |
|---|---|---|"""

SPECULATION_HEADING = f"""
`EndOfTurn` left the recogniser → the first delta is at the client, the model's first token coming \
{FIRST_TOKEN_S * 1000:.0f} ms after the request; ms

| `EagerEndOfTurn` | turns | p50 / p95 / p99 | gain (p50) | requests a reply | thrown away |
|---|---|---|---|---|---|"""


class Frame(msgspec.Struct):
    """What is read of EVAA's frames."""

    type: str
    turn: int = 0
    text: str = ""
    final: bool = False


class Asked(msgspec.Struct):
    """What is read of what the Groq simulator tells."""

    counters: Counters


FRAME = msgspec.json.Decoder(Frame)


@dataclass
class Heard:
    """What one client heard: by the recogniser's number of each turn, when the model was asked, and when it was heard.

    In nanoseconds of the machine's monotonic clock.
    """

    asked_ns: dict[int, int] = field(default_factory=dict)
    delta_ns: dict[int, int] = field(default_factory=dict)
    replies: int = 0
    _numbers: dict[int, int] = field(default_factory=dict)

    def take(self, message: str | bytes, now_ns: int) -> None:
        frame = FRAME.decode(message)
        if frame.type == "transcript" and frame.final and (number := NUMBER.search(frame.text)):
            self._numbers[frame.turn] = int(number[1])
        elif frame.type == "delta" and frame.turn in self._numbers:
            number_of_turn = self._numbers[frame.turn]
            self.delta_ns.setdefault(number_of_turn, now_ns)
            if asked := ASKED.search(frame.text):
                self.asked_ns[number_of_turn] = int(asked[1])
        elif frame.type == "reply" and frame.turn in self._numbers:
            self.replies += 1


@dataclass
class Figures:
    """What came of a number of spoken turns, in milliseconds."""

    request_ms: list[float]
    delta_ms: list[float]
    requests: int
    replies: int


@dataclass(frozen=True)
class Scenario:
    sessions: int
    plan: Plan
    first_token_s: float


WARM_UP = Scenario(2, Plan(turns=1, turn_s=0.7), 0.05)


def print_finals(url: str, provider: str, recogniser: str, *, quick: bool) -> None:
    print(FINALS_HEADING)
    run(url, provider, recogniser, WARM_UP)
    for sessions, turns in [(20, 2)] if quick else [(1, 12), (20, 10)]:
        figures = run(url, provider, recogniser, Scenario(sessions, Plan(turns, turn_s=0.7), 0.05))
        print(f"| {sessions} | {len(figures.request_ms)} | {spread(figures.request_ms)} |", flush=True)


def print_speculation(url: str, provider: str, recogniser: str, *, quick: bool) -> None:
    print(SPECULATION_HEADING)
    turns, sessions = (1, 20) if quick else (6, 10)
    turn_s = 0.9 if quick else 1.2
    plans = {
        "never": Plan(turns, turn_s),
        f"{EAGER_S * 1000:.0f} ms before": Plan(turns, turn_s, EAGER_S),
        "the same, and one more, taken back, in 40 % of turns": Plan(turns, turn_s, EAGER_S, resumed_share=0.4),
    }
    plain: Figures | None = None
    for what, plan in plans.items():
        figures = run(url, provider, recogniser, Scenario(sessions, plan, FIRST_TOKEN_S))
        plain = plain or figures
        print(row(what, figures, plain), flush=True)


def run(url: str, provider: str, recogniser: str, scenario: Scenario) -> Figures:
    return asyncio.run(run_scenario(url, provider, recogniser, scenario))


async def run_scenario(url: str, provider: str, recogniser: str, scenario: Scenario) -> Figures:
    heard = [Heard() for _ in range(scenario.sessions)]
    clients = [Speaker(str(number), recording.DIALECTS["binary"], one.take) for number, one in enumerate(heard)]
    clock = asyncio.get_running_loop().time
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        control = RecogniserControl(http, recogniser)
        await control.wait_for(0)
        await set_model(
            http, provider, msgspec.structs.replace(behaviour(0), first_token_delay_s=scenario.first_token_s)
        )
        await control.plan(scenario.plan)
        async with connected(http, url, clients):
            await control.wait_for(scenario.sessions)
            begin, step = clock() + 0.2, scenario.plan.turn_s / scenario.sessions
            duration_s = scenario.plan.turns * scenario.plan.turn_s + scenario.first_token_s + ANSWERED_S
            async with asyncio.TaskGroup() as group:
                for number, client in enumerate(clients):
                    group.create_task(client.speak(begin + number * step, duration_s))
        ended = (await control.stats()).ended
        requests = await count_requests(http, provider)
    return Figures(
        request_ms=[(at - ended[number]) / 1e6 for one in heard for number, at in one.asked_ns.items()],
        delta_ms=[(at - ended[number]) / 1e6 for one in heard for number, at in one.delta_ns.items()],
        requests=requests,
        replies=sum(one.replies for one in heard),
    )


async def set_model(http: aiohttp.ClientSession, provider: str, model: Behaviour) -> None:
    """Say how the model answers from now on, and begin to count."""
    async with http.post(f"{provider}/_simulator/reset", json={}) as response:
        response.raise_for_status()
    async with http.post(f"{provider}/_simulator/default", data=msgspec.json.encode(model)) as response:
        response.raise_for_status()


async def count_requests(http: aiohttp.ClientSession, provider: str) -> int:
    async with http.get(f"{provider}/_simulator/requests") as response:
        return msgspec.json.decode(await response.read(), type=Asked).counters.requests


def row(what: str, mine: Figures, plain: Figures) -> str:
    gain = f"{percentile(plain.delta_ms, 0.5) - percentile(mine.delta_ms, 0.5):.0f}"
    return (
        f"| {what} | {len(mine.delta_ms)} | {spread(mine.delta_ms)} | {gain} | {mine.requests / mine.replies:.2f} "
        f"| {1 - mine.replies / mine.requests:.0%} |"
    )
