"""What routes are given. `session` is the unit of work: a request that writes is one transaction.

It is committed before the answer, so a commit that fails is an error of the request, and not a success whose row is
lost. It is the only dependency that is a generator. A route that only reads asks for `reader` instead, which holds
nothing and needs no end.
"""

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from leasehold.config import networks_of
from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession, platform_session
from leasehold.core.errors import InvalidToken
from leasehold.core.idempotency.key import IdempotencyKey
from leasehold.core.listing.asked import Asked
from leasehold.core.listing.listing import Listing
from leasehold.core.preconditions import Precondition
from leasehold.core.principal import Principal
from leasehold.core.reads import OpenReader
from leasehold.core.uploads import Upload
from leasehold.http.address import client_address
from leasehold.http.idempotency import keyed_request, once
from leasehold.http.marks import CREDENTIAL_ENDPOINT, LISTS
from leasehold.http.request_log import request_id_of
from leasehold.http.uploads import received, upload_of
from leasehold.platform.auth.identity import AdminIdentity
from leasehold.platform.idempotency.service import PlatformKeys
from leasehold.platform.impersonations.service import may_impersonate
from leasehold.process import Process
from leasehold.tenancy.bind import TenantReader, TenantSession, open_tenant_session, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.resolve import resolve_tenant
from leasehold.workspace.auth.identity import Identity
from leasehold.workspace.auth.repository import may_act
from leasehold.workspace.idempotency.service import WorkspaceKeys
from leasehold.workspace.scopes import IMPERSONATION_SCOPES

AnyRequest = Request[Any, Any, State]

_FINGERPRINTS = "idempotency fingerprints"


def provide_principal(request: AnyRequest) -> Principal:
    """Return who asks, as the gate found out."""
    return request.scope["state"]["principal"]


def provide_tenant(request: AnyRequest) -> TenantRef:
    """Return the tenant of the request, as the gate found out."""
    return request.scope["state"]["tenant"]


def provide_asked(request: AnyRequest) -> Asked:
    """Return what a request asks of the list that its route shows.

    Raises:
        Invalid: the list has not what is asked.
    """
    listing: Listing[Any] = request.route_handler.opt[LISTS]
    return listing.asked(request.query_params.multi_items())


def provide_actor(request: AnyRequest) -> Actor:
    """Return who acts by this request: whom its token names, or anybody at an endpoint that hands out credentials."""
    principal: Principal | None = request.scope["state"].get("principal")
    request_id = request_id_of(request.scope)
    return Actor.of(principal, request_id=request_id) if principal else Actor.anonymous(request_id=request_id)


def provide_precondition(request: AnyRequest) -> Precondition:
    """Return what the request makes its write depend on. It is not read before there is something to compare it with.

    What raises here, behind the session, would leave that open: Litestar ends only what was asked for in whole.
    """
    found = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"if-match"]
    return Precondition(", ".join(found) if found else None)


def provide_upload(
    request: AnyRequest,
    session: NamedDependency[TenantSession],  # which is opened when all has arrived
) -> Upload:
    """Return the lines that the request has sent.

    Raises:
        LookupError: the route is not marked as one that takes lines.
    """
    upload = upload_of(request)
    if upload is None:
        raise LookupError(f"{request.route_handler} is not marked by `takes_lines`")
    return upload


