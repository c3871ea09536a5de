"""`/v1/tenant/limits`."""

from litestar import Router, get
from litestar.di import NamedDependency

from leasehold.tenancy.bind import TenantReader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.limits.schemas import OwnLimits
from leasehold.workspace.limits.service import describe_limits


@get("/limits", operation_id="getOwnLimits", summary="Get the tenant's limits and features", scopes=("tenant:read",))
async def get_own_limits(tenant: NamedDependency[TenantRef], reader: NamedDependency[TenantReader]) -> OwnLimits:
    """Return how much the tenant may have of what, how much of it is used, and which features it has."""
    return await describe_limits(reader, tenant)


router = Router("/tenant", route_handlers=[get_own_limits], tags=["tenant"])
