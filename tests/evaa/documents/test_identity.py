"""Ids stay with what they name, and never name anything else."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.documents.identity import assign
from protocols.documents import Entry
from protocols.writing import DraftEntry

TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "A reminder is sent by SMS.",
        "A reminder is sent by email.",
        "Anna approves.",
        "每天输入发票",
        "Anna approves all.",
    ]
)


def entries(*texts: str, prefix: str = "FR") -> tuple[Entry, ...]:
    return tuple(Entry(f"{prefix}-{number}", {"text": text}) for number, text in enumerate(texts, 1))


def drafts(*texts: str) -> list[DraftEntry]:
    return [DraftEntry({"text": text}) for text in texts]


def test_new_statements_are_numbered() -> None:
    assert assign("FR", drafts("One.", "Two."), (), ()) == ["FR-1", "FR-2"]


def test_a_statement_keeps_the_id_that_it_names_whatever_it_says_now() -> None:
    previous = entries("It sends a letter.", "It pays.")
    named = [DraftEntry({"text": "Something else."}, entry_id="FR-2"), *drafts("It sends a letter.")]
    assert assign("FR", named, previous, ()) == ["FR-2", "FR-1"]


def test_only_one_statement_gets_an_id_that_two_name() -> None:
    named = [DraftEntry({"text": "It pays."}, entry_id="FR-1"), DraftEntry({"text": "Other."}, entry_id="FR-1")]
    assert assign("FR", named, entries("It pays."), ()) == ["FR-1", "FR-2"]


def test_an_id_that_nobody_gave_is_not_taken() -> None:
    assert assign("FR", [DraftEntry({"text": "It pays."}, entry_id="FR-99")], (), ()) == ["FR-1"]


def test_a_statement_in_slightly_other_words_is_the_same() -> None:
    previous = entries("The automation sends a reminder two days before.", "Anna approves the amount.")
    now = drafts("Anna approves the amounts.", "The automation should send a reminder 3 days before.", "It pays.")
    assert assign("FR", now, previous, ()) == ["FR-2", "FR-1", "FR-3"]


def test_the_most_alike_wins_not_the_first() -> None:
    previous = entries("A reminder is sent by SMS to the patient.")
    now = drafts("A reminder is sent by letter to the patient.", "A reminder is sent by SMS to the patient.")
    assert assign("FR", now, previous, ()) == ["FR-2", "FR-1"]


def test_long_statements_are_recognised_although_their_beginning_changed() -> None:
    text = " ".join(f"word{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10]}" for number in range(90))
    assert assign("FR", drafts(f"However: {text}"), entries(text), ()) == ["FR-1"]


def test_an_id_of_an_earlier_version_is_never_given_again() -> None:
    assert assign("FR", drafts("New."), entries("Old and gone."), ["FR-7", "BR-12", "FR-x", "FR-"]) == ["FR-8"]


@settings(deadline=None)
@given(
    st.lists(TEXTS, max_size=8), st.lists(st.tuples(TEXTS, st.integers(0, 10)), max_size=8), st.sets(st.integers(1, 20))
)
def test_ids_are_never_doubled_nor_reused(before: list[str], now: list[tuple[str, int]], gone: set[int]) -> None:
    previous = entries(*before)
    used = [f"FR-{number}" for number in gone]
    named = [DraftEntry({"text": text}, entry_id=f"FR-{number}" if number else "") for text, number in now]
    ids = assign("FR", named, previous, used)
    known = {entry.entry_id for entry in previous}
    assert len(set(ids)) == len(ids) == len(named)
    assert not {entry_id for entry_id in ids if entry_id not in known} & set(used)
    for draft in named:
        assert draft.entry_id not in known or draft.entry_id in ids


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=8), st.randoms(use_true_random=False))
def test_the_same_statements_keep_their_ids_in_any_order(before: list[str], chance: random.Random) -> None:
    previous = entries(*[text for text in before if any(map(str.isalnum, text))])
    shuffled = list(previous)
    chance.shuffle(shuffled)
    ids = assign("FR", [DraftEntry(entry.fields) for entry in shuffled], previous, ())
    texts = {entry.entry_id: entry.fields for entry in previous}
    assert [texts.get(entry_id) for entry_id in ids] == [entry.fields for entry in shuffled]
