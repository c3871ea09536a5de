"""What routes are given. `session` is the unit of work: a request that writes is one transaction.

It is committed before the answer, so a commit that fails is an error of the request, and not a success whose row is
lost. It is the only dependency that is a generator. A route that only reads asks for `reader` instead, which holds
nothing and needs no end.
"""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from leasehold.core.database import PlatformSession, platform_session
from leasehold.core.errors import InvalidToken
from leasehold.core.principal import Principal
from leasehold.process import Process
from leasehold.tenancy.bind import TenantReader, TenantSession, open_tenant_session, tenant_reader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.service import OpenSession, is_active

AnyRequest = Request[Any, Any, State]


def provide_principal(request: AnyRequest) -> Principal:
    """Return who asks, as the gate found out."""
    return request.scope["state"]["principal"]


def provide_tenant(request: AnyRequest) -> TenantRef:
    """Return the tenant of the request, as the gate found out."""
    return request.scope["state"]["tenant"]


def tenant_dependencies(process: Process) -> Mapping[str, Provide]:
    """Return the dependencies of the routes of the tenant plane."""

    async def provide_session(request: AnyRequest) -> AsyncGenerator[TenantSession]:
        tenant = await _active_tenant(process, request)
        async with open_tenant_session(process.database, tenant) as session:
            yield session

    async def provide_reader(request: AnyRequest) -> TenantReader:
        return tenant_reader(process.readers, await _active_tenant(process, request))

    def provide_open_session(tenant: NamedDependency[TenantRef]) -> OpenSession:
        return partial(open_tenant_session, process.database, tenant)

    return {
        "session": Provide(provide_session),
        "reader": Provide(provide_reader),
        "open_session": Provide(provide_open_session, sync_to_thread=False),
        "tenant": Provide(provide_tenant, sync_to_thread=False),
        "principal": Provide(provide_principal, sync_to_thread=False),
        "tokens": Provide(lambda: process.tokens, sync_to_thread=False),
        "passwords": Provide(lambda: process.passwords, sync_to_thread=False),
        "client_uses": Provide(lambda: process.client_uses, sync_to_thread=False),
        "installation_key": Provide(lambda: process.key, sync_to_thread=False),
        "cursors": Provide(lambda: process.cursors, sync_to_thread=False),
    }


def platform_dependencies(process: Process) -> Mapping[str, Provide]:
    """Return the dependencies of the routes of the platform plane."""

    async def provide_session(
        request: AnyRequest,
        principal: NamedDependency[Principal],  # resolved after what may refuse the request
    ) -> AsyncGenerator[PlatformSession]:
        async with platform_session(process.database) as session:
            yield session
        if request.method != "GET":
            # An admin who provisions and then uses the tenant must find it, at least in this process.
            await process.feed.caught_up()

    return {
        "session": Provide(provide_session),
        "principal": Provide(provide_principal, sync_to_thread=False),
        "provisioner": Provide(lambda: process.provisioner, sync_to_thread=False),
        "window": Provide(lambda: process.window, sync_to_thread=False),
        "base_domain": Provide(lambda: process.settings.base_domain, sync_to_thread=False),
        "cursors": Provide(lambda: process.cursors, sync_to_thread=False),
    }


async def _active_tenant(process: Process, request: AnyRequest) -> TenantRef:
    """Return the tenant of a request whose user, client or key is active.

    The status of one that this process has not seen yet is read in a short transaction that is over before the
    request's own begins; then it is remembered until it is revoked.
    """
    state = request.scope["state"]
    tenant: TenantRef = state["tenant"]
    principal: Principal = state["principal"]
    subjects = process.subjects
    if (tenant.id, principal.subject) not in subjects:
        epoch = subjects.epoch
        if not await is_active(tenant_reader(process.readers, tenant), principal):
            raise InvalidToken
        subjects.remember(tenant.id, principal.subject, epoch=epoch)
    return tenant
