"""Vacancies: schemas that were made ready in advance. One becomes a tenant by an update of its row in the registry."""

from sqlalchemy import func, select, update

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.registry import Tenant, announce_tenant, tenant_ref

# A migration holds the row of the vacancy that it is at, and another claim that of the one it takes.
_NEXT = (
    select(Tenant.id)
    .where(Tenant.state == TenantState.VACANT)
    .order_by(Tenant.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)


async def claim_vacancy(
    session: PlatformSession, *, slug: str, name: str, revision: str, by: Actor
) -> TenantRef | None:
    """Make a vacancy the tenant of this slug and return it, None where none stands ready at this revision.

    It takes no rights of the owner, and holds from the commit on. With the transaction it is undone.

    Raises:
        sqlalchemy.exc.IntegrityError: another tenant has the slug.
    """
    now = utc_now()
    statement = (
        update(Tenant)
        .where(Tenant.id == _NEXT.where(Tenant.revision == revision).scalar_subquery())
        .values(slug=slug, name=name, state=TenantState.ACTIVE, created_at=now, updated_at=now)
        .returning(Tenant)
    )
    row = await session.scalar(statement)
    if row is None:
        return None
    tenant = tenant_ref(row)
    await AuditLog(session, by).record_to(tenant, "tenant.provisioned", changes=created(slug=slug))
    await announce_tenant(session, tenant.id)
    return tenant


async def count_vacancies(session: PlatformSession, *, revision: str) -> int:
    """Return how many vacancies stand ready at a revision."""
    statement = select(func.count()).where(Tenant.state == TenantState.VACANT, Tenant.revision == revision)
    return await session.scalar(statement) or 0
