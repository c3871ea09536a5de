"""The gates of the two planes: a request passes with a tenant and a principal, or with an admin, or not at all.

They are plain ASGI, for every request goes through one; Litestar's own class around a middleware only costs.
"""

from collections.abc import Awaitable, Mapping
from uuid import UUID

from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from leasehold.core.bulk import LINES
from leasehold.core.credentials import PREFIX as OPAQUE
from leasehold.core.database import platform_session
from leasehold.core.errors import InvalidToken, NotFound, Problem
from leasehold.core.principal import Principal
from leasehold.core.streaming import NDJSON
from leasehold.core.uploads import TAKES_LINES
from leasehold.http.idempotency import note_key
from leasehold.http.limits import RequestLimits
from leasehold.http.marks import CREDENTIAL_ENDPOINT, FEATURE, MERGE_PATCH, ONLY_READS, SCOPES, SIGNED_LINK, TAKES_FORM
from leasehold.http.moved import MovedHosts
from leasehold.http.refusals import NoCredential, RepeatedHeader, TenantRequired, WrongMediaType
from leasehold.platform.auth.service import logged_in
from leasehold.process import Process
from leasehold.tenancy.context import TenantInMaintenance, TenantRef, UnknownTenant
from leasehold.tenancy.entitlements import Feature
from leasehold.tenancy.resolve import hostname_of, is_base_host, resolve_tenant

_GATE_HEADERS = {
    b"authorization": "authorization",
    b"host": "host",
    b"idempotency-key": "idempotency-key",
    b"x-tenant": "x-tenant",
}


