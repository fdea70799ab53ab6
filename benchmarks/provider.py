"""The Groq simulator in a process of its own: every token carries the time at which it left."""

import sys

import trio

from evaa.simulators.groq import Behaviour, GroqSimulator

TOKENS = 30
FIRST_TOKEN_DELAY_S = 0.05


def behaviour(token_delay_s: float) -> Behaviour:
    """A reply of `TOKENS` tokens in EVAA's form, stamped; with no delay between them they come in one burst."""
    words = ["a<asked>", *[" t<sent>"] * (TOKENS - 1)]
    return Behaviour(
        chunks=("@stay\n", *words, '\n@facts {"goal":"none"}'),
        first_token_delay_s=FIRST_TOKEN_DELAY_S,
        token_delay_s=token_delay_s,
        burst=token_delay_s == 0,
        stamped=True,
    )


async def main(token_delay_s: float) -> None:
    async with trio.open_nursery() as nursery:
        simulator = GroqSimulator(default=behaviour(token_delay_s), keep_requests=1)
        print(await nursery.start(simulator.serve), flush=True)


if __name__ == "__main__":
    trio.run(main, float(sys.argv[1]))
