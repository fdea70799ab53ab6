"""CPU of checking a section and giving it ids, and of making each kind of file. Nothing else runs."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.long_interviews import LARGEST, ORDINARY, Interviewed, Size
from benchmarks.measuring import short
from evaa.documents import checking, drafting
from evaa.documents.catalogue import BY_KEY
from evaa.documents.export import Form, render
from evaa.documents.words import words
from protocols.writing import Job

CHECKS = """
CPU ms of a section (`integrations`, the widest) from a writer's answer to entries with ids; `words` is the floor: only
to find the words of the same answer. With the first section of a version the interview is prepared, for all of them

| interview | answers | entries | words | first section | / words | each further | / words |
|---|---|---|---|---|---|---|---|"""

FILES = """
CPU ms to make a file of a version, and its size

| version | markdown | html | docx | json | n8n |
|---|---|---|---|---|---|"""

FORMS: tuple[Form, ...] = ("markdown", "html", "docx", "json", "n8n")


def print_checks(*, quick: bool) -> None:
    print(CHECKS)
    for size in (ORDINARY, LARGEST):
        print_check(size, rounds=2 if quick else 5)


def print_check(size: Size, rounds: int) -> None:
    kind, job = BY_KEY["integrations"], Job("section", "integrations")
    floor, first, further = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        interviewed = Interviewed(size)
        checking._prepared.cache_clear()  # its turns are equal to the last round's
        for times in (first, further):
            written = interviewed.drafts(kind)
            times.append(cpu_ms(partial(drafting.piece, interviewed.record, job, written)))
        said = [text for draft in written.lists["entries"] for text in draft.fields.values()]
        floor.append(cpu_ms(partial(find_words, said)))
    base = statistics.median(floor)
    cells = [f"{short(statistics.median(times))} | {statistics.median(times) / base:.1f}" for times in (first, further)]
    answers = f"{len(interviewed.texts)} of {size.answer_chars:,}"
    print(f"| {size.name} | {answers} | {size.entries} | {short(base)} | {' | '.join(cells)} |", flush=True)


def print_files(*, quick: bool) -> None:
    print(FILES)
    for size in (ORDINARY, LARGEST):
        interviewed = Interviewed(size)
        documents = interviewed.documents()
        assert documents.brd is not None
        assert documents.summary is not None
        brd, summary, turns = documents.brd, documents.summary, interviewed.record.interview.turns
        cells = []
        for form in FORMS:
            made = render(brd, summary, turns, form)
            rounds = 1 if quick or size is LARGEST else 5
            took = [cpu_ms(partial(render, brd, summary, turns, form)) for _ in range(rounds)]
            cells.append(f"{short(statistics.median(took))} ({len(made.data) // 1024:,} KiB)")
        print(f"| {size.name} | {' | '.join(cells)} |", flush=True)


def find_words(texts: Sequence[str]) -> None:
    for text in texts:
        for _ in words(text):
            pass


def cpu_ms(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1000
