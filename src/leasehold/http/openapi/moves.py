"""How the document describes that a tenant has moved to another host."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from leasehold.http.marks import IS_PUBLIC

_MOVED: dict[str, Any] = {
    "description": "Permanent Redirect: the host is that of a former slug of the tenant",
    "headers": {"Location": {"$ref": "#/components/headers/Location"}},
}
MOVED_HEADERS: dict[str, Any] = {
    "Location": {
        "description": "The same address on the host of the slug that the tenant has now",
        "schema": {"type": "string", "format": "uri"},
    }
}


def describe_move(operation: dict[str, Any], path: str, handler: HTTPRouteHandler) -> None:
    """Add the answer of those operations that stand on the hosts of tenants."""
    if not handler.opt.get(IS_PUBLIC) and not path.startswith("/platform"):
        operation["responses"]["308"] = _MOVED
