"""What routes are given. `session` is the unit of work: one request, one transaction, committed before the answer.

A route that only reads asks for `reader` instead. These are the only dependencies that are generators, and a route
takes one of them; a commit that fails is therefore an error of the request, and not a success whose row is lost.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from leasehold.core.database import PlatformSession, platform_session
from leasehold.core.errors import InvalidToken
from leasehold.core.pagination import DEFAULT_LIMIT, MAX_LIMIT, Pager
from leasehold.core.principal import Principal
from leasehold.http.process import Process
from leasehold.tenancy.bind import TenantReader, TenantSession, open_tenant_reader, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.service import OpenSession, is_active, reads_as_active

AnyRequest = Request[Any, Any, State]


def provide_principal(request: AnyRequest) -> Principal:
    """Return who asks, as the gate found out."""
    return request.scope["state"]["principal"]


def provide_tenant(request: AnyRequest) -> TenantRef:
    """Return the tenant of the request, as the gate found out."""
    return request.scope["state"]["tenant"]


def tenant_dependencies(process: Process) -> Mapping[str, Provide]:
    """Return the dependencies of the routes of the tenant plane."""

    async def provide_session(
        tenant: NamedDependency[TenantRef], principal: NamedDependency[Principal]
    ) -> AsyncGenerator[TenantSession]:
        async with open_tenant_session(process.database, tenant) as session:
            await _demand_active(process, principal, partial(is_active, session))
            yield session

    async def provide_reader(
        tenant: NamedDependency[TenantRef], principal: NamedDependency[Principal]
    ) -> AsyncGenerator[TenantReader]:
        async with open_tenant_reader(process.readers, tenant) as reader:
            await _demand_active(process, principal, partial(reads_as_active, reader))
            yield reader

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
        "installation_key": Provide(lambda: process.key, sync_to_thread=False),
        "pager": Provide(_pager_provider(process), sync_to_thread=False),
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
        "base_domain": Provide(lambda: process.settings.base_domain, sync_to_thread=False),
        "pager": Provide(_pager_provider(process), sync_to_thread=False),
    }


def _pager_provider(process: Process) -> Any:
    def provide_pager(
        request: AnyRequest,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Rows on the page")] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before")
        ] = None,
    ) -> Pager:
        tenant: TenantRef | None = request.scope["state"].get("tenant")
        scope = f"{tenant.id if tenant else 'platform'} {request.scope['path_template']}"
        return Pager(process.cursors, scope=scope, limit=limit, cursor=cursor)

    return provide_pager


async def _demand_active(
    process: Process, principal: Principal, is_active: Callable[[Principal], Awaitable[bool]]
) -> None:
    """Read the status of a user or client that this process has not seen yet, in the transaction of its request."""
    subjects, tenant_id = process.subjects, principal.tenant_id
    if tenant_id is None:
        raise InvalidToken
    if (tenant_id, principal.subject) in subjects:
        return
    epoch = subjects.epoch
    if not await is_active(principal):
        raise InvalidToken
    subjects.remember(tenant_id, principal.subject, epoch=epoch)
