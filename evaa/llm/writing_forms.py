"""The forms that a model fills in: what an answer must look like, made from the catalogue.

Groq's strict mode wants every field required and no others. The turns come first: what is looked up before it is said
is found more often.
"""

from functools import cache
from typing import Any, Literal

import pydantic
from pydantic import ConfigDict, Field, create_model

from evaa.documents.catalogue import BY_KEY, TEXT, Column
from protocols.writing import DraftEntry, Intent, Task

Form = type[pydantic.BaseModel]

LANGUAGE = "language"
"""What is asked of the project besides its list."""

LISTS: dict[Task, tuple[str, ...]] = {
    "stage": ("established", "contradictions", "open"),
    "project": ("project",),
    "section": ("entries",),
}
"""The lists of statements that each job comes to."""

_STRICT = ConfigDict(extra="forbid")


class ReviewForm(pydantic.BaseModel):
    """What the user meant, as the model fills it in."""

    model_config = _STRICT

    intent: Intent
    sections: list[Literal[tuple(BY_KEY)]]  # type: ignore[valid-type]
    change: str
    reply: str


@cache
def form_of(task: Task, key: str, *, revises: bool) -> Form:
    """Return the form of a job; where it revises a section, its entries name the ones that they keep."""
    columns = BY_KEY[key].columns if task == "section" else (TEXT,)
    entry = _entry_form(columns, revises=revises)
    lists: dict[str, Any] = dict.fromkeys(LISTS[task], (list[entry], ...))  # type: ignore[valid-type]
    if task == "project":
        lists[LANGUAGE] = (str, Field(description="the BCP 47 tag of the language that the user speaks, such as en"))
    name = key if task == "section" else task
    return create_model(name, __config__=_STRICT, **lists)


def drafts_of(filled: pydantic.BaseModel) -> dict[str, tuple[DraftEntry, ...]]:
    """Return what a filled form says, list by list."""
    lists = filled.model_dump(exclude={LANGUAGE})
    return {name: tuple(map(_draft, entries)) for name, entries in lists.items()}


def language_of(filled: pydantic.BaseModel) -> str:
    """Return the language that a filled form names, or nothing."""
    return str(getattr(filled, LANGUAGE, ""))


def _entry_form(columns: tuple[Column, ...], *, revises: bool) -> Form:
    texts: dict[str, Any] = {column.key: (_type(column), Field(description=column.meaning)) for column in columns}
    fields: dict[str, Any] = {
        "turns": (list[int], Field(description="the numbers of the turns that it comes from")),
        "fields": (create_model("fields", __config__=_STRICT, **texts), ...),
        "status": (Literal["stated", "inferred"], Field(description="stated: the user said so in these turns")),
    }
    if revises:
        fields = {"id": (str, Field(description="the id of the entry that it keeps; empty if it is new"))} | fields
    return create_model("entry", __config__=_STRICT, **fields)


def _type(column: Column) -> Any:
    return Literal[column.choices] if column.choices else str


def _draft(entry: dict[str, Any]) -> DraftEntry:
    return DraftEntry(entry["fields"], tuple(entry["turns"]), entry["status"], entry.get("id", ""))
