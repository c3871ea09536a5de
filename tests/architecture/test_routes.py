"""Every route says who may call it, and stands behind the gate of its plane."""

from typing import Any, get_args, get_type_hints

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.routes import HTTPRoute
from msgspec import Struct

from leasehold.http.gates import PlatformGate, TenantGate
from leasehold.http.idempotency import TAKES_KEY
from leasehold.http.marks import CREDENTIAL_ENDPOINT, IS_PUBLIC, SCOPES, SIGNED_LINK
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.workspace.scopes import ALL_SCOPES

_READING = (":read", ":export")
_CHANGING = (":write", ":impersonate", ":purge", ":clone", ":export")
_PUBLIC = ("/health", "/docs", "/openapi", "/.well-known")
_OF_A_TENANT = {"session", "reader", "identity", "credential_reader", "tenant"}
Routes = dict[str, HTTPRouteHandler]


@pytest.fixture(scope="module")
def routes(litestar: Litestar) -> Routes:
    """Each handler by method and path, without those that Litestar adds to answer OPTIONS."""
    return {
        f"{method} {route.path_format}": handler
        for route in litestar.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    }


def _path(name: str) -> str:
    return name.partition(" ")[2]


def _plane(name: str) -> str:
    return "platform" if _path(name).startswith("/platform") else "tenant"


def test_the_walk_finds_the_routes(routes: Routes) -> None:
    """Prevents the other tests from passing because they looked at nothing."""
    assert {"GET /v1/items/{item_id}", "POST /oauth/token", "POST /platform/v1/tenants", "GET /docs"} <= set(routes)


def test_everything_that_is_served_is_plain_http(litestar: Litestar) -> None:
    """Prevents a websocket or a mounted application, which would pass by the gates: they look at HTTP alone."""
    assert [route.path for route in litestar.routes if not isinstance(route, HTTPRoute)] == []


def test_every_route_says_who_may_call_it(routes: Routes) -> None:
    """Prevents a route that is open to everybody because nobody thought of its scopes."""
    marks = (SCOPES, IS_PUBLIC, CREDENTIAL_ENDPOINT, SIGNED_LINK)
    wrong = {name: handler.opt for name, handler in routes.items() if sum(mark in handler.opt for mark in marks) != 1}
    assert wrong == {}


def test_every_scope_is_one_of_its_plane(routes: Routes) -> None:
    """Prevents a misspelt scope, which nobody holds, and a tenant's scope on a route of the platform."""
    known = {"tenant": ALL_SCOPES, "platform": PLATFORM_SCOPES}
    declared = {name: handler.opt[SCOPES] for name, handler in routes.items() if SCOPES in handler.opt}
    assert {name: type(scopes) for name, scopes in declared.items() if not isinstance(scopes, tuple)} == {}
    assert {name: scopes for name, scopes in declared.items() if not set(scopes) <= known[_plane(name)]} == {}


def test_the_platform_demands_a_scope_on_every_route(routes: Routes) -> None:
    """Prevents a route of the platform that any token of an admin opens, whatever it was issued for.

    But what admins do with themselves.
    """
    of_platform = {name: handler for name, handler in routes.items() if _plane(name) == "platform"}
    unscoped = {name for name, handler in of_platform.items() if not handler.opt.get(SCOPES)}
    assert {name for name in unscoped if not _path(name).startswith(("/platform/v1/auth/", "/platform/v1/me"))} == set()


def test_what_only_reads_demands_no_right_to_write_and_the_other_way_round(routes: Routes) -> None:
    """Prevents a changing route behind a scope that was given out for reading."""
    scoped = {name: handler.opt[SCOPES] for name, handler in routes.items() if handler.opt.get(SCOPES)}
    wrong = {
        name: scopes
        for name, scopes in scoped.items()
        if not any(scope.endswith(_READING if name.startswith("GET ") else _CHANGING) for scope in scopes)
    }
    assert wrong == {}


def test_every_route_stands_behind_the_gate_of_its_plane_alone(routes: Routes) -> None:
    """Prevents a route that no gate guards, or one of the platform that a tenant's token opens."""
    expected = {"tenant": [TenantGate], "platform": [PlatformGate]}
    gates = {
        name: [layer.middleware for layer in handler.resolve_middleware() if isinstance(layer, DefineMiddleware)]
        for name, handler in routes.items()
        if not _path(name).startswith(_PUBLIC)
    }
    assert {name: found for name, found in gates.items() if found != expected[_plane(name)]} == {}


def test_only_probes_documentation_and_discovery_are_public(routes: Routes) -> None:
    """Prevents data behind a route that was made public for convenience."""
    public = {name for name, handler in routes.items() if IS_PUBLIC in handler.opt}
    assert {name for name in public if not _path(name).startswith(_PUBLIC)} == set()
    assert {name for name in routes if _path(name).startswith(_PUBLIC)} == public


def test_public_routes_are_given_no_tenant_and_no_session(routes: Routes) -> None:
    """Prevents a public route that answers from some tenant's data."""
    given = {
        name: sorted(_OF_A_TENANT & set(handler.resolve_dependencies()))
        for name, handler in routes.items()
        if IS_PUBLIC in handler.opt
    }
    assert {name: found for name, found in given.items() if found} == {}


def test_only_the_endpoints_that_hand_out_credentials_need_none(routes: Routes) -> None:
    """Prevents a route that takes the tenant from Host or header alone and so binds no token to it."""
    assert {name for name, handler in routes.items() if CREDENTIAL_ENDPOINT in handler.opt} == {
        "POST /oauth/introspect",
        "POST /oauth/revoke",
        "POST /oauth/token",
        "POST /platform/v1/auth/login",
        "POST /platform/v1/auth/password",
        "POST /v1/auth/email-confirmation",
        "POST /v1/auth/forgotten-password",
        "POST /v1/auth/login",
        "POST /v1/auth/password-reset",
        "POST /v1/auth/refresh",
        "POST /v1/auth/register",
    }


