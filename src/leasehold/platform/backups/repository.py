"""What the registry says of the tenants that backups are made of, and of those that are gone."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from leasehold.core.database import PlatformSession
from leasehold.platform.backups.schemas import Target
from leasehold.tenancy.archive.snapshot import EXPORTABLE
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import Tenant, TenantPurge


def backups_of(tenant_id: UUID) -> str:
    """Return what is needed by who restores a tenant, see `needing`."""
    return f"leasehold backups of {tenant_id}"


class BackupTargets:
    """Reads the registry for backups."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def all(self) -> list[Target]:
        """Return all tenants that have data, in the order in which they came."""
        rows = await self._session.execute(
            select(Tenant.id, Tenant.slug).where(Tenant.state.in_(EXPORTABLE)).order_by(Tenant.id)
        )
        return [Target(tenant_id, slug) for tenant_id, slug in rows]

    async def named(self, slugs: Collection[str]) -> list[Target]:
        """Return those of the tenants with these slugs that there are."""
        rows = await self._session.execute(
            select(Tenant.id, Tenant.slug).where(Tenant.slug.in_(slugs)).order_by(Tenant.id)
        )
        return [Target(tenant_id, slug) for tenant_id, slug in rows]

    async def slugs(self) -> dict[UUID, str]:
        """Return the slugs of all tenants that there are."""
        return {target.id: target.slug for target in await self.all()}

    async def is_purged(self, tenant_id: UUID) -> bool:
        """Tell whether a tenant is purged, and nobody is about to bring it back.

        Who is needs its backups, from before the first is fetched, and holds its row at the end.
        """
        key = func.hashtextextended(backups_of(tenant_id), 0)
        if not await self._session.scalar(select(func.pg_catalog.pg_try_advisory_xact_lock(key))):
            return False
        row = select(Tenant.id).where(Tenant.id == tenant_id, Tenant.state == TenantState.PURGED)
        return await self._session.scalar(row.with_for_update(read=True, skip_locked=True)) is not None

    async def purged(self) -> dict[UUID, datetime | None]:
        """Return for each tenant that was ever there when it was purged; None for one that was not."""
        rows = await self._session.execute(
            select(Tenant.id, Tenant.state, TenantPurge.finished_at).outerjoin(
                TenantPurge, TenantPurge.tenant_id == Tenant.id
            )
        )
        return {
            tenant_id: finished_at if state == TenantState.PURGED else None for tenant_id, state, finished_at in rows
        }
