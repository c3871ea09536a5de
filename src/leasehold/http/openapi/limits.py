"""How the document describes rate limits: their headers, on the success of every limited operation and on its 429."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from leasehold.http.marks import IS_PUBLIC

_TEXT = {"type": "string"}
HEADERS: dict[str, Any] = {
    "RateLimit-Policy": {
        "description": "What is allowed: of each policy its name, `q` requests and `w` seconds "
        "(draft-ietf-httpapi-ratelimit-headers)",
        "schema": _TEXT,
        "example": '"client-10s";q=2000;w=10',
    },
    "RateLimit": {
        "description": "What is left: of each policy its name, `r` requests, and `t` seconds until there is one more",
        "schema": _TEXT,
        "example": '"client-10s";r=1999;t=1',
    },
    "Retry-After": {
        "description": "Seconds after which the next request is accepted",
        "schema": {"type": "integer", "minimum": 1},
    },
}
"""The headers, for the components of the document."""
_ON_REFUSALS = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
_ON_EVERY_ANSWER = {name: header for name, header in _ON_REFUSALS.items() if name != "Retry-After"}


def describe_limits(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Say what the answers of an operation tell of its limits, if it has any."""
    if handler.opt.get(IS_PUBLIC):
        return
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {}).update(_ON_EVERY_ANSWER)
    operation["responses"]["429"]["headers"] = _ON_REFUSALS
