"""What breaks the clients of an OpenAPI document, and what does not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from leasehold.http.openapi.compatibility import broken_by

_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["id", "title"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "title": {"type": "string"},
        "status": {"type": "string", "enum": ["open", "done"]},
        "parent": {"oneOf": [{"$ref": "#/components/schemas/Item"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
_CREATE: dict[str, Any] = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "status": {"type": "string", "enum": ["open", "done"]},
        "note": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    },
}
_OLD: dict[str, Any] = {
    "paths": {
        "/items": {
            "post": {
                "operationId": "createItem",
                "security": [{"client": ["items:write"]}],
                "parameters": [{"in": "query", "name": "dry", "required": False, "schema": {"type": "boolean"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ItemCreate"}}},
                },
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}},
                    "422": {"content": {"application/problem+json": {}}},
                },
            }
        }
    },
    "components": {"schemas": {"Item": _ITEM, "ItemCreate": _CREATE}},
}
_BODY = "POST /items body"
_ANSWER = "POST /items 201"

Change = Callable[[dict[str, Any]], object]


def _operation(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"]["/items"]["post"]


def _sent(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["ItemCreate"]


def _answered(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["Item"]


BREAKING: list[tuple[str, Change]] = [
    ("POST /items: it has gone", lambda new: new["paths"].clear()),
    ("POST /items: it has gone", lambda new: new["paths"]["/items"].clear()),
    (
        "POST /items: its id was createItem and is addItem",
        lambda new: _operation(new).update(operationId="addItem"),
    ),
    (
        "POST /items: demands items:admin",
        lambda new: _operation(new).update(security=[{"client": ["items:write", "items:admin"]}]),
    ),
    ("POST /items: takes no query dry any more", lambda new: _operation(new)["parameters"].clear()),
    ("POST /items: demands query dry", lambda new: _operation(new)["parameters"][0].update(required=True)),
    (
        "POST /items: demands query at",
        lambda new: _operation(new)["parameters"].append(
            {"in": "query", "name": "at", "required": True, "schema": {"type": "string"}}
        ),
    ),
    (
        "POST /items query dry: cannot be boolean any more",
        lambda new: _operation(new)["parameters"][0].update(schema={"type": "string"}),
    ),
    (
        "POST /items: takes no application/json any more",
        lambda new: _operation(new)["requestBody"].update(content={"text/plain": {"schema": {"type": "string"}}}),
    ),
    (f"{_BODY}/note: has gone", lambda new: _sent(new)["properties"].pop("note")),
    (f"{_BODY}/status: is demanded", lambda new: _sent(new)["required"].append("status")),
    (f"{_BODY}/title: maxLength is 100", lambda new: _sent(new)["properties"]["title"].update(maxLength=100)),
    (f"{_BODY}/title: minLength is 2", lambda new: _sent(new)["properties"]["title"].update(minLength=2)),
    (f"{_BODY}/title: pattern is ^x", lambda new: _sent(new)["properties"]["title"].update(pattern="^x")),
    (f"{_BODY}/status: takes only open", lambda new: _sent(new)["properties"]["status"].update(enum=["open"])),
    (
        f"{_BODY}/note: cannot be null any more",
        lambda new: _sent(new)["properties"].update(note={"type": "string"}),
    ),
    (f"{_ANSWER}: is not answered any more", lambda new: _operation(new)["responses"].pop("201")),
    (f"{_ANSWER}/title: may be missing", lambda new: _answered(new)["required"].remove("title")),
    (f"{_ANSWER}/status: has gone", lambda new: _answered(new)["properties"].pop("status")),
    (
        f"{_ANSWER}/status: may have values besides done, open",
        lambda new: _answered(new)["properties"]["status"]["enum"].append("archived"),
    ),
    (
        f"{_ANSWER}/title: may be null now",
        lambda new: _answered(new)["properties"].update(title={"type": ["string", "null"]}),
    ),
    (
        f"{_ANSWER}/tags/-: may be integer now",
        lambda new: _answered(new)["properties"]["tags"].update(items={"type": ["string", "integer"]}),
    ),
]

HARMLESS: list[tuple[str, Change]] = [
    ("nothing", lambda _new: None),
    ("another operation", lambda new: new["paths"].update({"/users": {"get": {}}})),
    (
        "an optional parameter",
        lambda new: _operation(new)["parameters"].append({"in": "query", "name": "at", "schema": {"type": "string"}}),
    ),
    ("an optional field to send", lambda new: _sent(new)["properties"].update(more={"type": "string"})),
    ("a field that may be left out", lambda new: _sent(new)["required"].clear()),
    ("a field in answers", lambda new: _answered(new)["properties"].update(more={"type": "string"})),
    ("a field that always comes", lambda new: _answered(new)["required"].append("status")),
    ("a value to send", lambda new: _sent(new)["properties"]["status"]["enum"].append("archived")),
    ("a value less in answers", lambda new: _answered(new)["properties"]["status"].update(enum=["open"])),
    ("a longer title", lambda new: _sent(new)["properties"]["title"].update(maxLength=300)),
    ("fewer scopes", lambda new: _operation(new).update(security=[{"client": []}])),
    ("another error", lambda new: _operation(new)["responses"].update({"409": {}})),
]


@pytest.mark.parametrize(("told", "change"), BREAKING, ids=[told for told, _ in BREAKING])
def test_what_breaks_clients_is_told_with_its_place(told: str, change: Change) -> None:
    new = copy.deepcopy(_OLD)
    change(new)
    assert told in broken_by(new, _OLD)


@pytest.mark.parametrize(("name", "change"), HARMLESS, ids=[name for name, _ in HARMLESS])
def test_what_breaks_nobody_is_not_told(name: str, change: Change) -> None:
    new = copy.deepcopy(_OLD)
    change(new)
    assert broken_by(new, _OLD) == []
