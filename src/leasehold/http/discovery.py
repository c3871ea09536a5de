"""What clients and resource servers find out by themselves: the issuer's metadata (RFC 8414) and its public keys.

The keys stand on every host. The metadata stands on the host of the issuer alone, of which there is one per
installation: RFC 8414, section 3.3, tells clients to refuse a document that names another issuer than they asked.
"""

import time
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from msgspec import UNSET, Struct, UnsetType

from leasehold.core.errors import NotFound
from leasehold.platform.keys.service import JWKS_MAX_AGE_S
from leasehold.process import Process
from leasehold.tenancy.resolve import hostname_of, is_base_host
from leasehold.workspace.oauth.schemas import GRANT_TYPES
from leasehold.workspace.scopes import ALL_SCOPES

_HEADERS = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_S}"}
_ENDPOINTS = {
    "token_endpoint": "/oauth/token",
    "revocation_endpoint": "/oauth/revoke",
    "introspection_endpoint": "/oauth/introspect",
}
# There is no authorization endpoint. The field is required all the same, and may not be empty (section 3.2).
_RESPONSE_TYPES = ["none"]
_CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post"]


class PublicKey(Struct):
    """The public half of a key that signs access tokens (RFC 7517, RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class PublicKeys(Struct):
    """All keys whose tokens are accepted (RFC 7517, section 5)."""

    keys: list[PublicKey]


class ServerMetadata(Struct, omit_defaults=True):
    """What a client must know of the authorization server (RFC 8414, section 2)."""

    issuer: str
    jwks_uri: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint: str | UnsetType = UNSET
    """Which tenant is meant, a client says by its host or by X-Tenant."""
    revocation_endpoint: str | UnsetType = UNSET
    introspection_endpoint: str | UnsetType = UNSET


def discovery_router(process: Process) -> Router:
    """Return the routes of `/.well-known` (RFC 8615)."""

    @get(
        "/jwks.json",
        operation_id="getPublicKeys",
        summary="Get the keys that verify access tokens",
        is_public=True,
        sync_to_thread=False,
    )
    def public_keys(process: NamedDependency[Process]) -> Response[PublicKeys]:
        """Return the keys that sign, that will, and that did until lately. A next key is here before it signs."""
        keys = [PublicKey(**key.jwk()) for key in process.tokens.ring.published(time.time())]
        return Response(PublicKeys(keys), headers=_HEADERS)

    @get(
        "/oauth-authorization-server",
        operation_id="getServerMetadata",
        summary="Get the authorization server's metadata",
        problems=(NotFound,),
        is_public=True,
        sync_to_thread=False,
    )
    def server_metadata(
        request: Request[Any, Any, State], process: NamedDependency[Process]
    ) -> Response[ServerMetadata]:
        """Return the endpoints and what they support; on the host of the issuer and on the base host alone."""
        settings = process.settings
        host = hostname_of(request.headers.get("host", ""))
        if host != urlsplit(settings.issuer).hostname and not is_base_host(host, base_domain=settings.base_domain):
            raise NotFound
        metadata = ServerMetadata(
            issuer=settings.issuer,
            jwks_uri=f"{settings.issuer}/.well-known/jwks.json",
            scopes_supported=sorted(ALL_SCOPES),
            response_types_supported=_RESPONSE_TYPES,
            grant_types_supported=list(GRANT_TYPES),
            token_endpoint_auth_methods_supported=_CLIENT_AUTHENTICATION,
            **_endpoints(request.app, settings.issuer),
        )
        return Response(metadata, headers=_HEADERS)

    return Router(
        "/.well-known",
        route_handlers=[public_keys, server_metadata],
        dependencies={"process": Provide(lambda: process, sync_to_thread=False)},
        tags=["discovery"],
    )


def _endpoints(app: Litestar, issuer: str) -> dict[str, str]:
    """Return the addresses of those endpoints that there are."""
    served = {route.path for route in app.routes}
    return {name: issuer + path for name, path in _ENDPOINTS.items() if path in served}
