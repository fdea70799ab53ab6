"""The Groq simulator and structured output: which requests it refuses, and how it fills in a form."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from evaa.simulators.groq import MODELS, Behaviour, GroqSimulator
from evaa.simulators.groq.documents import fill_in
from evaa.simulators.groq.structured import Node

CHAT = "/openai/v1/chat/completions"
STRINGS = {"type": "array", "items": {"type": "string"}}


def object_of(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


ENTRY = object_of(
    turns={"type": "array", "items": {"type": "integer"}},
    fields=object_of(
        rule={"type": "string", "description": "one rule"},
        owner={"type": "string", "description": "who; empty if not said"},
        level={"type": "string", "enum": ["low", "high"]},
        more={"type": "string"},
    ),
    status={"type": "string", "enum": ["stated", "inferred"]},
)
FORM = object_of(entries={"type": "array", "items": ENTRY}, open=STRINGS)
REVIEW = object_of(
    intent={"type": "string", "enum": ["confirm", "correct", "other"]},
    sections={"type": "array", "items": {"type": "string", "enum": ["objectives", "risks"]}},
    change={"type": "string"},
    reply={"type": "string"},
)

TRANSCRIPT = """[transcript]
{"turn":1,"stage":"Goal","asked":"What for?","said":"Fewer errors. Above 500 euros the boss signs."}
{"turn":2,"stage":"Trigger","asked":"What starts it?","said":"An e-mail."}
{"turn":3,"stage":"Trigger","said":"  "}
[task]
"""


def filled(task: str, schema: dict[str, Any] = FORM) -> dict[str, Any]:
    return fill(TRANSCRIPT + task, schema)


def fill(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Rules."}, {"role": "user", "content": text}]
    return msgspec.json.decode(fill_in(msgspec.convert(schema, Node), messages), type=dict[str, Any])


# --- what is refused ----------------------------------------------------------------------------------------------


class Served(NamedTuple):
    simulator: GroqSimulator
    http: httpx.AsyncClient

    async def ask(self, schema: dict[str, Any] = FORM, *, strict: Any = True, **changes: Any) -> httpx.Response:
        wanted = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema, "strict": strict}}
        messages = [{"role": "user", "content": TRANSCRIPT}]
        body: dict[str, Any] = {"model": MODELS[0], "messages": messages, "response_format": wanted}
        return await self.http.post(CHAT, json=body | changes, headers={"authorization": "Bearer x"})


@pytest.fixture
async def served(nursery: trio.Nursery) -> AsyncIterator[Served]:
    simulator = GroqSimulator()
    url = await nursery.start(simulator.serve)
    async with httpx.AsyncClient(base_url=url) as http:
        yield Served(simulator, http)


async def why_refused(served: Served, schema: dict[str, Any] = FORM, **changes: Any) -> str:
    served.simulator.script(Behaviour(text="{}"))
    response = await served.ask(schema, **changes)
    assert response.status_code == 400
    assert served.simulator.pending == 1  # what is refused takes nothing from the script
    return str(response.json()["error"]["message"])


def opened(schema: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(schema)
    del changed["properties"]["entries"]["items"]["properties"]["fields"]["additionalProperties"]
    return changed


def optional(schema: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(schema)
    changed["properties"]["entries"]["items"]["required"].remove("status")
    return changed


async def test_a_form_is_filled_in(served: Served) -> None:
    response = await served.ask()
    assert response.status_code == 200
    message = response.json()["choices"][0]["message"]["content"]
    assert msgspec.json.decode(message)["entries"][0]["turns"] == [1]


async def test_no_stream_and_no_tools_beside_a_form(served: Served) -> None:
    assert "streaming" in await why_refused(served, stream=True)
    served.simulator.forget_script()
    assert "tool" in await why_refused(served, tools=[{"type": "function"}])


async def test_strict_wants_closed_objects_and_every_field_required(served: Served) -> None:
    where = "/properties/entries/items"
    assert await why_refused(served, opened(FORM)) == (
        f"invalid JSON schema for response_format: 'form': {where}/properties/fields: "
        "additionalProperties:false must be set on every object"
    )
    served.simulator.forget_script()
    assert await why_refused(served, optional(FORM)) == (
        f"invalid JSON schema for response_format: 'form': {where}/required: "
        "The following properties must be listed in `required`: status"
    )


@pytest.mark.parametrize("strict", [False, None])
async def test_what_is_not_strict_may_be_open(served: Served, strict: bool | None) -> None:
    assert (await served.ask(optional(opened(FORM)), strict=strict)).status_code == 200


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(60):
    DEEP = {"type": "array", "items": DEEP}


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "properties": 5}, {"properties": {"a": []}}, {"type": 7}, {"enum": []}, {"items": 1}, DEEP],
)
async def test_what_is_no_schema_is_refused_and_the_simulator_lives_on(served: Served, schema: dict[str, Any]) -> None:
    await why_refused(served, schema)
    served.simulator.forget_script()
    assert (await served.ask()).status_code == 200


@pytest.mark.parametrize("wanted", [{"type": "json_schema"}, {"type": "yaml"}, {}, {"type": "json_schema", "x": 1}])
async def test_another_response_format_is_refused(served: Served, wanted: dict[str, Any]) -> None:
    await why_refused(served, response_format=wanted)


@pytest.mark.parametrize("wanted", [None, {"type": "text"}, {"type": "json_object"}])
async def test_without_a_form_the_interviewer_answers(served: Served, wanted: Any) -> None:
    response = await served.ask(response_format=wanted, stream=False)
    assert response.json()["choices"][0]["message"]["content"].startswith("@stay")


async def test_a_form_that_is_cut_off_is_no_json(served: Served) -> None:
    served.simulator.script(Behaviour(finish_reason="length"))
    (choice,) = (await served.ask()).json()["choices"]
    assert choice["finish_reason"] == "length"
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(choice["message"]["content"])


# --- how it is filled in ------------------------------------------------------------------------------------------


def test_entries_are_what_was_said_with_its_turns() -> None:
    entries = filled("Write the rules: what the boss signs, and the e-mail that starts it.")["entries"]
    assert [(entry["turns"], entry["status"]) for entry in entries] == [([1], "stated"), ([2], "stated")]
    assert entries[0]["fields"] == {
        "rule": "Fewer errors.",
        "owner": "",
        "level": "low",
        "more": "Above 500 euros the boss signs.",
    }


def test_the_turns_that_the_task_names_are_taken_and_other_lists_stay_empty() -> None:
    told = filled("It was talked about in these turns: 2.")
    assert [entry["turns"] for entry in told["entries"]] == [[2]]
    assert told["open"] == []
    assert filled("It was talked about in these turns: none.")["entries"] != []


def test_a_revision_keeps_what_is_there_with_its_ids_and_adds_the_newest_turn() -> None:
    schema = object_of(entries={"type": "array", "items": object_of(id={"type": "string"}, **ENTRY["properties"])})
    fields = {"rule": "Old.", "owner": "", "level": "high", "more": ""}
    old = {"id": "BR-1", "turns": [1], "fields": fields, "status": "confirmed"}
    entries = filled(msgspec.json.encode(old).decode(), schema)["entries"]
    assert entries[0] == old | {"status": "stated"}
    assert [(entry["id"], entry["turns"]) for entry in entries] == [("BR-1", [1]), ("", [2])]


def test_another_form_gets_the_least_values_and_the_same_question_the_same_answer() -> None:
    schema = object_of(a={"type": ["integer", "null"]}, b=object_of(c={"type": "boolean"}), d={"type": "number"})
    assert filled("?", schema) == {"a": 0, "b": {"c": False}, "d": 0}
    assert filled("Rules.") == filled("Rules.")


DOCUMENT = """[document]
{"key":"objectives","title":"Objectives","entries":[{"id":"OBJ-1","objective":"less typing"}]}
{"key":"risks","title":"Risks","entries":[{"id":"RI-1","risk":"Outlook is down"}]}
[user]
"""


@pytest.mark.parametrize(
    ("said", "intent", "sections"),
    [
        ("Yes, perfect.", "confirm", []),
        ("The objectives are not right.", "correct", ["objectives"]),
        ("Please change Outlook to Gmail.", "correct", ["risks"]),
        ("Hm.", "other", []),
    ],
)
def test_a_review(said: str, intent: str, sections: list[str]) -> None:
    told = fill(DOCUMENT + msgspec.json.encode({"asked": "Right?", "said": said}).decode(), REVIEW)
    assert (told["intent"], told["sections"]) == (intent, sections)
    assert told["reply"]


PIECE = st.sampled_from(["[transcript]", "[task]", "[user]", '{"turn":"x","said":5}', "{", '{"id":1}', "[document]"])


@given(st.lists(st.one_of(PIECE, st.text(st.characters()))).map("\n".join), st.sampled_from([FORM, REVIEW]))
def test_filling_in_never_raises(text: str, schema: dict[str, Any]) -> None:
    told = msgspec.json.decode(fill_in(msgspec.convert(schema, Node), [None, {"role": "user", "content": text}]))
    assert list(told) == list(schema["properties"])