class TenantGate:
    """Finds tenant and principal of a request, and demands the scopes of its route."""

    def __init__(self, app: ASGIApp, process: Process, limits: RequestLimits) -> None:
        self._app = app
        self._process = process
        self._limits = limits
        self._moved = MovedHosts(process)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its tenant and principal in the state of its scope."""
        if _is_options(scope):
            self._moved.demand_present(scope)
            await _tell_methods(scope, send)
            return
        handler = scope["route_handler"]
        headers = _named_headers(scope)
        try:
            if handler.opt.get(CREDENTIAL_ENDPOINT):
                tenant = scope["state"]["tenant"] = self._tenant(headers, None) or _raise(TenantRequired())
                _demand_writable(scope, tenant, handler)
                shared = self._limits.hold_address(scope, tenant)
                if shared is not None:
                    await shared
            elif handler.opt.get(SIGNED_LINK):
                shared = self._by_link(scope, headers)
                if shared is not None:
                    await shared
            else:
                token, state = bearer_token(headers), scope["state"]
                if token is None:
                    self._tenant(headers, None)  # which may refuse the request for a better reason
                    raise NoCredential
                # Not `startswith`: a call is half of what this may cost each request by access token.
                if token[:3] == OPAQUE:
                    tenant, principal = await self._by_key(token, scope, headers)
                else:
                    # Known from here on: the log names who is refused, whatever for.
                    principal = state["principal"] = self._process.tokens.verify(token)
                    tenant = self._tenant(headers, principal.tenant_id)
                if tenant is None:
                    raise NoCredential
                # Before the scopes are demanded: who is refused there counts in what the tenant uses.
                state["tenant"] = tenant
                # And before the request itself opens anything: a refusal costs no database.
                shared = self._limits.hold_client(scope, tenant, principal)
                if shared is not None:
                    await shared
                _demand_scopes(principal, handler)
                if FEATURE in handler.opt:
                    feature: Feature = handler.opt[FEATURE]
                    feature.demand(tenant.entitlements)
                _demand_writable(scope, tenant, handler)
                note_key(scope, headers.get("idempotency-key"))
        except Problem:
            # Only now, for it would cost each request that nobody refuses.
            self._moved.demand_present(scope)
            raise
        _demand_json(scope)
        await self._app(scope, receive, send)

    async def _by_key(self, key: str, scope: Scope, headers: Mapping[str, str]) -> tuple[TenantRef, Principal]:
        """Return tenant and principal of an API key. Its tenant is found first: the key is looked up in its schema."""
        process, state = self._process, scope["state"]
        principal = process.api_keys.recall(key)
        if principal is not None:
            state["principal"] = principal
        tenant = self._tenant(headers, principal.tenant_id if principal else process.api_keys.tenant_id_of(key))
        if tenant is None:
            raise NoCredential
        if principal is None:
            async with self._limits.hold_failures(scope, tenant):
                principal = state["principal"] = await process.api_keys.verify(key, tenant)
        process.key_uses.note(tenant.id, principal.subject)
        return tenant, principal

    def _by_link(self, scope: Scope, headers: Mapping[str, str]) -> Awaitable[None] | None:
        """Let whoever has a signed link in, to its one address; return what to wait for, if anything."""
        linked = self._process.signed_links.tenant_of(scope["path"], scope["query_string"].decode("latin-1"))
        tenant = scope["state"]["tenant"] = self._tenant(headers, linked) or _raise(UnknownTenant())
        return self._limits.hold_address(scope, tenant)

    def _tenant(self, headers: Mapping[str, str], credential_tenant: UUID | None) -> TenantRef | None:
        return resolve_tenant(
            self._process.directory,
            host=hostname_of(headers.get("host", "")),
            base_domain=self._process.settings.base_domain,
            header=headers.get("x-tenant"),
            credential_tenant=credential_tenant,
            window=self._process.window,
        )


class PlatformGate:
    """Finds the admin of a request, and demands the scopes of its route. It stands on the base host alone."""

    def __init__(self, app: ASGIApp, process: Process, limits: RequestLimits) -> None:
        self._app = app
        self._process = process
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its principal in the state of its scope."""
        if _is_options(scope):
            await _tell_methods(scope, send)
            return
        headers = _named_headers(scope)
        if not is_base_host(hostname_of(headers.get("host", "")), base_domain=self._process.settings.base_domain):
            raise NotFound
        handler = scope["route_handler"]
        if handler.opt.get(CREDENTIAL_ENDPOINT):
            shared = self._limits.hold_address(scope, None)
            if shared is not None:
                await shared
        else:
            token = bearer_token(headers)
            if token is None:
                raise NoCredential
            principal = await self._admin(token, scope)
            scope["state"]["principal"] = principal
            shared = self._limits.hold_admin(scope, principal)
            if shared is not None:
                await shared
            _demand_scopes(principal, handler)
            note_key(scope, headers.get("idempotency-key"))
        _demand_json(scope)
        await self._app(scope, receive, send)

    async def _admin(self, token: str, scope: Scope) -> Principal:
        """Return the admin of a token, who is looked up each time: there are few, and they can do much."""
        process = self._process
        if token.startswith(OPAQUE):
            async with self._limits.hold_failures(scope, None):
                return await process.admin_tokens.verify(token)
        claimed = process.tokens.verify_for_platform(token)
        async with platform_session(process.database) as session:
            return await logged_in(session, claimed, demands_totp=process.settings.admin_totp_required)


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token of `Authorization: Bearer` (RFC 6750, section 2.1), None without the header.

    Raises:
        InvalidToken: the header is there and says something else.
    """
    header = headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()


def _demand_json(scope: Scope) -> None:
    """Pass if the request has no body, or one that calls itself JSON: lines of it, or a patch, where the route has one.

    Raises:
        WrongMediaType: the body calls itself something else.
    """
    handler = scope["route_handler"]
    if scope["type"] != ScopeType.HTTP or not isinstance(handler, HTTPRouteHandler):
        return
    takes_lines = TAKES_LINES in handler.opt
    if handler.parsed_data_field is None and not takes_lines:
        return
    headers = dict(scope["headers"])
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    is_empty = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
    if handler.opt.get(TAKES_FORM) or (is_empty and not content_type):
        return
    is_patch = scope["method"] == "PATCH" and LINES not in handler.opt
    wanted = (NDJSON,) if takes_lines else ("application/json", MERGE_PATCH) if is_patch else ("application/json",)
    if content_type.decode("latin-1") not in wanted:
        raise WrongMediaType(wanted=" or ".join(wanted))


def _named_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that a gate asks for.

    Raises:
        RepeatedHeader: one of them was sent twice, and a proxy may have looked at the other.
    """
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = _GATE_HEADERS.get(name)
        if key is not None:
            if key in found:
                raise RepeatedHeader(name=key)
            found[key] = value.decode("latin-1")
    return found


async def _tell_methods(scope: Scope, send: Send) -> None:
    """Name the methods of an address (RFC 9110, section 9.3.7).

    Litestar's own answer names the method alone that was registered first.
    """
    template = scope["path_template"]
    routes = [route for route in scope["litestar_app"].routes if isinstance(route, HTTPRoute)]
    methods = {method for route in routes if route.path_format == template for method in route.methods}
    headers = [(b"allow", ", ".join(sorted(methods)).encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_options(scope: Scope) -> bool:
    """Tell whether a request only asks what it may ask, which needs no tenant and shows no data."""
    return scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS"


def _demand_writable(scope: Scope, tenant: TenantRef, handler: BaseRouteHandler) -> None:
    """Pass unless a request may change what can only be read now; where one does after all, PostgreSQL refuses it.

    Raises:
        TenantInMaintenance: it may.
    """
    if tenant.maintenance is None or scope["type"] != ScopeType.HTTP:
        return
    if scope["method"] != "GET" and not handler.opt.get(ONLY_READS):
        raise TenantInMaintenance(tenant.maintenance)


def _demand_scopes(principal: Principal, handler: BaseRouteHandler) -> None:
    scopes: tuple[str, ...] | None = handler.opt.get(SCOPES)
    if scopes is None:
        raise LookupError(f"the route {handler} declares no scopes, so nobody may call it")
    principal.demand(*scopes)


def _raise(problem: Problem) -> TenantRef:
    raise problem
