"""Small BRDs and a good workflow, for the tests of the n8n part."""

import copy
from typing import Any

from hypothesis import strategies as st

from evaa.documents.catalogue import SECTIONS
from protocols.documents import Brd, Entry, EntryStatus, Section

Document = dict[str, Any]

STATUSES: tuple[EntryStatus, ...] = ("stated", "inferred", "confirmed")


def step(number: int, name: str, kind: str, system: str = "", detail: str = "", otherwise: str = "") -> Entry:
    fields = {"step": name, "kind": kind, "system": system, "detail": detail, "otherwise": otherwise}
    return Entry(f"SO-{number}", fields, (1,), "stated")


def brd(*solution: Entry, title: str = "Invoices", version: int = 1, **sections: tuple[Entry, ...]) -> Brd:
    others = (Section(key, entries) for key, entries in sections.items())
    return Brd("BRD-5e1a", version, "5e1a", title, "en", 0, 9, (Section("solution", solution), *others))


def node(name: str, kind: str, version: float, **more: Any) -> Document:
    return {
        "id": f"id of {name}", "name": name, "type": f"n8n-nodes-base.{kind}", "typeVersion": version,
        "position": [0, 0], "parameters": {}, **more,
    }  # fmt: skip


def to(*names: str) -> list[Document]:
    return [{"node": name, "type": "main", "index": 0} for name in names]


GOOD: Document = {
    "name": "Invoices",
    "nodes": [
        node("Every hour", "scheduleTrigger", 1.2, parameters={"rule": {"interval": [{"field": "hours"}]}}),
        node("Get them", "httpRequest", 4.2, parameters={"url": "=https://example.org/{{ $now.toISODate() }}"}),
        node("Loop", "splitInBatches", 3),
        node("Over 2,000?", "if", 2.2, parameters={"value": "={{ $('Get them').item.json.sum > 2000 }}"}),
        node("Tell", "slack", 2.2,
             parameters={"select": "channel", "text": "={{ $json.text }}"}, credentials={"slackApi": {"id": "1"}}),
        node("Keep", "code", 2, parameters={"jsCode": "return $('Loop').all()"}),
        node("Done", "noOp", 1),
        node("About", "stickyNote", 1, parameters={"content": "## Invoices"}),
    ],
    "connections": {
        "Every hour": {"main": [to("Get them")]},
        "Get them": {"main": [to("Loop")]},
        "Loop": {"main": [to("Done"), to("Over 2,000?")]},
        "Over 2,000?": {"main": [to("Tell"), to("Keep")]},
        "Tell": {"main": [to("Loop")]},
        "Keep": {"main": [to("Loop")]},
    },
    "settings": {"executionOrder": "v1"},
}  # fmt: skip


def good() -> Document:
    """A workflow with nothing wrong in it, to be spoilt."""
    return copy.deepcopy(GOOD)


def named(document: Document, name: str) -> Document:
    return next(one for one in document["nodes"] if one["name"] == name)


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "", "={{ $env.SECRET }}", "{{ $json. }}", "$('Nope').item", "__proto__", "constructor", "Test by hand", "End",
        "Slack", "Gmail", "An e-mail arrives", "every day at 8:30", "a webhook", "a web form", "Stop", "=" * 9,
        "{{{{}}}}", "`x` [y](javascript:z) <b>", "# h", "x" * 5_000,
    ]),
)  # fmt: skip


@st.composite
def sections(draw: st.DrawFn) -> tuple[Section, ...]:
    made = []
    for kind in SECTIONS:
        count = draw(st.integers(0, 7 if kind.key == "solution" else 2))
        entries = tuple(
            Entry(
                draw(st.one_of(st.just(f"{kind.prefix}-{number}"), TEXTS)),
                {
                    column.key: draw(st.sampled_from(column.choices) if column.choices else TEXTS)
                    for column in kind.columns
                    if draw(st.integers(0, 9))
                },
                status=draw(st.sampled_from(STATUSES)),
            )
            for number in range(count)
        )
        made.append(Section(kind.key, entries, missing=draw(st.sampled_from(["", "nobody knows {{"]))))
    return tuple(made)


def brds() -> st.SearchStrategy[Brd]:
    """Documents with anything in them, above all what n8n would take for code."""
    return st.builds(
        Brd,
        brd_id=TEXTS, version=st.integers(1, 99), session_id=st.just("5e1a"), title=TEXTS, language=st.just("en"),
        created_at_ms=st.just(0), up_to_turn=st.just(3), sections=sections(),
    )  # fmt: skip