def tenant_dependencies(process: Process) -> Mapping[str, Provide]:
    """Return the dependencies of the routes of the tenant plane."""
    pepper = process.key.derive(_FINGERPRINTS)

    async def provide_session(request: AnyRequest) -> AsyncGenerator[TenantSession]:
        tenant = await _active_tenant(process, request)
        async with received(request, process.uploads, max_bytes=process.settings.max_import_bytes) as upload:
            if upload is not None:  # which may have taken minutes
                tenant = await _still_active_tenant(process, request, tenant.id)
            keyed = keyed_request(request)
            if keyed is not None and upload is None:
                await request.body()  # before a connection is waited for, however slowly it arrives
            async with open_tenant_session(process.database, tenant) as session:
                if keyed is None:
                    yield session
                else:
                    async with once(request, keyed, WorkspaceKeys(session), pepper=pepper):
                        yield session

    async def provide_reader(request: AnyRequest) -> TenantReader:
        return tenant_reader(process.readers, await _active_tenant(process, request))

    def provide_credential_reader(tenant: NamedDependency[TenantRef]) -> TenantReader:
        return tenant_reader(process.readers, tenant)

    def provide_open_reader(request: AnyRequest, reader: NamedDependency[TenantReader]) -> OpenReader:
        """What is read for long is asked for anew in between: a suspension or a revocation ends it."""

        async def open_reader() -> TenantReader:
            return tenant_reader(process.readers, await _still_active_tenant(process, request, reader.tenant_id))

        return open_reader

    def provide_open_signed_reader(tenant: NamedDependency[TenantRef]) -> OpenReader:
        """Who has the link is nobody in particular; the tenant is looked up in between, for it may be suspended."""

        async def open_reader() -> TenantReader:
            return tenant_reader(process.readers, _present_tenant(process, tenant.id))

        return open_reader

    async def provide_identity(request: AnyRequest) -> Identity:
        proves_itself = request.route_handler.opt.get(CREDENTIAL_ENDPOINT)
        tenant = provide_tenant(request) if proves_itself else await _active_tenant(process, request)
        return Identity(
            tenant=tenant,
            open_session=partial(open_tenant_session, process.database, tenant),
            tokens=process.tokens,
            passwords=process.passwords,
            key=process.key,
            lifetimes=process.lifetimes,
            by=provide_actor(request),
        )

    return {
        "session": Provide(provide_session),
        "reader": Provide(provide_reader),
        "open_reader": Provide(provide_open_reader, sync_to_thread=False),
        "open_signed_reader": Provide(provide_open_signed_reader, sync_to_thread=False),
        "signed_links": Provide(lambda: process.signed_links, sync_to_thread=False),
        "exports_kept": Provide(lambda: timedelta(days=process.settings.export_days), sync_to_thread=False),
        "export_link_seconds": Provide(lambda: process.settings.export_link_seconds, sync_to_thread=False),
        "credential_reader": Provide(provide_credential_reader, sync_to_thread=False),
        "identity": Provide(provide_identity),
        "client_address": _provided_address(process),
        "tenant": Provide(provide_tenant, sync_to_thread=False),
        "principal": Provide(provide_principal, sync_to_thread=False),
        "actor": Provide(provide_actor, sync_to_thread=False),
        "precondition": Provide(provide_precondition, sync_to_thread=False),
        "upload": Provide(provide_upload, sync_to_thread=False),
        "passwords": Provide(lambda: process.passwords, sync_to_thread=False),
        "client_uses": Provide(lambda: process.client_uses, sync_to_thread=False),
        "installation_key": Provide(lambda: process.key, sync_to_thread=False),
        "cursors": Provide(lambda: process.cursors, sync_to_thread=False),
        "asked": Provide(provide_asked, sync_to_thread=False),
    }


