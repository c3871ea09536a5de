"""`/platform/v1/me/tokens`, and `/platform/v1/admins/{admin_id}/tokens` for those of others."""

from datetime import timedelta
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import InsufficientScope, ScopeNotHeld, UnknownScope
from leasehold.core.pagination import Page
from leasehold.core.principal import Principal
from leasehold.core.vault import InstallationKey
from leasehold.platform.admins.routes import READ, WRITE
from leasehold.platform.auth.identity import LoggedInOnly, session_id_of
from leasehold.platform.tokens.schemas import AdminToken, AdminTokenCreate, NewAdminToken
from leasehold.platform.tokens.service import AdminTokenService


def provide_tokens(
    session: NamedDependency[PlatformSession], installation_key: NamedDependency[InstallationKey]
) -> AdminTokenService:
    """Return the service on the session of the request."""
    return AdminTokenService(session, installation_key)


def provide_logged_in_admin_id(principal: NamedDependency[Principal]) -> UUID:
    """Return who has logged in: a script's token makes no other.

    Raises:
        LoggedInOnly: nobody has.
    """
    session_id_of(principal)
    return principal.subject


@get("/me/tokens", operation_id="listOwnTokens", summary="List one's tokens", scopes=())
async def list_own(
    tokens: NamedDependency[AdminTokenService], principal: NamedDependency[Principal]
) -> Page[AdminToken]:
    """Return the tokens of the admin that have not expired."""
    return Page(await tokens.all_of(principal.subject), None, has_more=False)


@post(
    "/me/tokens",
    operation_id="createOwnToken",
    summary="Create a token for a script",
    problems=(LoggedInOnly, UnknownScope, ScopeNotHeld, InsufficientScope),
    scopes=(),
)
async def create_own(
    data: JSONBody[AdminTokenCreate],
    tokens: NamedDependency[AdminTokenService],
    logged_in_admin_id: NamedDependency[UUID],
    actor: NamedDependency[Actor],
) -> NewAdminToken:
    """Make a token with some of one's scopes. Only who has logged in can: a token makes no other."""
    return await tokens.issue_own(logged_in_admin_id, scopes=data.scopes, lifetime=timedelta(days=data.days), by=actor)


@delete("/me/tokens/{token_id:uuid}", operation_id="revokeOwnToken", summary="Revoke one's token", scopes=())
async def revoke_own(
    token_id: FromPath[UUID],
    tokens: NamedDependency[AdminTokenService],
    principal: NamedDependency[Principal],
    actor: NamedDependency[Actor],
) -> None:
    """Refuse a token from now on."""
    await tokens.revoke(token_id, admin_id=principal.subject, by=actor)


@get("/admins/{admin_id:uuid}/tokens", operation_id="listAdminsTokens", summary="List an admin's tokens", scopes=READ)
async def list_of_admin(admin_id: FromPath[UUID], tokens: NamedDependency[AdminTokenService]) -> Page[AdminToken]:
    """Return the tokens of an admin that have not expired."""
    return Page(await tokens.all_of(admin_id), None, has_more=False)


@delete(
    "/admins/{admin_id:uuid}/tokens/{token_id:uuid}",
    operation_id="revokeAdminsToken",
    summary="Revoke an admin's token",
    scopes=WRITE,
)
async def revoke_of_admin(
    admin_id: FromPath[UUID],
    token_id: FromPath[UUID],
    tokens: NamedDependency[AdminTokenService],
    actor: NamedDependency[Actor],
) -> None:
    """Refuse a token from now on."""
    await tokens.revoke(token_id, admin_id=admin_id, by=actor)


router = Router(
    "/",
    route_handlers=[list_own, create_own, revoke_own, list_of_admin, revoke_of_admin],
    dependencies={
        "tokens": Provide(provide_tokens, sync_to_thread=False),
        "logged_in_admin_id": Provide(provide_logged_in_admin_id, sync_to_thread=False),
    },
    tags=["admins"],
)
