"""What storing costs: EVAA's stores beside the bare drivers in the same run, and a slow store beside a quick one.

    python -m benchmarks.storage [--quick] [--only saves,ownership,turns]

The MongoDB server is a process of its own, SecantusDB, or what `EVAA_BENCH_MONGODB_URI` names; without either its rows
are left out. SQLite's files are in the folder for temporary files (`TMPDIR`): let that be on the disk you mean.
"""

import argparse

from benchmarks import ownership, saves, slow_turns

TABLES = {"saves": saves.print_tables, "ownership": ownership.print_table, "turns": slow_turns.print_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    parser.add_argument("--only", default=",".join(TABLES), help="only these tables, separated by commas")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        TABLES[name](quick=arguments.quick)


if __name__ == "__main__":
    main()
