"""How the registry is read and written on behalf of an admin."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select

from leasehold.core.errors import NotFound
from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.repository import KeysetRepository
from leasehold.platform.tenants import schemas
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import SEARCHED, Tenant, TenantDomain
from leasehold.tenancy.states import NOBODY

TENANTS = Listing(
    Tenant,
    schemas.Tenant,
    and_(*(Tenant.state != state for state in NOBODY)),
    sorts={"slug": Tenant.slug},
    filters={
        "slug": Equal(Tenant.slug, schemas.SoughtSlug),
        "state": Equal(Tenant.state, schemas.State),
        "is_canary": Equal(Tenant.is_canary, bool),
        "plan": Equal(Tenant.plan, schemas.SoughtPlan),
        "deletion_requested_at": Between(Tenant.deletion_requested_at),
        "created_at": Between(Tenant.created_at),
        "updated_at": Between(Tenant.updated_at),
    },
    search=SEARCHED,
)


DOMAINS = Listing(TenantDomain, schemas.Domain, filters={"tenant_id": Equal(TenantDomain.tenant_id, UUID)})


class TenantRepository(KeysetRepository[Tenant]):
    """The tenants of the platform."""

    model_type = Tenant

    async def locked(self, tenant_id: UUID, precondition: Precondition = ANYTHING) -> Tenant:
        """Return a tenant as it is now, which nobody else changes to the end of the transaction.

        Raises:
            NotFound: there is none with this id.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
        """
        row = await self.get_one_or_none(
            id=tenant_id, with_for_update=True, execution_options={"populate_existing": True}
        )
        if row is None or row.state in NOBODY:
            raise NotFound
        precondition.demand(row, schemas.Tenant.tagged_by)
        return row

    async def to_be_purged(self, now: datetime, *, limit: int) -> list[UUID]:
        """Return tenants whose grace is over, or whose purge has not come to its end, the longest waiting first."""
        statement = (
            select(Tenant.id)
            .where(Tenant.state.in_((TenantState.DELETED, TenantState.PURGING)), Tenant.purge_at <= now)
            .order_by(Tenant.purge_at)
            .limit(limit)
        )
        return list(await self.session.scalars(statement))


class TenantDomainRepository(KeysetRepository[TenantDomain]):
    """The custom domains of the tenants."""

    model_type = TenantDomain
