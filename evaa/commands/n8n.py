"""The command that checks an n8n workflow in a file. Nothing else runs beside it, so it reads without an event loop."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from evaa.documents.n8n.checker import check_text
from evaa.documents.n8n.problems import Problem, printable

MAX_BYTES = 16 * 1024 * 1024


def run_n8n(arguments: Namespace, out: TextIO, err: TextIO) -> int:
    """Run `n8n check`, as the command line says."""
    return check_file(arguments.file, sys.stdin.buffer, out, err)


def check_file(path: str, standard_input: BinaryIO, out: TextIO, err: TextIO) -> int:
    """Write to `out` what is wrong with a workflow in a file, or in `standard_input` if the path is `-`.

    Returns 0 if nothing is wrong, or only what is a warning; 1 if there are errors, or the file cannot be read.
    """
    name = printable(path)
    try:
        data = _read(path, standard_input)
    except OSError as error:
        err.write(f"{name} cannot be read: {error.strerror}\n")
        return 1
    if len(data) > MAX_BYTES:
        err.write(f"{name} is larger than {MAX_BYTES // 1024 // 1024} MiB: that is no workflow of n8n's\n")
        return 1
    problems = check_text(data)
    for problem in problems:
        out.write(f"{problem}\n")
    out.write(f"{name}: {_count(problems, 'error')}, {_count(problems, 'warning')}\n")
    return 1 if any(problem.level == "error" for problem in problems) else 0


def _read(path: str, standard_input: BinaryIO) -> bytes:
    if path == "-":
        return standard_input.read(MAX_BYTES + 1)
    with Path(path).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _count(problems: Sequence[Problem], level: str) -> str:
    number = sum(problem.level == level for problem in problems)
    return f"{number} {level}{'' if number == 1 else 's'}"
