"""The ids of entries, the same from version to version: FR-3 is FR-3 until it is gone, and no other ever is."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from evaa.documents.figures import heard
from evaa.documents.words import words
from protocols.documents import Entry
from protocols.writing import DraftEntry

ALIKE = 0.6
"""How much of its text an entry must have kept to be the one that it was."""

_COMPARED_CHARS = 2_000
_Fields = Mapping[str, str]
_Content = frozenset[int]
"""The words and figures of an entry, each time that one comes as a number of its own: these are compared quickly."""


def assign(prefix: str, drafts: Sequence[DraftEntry], previous: Sequence[Entry], used: Iterable[str]) -> list[str]:
    """Return an id for each draft.

    A draft keeps the id of the previous entry that it names; of the others, those that are most like a previous entry
    keep its id, the most alike first. The rest get new numbers, above all of `used`: ids of every version so far, so
    that none is given twice.
    """
    free = {entry.entry_id: entry.fields for entry in previous}
    highest = max((_number(prefix, entry_id) for entry_id in (*used, *free)), default=0)
    kept: dict[int, str] = {}
    for index, draft in enumerate(drafts):
        if draft.entry_id in free:
            kept[index] = draft.entry_id
            del free[draft.entry_id]
    others = {index: draft.fields for index, draft in enumerate(drafts) if index not in kept}
    kept |= _matched(others, free)
    ids = []
    for index in range(len(drafts)):
        if index not in kept:
            highest += 1
        ids.append(kept.get(index, f"{prefix}-{highest}"))
    return ids


def _matched(drafts: Mapping[int, _Fields], entries: Mapping[str, _Fields]) -> dict[int, str]:
    """The drafts that are like an entry, each with another one, the most alike pairs first."""
    numbers: dict[tuple[str, int], int] = {}
    contents = {entry_id: _content(fields, numbers) for entry_id, fields in entries.items()}
    pairs = [
        (-likeness, entries[entry_id] != fields, index, position, entry_id)
        for index, fields in drafts.items()
        for content in (_content(fields, numbers),)
        for position, entry_id in enumerate(entries)
        if (likeness := _likeness(content, contents[entry_id])) >= ALIKE
    ]
    matched: dict[int, str] = {}
    taken: set[str] = set()
    for _, _, index, _, entry_id in sorted(pairs):
        if index not in matched and entry_id not in taken:
            matched[index] = entry_id
            taken.add(entry_id)
    return matched


def _likeness(one: _Content, other: _Content) -> float:
    """The share of words that two texts have in common, whatever their order."""
    total = len(one) + len(other)
    return 2 * len(one & other) / total if total else 0.0


def _content(fields: _Fields, numbers: dict[tuple[str, int], int]) -> _Content:
    text = "\n".join(fields.values())[:_COMPARED_CHARS].casefold()
    times: Counter[str] = Counter()
    content: set[int] = set()
    for word in (*(word.stem for word in words(text)), *heard(text)):
        times[word] += 1
        content.add(numbers.setdefault((word, times[word]), len(numbers)))
    return frozenset(content)


def _number(prefix: str, entry_id: str) -> int:
    head, _, number = entry_id.rpartition("-")
    return int(number) if head == prefix and number.isdigit() and number.isascii() else 0
