"""A version of the BRD as a file."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from evaa.documents.formats import composing
from protocols.documents import Brd, Summary
from protocols.records import TurnRecord

Form = Literal["markdown", "html", "docx", "json", "n8n"]

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_KINDS: dict[Form, tuple[str, str]] = {
    "markdown": ("md", "text/markdown; charset=utf-8"),
    "html": ("html", "text/html; charset=utf-8"),
    "docx": ("docx", _WORD),
    "json": ("json", "application/json"),
    "n8n": ("n8n.json", "application/json"),
}
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME_CHARS = 100


class NotExported(Exception):
    """The file cannot be made, by a mistake of EVAA's own; the message quotes nothing of the document."""


class Exported(msgspec.Struct, frozen=True):
    """A file: its name, in ASCII and safe in any file system and header; its media type; its bytes."""

    filename: str
    content_type: str
    data: bytes


def render(brd: Brd, summary: Summary, turns: Sequence[TurnRecord], form: Form) -> Exported:
    """Return one version in one of the forms; the turns that it cites are appended where the form is for readers.

    Raises `NotExported`.

    Pure, but not quick: a Word file takes a tenth of a second, and one or two if the version is very long. Call it in a
    thread.
    """
    extension, content_type = _KINDS[form]
    return Exported(f"{_name(brd)}.{extension}", content_type, _data(brd, summary, turns, form))


def _data(brd: Brd, summary: Summary, turns: Sequence[TurnRecord], form: Form) -> bytes:
    """Return the file's bytes. Each form is imported when it is asked for first: python-docx alone takes a while."""
    match form:
        case "markdown":
            from evaa.documents.formats import markdown  # noqa: PLC0415

            return markdown.render(composing.compose(brd, summary, turns)).encode()
        case "html":
            from evaa.documents.formats import html  # noqa: PLC0415

            return html.render(composing.compose(brd, summary, turns)).encode()
        case "docx":
            from evaa.documents.formats import docx  # noqa: PLC0415

            return docx.render(composing.compose(brd, summary, turns))
        case "json":
            from evaa.documents.formats import json  # noqa: PLC0415

            return json.render(brd, summary)
        case "n8n":
            from evaa.documents.n8n import workflow  # noqa: PLC0415

            try:
                return workflow.export(brd)
            except workflow.WorkflowRefused as refused:
                raise NotExported(f"The workflow that was made is not sound: {refused}") from refused


def _name(brd: Brd) -> str:
    safe = _UNSAFE.sub("-", brd.brd_id).strip("-")[:_MAX_NAME_CHARS]
    return f"{safe or 'BRD'}-v{brd.version}"
