"""`/v1/tenant`: the tenant, as it sees itself."""

from litestar import Router, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody

from leasehold.core.actor import Actor
from leasehold.core.preconditions import Precondition
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.settings.repository import SettingsReads
from leasehold.workspace.settings.schemas import OwnTenant, SettingsPatch
from leasehold.workspace.settings.service import SettingsService


@get("/", operation_id="getOwnTenant", summary="Get the tenant", scopes=("tenant:read",))
async def get_own_tenant(tenant: NamedDependency[TenantRef], reader: NamedDependency[TenantReader]) -> OwnTenant:
    """Return the tenant of the access token with its settings."""
    return OwnTenant(tenant.id, tenant.slug, await SettingsReads(reader).find())


@patch("/", operation_id="updateOwnTenant", summary="Change the tenant's settings", scopes=("tenant:write",))
async def update_own_tenant(
    data: JSONBody[SettingsPatch],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> OwnTenant:
    """Change the settings that are given; null sets one back to its default."""
    return await SettingsService(session).change(data, precondition=precondition, by=actor)


router = Router("/tenant", route_handlers=[get_own_tenant, update_own_tenant], tags=["tenant"])
