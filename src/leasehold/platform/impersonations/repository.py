"""How impersonations are read and written."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.platform.admins.models import Admin
from leasehold.platform.auth.models import AdminSession
from leasehold.platform.impersonations.models import Impersonation
from leasehold.platform.scopes import IMPERSONATE

_IS_OPEN = (Impersonation.ended_at.is_(None), Impersonation.expires_at > func.now())


class ImpersonationRepository(KeysetRepository[Impersonation]):
    """The impersonations of all tenants."""

    model_type = Impersonation

    async def is_alive(self, impersonation_id: UUID, *, tenant_id: UUID, admin_id: UUID) -> bool:
        """Tell whether an admin may still act in a tenant: it is not over, nor the log-in, and the admin still may."""
        statement = (
            select(Impersonation.id)
            .join(Admin, Admin.id == Impersonation.admin_id)
            .join(AdminSession, AdminSession.id == Impersonation.session_id)
            .where(
                Impersonation.id == impersonation_id,
                Impersonation.tenant_id == tenant_id,
                Impersonation.admin_id == admin_id,
                *_IS_OPEN,
                AdminSession.ended_at.is_(None),
                AdminSession.expires_at > func.now(),
                Admin.is_active,
                Admin.scopes.contains([IMPERSONATE]),
            )
        )
        return await self.session.scalar(statement) is not None

    async def open_in(self, tenant_id: UUID) -> Sequence[Impersonation]:
        """Return the impersonations in a tenant that are not over, in the order they began."""
        statement = select(Impersonation).where(Impersonation.tenant_id == tenant_id, *_IS_OPEN)
        return (await self.session.scalars(statement.order_by(Impersonation.id))).all()

    async def end(self, impersonation_id: UUID, *, tenant_id: UUID) -> bool:
        """End an impersonation in a tenant, and say whether there was one that was not over."""
        statement = (
            update(Impersonation)
            .where(Impersonation.id == impersonation_id, Impersonation.tenant_id == tenant_id, *_IS_OPEN)
            .values(ended_at=utc_now())
            .returning(Impersonation.id)
        )
        return await self.session.scalar(statement) is not None
