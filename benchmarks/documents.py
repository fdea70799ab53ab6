"""What documents cost: to check them, to make files of them, to wait for them; and what others feel of it.

python -m benchmarks.documents [--quick] [--only checks,files,drafting,neighbours]
"""

import argparse

from benchmarks import drafting, drafting_neighbours, paperwork

TABLES = {
    "checks": paperwork.print_checks,
    "files": paperwork.print_files,
    "drafting": drafting.print_table,
    "neighbours": drafting_neighbours.print_table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    parser.add_argument("--only", default=",".join(TABLES), help="only these tables, separated by commas")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        TABLES[name](quick=arguments.quick)


if __name__ == "__main__":
    main()
