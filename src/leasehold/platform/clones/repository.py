"""How copies are kept."""

from uuid import UUID

from sqlalchemy import select

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.platform.clones.models import TenantClone
from leasehold.tenancy.registry import Tenant


class CloneRepository(KeysetRepository[TenantClone]):
    """The copies that were asked for."""

    model_type = TenantClone

    async def is_made(self, tenant_id: UUID) -> bool:
        """Tell whether there is a tenant of this id."""
        return await self.session.scalar(select(Tenant.id).where(Tenant.id == tenant_id)) is not None

    async def end(self, clone_id: UUID, *, error: str | None = None) -> None:
        """Write down that a copy was made, or why not, unless that is known already."""
        row = await self.get_one_or_none(id=clone_id, with_for_update=True)
        if row is not None and row.ended_at is None:
            row.ended_at, row.error = utc_now(), error
            await self.session.flush()
