"""What can be done with impersonations."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.core.errors import NotFound, UnknownScope
from leasehold.core.principal import Principal
from leasehold.core.tokens import AccessTokens
from leasehold.platform.auth.identity import session_id_of
from leasehold.platform.impersonations import schemas
from leasehold.platform.impersonations.models import Impersonation
from leasehold.platform.impersonations.repository import ImpersonationRepository
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import Tenant
from leasehold.tenancy.states import WrongTenantState


class ImpersonationService:
    """The impersonations of all tenants, for one unit of work."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session
        self._impersonations = ImpersonationRepository(session=session)
        self._tenants = TenantRepository(session=session)

    async def begin(
        self,
        tenant_id: UUID,
        data: schemas.ImpersonationCreate,
        *,
        grantable: Collection[str],
        tokens: AccessTokens,
        principal: Principal,
        by: Actor,
    ) -> schemas.ImpersonationToken:
        """Let the admin of a log-in act in a tenant, with scopes of which all must be `grantable`.

        Raises:
            LoggedInOnly: the admin did not log in.
            UnknownScope: one of the scopes does not exist, or is none that an impersonation can have.
            NotFound: there is no such tenant.
            WrongTenantState: it is not active.
            NoSigningKey: there is no key to sign the token with.
        """
        session_id = session_id_of(principal)
        for scope in data.scopes:
            if scope not in grantable:
                raise UnknownScope(scope, known=grantable)
        tenant = await self._tenant(tenant_id)
        if tenant.state != TenantState.ACTIVE:
            raise WrongTenantState(state=tenant.state)
        begun = await self._impersonations.add(
            Impersonation(
                tenant_id=tenant_id,
                admin_id=principal.subject,
                session_id=session_id,
                scopes=sorted(set(data.scopes)),
                reason=data.reason,
                expires_at=utc_now() + timedelta(seconds=data.seconds),
            )
        )
        token = tokens.issue_impersonation(
            admin_id=principal.subject,
            tenant_id=tenant_id,
            impersonation_id=begun.id,
            scopes=frozenset(begun.scopes),
            lifetime_s=data.seconds,
        )
        changes = created(scopes=begun.scopes, expires_at=begun.expires_at)
        await AuditLog(self._session, by).record_to(
            tenant_id, "impersonation.begun", ("impersonation", begun.id), changes=changes, reason=data.reason
        )
        return schemas.ImpersonationToken(begun.id, token, "Bearer", data.seconds, " ".join(begun.scopes))

    async def open_in(self, tenant_id: UUID) -> list[schemas.Impersonation]:
        """Return who may act in a tenant now.

        Raises:
            NotFound: there is no such tenant.
        """
        await self._tenant(tenant_id)
        return [
            schemas.Impersonation(row.id, row.admin_id, row.scopes, row.reason, row.expires_at, row.created_at)
            for row in await self._impersonations.open_in(tenant_id)
        ]

    async def end(self, tenant_id: UUID, impersonation_id: UUID, *, by: Actor) -> None:
        """End an impersonation; its token is refused at once.

        Raises:
            NotFound: there is none in this tenant that is not over.
        """
        if not await self._impersonations.end(impersonation_id, tenant_id=tenant_id):
            raise NotFound
        await AuditLog(self._session, by).record_to(
            tenant_id, "impersonation.ended", ("impersonation", impersonation_id)
        )

    async def _tenant(self, tenant_id: UUID) -> Tenant:
        tenant = await self._tenants.get_one_or_none(id=tenant_id)
        if tenant is None:
            raise NotFound
        return tenant


async def may_impersonate(session: PlatformSession, principal: Principal) -> bool:
    """Tell whether the token of an impersonation is still good."""
    if principal.session_id is None or principal.tenant_id is None:
        return False
    return await ImpersonationRepository(session=session).is_alive(
        principal.session_id, tenant_id=principal.tenant_id, admin_id=principal.subject
    )
