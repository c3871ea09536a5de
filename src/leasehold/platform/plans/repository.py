"""How plans are read and written."""

from sqlalchemy import Select, exists, select, update

from leasehold.core.listing.listing import Listing
from leasehold.core.repository import KeysetRepository
from leasehold.platform.plans import schemas
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.entitlements import DEFAULT_PLAN
from leasehold.tenancy.plans import Plan
from leasehold.tenancy.registry import Tenant

PLANS = Listing(Plan, schemas.Plan)


class PlanRepository(KeysetRepository[Plan]):
    """The plans."""

    model_type = Plan

    async def named(self, name: str) -> Plan | None:
        """Return the plan of this name."""
        return await self.session.scalar(_of_name(name))

    async def locked(self, name: str) -> Plan | None:
        """Return a plan; nobody else changes or deletes it meanwhile."""
        return await self.session.scalar(_of_name(name).with_for_update())

    async def kept(self, name: str) -> Plan | None:
        """Return a plan; nobody deletes it meanwhile."""
        return await self.session.scalar(_of_name(name).with_for_update(read=True, key_share=True))

    async def is_used(self, name: str) -> bool:
        """Tell whether a tenant is on a plan. Those that were purged are not: they are put on the default plan."""
        purged = update(Tenant).where(Tenant.plan == name, Tenant.state == TenantState.PURGED)
        await self.session.execute(purged.values(plan=DEFAULT_PLAN).execution_options(synchronize_session=False))
        return bool(await self.session.scalar(select(exists().where(Tenant.plan == name))))


def _of_name(name: str) -> Select[Plan]:
    # A NUL, which an address may have, is in no name, and PostgreSQL would refuse to look for it.
    return select(Plan).where(Plan.name == name.replace("\x00", " "))
