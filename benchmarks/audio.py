"""EVAA's own share of what happens between a microphone and the interviewer, beside a bare relay in the same run.

    python -m benchmarks.audio [--quick] [--only chunks,memory,finals,speculation]

Each contestant, the recogniser, the provider (Groq simulator) and the clients (all in one) are processes of their own,
and times are taken outside the contestants, on the machine's monotonic clock.
"""

import argparse

from benchmarks import chunks, memory, spoken_turns
from benchmarks.processes import allow_many_sockets, contestant, process

TABLES = ("chunks", "memory", "finals", "speculation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter and fewer runs")
    parser.add_argument("--only", default=",".join(TABLES), help="only these tables, separated by commas")
    arguments = parser.parse_args()
    only, quick = arguments.only.split(","), arguments.quick
    allow_many_sockets()
    with (
        process("-m", "benchmarks.recogniser") as (_, recogniser),
        process("-m", "benchmarks.provider", "0") as (_, provider),
        contestant("evaa", provider, recogniser) as evaa,
    ):
        if "chunks" in only:
            chunks.print_table(evaa, recogniser, quick=quick)
        if "memory" in only:
            memory.print_table(provider, recogniser, quick=quick)
        if "finals" in only:
            spoken_turns.print_finals(evaa[1], provider, recogniser, quick=quick)
        if "speculation" in only:
            spoken_turns.print_speculation(evaa[1], provider, recogniser, quick=quick)


if __name__ == "__main__":
    main()
