"""`/platform/v1/tenants/{tenant_id}/impersonations`."""

from uuid import UUID

from litestar import Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import UnknownScope
from leasehold.core.pagination import Page
from leasehold.core.principal import Principal
from leasehold.core.signing import NoSigningKey
from leasehold.core.tokens import AccessTokens
from leasehold.platform.auth.identity import LoggedInOnly
from leasehold.platform.impersonations.schemas import Impersonation, ImpersonationCreate, ImpersonationToken
from leasehold.platform.impersonations.service import ImpersonationService
from leasehold.platform.scopes import IMPERSONATE
from leasehold.tenancy.states import WrongTenantState


def provide_impersonations(session: NamedDependency[PlatformSession]) -> ImpersonationService:
    """Return the service on the session of the request."""
    return ImpersonationService(session)


@post(
    "/",
    operation_id="impersonate",
    summary="Act in a tenant",
    scopes=(IMPERSONATE,),
    problems=(LoggedInOnly, UnknownScope, WrongTenantState, NoSigningKey),
)
async def impersonate(
    tenant_id: FromPath[UUID],
    data: JSONBody[ImpersonationCreate],
    impersonations: NamedDependency[ImpersonationService],
    impersonation_scopes: NamedDependency[frozenset[str]],
    access_tokens: NamedDependency[AccessTokens],
    principal: NamedDependency[Principal],
    actor: NamedDependency[Actor],
) -> ImpersonationToken:
    """Return a token for one tenant, for 15 minutes at most, which the admin who has logged in may use there."""
    return await impersonations.begin(
        tenant_id, data, grantable=impersonation_scopes, tokens=access_tokens, principal=principal, by=actor
    )


@get("/", operation_id="listImpersonations", summary="List who acts in a tenant", scopes=("platform:tenants:read",))
async def list_impersonations(
    tenant_id: FromPath[UUID], impersonations: NamedDependency[ImpersonationService]
) -> Page[Impersonation]:
    """Return the impersonations that are not over, in the order they began."""
    return Page(await impersonations.open_in(tenant_id), None, has_more=False)


@delete(
    "/{impersonation_id:uuid}", operation_id="endImpersonation", summary="End an impersonation", scopes=(IMPERSONATE,)
)
async def end_impersonation(
    tenant_id: FromPath[UUID],
    impersonation_id: FromPath[UUID],
    impersonations: NamedDependency[ImpersonationService],
    actor: NamedDependency[Actor],
) -> None:
    """End an impersonation, whoever began it; its token is refused at once."""
    await impersonations.end(tenant_id, impersonation_id, by=actor)


router = Router(
    "/tenants/{tenant_id:uuid}/impersonations",
    route_handlers=[impersonate, list_impersonations, end_impersonation],
    dependencies={"impersonations": Provide(provide_impersonations, sync_to_thread=False)},
    tags=["impersonations"],
)
