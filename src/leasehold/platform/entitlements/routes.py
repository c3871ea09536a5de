"""`/platform/v1/tenants/{id}/entitlements`."""

from uuid import UUID

from litestar import Router, get, patch
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.preconditions import Precondition
from leasehold.platform.entitlements.schemas import EntitlementsPatch, TenantEntitlements
from leasehold.platform.entitlements.service import EntitlementService, UnknownPlan
from leasehold.tenancy.entitlements import Catalogue
from leasehold.tenancy.states import WrongTenantState


def provide_entitlements(
    session: NamedDependency[PlatformSession], catalogue: NamedDependency[Catalogue]
) -> EntitlementService:
    """Return the service on the session of the request."""
    return EntitlementService(session, catalogue)


@get(
    "/{tenant_id:uuid}/entitlements",
    operation_id="getEntitlements",
    summary="Get what a tenant may have",
    scopes=("platform:tenants:read",),
)
async def get_entitlements(
    tenant_id: FromPath[UUID], entitlements: NamedDependency[EntitlementService]
) -> TenantEntitlements:
    """Return a tenant's plan, what was decided for it alone, and what follows from both."""
    return await entitlements.of(tenant_id)


@patch(
    "/{tenant_id:uuid}/entitlements",
    operation_id="updateEntitlements",
    summary="Change what a tenant may have",
    problems=(UnknownPlan, WrongTenantState),
    scopes=("platform:tenants:write",),
)
async def update_entitlements(
    tenant_id: FromPath[UUID],
    data: JSONBody[EntitlementsPatch],
    entitlements: NamedDependency[EntitlementService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> TenantEntitlements:
    """Put a tenant on a plan, or decide something for it alone; every process obeys within a second."""
    return await entitlements.change(tenant_id, data, precondition=precondition, by=actor)


router = Router(
    "/tenants",
    route_handlers=[get_entitlements, update_entitlements],
    dependencies={"entitlements": Provide(provide_entitlements, sync_to_thread=False)},
    tags=["tenants"],
)
