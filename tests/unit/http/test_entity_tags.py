"""Entity tags in the OpenAPI document, of routes that the product has not got."""

from typing import Any

import pytest
from litestar import Litestar, Response, delete
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.http.openapi.entity_tags import describe_tags


@delete("/", described=True)
async def for_good(precondition: NamedDependency[Precondition]) -> None:
    """Answer nothing."""


@delete("/", described=True)
async def softly(precondition: NamedDependency[Precondition]) -> Response[None]:
    """Answer with headers."""
    return Response(None, status_code=204)


@pytest.mark.parametrize(("handler", "headers"), [(for_good, set()), (softly, {"ETag"})])
def test_a_route_that_answers_nothing_gives_no_tag(handler: HTTPRouteHandler, headers: set[str]) -> None:
    app = Litestar([handler], dependencies={"precondition": Provide(lambda: ANYTHING, sync_to_thread=False)})
    handlers = [found for route in app.routes if isinstance(route, HTTPRoute) for found in route.route_handlers]
    registered = next(found for found in handlers if "described" in found.opt)
    operation: dict[str, Any] = {"responses": {"204": {}, "404": {}}}
    describe_tags(operation, registered)
    assert set(operation["responses"]["204"].get("headers", {})) == headers
    assert [parameter["name"] for parameter in operation["parameters"]] == ["If-Match"]
