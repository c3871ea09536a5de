"""The document: what Litestar makes of the routes, with scopes, problems and headers that it cannot know."""

from typing import Any

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, OAuthFlow, OAuthFlows, SecurityScheme

from leasehold.core.errors import NotFound
from leasehold.core.idempotency.key import KEY_PATTERN
from leasehold.http.idempotency import HEADER, REPLAYED_HEADER, TAKES_KEY
from leasehold.http.marks import CREDENTIAL_ENDPOINT, IS_PUBLIC, SCOPES, SIGNED_LINK
from leasehold.http.openapi.answers import SCHEMAS, describe_problems, examples_of, problems_of
from leasehold.http.openapi.bodies import describe_body
from leasehold.http.openapi.entity_tags import describe_tags
from leasehold.http.openapi.examples import add_examples
from leasehold.http.openapi.limits import HEADERS, describe_limits
from leasehold.http.openapi.lists import describe_list
from leasehold.http.openapi.moves import MOVED_HEADERS, describe_move
from leasehold.http.openapi.names import give_plain_names
from leasehold.http.problems import ProblemType
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.workspace.scopes import ALL_SCOPES


def _nobody(_connection: object, _handler: object) -> None:
    """Close Litestar's own pages: they need a CDN, and answer unknown addresses in HTML."""
    raise NotFound


def openapi_config(version: str) -> OpenAPIConfig:
    """Return what the document says of the API as a whole."""
    return OpenAPIConfig(
        title="Leasehold",
        version=version,
        description="A multi-tenant backend. Errors are problem documents (RFC 9457).",
        license=License(name="Apache-2.0"),
        components=Components(
            security_schemes={
                "client": SecurityScheme(
                    type="oauth2",
                    description="An access token of a tenant's API client or user",
                    flows=OAuthFlows(
                        client_credentials=OAuthFlow(
                            token_url="/oauth/token", scopes={scope: scope for scope in sorted(ALL_SCOPES)}
                        )
                    ),
                ),
                "key": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="lh_key_...",
                    description="An API key, which a script sends in place of an access token",
                ),
                "admin": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description=f"A token of a platform admin; scopes: {', '.join(sorted(PLATFORM_SCOPES))}",
                ),
            }
        ),
        render_plugins=[JsonRenderPlugin()],
        openapi_router=Router(
            "/openapi", route_handlers=[], guards=[_nobody], include_in_schema=False, opt={IS_PUBLIC: True}
        ),
    )


def document_of(app: Litestar) -> dict[str, Any]:
    """Return the app's OpenAPI document, in which every operation names its scopes and the form of its errors."""
    document = app.openapi_schema.to_schema()
    handlers = {
        (path, method): handler
        for route in app.routes
        if hasattr(route, "route_handler_map")
        for path in [route.path_format]
        for method, (handler, _) in getattr(route, "route_handler_map").items()  # noqa: B009
    }
    named: set[ProblemType] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            handler = handlers.get((path, method.upper()))
            if handler is None:
                continue
            describe_list(operation, handler)
            problems = problems_of(path, handler, operation)
            describe_problems(operation, problems, is_oauth=path.startswith("/oauth/"))
            describe_limits(operation, handler)
            describe_move(operation, path, handler)
            named.update(problems)
            operation["security"] = _security(path, handler.opt)
            if TAKES_KEY in handler.opt:
                _describe_key(operation)
            describe_body(operation, handler, document["components"]["schemas"])
            describe_tags(operation, handler)
            operation["responses"].get("204", {}).pop("content", None)
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
    add_examples(document)
    document["components"]["schemas"] |= SCHEMAS
    document["components"]["examples"] = examples_of(sorted(named))
    document["components"]["headers"] = HEADERS | MOVED_HEADERS
    give_plain_names(document)
    return document


def _security(path: str, opt: dict[str, Any]) -> list[dict[str, list[str]]]:
    if opt.get(IS_PUBLIC) or opt.get(CREDENTIAL_ENDPOINT) or opt.get(SIGNED_LINK):
        return []
    schemes = ("admin",) if path.startswith("/platform") else ("client", "key")
    return [{scheme: list(opt[SCOPES])} for scheme in schemes]


def _describe_key(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {})[REPLAYED_HEADER] = _REPLAYED


_KEY_PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A key of your own for this one request, best a random UUID. For 24 hours the same request with the "
    "same key is not carried out again: it gets the same answer, without secrets that are shown once. Another request "
    "with the key gets 422, and 409 while the first one is still being carried out.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
    "example": "0b9c2f1e-6f0d-4c0e-9a50-3f2f0c1d7a11",
}
_REPLAYED: dict[str, Any] = {
    "description": "Says that the answer is the one that was given to the same request before",
    "schema": {"type": "string", "enum": ["true"]},
}
