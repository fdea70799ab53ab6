"""Whatever stands in a BRD, its workflow is sound, and what people said stays text."""

import re
from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evaa.documents.formats.text import GUARD
from evaa.documents.n8n.checker import check
from evaa.documents.n8n.text import markdown, one_line, plain
from evaa.documents.n8n.values import strings_in
from evaa.documents.n8n.workflow import export, workflow
from protocols.documents import Brd, Entry
from tests.evaa.documents.any_documents import TEXTS as ANY_TEXTS
from tests.evaa.documents.example import BRD
from tests.evaa.documents.n8n_builders import TEXTS, Document, brd, brds, step

NOTES = MarkdownIt("gfm-like")
LEFT_TO_FILL_IN = {"credential-missing", "only-by-hand"}
LABEL_HEIGHT = 48

NASTY = brd(
    step(1, "={{ 1/0 }} webhook", "trigger"),
    step(2, "$('Nope').item {{ $json. }}", "read", "={{x}}"),
    step(2, "__proto__", "transform"),
    step(4, "constructor", "decision", "", "={{ bad", '={{ $node["x"] }}'),
    step(5, "Test by hand", "approval"),
    step(6, "\x00\n", "wait"),
    title="={{ $env.SECRET }}",
)


PARAMETERS = {
    "scheduleTrigger": {"rule"},
    "webhook": {"path", "options"},
    "formTrigger": {"formTitle", "formFields", "options"},
    "if": {"conditions", "options"},
    "set": {"assignments", "includeOtherFields", "options"},
    "stickyNote": {"content", "height", "width", "color"},
}
"""All parameters that are ever written; what is not on this list has none."""


def strings(made: Document) -> Iterator[str]:
    for one in made["nodes"]:
        yield from (one["name"], one.get("notes", ""))
        yield from (text for _, text in strings_in(one["parameters"], ""))
    yield made["name"]


def boxes(made: Document) -> list[tuple[int, int, int, int]]:
    found = []
    for one in made["nodes"]:
        (x, y), size = one["position"], one["parameters"]
        is_note = one["type"].endswith(".stickyNote")
        width, height = (size["width"], size["height"]) if is_note else (96, 96 + LABEL_HEIGHT)
        found.append((x, y, x + width, y + height))
    return found


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@settings(max_examples=60, deadline=None)
@given(brds())
@example(NASTY)
@example(BRD)
def test_every_workflow_is_sound(document: Brd) -> None:
    made = workflow(document)
    assert {problem.code for problem in check(made)} <= LEFT_TO_FILL_IN
    assert export(document) == export(document)
    assert not [text for text in strings(made) if text.startswith("=") or "{{" in text]
    names = [one["name"] for one in made["nodes"]]
    assert all(0 < len(name) <= 100 for name in [*names, made["name"]])
    assert not any("credentials" in one for one in made["nodes"])
    for one in made["nodes"]:
        assert set(one["parameters"]) <= PARAMETERS.get(one["type"].removeprefix("n8n-nodes-base."), set())
    assert made["nodes"][0]["type"] == "n8n-nodes-base.manualTrigger"


@settings(max_examples=60, deadline=None)
@given(brds())
@example(NASTY)
@example(BRD)
def test_nothing_covers_anything_else(document: Brd) -> None:
    placed = sorted(boxes(workflow(document)))
    for index, box in enumerate(placed):
        assert not [other for other in placed[index + 1 :] if overlap(box, other)]


@settings(max_examples=60, deadline=None)
@given(brds())
def test_each_step_has_a_node(document: Brd) -> None:
    made = workflow(document)
    others = [one for one in made["nodes"] if one["type"].endswith((".stickyNote", ".errorTrigger"))]
    decisions = [entry for entry in document.section("solution").entries if entry.fields.get("kind") == "decision"]
    manual_or_end = 2  # the trigger for tests may be a step's own, and an end may be needed
    most = len(document.section("solution").entries) + len(decisions) + 2 + manual_or_end
    future = [entry for entry in document.section("futureProcess").entries if entry.fields.get("aspect") == "trigger"]
    assert most - manual_or_end - 2 <= len(made["nodes"]) - len(others) <= most + len(future)


@given(TEXTS, st.integers(1, 60))
def test_plain_text_is_never_code(text: str, limit: int) -> None:
    made = plain(text, limit)
    assert len(made) <= limit
    assert not made.startswith("=")
    assert "{{" not in made
    assert "}}" not in made
    assert made.isprintable() or not text.isprintable()


@given(TEXTS)
def test_markdown_escapes_what_marks_up(text: str) -> None:
    made = markdown(text, 100)
    assert "\n" not in made
    assert not set(re.sub(r"\\.", "", made)) & set("`*_[]<>{}#~&|\\")


@settings(max_examples=60, deadline=None)
@given(brds())
@example(NASTY)
@example(brd(Entry("", {"step": "Read", "kind": "read"}), data=(Entry("", {"field": ""}), Entry("*", {"field": "-"}))))
def test_notes_hold_no_markdown_but_their_own(document: Brd) -> None:
    contents = [one["parameters"]["content"] for one in workflow(document)["nodes"] if "content" in one["parameters"]]
    tokens = [token for content in contents for token in NOTES.parse(content)]
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds <= {"heading", "paragraph", "bullet_list", "list_item", "inline"}
    within = {inner.type for token in tokens for inner in token.children or ()}
    assert {kind.removesuffix("_open").removesuffix("_close") for kind in within} <= {
        "text",
        "softbreak",
        "strong",
        "em",
    }


@given(st.one_of(ANY_TEXTS, st.lists(st.sampled_from([*"./@:-a1 ", "www", "http:", "mailto:", "MAILTO:", "com", "de"]))
                 .map("".join)))  # fmt: skip
@example("mailto:a@b.example")
def test_a_note_shows_the_text_and_no_link(text: str) -> None:
    """As markdown-it reads it, with links wherever it can see one: this is what n8n shows notes with."""
    (inline,) = [token for token in NOTES.parse(f"- **X** {markdown(text, 5_000)}") if token.type == "inline"]
    kinds = {token.type for token in inline.children or ()}
    assert kinds <= {"text", "strong_open", "strong_close"}
    seen = "".join(token.content for token in inline.children or ())
    assert seen.replace(GUARD, "").strip() == f"X {one_line(text)}".replace(GUARD, "").strip()


def test_markdown_reads_as_it_was_said() -> None:
    assert markdown("a_b <c> [d](e) {{ f }}\n# g", 100) == r"a\_b \<c\> \[d\](e) \{\{ f \}\} \# g"
    assert markdown("https://example.org/a?b=c", 100) == "https:/\u200b/example.\u200borg/a?b=c"
    assert markdown("3.5 hours, e.g. 1/2", 100) == "3.5 hours, e.\u200bg. 1/2"
    assert plain("= {{ x }} a\u202eb\x1b", 100) == "{ { x } } ab"
