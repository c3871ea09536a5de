"""What can be known of how much tenants use."""

from datetime import datetime
from uuid import UUID

import msgspec

from leasehold.core.database import PlatformSession
from leasehold.core.errors import NotFound
from leasehold.core.usage_report import Bucket, Size, Usage, in_units, start_of, usage_of, whole_range
from leasehold.platform.usage.repository import UsageRepository
from leasehold.platform.usage.schemas import TopBy, TopTenant


class NoSuchTenant(NotFound):
    """There is no tenant {id}."""


class UsageService:
    """What all tenants have used, for one unit of work."""

    def __init__(self, session: PlatformSession) -> None:
        self._usage = UsageRepository(session)

    async def of(self, tenant_id: UUID, *, since: datetime | None, before: datetime | None, bucket: Bucket) -> Usage:
        """Return what a tenant has used in a range of time, the last 30 days if nothing is said.

        Each hour or day that the range touches is counted whole.

        Raises:
            NoSuchTenant: there is none with this id.
            InvalidRange: a time has no offset from UTC, or the range is empty or too long.
        """
        starts_at, ends_at = whole_range(since, before, bucket)
        if not await self._usage.knows(tenant_id):
            raise NoSuchTenant(id=tenant_id)
        rows = await self._usage.buckets(tenant_id, bucket, since=starts_at, before=ends_at)
        sizes = await self._usage.sizes(tenant_id, since=starts_at, before=ends_at)
        return usage_of(tenant_id, starts_at, ends_at, rows=rows, sizes=[Size(**size) for size in sizes])

    async def top(self, by: TopBy, *, since: datetime, limit: int) -> list[TopTenant]:
        """Return the tenants that have most of something since the hour of a moment, the greatest first."""
        rows = await self._usage.top(by, since=start_of(since, "hour"), limit=limit)
        return [msgspec.convert(in_units(row), TopTenant) for row in rows]
