"""Documents of any text, and their tame twins: the same documents with nothing but `x` wherever a text was.

Within an entry what says the same says the same in the twin, and what does not does not.
"""

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from evaa.documents.catalogue import SECTIONS, TEXT
from evaa.documents.formats.text import shown
from protocols.documents import Brd, Entry, Section, StageSummary, Summary
from protocols.records import TurnRecord

ATTACKS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style></td></table>", "<!--", "-->", "]]>",
    "<a/b>", "&lt;b&gt;", "&#60;b&#62;", "&amp", "'\"><b>", "javascript:alert(1)", "![a](http://a.example/b.png)",
    "[a](b)", "[a]", "[a]: http://a.example", "[^1]", "http://a.example/b?c=d", "https://a.example", "www.a.example",
    "a.example.com", "//a.example", "ftp://a.example", "mailto:a@b.example", "xmpp:a@b.example/c", "a@b.example",
    "@somebody", "#1", "# a", "## a", "a\n===", "a\n---", "***", "* a", "- a", "+ a", "1. a", "1) a", "(a) b", "> a",
    "```\na", "~~~", "    a", "`a`", "``", "**a**", "_a_", "~~a~~", "| a | b |\n| - | - |\n| c | d |", "a|b", "\\",
    "\\|", "\\\\|", "a\\", "a  \nb", "=SUM(A1:A9)", "=cmd|' /C calc'!A0", "+1+cmd|x", "-2+3", "@SUM(1)", "\uff1d1",
    ":::", ": a", "% a", "$a$", "{.a}", "^a^", "[@a]", "<http://a.example>", "<a@b.example>", "\x00", "\x1b[31m",
    "\x07", "\x0b", "\x0c", "\r\n", "\r", "\x85", "\u2028", "\u202ea\u202c", "\u2066a\u2069", "\ufeff", "\ufffe",
    "\uffff", "\ud800", "\udfff\ud800", "_x0041_", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 123 abc", "\U0001f469\u200d\u2695\ufe0f \U0001f1e9\U0001f1ea", "e\u0301",
    "W" * 300, " ", "\t", "\n\n", "", "\u200b=A1", "{{ 1 }}", "${a}", "%s", "w:p", "&nbsp;", "\xa0",
    "x" * 90 + " " + "y" * 90, '=HYPERLINK("http://a.example", "b")', '{ DDEAUTO c "d" }', "\x13TOC\x14a\x15", "a #",
    "{{ $json.a }}", "\U000e0041", "a\u0335" * 60, "\u200d" * 60,
)  # fmt: skip

TEXTS = st.one_of(
    st.sampled_from(ATTACKS),
    st.lists(st.one_of(st.sampled_from(ATTACKS), st.text(st.characters(), max_size=8)), max_size=5).map("".join),
    st.text(st.one_of(st.characters(), st.sampled_from("=+-@#*_`[]()<>|\\:./~&\n \t1a")), max_size=20),
)
_TURNS = st.lists(st.integers(1, 4), max_size=3).map(tuple)
_STATUSES = st.sampled_from(("stated", "inferred", "confirmed"))
_TIMES_MS = st.integers(0, 4_000_000_000_000)


def entries(prefix: str, columns: Sequence[str]) -> st.SearchStrategy[tuple[Entry, ...]]:
    ids = st.one_of(st.integers(1, 99).map(lambda number: f"{prefix}-{number}"), TEXTS)
    made = st.builds(Entry, ids, st.fixed_dictionaries(dict.fromkeys(columns, TEXTS)), _TURNS, _STATUSES)
    return st.lists(made, max_size=2).map(tuple)


@st.composite
def _sections(draw: st.DrawFn) -> tuple[Section, ...]:
    kinds = draw(st.lists(st.sampled_from(SECTIONS), max_size=3, unique_by=lambda kind: kind.key))
    return tuple(
        Section(kind.key, draw(entries(kind.prefix, [it.key for it in kind.columns])), missing=draw(TEXTS))
        for kind in kinds
    )


BRDS = st.builds(
    Brd,
    brd_id=TEXTS, version=st.integers(1, 99), session_id=TEXTS, title=TEXTS,
    language=st.one_of(st.sampled_from(("en", "de-AT", "und")), TEXTS), created_at_ms=_TIMES_MS,
    up_to_turn=st.integers(0, 99), sections=_sections(), state=st.sampled_from(("draft", "confirmed")), change=TEXTS,
    written_by=st.lists(TEXTS, max_size=2).map(tuple), confirmed_at_ms=st.none() | _TIMES_MS,
    confirmed_in_turn=st.none() | st.integers(1, 99),
)  # fmt: skip
_POINTS = entries("S1", [TEXT.key])
_STAGES = st.builds(StageSummary, TEXTS, TEXTS, _POINTS, _POINTS, _POINTS, TEXTS, _POINTS)
_PROJECTS = st.builds(Entry, st.just("P-1"), st.fixed_dictionaries({TEXT.key: TEXTS}), _TURNS, _STATUSES)
SUMMARIES = st.builds(Summary, _PROJECTS, st.lists(_STAGES, max_size=1).map(tuple), st.integers(0, 99))
SAID = st.lists(TEXTS, max_size=4).map(lambda texts: tuple(map(_turn, range(1, len(texts) + 1), texts)))


def _turn(number: int, text: str) -> TurnRecord:
    return TurnRecord(number, "s", "text", text, 0)


# --- tame twins ---------------------------------------------------------------------------------------------------


def tame(text: str) -> str:
    return "x" if shown(text) else ""


def tame_brd(brd: Brd) -> Brd:
    return msgspec.structs.replace(
        brd,
        brd_id=tame(brd.brd_id), session_id=tame(brd.session_id), title=tame(brd.title),
        language=tame(brd.language), change=tame(brd.change), written_by=tuple(map(tame, brd.written_by)),
        sections=tuple(
            msgspec.structs.replace(it, entries=_tame_entries(it.entries), missing=_tame_reason(it.missing))
            for it in brd.sections
        ),
    )  # fmt: skip


def tame_summary(summary: Summary) -> Summary:
    return msgspec.structs.replace(
        summary, project=_tame_entry(summary.project), stages=tuple(map(_tame_stage, summary.stages))
    )


def tame_turns(turns: Sequence[TurnRecord]) -> tuple[TurnRecord, ...]:
    return tuple(_turn(turn.turn, tame(turn.text)) for turn in turns)


def _tame_stage(stage: StageSummary) -> StageSummary:
    return StageSummary(
        "x", tame(stage.name), _tame_entries(stage.established), _tame_entries(stage.contradictions),
        _tame_entries(stage.open), _tame_reason(stage.missing), _tame_entries(stage.doubtful),
    )  # fmt: skip


def _tame_reason(reason: str) -> str:
    return "x" if reason else ""


def _tame_entries(found: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(map(_tame_entry, found))


def _tame_entry(entry: Entry) -> Entry:
    numbers: dict[str, int] = {}
    fields = {
        key: tame(text) * (1 + numbers.setdefault(shown(text).rstrip(" .").casefold(), len(numbers)))
        for key, text in entry.fields.items()
    }
    return Entry(tame(entry.entry_id), fields, entry.source_turns, entry.status)
