"""Every single resource that can be read and changed has an entity tag, and its changes can be made to depend on it."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

Routes = dict[str, dict[str, HTTPRouteHandler]]
_CHANGING = {"PATCH", "PUT", "DELETE"}
_WITHOUT = {
    "/v1/me": "is the view of a token, and what it changes belongs to who holds the token alone",
    "/v1/tenant/deletion-request": "is there or not: to withdraw it twice does no harm",
    "/platform/v1/me": "is the view of a token; nothing of it is changed at this address",
}
"""The resources that have no tag, and why."""
_PARTS = {"/platform/v1/tenants/{tenant_id}/suspension", "/platform/v1/tenants/{tenant_id}/maintenance"}
"""What changes a resource at an address below it, and answers with the resource."""


@pytest.fixture(scope="module")
def routes(litestar: Litestar) -> Routes:
    """Each handler by path and method."""
    found: Routes = {}
    for route in litestar.routes:
        if isinstance(route, HTTPRoute):
            found.setdefault(route.path_format, {}).update(
                {method: handler for method, (handler, _) in route.route_handler_map.items() if method != "OPTIONS"}
            )
    return found


def _resources(routes: Routes) -> Iterator[tuple[str, dict[str, HTTPRouteHandler]]]:
    for path, handlers in routes.items():
        if "GET" in handlers and _CHANGING & handlers.keys() and path not in _WITHOUT:
            yield path, handlers


def _answer(handler: HTTPRouteHandler) -> Any:
    return handler.parsed_fn_signature.return_type.annotation


def test_the_walk_finds_the_resources(routes: Routes) -> None:
    """Prevents the other tests from passing because they looked at nothing."""
    assert {path for path, _ in _resources(routes)} >= {
        "/v1/items/{item_id}",
        "/v1/users/{user_id}",
        "/v1/tenant",
        "/platform/v1/tenants/{tenant_id}",
        "/platform/v1/plans/{plan_name}",
    }
    assert set(_WITHOUT) | _PARTS <= set(routes)


def test_every_single_resource_that_can_be_changed_has_a_tag(routes: Routes) -> None:
    """Prevents a resource that two read and both change, of whom the second undoes what it has not seen."""
    assert [path for path, handlers in _resources(routes) if not hasattr(_answer(handlers["GET"]), "tagged_by")] == []


def test_every_change_of_a_single_resource_takes_a_precondition(routes: Routes) -> None:
    """Prevents a change whose If-Match is passed over in silence, and so done to what nobody has seen."""
    changes = {
        f"{method} {path}": handler
        for path, handlers in [*_resources(routes), *((path, routes[path]) for path in _PARTS)]
        for method, handler in handlers.items()
        if method in _CHANGING
    }
    assert [name for name, one in changes.items() if "precondition" not in one.parsed_fn_signature.parameters] == []


def test_what_a_precondition_holds_against_is_answered_with_its_tag(routes: Routes) -> None:
    """Prevents an answer to a change that leaves the client with the tag of what it has just changed."""
    patches = {path: _answer(handlers["PATCH"]) for path, handlers in _resources(routes) if "PATCH" in handlers}
    gets = {path: _answer(routes[path]["GET"]) for path in patches}
    assert patches == gets


def test_a_tag_changes_with_every_field_that_is_shown(routes: Routes) -> None:
    """Prevents a 304 for what has changed, because a field was added that the tag knows nothing of."""
    unknown: dict[str, set[str]] = {}
    for path, handlers in _resources(routes):
        shown = _answer(handlers["GET"])
        tagged = {*shown.tagged_by, *getattr(shown, "noted_by", ())}
        if "version" not in tagged:  # which grows with each change
            unknown[path] = set(shown.__struct_fields__) - tagged - {"created_at"}
    assert len(unknown) >= 9
    assert {path: fields for path, fields in unknown.items() if fields} == {}
