"""The address space: which router stands where, behind which gate."""

from litestar import Router
from litestar.middleware import DefineMiddleware
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ControllerRouterHandler

from leasehold.http.dependencies import platform_dependencies, tenant_dependencies
from leasehold.http.discovery import discovery_router
from leasehold.http.gates import PlatformGate, TenantGate
from leasehold.http.health import health_router
from leasehold.http.idempotency import take_keys
from leasehold.http.limits import RequestLimits
from leasehold.http.marks import SCOPES
from leasehold.http.openapi.pages import docs_assets, openapi_document, swagger_page
from leasehold.http.problems import router as problems_router
from leasehold.platform.features import PLATFORM_ROUTES
from leasehold.process import Process
from leasehold.workspace.features import OAUTH_ROUTES, V1_ROUTES

_CREDENTIALS = ("/oauth/", "/v1/auth/", "/platform/v1/auth/")
"""Where credentials are handed out and taken back: an answer that is kept would keep them."""


def route_handlers(process: Process) -> list[ControllerRouterHandler]:
    """Return everything that is served."""
    limits = RequestLimits(process)
    gate = DefineMiddleware(TenantGate, process=process, limits=limits)
    tenant = tenant_dependencies(process)
    return [
        Router("/v1", route_handlers=V1_ROUTES, dependencies=tenant, middleware=[gate]),
        Router("/", route_handlers=OAUTH_ROUTES, dependencies=tenant, middleware=[gate]),
        Router(
            "/platform/v1",
            route_handlers=PLATFORM_ROUTES,
            dependencies=platform_dependencies(process),
            middleware=[DefineMiddleware(PlatformGate, process=process, limits=limits)],
        ),
        health_router(process),
        discovery_router(process),
        openapi_document,
        swagger_page,
        docs_assets(),
        problems_router,
    ]


class OneDependencyAfterAnother(ReceiveRoutePlugin):
    """Lets a route resolve its dependencies in turn.

    Litestar resolves those that do not need each other in a task group, whose tasks cost several times what ours do.
    """

    def receive_route(self, route: BaseRoute) -> None:
        """Divide the batches of dependencies of each handler of a route."""
        if isinstance(route, HTTPRoute):
            for _, parameters in route.route_handler_map.values():
                parameters.dependency_batches = [{one} for batch in parameters.dependency_batches for one in batch]


class IdempotentPosts(ReceiveRoutePlugin):
    """Lets every POST that demands scopes and writes in the unit of work take the header Idempotency-Key.

    Where credentials are handed out none does.
    """

    def receive_route(self, route: BaseRoute) -> None:
        """Let the POST of a route take the header."""
        if isinstance(route, HTTPRoute) and not route.path.startswith(_CREDENTIALS):
            for method, (handler, parameters) in route.route_handler_map.items():
                needs = {one.key for batch in parameters.dependency_batches for one in batch}
                if method == "POST" and SCOPES in handler.opt and "session" in needs:
                    take_keys(handler)
