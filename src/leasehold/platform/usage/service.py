"""What can be known of how much tenants use."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping

from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.core.errors import FieldError, Invalid, NotFound
from leasehold.platform.usage.repository import UsageRepository
from leasehold.platform.usage.schemas import Bucket, Size, TopBy, TopTenant, Usage, Used, UsedInBucket

_BUCKETS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_MOST_BUCKETS = 1000
_USUAL_RANGE = timedelta(days=30)
_SMALLEST = timedelta(microseconds=1)


class NoSuchTenant(NotFound):
    """There is no tenant {id}."""


class InvalidRange(Invalid):
    """The range is not acceptable."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(errors=[FieldError(pointer, detail)])


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
        starts_at, ends_at = _whole(since, before, bucket)
        if not await self._usage.knows(tenant_id):
            raise NoSuchTenant(id=tenant_id)
        rows = await self._usage.buckets(tenant_id, bucket, since=starts_at, before=ends_at)
        buckets = [msgspec.convert(_used(row), UsedInBucket) for row in rows]
        sizes = await self._usage.sizes(tenant_id, since=starts_at, before=ends_at)
        return Usage(
            tenant_id=tenant_id,
            starts_at=starts_at,
            ends_at=ends_at,
            total=_total(buckets),
            buckets=buckets,
            sizes=[Size(**size) for size in sizes],
        )

    async def top(self, by: TopBy, *, since: datetime, limit: int) -> list[TopTenant]:
        """Return the tenants that have most of something since the hour of a moment, the greatest first."""
        rows = await self._usage.top(by, since=_start_of(since, "hour"), limit=limit)
        return [msgspec.convert(_used(row), TopTenant) for row in rows]


def _whole(since: datetime | None, before: datetime | None, bucket: Bucket) -> tuple[datetime, datetime]:
    """Return the start of the first and the end of the last bucket of a range."""
    for pointer, moment in (("?from", since), ("?to", before)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidRange(pointer, "needs an offset from UTC, as in 2026-01-31T00:00:00Z")
    length = _BUCKETS[bucket]
    try:
        before = (before or utc_now()).astimezone(UTC)
        since = since.astimezone(UTC) if since else before - _USUAL_RANGE
        if since >= before:
            raise InvalidRange("?to", "is not later than `from`")
        starts_at, ends_at = _start_of(since, bucket), _start_of(before - _SMALLEST, bucket) + length
    except OverflowError as error:
        raise InvalidRange("?to", "is out of range") from error
    if (ends_at - starts_at) / length > _MOST_BUCKETS:
        raise InvalidRange("?from", f"is more than {_MOST_BUCKETS} {bucket}s before `to`")
    return starts_at, ends_at


def _start_of(moment: datetime, bucket: Bucket) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if bucket == "hour" else hour.replace(hour=0)


def _used(row: RowMapping) -> dict[str, Any]:
    """Return a row with the units in which it is shown; sums of bigints are numerics."""
    counted = {name: int(row[name]) for name in ("requests", "refused", "errors", "received_bytes", "sent_bytes")}
    return {**row, **counted, "database_seconds": int(row["database_us"]) / 1_000_000}


def _total(buckets: list[UsedInBucket]) -> Used:
    sums = {name: sum(getattr(bucket, name) for bucket in buckets) for name in Used.__struct_fields__}
    return Used(**{**sums, "database_seconds": round(sums["database_seconds"], 6)})
