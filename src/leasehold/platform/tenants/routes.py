"""`/platform/v1/tenants`."""

from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, PathParameter

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import InsufficientScope
from leasehold.core.idempotency.key import IdempotencyKey
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.platform.tenants.repository import TENANTS
from leasehold.platform.tenants.schemas import Domain, DomainCreate, Tenant, TenantCreate, TenantPatch
from leasehold.platform.tenants.service import HostnameTaken, TenantService
from leasehold.tenancy.names import InvalidHostname, InvalidSlug
from leasehold.tenancy.owner import NoOwner
from leasehold.tenancy.provision import FleetNotReady, Provisioner, SlugTaken
from leasehold.tenancy.states import WrongTenantState

READ = ("platform:tenants:read",)
WRITE = ("platform:tenants:write",)


def provide_tenants(
    session: NamedDependency[PlatformSession],
    provisioner: NamedDependency[Provisioner],
    base_domain: NamedDependency[str],
    vacancies: NamedDependency[int],
    former_slug_seconds: NamedDependency[int],
) -> TenantService:
    """Return the service on the session of the request."""
    return TenantService(
        session,
        provisioner,
        base_domain=base_domain,
        vacancies=vacancies,
        former_slug_seconds=former_slug_seconds,
    )


@get("/", operation_id="listTenants", summary="List tenants", lists=TENANTS, scopes=READ)
async def list_tenants(
    tenants: NamedDependency[TenantService],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Tenant]:
    """Return one page of tenants in the order they were made, or another."""
    return await tenants.page(Pager(cursors, limit, cursor), asked)


@post(
    "/",
    operation_id="createTenant",
    summary="Provision a tenant",
    problems=(SlugTaken, InvalidSlug, NoOwner, FleetNotReady),
    scopes=WRITE,
)
async def create_tenant(
    data: JSONBody[TenantCreate],
    tenants: NamedDependency[TenantService],
    idempotency_key: NamedDependency[IdempotencyKey | None],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Make a tenant with a schema of its own, ready to be used."""
    return await tenants.provision(slug=data.slug, name=data.name, by=actor, key=idempotency_key)


@get("/{tenant_id:uuid}", operation_id="getTenant", summary="Get a tenant", scopes=READ)
async def get_tenant(tenant_id: FromPath[UUID], tenants: NamedDependency[TenantService]) -> Tenant:
    """Return one tenant."""
    return await tenants.find(tenant_id)


@patch(
    "/{tenant_id:uuid}",
    operation_id="updateTenant",
    summary="Rename a tenant",
    problems=(SlugTaken, InvalidSlug, WrongTenantState, InsufficientScope),
    scopes=WRITE,
)
async def update_tenant(
    tenant_id: FromPath[UUID],
    data: JSONBody[TenantPatch],
    tenants: NamedDependency[TenantService],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> Tenant:
    """Change slug or name; the data stays where it is, and the host of a former slug sends requests on for a while."""
    return await tenants.change(tenant_id, data, precondition=precondition, by=actor)


@get("/{tenant_id:uuid}/domains", operation_id="listDomains", summary="List custom domains", scopes=READ)
async def list_domains(
    tenant_id: FromPath[UUID],
    tenants: NamedDependency[TenantService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Domain]:
    """Return one page of the domains on which a tenant answers, in the order they were added."""
    return await tenants.domains(tenant_id, Pager(cursors, limit, cursor))


@post(
    "/{tenant_id:uuid}/domains",
    operation_id="addDomain",
    summary="Add a custom domain",
    problems=(HostnameTaken, InvalidHostname, WrongTenantState),
    scopes=WRITE,
)
async def add_domain(
    tenant_id: FromPath[UUID],
    data: JSONBody[DomainCreate],
    tenants: NamedDependency[TenantService],
    actor: NamedDependency[Actor],
) -> Domain:
    """Let a tenant answer on a domain of its own."""
    return await tenants.add_domain(tenant_id, data.hostname, by=actor)


@delete(
    "/{tenant_id:uuid}/domains/{hostname:str}",
    operation_id="removeDomain",
    summary="Remove a custom domain",
    problems=(WrongTenantState,),
    scopes=WRITE,
)
async def remove_domain(
    tenant_id: FromPath[UUID],
    hostname: Annotated[str, PathParameter(max_length=253)],
    tenants: NamedDependency[TenantService],
    actor: NamedDependency[Actor],
) -> None:
    """Take a custom domain from a tenant."""
    await tenants.remove_domain(tenant_id, hostname, by=actor)


router = Router(
    "/tenants",
    route_handlers=[
        list_tenants,
        create_tenant,
        get_tenant,
        update_tenant,
        list_domains,
        add_domain,
        remove_domain,
    ],
    dependencies={"tenants": Provide(provide_tenants, sync_to_thread=False)},
    tags=["tenants"],
)
