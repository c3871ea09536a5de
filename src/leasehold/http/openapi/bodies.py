"""What the OpenAPI document says of bodies, where a route takes more than its types say."""

from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from leasehold.core.bulk import LINES
from leasehold.core.streaming import LINE, NDJSON
from leasehold.core.uploads import TAKES_LINES
from leasehold.http.marks import MERGE_PATCH

_REFERENCE = "#/components/schemas/{name}"


def describe_body(operation: dict[str, Any], handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    """Say what is in bodies that are lines of JSON, and that a patch may call itself one."""
    if LINES in handler.opt:
        body = schemas[operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        body["properties"]["items"]["items"] = _schema_of(handler.opt[LINES], schemas)
    if TAKES_LINES in handler.opt:
        content: dict[str, Any] = {NDJSON: {"schema": _lines(handler.opt[TAKES_LINES], schemas)}}
        operation["requestBody"] = {
            "required": True,
            "description": "One JSON document in each line",
            "content": content,
        }
    elif "PATCH" in handler.http_methods and "requestBody" in operation and LINES not in handler.opt:
        content = operation["requestBody"]["content"]
        content[MERGE_PATCH] = content["application/json"]
    answered = operation["responses"].get("200", {}).get("content", {})
    if LINE in handler.opt:
        answered[NDJSON]["schema"] = _lines(handler.opt[LINE], schemas)


def _lines(struct: type[msgspec.Struct], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what describes lines of JSON: as a text, for no keyword of OpenAPI 3.1 is for what follows one another."""
    schema = _schema_of(struct, schemas)
    return {
        "type": "string",
        "contentMediaType": NDJSON,
        "contentSchema": schema,
        "description": "A document in each line",
    }


def _schema_of(struct: type[msgspec.Struct], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the reference to a struct, which is described if nobody has done so."""
    (reference,), found = msgspec.json.schema_components([struct], ref_template=_REFERENCE)
    for name, schema in found.items():
        schemas.setdefault(name, schema)
    return reference
