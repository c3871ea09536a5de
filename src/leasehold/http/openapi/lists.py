"""How the document describes what may be asked of a list."""

from datetime import datetime
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from leasehold.core.listing.asked import MADE
from leasehold.core.listing.listing import MAX_Q_LENGTH, Listing
from leasehold.http.marks import LISTS


def describe_list(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Add the parameters by which a list is sorted, filtered and searched."""
    listing: Listing[Any] | None = handler.opt.get(LISTS)
    if listing is None:
        return
    orders = [order for name in listing.sorts for order in (name, f"-{name}")]
    default = f"-{MADE}" if listing.default.is_descending else MADE
    order = {"type": "string", "enum": orders, "default": default}
    parameters = [_parameter("sort", "The order; with a - the other way round", order)]
    for name, kind in listing.kinds.items():
        # With its zone, which msgspec does not say of a time that may have none.
        schema = {"type": "string", "format": "date-time"} if kind is datetime else msgspec.json.schema(kind)
        parameters.append(_parameter(name, f"Only rows by their {name}", schema))
    if listing.search is not None:
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_Q_LENGTH}
        parameters.append(_parameter("q", "Only rows that hold these words; a - in front leaves rows out", schema))
    operation.setdefault("parameters", []).extend(parameters)


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