def platform_dependencies(process: Process) -> Mapping[str, Provide]:
    """Return the dependencies of the routes of the platform plane."""
    pepper = process.key.derive(_FINGERPRINTS)

    async def provide_session(
        request: AnyRequest,
        principal: NamedDependency[Principal],  # resolved after what may refuse the request
    ) -> AsyncGenerator[PlatformSession]:
        async with platform_session(process.database) as session:
            if (keyed := keyed_request(request)) is None:
                yield session
            else:
                async with once(request, keyed, PlatformKeys(session), pepper=pepper):
                    yield session
        if request.method != "GET":
            # An admin who provisions and then uses the tenant must find it, at least in this process.
            await process.feed.caught_up()

    def provide_identity(request: AnyRequest) -> AdminIdentity:
        settings = process.settings
        return AdminIdentity(
            open_session=partial(platform_session, process.database),
            tokens=process.tokens,
            passwords=process.passwords,
            key=process.key,
            session_life=timedelta(seconds=settings.admin_session_seconds),
            demands_totp=settings.admin_totp_required,
            issuer=settings.base_domain,
            by=provide_actor(request),
        )

    return {
        "identity": Provide(provide_identity, sync_to_thread=False),
        "client_address": _provided_address(process),
        "session": Provide(provide_session),
        "open_session": Provide(lambda: partial(platform_session, process.database), sync_to_thread=False),
        "principal": Provide(provide_principal, sync_to_thread=False),
        "actor": Provide(provide_actor, sync_to_thread=False),
        "installation_key": Provide(lambda: process.key, sync_to_thread=False),
        "impersonation_scopes": Provide(lambda: IMPERSONATION_SCOPES, sync_to_thread=False),
        "access_tokens": Provide(lambda: process.tokens, sync_to_thread=False),
        "idempotency_key": Provide(provide_idempotency_key, sync_to_thread=False),
        "precondition": Provide(provide_precondition, sync_to_thread=False),
        "provisioner": Provide(lambda: process.provisioner, sync_to_thread=False),
        "vacancies": Provide(lambda: process.settings.vacancies, sync_to_thread=False),
        "deletion_grace": Provide(lambda: process.settings.deletion_grace, sync_to_thread=False),
        "window": Provide(lambda: process.window, sync_to_thread=False),
        "former_slug_seconds": Provide(lambda: process.settings.former_slug_seconds, sync_to_thread=False),
        "catalogue": Provide(lambda: process.catalogue, sync_to_thread=False),
        "base_domain": Provide(lambda: process.settings.base_domain, sync_to_thread=False),
        "cursors": Provide(lambda: process.cursors, sync_to_thread=False),
        "asked": Provide(provide_asked, sync_to_thread=False),
    }


def _provided_address(process: Process) -> Provide:
    trusted = networks_of(process.settings.trusted_proxies)

    def provide_client_address(request: AnyRequest) -> str:
        return client_address(request.scope, trusted=trusted)

    return Provide(provide_client_address, sync_to_thread=False)


def _present_tenant(process: Process, tenant_id: UUID) -> TenantRef:
    """Return a tenant as it is now.

    Raises:
        Problem: it cannot be served; see `resolve_tenant`.
    """
    base = process.settings.base_domain
    tenant = resolve_tenant(
        process.directory,
        host=base,
        base_domain=base,
        header=None,
        credential_tenant=tenant_id,
        window=process.window,
    )
    if tenant is None:
        raise InvalidToken
    return tenant


def provide_idempotency_key(
    request: AnyRequest,
    session: NamedDependency[PlatformSession],  # which claims it
) -> IdempotencyKey | None:
    """Return the key of the request, for work that is committed before the request is."""
    keyed = keyed_request(request)
    return keyed.key if keyed else None


async def _active_tenant(process: Process, request: AnyRequest) -> TenantRef:
    """Return the tenant of a request whose user, client or key is active."""
    return await _with_active_subject(process, request, request.scope["state"]["tenant"])


async def _still_active_tenant(process: Process, request: AnyRequest, tenant_id: UUID) -> TenantRef:
    """Return the tenant of a request that has taken long, as it is now, whose user, client or key is still active."""
    return await _with_active_subject(process, request, _present_tenant(process, tenant_id))


async def _with_active_subject(process: Process, request: AnyRequest, tenant: TenantRef) -> TenantRef:
    """Return a tenant in which the user, client or key of a request is active.

    The status of one that this process has not seen yet is read in a short transaction that is over before the
    request's own begins; then it is remembered until it is revoked.
    """
    principal: Principal = request.scope["state"]["principal"]
    subjects = process.subjects
    if not subjects.knows(tenant.id, principal):
        if principal.is_impersonation:
            await _demand_impersonation(process, principal)
            return tenant
        epoch = subjects.epoch
        if not await may_act(tenant_reader(process.readers, tenant), principal):
            raise InvalidToken
        subjects.remember(tenant.id, principal, epoch=epoch)
    return tenant


async def _demand_impersonation(process: Process, principal: Principal) -> None:
    """Pass if an admin may act in the tenant still. It is looked up each time: it is rare, and ends with its log-in.

    Raises:
        InvalidToken: the impersonation is over, or the admin may do so no more.
    """
    async with platform_session(process.database) as session:
        if not await may_impersonate(session, principal):
            raise InvalidToken
