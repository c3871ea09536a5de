"""`/platform/v1/tenants/{id}/clones`."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.platform.clones.schemas import Clone, CloneCreate
from leasehold.platform.clones.service import CloneService
from leasehold.tenancy.names import InvalidSlug
from leasehold.tenancy.provision import SlugTaken
from leasehold.tenancy.states import WrongTenantState

READ, CLONE = ("platform:tenants:read",), ("platform:tenants:clone",)


def provide_clones(session: NamedDependency[PlatformSession]) -> CloneService:
    """Return the service on the session of the request."""
    return CloneService(session)


@post(
    "/",
    operation_id="cloneTenant",
    summary="Copy a tenant",
    problems=(SlugTaken, InvalidSlug, WrongTenantState),
    scopes=CLONE,
    status_code=202,
)
async def clone_tenant(
    tenant_id: FromPath[UUID],
    data: JSONBody[CloneCreate],
    clones: NamedDependency[CloneService],
    actor: NamedDependency[Actor],
) -> Clone:
    """Have a worker make a tenant that has what this one has, without what lets anybody in, or what is personal."""
    return await clones.request(tenant_id, data, by=actor)


@get("/{clone_id:uuid}", operation_id="getClone", summary="Get a copy of a tenant", scopes=READ)
async def get_clone(
    tenant_id: FromPath[UUID], clone_id: FromPath[UUID], clones: NamedDependency[CloneService]
) -> Clone:
    """Return how far a copy is, and the id of the tenant that it is or will be."""
    return await clones.find(tenant_id, clone_id)


router = Router(
    "/tenants/{tenant_id:uuid}/clones",
    route_handlers=[clone_tenant, get_clone],
    dependencies={"clones": Provide(provide_clones, sync_to_thread=False)},
    tags=["tenants"],
)
