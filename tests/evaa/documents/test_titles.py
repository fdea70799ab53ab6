"""The title of a document: the first sentence of the project, or what can stand of it by itself."""

import pytest

from evaa.documents import drafting
from evaa.documents.catalogue import TEXT
from protocols.documents import Entry, Summary


def title(project: str) -> str:
    return drafting._title(Summary(Entry("P-1", {TEXT.key: project}), (), 1))


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("Invoices should be booked. Always.", "Invoices should be booked"),
        ("Returns. Customers should get their label.", "Returns. Customers should get their label"),
        (
            "Supplier invoices that arrive by email should be read and booked, I only want to see the odd ones.",
            "Supplier invoices that arrive by email should be read and booked",
        ),
        (
            "Every cleaner should know the evening before where to be so that the customer knows who comes.",
            "Every cleaner should know the evening before where to be",
        ),
        (
            "Tenants report damage in every possible way and I want each report to end up with the right craftsman.",
            "Tenants report damage in every possible way",
        ),
        (
            "After a recording everything should happen by itself: transcript, show notes, chapters, all the posts.",
            "After a recording everything should happen by itself",
        ),
        (
            "When a flight changes, our customer must know it fast \u2013 and we make a new plan in the evening.",
            "When a flight changes, our customer must know it fast",
        ),
        (
            "Complaints about products should be sorted, answered and, if they are dangerous, reach us in minutes.",
            "Complaints about products should be sorted",
        ),
        (
            "When a mechanic needs a part, the order should go to the dealer with the best price of all the dealers.",
            "When a mechanic needs a part, the order should go to the dealer with the best…",
        ),
        (
            "Maintenance appointments for heating systems should be planned and confirmed without five calls for each.",
            "Maintenance appointments for heating systems should be planned and confirmed…",
        ),
        ("", drafting.UNTITLED),
    ],
)
def test_a_long_sentence_ends_where_a_clause_ends(project: str, expected: str) -> None:
    assert title(project) == expected


def test_whatever_is_said_the_title_is_short() -> None:
    for project in ("x" * 300, "word " * 90, "a, " * 90, "und, " * 90, ": " * 90):
        assert len(title(project)) <= drafting.MAX_TITLE_CHARS
