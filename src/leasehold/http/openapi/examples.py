"""Examples of what is sent and answered, made of those that the fields of the structs have."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leasehold.core.streaming import NDJSON

_TEXTS = {
    "uuid": "01981a77-5d3b-7c31-8f3a-2f1f0c1d7a11",
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
}


def add_examples(document: Mapping[str, Any]) -> None:
    """Give each JSON body, sent or answered with success, an example, and each parameter but a cursor one.

    What is answered often has no example of its own: then it is that of a field of the same name which is sent.
    """
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    _name_fields(schemas)
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                is_cursor = parameter["name"] == "cursor"  # which nobody can make up
                if not is_cursor and "example" not in parameter and "examples" not in parameter:
                    parameter["example"] = _example(parameter["schema"], schemas)
            bodies = [operation.get("requestBody", {})]
            bodies += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            for body in bodies:
                for media_type, content in body.get("content", {}).items():
                    if media_type == NDJSON:
                        line = _example(content["schema"]["contentSchema"], schemas)
                        content["example"] = msgspec.json.encode(line).decode() + "\n"
                    elif _is_described(content.get("schema", {})) and "examples" not in content:
                        content["example"] = _example(content["schema"], schemas)


def _name_fields(schemas: Mapping[str, Any]) -> None:
    """Give texts without an example that of a field of the same name."""
    fields = [field for schema in schemas.values() for field in schema.get("properties", {}).items()]
    known = {name: field["examples"] for name, field in fields if field.get("examples")}
    for name, field in fields:
        if field.get("type") == "string" and name in known and not {"examples", "format", "enum", "const"} & set(field):
            field["examples"] = known[name]


def _is_described(schema: Mapping[str, Any]) -> bool:
    return "$ref" in schema or "properties" in schema or "oneOf" in schema


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    given = schema.get("examples")
    if given:
        return _first(given)
    for name in ("example", "const", "default"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    for name in ("oneOf", "anyOf"):
        if name in schema:
            # Null is what most fields may be; the other says more.
            return _example(next((one for one in schema[name] if one.get("type") != "null"), schema[name][0]), schemas)
    return _by_type(schema, schemas)


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next((one for one in kinds if one != "null"), "null")
    if kind == "object":
        return {name: _example(inner, schemas) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema["items"], schemas)] if schema.get("items") else []
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), "text")
    return {"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True}.get(kind)


def _first(examples: list[Any] | dict[str, Any]) -> Any:
    """Return the first of a schema's examples; Litestar writes them as OpenAPI's own, each with its value."""
    if not isinstance(examples, dict):
        return examples[0]
    return next(iter(examples.values()))["value"]
