"""What Groq asks of a request for structured output, and how it refuses the others. Pure.

The wording is that of Groq's refusals as people reported them in 2025 and 2026; that of a stream or of tools beside a
schema was never recorded.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from evaa.simulators.groq.script import ChatRequest, ProviderError

MAX_DEPTH = 40  # steps from the root


class Node(msgspec.Struct, frozen=True):
    """What is read of a JSON schema, or of a part of one."""

    type: str | tuple[str, ...] = ""
    description: str = ""
    enum: Annotated[tuple[Any, ...], msgspec.Meta(min_length=1)] | None = None
    properties: dict[str, "Node"] = {}
    required: tuple[str, ...] = ()
    additional: Any = msgspec.field(default=None, name="additionalProperties")
    items: "Node | None" = None
    definitions: dict[str, "Node"] = msgspec.field(default_factory=dict, name="$defs")


class JsonSchema(msgspec.Struct, frozen=True):
    """The form of an answer, as a request gives it."""

    name: str
    schema: Node
    strict: bool | None = False


class _ResponseFormat(msgspec.Struct, frozen=True):
    type: str
    json_schema: JsonSchema | None = None


def wanted_schema(chat: ChatRequest) -> JsonSchema | ProviderError | None:
    """Return the schema that a request asks to be filled in, or why it is refused; None if it asks for no schema."""
    if chat.response_format is None:
        return None
    try:
        wanted = msgspec.convert(chat.response_format, _ResponseFormat)
    except (msgspec.ValidationError, RecursionError) as error:
        return _refusal(f"invalid response_format: {error}")
    if wanted.type in ("text", "json_object"):
        return None
    if wanted.type != "json_schema" or wanted.json_schema is None:
        return _refusal("response_format must be text, json_object, or json_schema with a `json_schema`")
    if chat.stream:
        return _refusal("response_format `json_schema` does not support streaming")
    if chat.tools:
        return _refusal("response_format `json_schema` cannot be combined with tool/function calling")
    schema = wanted.json_schema
    fault = next(_faults(schema.schema, "", strict=bool(schema.strict)), None)
    return schema if fault is None else _refusal(f"invalid JSON schema for response_format: '{schema.name}': {fault}")


def _refusal(message: str) -> ProviderError:
    return ProviderError(status=400, message=message)


def _faults(schema: Node, path: str, *, strict: bool) -> Iterator[str]:
    """Yield what is not allowed: too deep a schema; in strict mode, open objects and fields that may be left out."""
    if path.count("/") > MAX_DEPTH:
        yield "the schema is nested too deeply"
        return
    if strict and schema.type == "object":
        if schema.additional is not False:
            yield f"{path}: additionalProperties:false must be set on every object"
        if missing := schema.properties.keys() - set(schema.required):
            names = ", ".join(sorted(missing))
            yield f"{path}/required: The following properties must be listed in `required`: {names}"
    for name, part in schema.properties.items():
        yield from _faults(part, f"{path}/properties/{name}", strict=strict)
    if schema.items is not None:
        yield from _faults(schema.items, f"{path}/items", strict=strict)
    for name, part in schema.definitions.items():
        yield from _faults(part, f"{path}/$defs/{name}", strict=strict)