def test_only_the_file_of_an_export_is_had_by_a_signed_link(routes: Routes) -> None:
    """Prevents data that whoever finds a link in a history can read, where a token would do."""
    linked = {name for name, handler in routes.items() if SIGNED_LINK in handler.opt}
    assert linked == {"GET /v1/tenant/exports/{export_id}/download"}


def test_every_post_takes_an_idempotency_key_but_where_somebody_proves_who_they_are(routes: Routes) -> None:
    """Prevents a POST that a client cannot send again after a time-out without doing it twice.

    And the other way round: a key at a place where an answer that is kept would keep a credential.
    """
    posts = {name for name, handler in routes.items() if name.startswith("POST ") and SCOPES in handler.opt}
    assert "POST /v1/items" in posts
    proving = ("/oauth/", "/v1/auth/", "/v1/me/", "/platform/v1/auth/", "/platform/v1/me/")
    expected = {name for name in posts if not _path(name).startswith(proving)} | {"POST /platform/v1/me/tokens"}
    assert {name for name, handler in routes.items() if TAKES_KEY in handler.opt} == expected


def _fields(answer: Any) -> set[str]:
    """Return the names of all fields in an answer, however deep."""
    if not (isinstance(answer, type) and issubclass(answer, Struct)):
        return {field for argument in get_args(answer) for field in _fields(argument)}
    hints = get_type_hints(answer, include_extras=True)
    return set(hints).union(*(_fields(hint) for hint in hints.values()))


def test_what_is_kept_of_an_answer_holds_no_secret(routes: Routes) -> None:
    """Prevents a secret that lies in a table for a day in plain text, because its field is not marked `ShownOnce`."""
    shown = {name: _fields(handler.parsed_fn_signature.return_type.raw) for name, handler in routes.items()}
    assert "client_secret" in shown["POST /v1/clients"]
    words = ("secret", "token", "password", "code")
    unmarked = {
        f"{name}: {field}"
        for name, handler in routes.items()
        if TAKES_KEY in handler.opt
        for field in shown[name] - set(handler.opt[TAKES_KEY])
        if any(word in field for word in words) and not field.endswith(("_at", "_type"))
    }
    assert unmarked == set()
    assert routes["POST /v1/clients"].opt[TAKES_KEY] == ("client_secret",)


def test_no_route_is_cached(routes: Routes) -> None:
    """Prevents the answer for one tenant from being served to another: Litestar's cache is keyed by the address."""
    assert {name: handler.cache for name, handler in routes.items() if handler.cache} == {}


def test_only_the_unit_of_work_is_a_generator(routes: Routes) -> None:
    """Prevents a commit inside a task group, where an error no longer becomes a problem document."""
    generators = {
        f"{name}: {key}"
        for name, handler in routes.items()
        for key, provider in handler.resolve_dependencies().items()
        if key != "session" and (provider.has_sync_generator_dependency or provider.has_async_generator_dependency)
    }
    assert generators == set()


def _asked_for(handler: HTTPRouteHandler) -> set[str]:
    """Return the names of all dependencies that a handler takes, directly or through others."""
    providers = handler.resolve_dependencies()
    found: set[str] = set()
    waiting = [name for name in handler.parsed_fn_signature.parameters if name in providers]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [needed for needed in providers[name].parsed_fn_signature.parameters if needed in providers]
    return found


def test_every_route_that_takes_a_tenants_token_opens_the_session_that_reads_its_subjects_status(
    routes: Routes,
) -> None:
    """Prevents a route on which the token of a removed user or client still works until it expires."""
    scoped = {name: handler for name, handler in routes.items() if _plane(name) == "tenant" and SCOPES in handler.opt}
    assert scoped
    unread = [name for name, handler in scoped.items() if not {"session", "reader", "identity"} & _asked_for(handler)]
    assert unread == []


def test_no_route_holds_two_connections(routes: Routes) -> None:
    """Prevents a route that waits for a second connection while it holds the first: enough of them wait for ever."""
    assert [name for name, handler in routes.items() if {"session", "reader"} <= _asked_for(handler)] == []


def test_no_route_that_only_reads_can_write(routes: Routes) -> None:
    """Prevents a GET that changes something: a reader's transaction is read-only, and GET routes get no other."""
    tenant_gets = {name: handler for name, handler in routes.items() if name.startswith("GET /v1/")}
    assert tenant_gets
    assert [name for name, handler in tenant_gets.items() if "session" in _asked_for(handler)] == []


def test_dependencies_are_resolved_one_after_another(litestar: Litestar) -> None:
    """Prevents task groups on the way of a request, and two dependencies that take a connection at the same time."""
    batches = {
        f"{route.path} {method}": [len(batch) for batch in parameters.dependency_batches]
        for route in litestar.routes
        if isinstance(route, HTTPRoute)
        for method, (_, parameters) in route.route_handler_map.items()
    }
    assert max(len(sizes) for sizes in batches.values()) >= 3
    assert {name: sizes for name, sizes in batches.items() if set(sizes) - {1}} == {}


def test_a_route_of_a_tenant_that_only_reads_takes_a_reader(routes: Routes) -> None:
    """Prevents a list or a look-up on the session, at several times the cost, where nothing is to be written."""
    wrong = [
        name
        for name, handler in routes.items()
        if name.startswith("GET ") and _plane(name) == "tenant" and "session" in handler.parsed_fn_signature.parameters
    ]
    assert wrong == []
