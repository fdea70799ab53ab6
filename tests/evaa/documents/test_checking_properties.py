"""The check holds its promises whatever anybody says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaa.documents.catalogue import SECTIONS, TEXT, SectionKind
from evaa.documents.checking import MAX_ENTRIES, MAX_FIELD_CHARS, check, is_said, question_about
from protocols.documents import EntryStatus
from protocols.records import TurnRecord
from protocols.writing import DraftEntry

STATUSES: tuple[EntryStatus, ...] = ("stated", "inferred", "confirmed")
LIVELY = "We type 40 5,000 forty invoices SAP n8n E-Mail ² ½ ٣ İ ß ﬁ 3pm - '' twenty five Anna? No. ja hundred"
WORDS = st.text(max_size=80) | st.lists(
    st.sampled_from(LIVELY.split()),
    max_size=12,
).map(" ".join)
KINDS = st.sampled_from(SECTIONS)


@st.composite
def turn_records(draw: st.DrawFn) -> tuple[TurnRecord, ...]:
    said = draw(st.lists(st.tuples(WORDS, WORDS), max_size=4))
    return tuple(
        TurnRecord(number, "5e1a00000000000000000001", "text", text, 0, reply=reply, outcome="answered")
        for number, (text, reply) in enumerate(said, 1)
    )


@settings(deadline=None)
@given(st.data(), KINDS, turn_records())
def test_what_comes_out_is_what_went_in_made_tidy(
    data: st.DataObject, kind: SectionKind, turns: tuple[TurnRecord, ...]
) -> None:
    columns = kind.columns
    fields = st.dictionaries(st.sampled_from([*(column.key for column in columns), "other"]), WORDS)
    drafts = data.draw(
        st.lists(st.builds(DraftEntry, fields, st.tuples(st.integers(-2, 6)), st.sampled_from(STATUSES)), max_size=8)
    )
    result = check(drafts, columns, turns)
    out = (*result.sound, *result.doubtful)
    assert len(out) <= min(len(drafts), MAX_ENTRIES)
    numbers = {turn.turn for turn in turns}
    for draft in out:
        assert set(draft.source_turns) <= numbers
        assert draft.status != "confirmed"
        assert any(draft.fields[column.key] for column in columns if not column.choices)
        assert all(len(value) <= MAX_FIELD_CHARS for value in draft.fields.values())
        assert all(draft.fields[column.key] in (*column.choices, "") for column in columns if column.choices)
        question_about(kind, draft)
    assert all(draft.source_turns for draft in result.sound if draft.status == "stated")
    assert all(draft.status == "stated" for draft in result.doubtful)
    assert check(result.sound, columns, turns).sound == result.sound, "checking twice changes nothing"


@settings(deadline=None)
@given(WORDS)
def test_whatever_is_said_has_been_said(words: str) -> None:
    assert is_said(words, words)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_any_sentence_that_is_quoted_has_been_said(before: str, words: str, after: str) -> None:
    turns = (TurnRecord(1, "5e1a00000000000000000001", "text", f"{before} {words} {after}", 0),)
    assert not check([DraftEntry({"text": words}, (1,), "stated")], (TEXT,), turns).doubtful


def test_a_great_deal_of_text_is_checked_within_the_time_limit_of_a_test() -> None:
    hostile = [
        "9" * 20_000,
        "x" * 20_000,
        "a. " * 6_000,
        "- " * 10_000,
        "Name " * 4_000,
        "1,1." * 5_000,
        "\u0301" * 20_000,
    ]
    for text in hostile:
        turns = (TurnRecord(1, "5e1a00000000000000000001", "text", text, 0),)
        drafts = [DraftEntry({"text": text[start:]}, (1,), "stated") for start in range(60)]
        assert not check(drafts, (TEXT,), turns).doubtful


def test_what_is_nearly_quoted_everywhere_is_checked_within_the_time_limit_of_a_test() -> None:
    turns = tuple(
        TurnRecord(number, "5e1a00000000000000000001", "text", '"wordy"' * 2_800, 0) for number in range(1, 33)
    )
    drafts = [DraftEntry({"text": '"wore. ' * 570}, tuple(range(1, 33)), "stated")] * MAX_ENTRIES
    assert len(check(drafts, (TEXT,), turns).doubtful) == MAX_ENTRIES


@pytest.mark.parametrize(
    ("words", "is_quoted"),
    [
        ("X.cae\u0301 cae\u0301", True),
        ("X.cae\u0301 caex", False),
        ("X.cae\u0301 .cae\u0301", False),
        ("X:cae\u0301 wcae\u0301", False),
        ("cae\u0301", True),
        ("X\n\ncae\u0301", True),
    ],
)
def test_a_short_quote_is_one_of_whole_words(words: str, is_quoted: bool) -> None:
    """Composed with its accent it is another word than the one that is claimed, so that only the quote counts."""
    assert is_said("CAE.", words) == is_quoted
