"""The Groq simulator in a process of its own: interviews at once, and takes its time for a piece of the documents."""

import sys

import trio

from evaa.simulators.groq import Behaviour, GroqSimulator


async def main(piece_delay_s: float) -> None:
    async with trio.open_nursery() as nursery:
        slowly = Behaviour(containing="[transcript]", first_token_delay_s=piece_delay_s)
        simulator = GroqSimulator(default=slowly, keep_requests=1)
        print(await nursery.start(simulator.serve), flush=True)


if __name__ == "__main__":
    trio.run(main, float(sys.argv[1]))
