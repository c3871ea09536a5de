"""The states of `/platform/v1/tenants/{id}`."""

from datetime import timedelta
from uuid import UUID

from litestar import Router, delete, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.preconditions import Precondition
from leasehold.platform.lifecycle.schemas import MaintenanceBegin, PurgeConfirmation
from leasehold.platform.lifecycle.service import LifecycleService, NotItsSlug
from leasehold.platform.tenants.schemas import Tenant
from leasehold.tenancy.states import WrongTenantState

WRITE = ("platform:tenants:write",)
PURGE = ("platform:tenants:purge",)


def provide_lifecycle(
    session: NamedDependency[PlatformSession], deletion_grace: NamedDependency[timedelta]
) -> LifecycleService:
    """Return the service on the session of the request."""
    return LifecycleService(session, grace=deletion_grace)


@delete(
    "/",
    operation_id="deleteTenant",
    summary="Delete a tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
)
async def delete_tenant(
    tenant_id: FromPath[UUID],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Serve a tenant no more; it can be restored until its grace is over, and is purged then."""
    await lifecycle.delete(tenant_id, precondition=precondition, by=actor)


@post(
    "/restore",
    operation_id="restoreTenant",
    summary="Restore a deleted tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
    status_code=200,
)
async def restore_tenant(
    tenant_id: FromPath[UUID],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Undo a deletion: the tenant is as it was, its state, tokens and keys included."""
    return await lifecycle.restore(tenant_id, precondition=precondition, by=actor)


@post(
    "/purge",
    operation_id="purgeTenant",
    summary="Purge a deleted tenant now",
    problems=(WrongTenantState, NotItsSlug),
    scopes=PURGE,
    status_code=202,
)
async def purge_tenant(
    tenant_id: FromPath[UUID],
    data: JSONBody[PurgeConfirmation],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Have all that a deleted tenant has destroyed by a worker, before its grace is over. Nothing brings it back."""
    return await lifecycle.purge(tenant_id, slug=data.slug, precondition=precondition, by=actor)


@put(
    "/suspension",
    operation_id="suspendTenant",
    summary="Suspend a tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
)
async def suspend_tenant(
    tenant_id: FromPath[UUID],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Refuse all requests of a tenant within a second."""
    return await lifecycle.suspend(tenant_id, precondition=precondition, by=actor)


@delete(
    "/suspension",
    operation_id="resumeTenant",
    summary="Resume a tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
    status_code=200,
)
async def resume_tenant(
    tenant_id: FromPath[UUID],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Serve a suspended tenant again."""
    return await lifecycle.resume(tenant_id, precondition=precondition, by=actor)


@put(
    "/maintenance",
    operation_id="beginMaintenance",
    summary="Begin or change the maintenance of a tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
)
async def begin_maintenance(
    tenant_id: FromPath[UUID],
    data: JSONBody[MaintenanceBegin],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Answer 503 in place of a tenant, or let it only be read, within a second."""
    return await lifecycle.maintain(tenant_id, data, precondition=precondition, by=actor)


@delete(
    "/maintenance",
    operation_id="endMaintenance",
    summary="End the maintenance of a tenant",
    problems=(WrongTenantState,),
    scopes=WRITE,
    status_code=200,
)
async def end_maintenance(
    tenant_id: FromPath[UUID],
    lifecycle: NamedDependency[LifecycleService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Serve a tenant again that was in maintenance."""
    return await lifecycle.end_maintenance(tenant_id, precondition=precondition, by=actor)


router = Router(
    "/tenants/{tenant_id:uuid}",
    route_handlers=[
        delete_tenant,
        restore_tenant,
        purge_tenant,
        suspend_tenant,
        resume_tenant,
        begin_maintenance,
        end_maintenance,
    ],
    dependencies={"lifecycle": Provide(provide_lifecycle, sync_to_thread=False)},
    tags=["tenants"],
)
