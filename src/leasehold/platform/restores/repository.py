"""How it is read which tenants there are to be put back, and which wait for a confirmation."""

from uuid import UUID

from sqlalchemy import func, select

from leasehold.core.database import PlatformSession
from leasehold.platform.restores.schemas import Waiting
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import Tenant, TenantRestore
from leasehold.tenancy.states import LIVING

_GONE = (TenantState.VACANT, TenantState.PURGING, TenantState.PURGED, TenantState.SET_ASIDE)
_WAITING = (
    select(
        Tenant.slug,
        TenantRestore.tenant_id,
        TenantRestore.aside_id,
        TenantRestore.made_at,
        TenantRestore.set_aside_at,
        TenantRestore.is_undone,
    )
    .join(Tenant, Tenant.id == TenantRestore.tenant_id)
    .order_by(TenantRestore.set_aside_at)
)


class RestoreReads:
    """The registry, as restores look at it."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def waiting(self) -> list[Waiting]:
        """Return all tenants that were put back and not confirmed, the longest waiting first."""
        return [Waiting(*row) for row in await self._session.execute(_WAITING)]

    async def find(self, slug: str) -> UUID | None:
        """Return the id of a tenant that has this slug and still has data."""
        statement = select(Tenant.id).where(Tenant.slug == slug, Tenant.state.not_in(_GONE))
        return await self._session.scalar(statement)

    async def living(self) -> dict[UUID, str]:
        """Return the slugs of all tenants that have customers, by their ids."""
        rows = await self._session.execute(select(Tenant.id, Tenant.slug).where(Tenant.state.in_(LIVING)))
        return {row[0]: row[1] for row in rows}

    async def homeless(self) -> dict[UUID, str]:
        """Return the slugs of all tenants with customers that have no schema, by their ids."""
        schema = func.pg_catalog.to_regnamespace(func.quote_ident(Tenant.schema_name))
        statement = select(Tenant.id, Tenant.slug).where(Tenant.state.in_(LIVING), schema.is_(None))
        rows = await self._session.execute(statement.order_by(Tenant.id))
        return {row[0]: row[1] for row in rows}

    async def has_data(self, tenant_id: UUID) -> bool:
        """Tell whether there is such a tenant, and it still has data."""
        statement = select(Tenant.id).where(Tenant.id == tenant_id, Tenant.state.not_in(_GONE))
        return await self._session.scalar(statement) is not None

    async def with_data(self) -> frozenset[UUID]:
        """Return the ids of all tenants that still have data."""
        return frozenset(await self._session.scalars(select(Tenant.id).where(Tenant.state.not_in(_GONE))))
