"""How usage is written and read. All of it is ids and numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, delete, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.database import PlatformSession
from leasehold.core.ids import new_id
from leasehold.core.usage import UsageBatch
from leasehold.core.usage_report import Bucket
from leasehold.platform.usage.models import FlushedMeter, TenantSize, TenantUsage
from leasehold.platform.usage.schemas import TopBy
from leasehold.tenancy.registry import Tenant
from leasehold.tenancy.sizes import MeasuredSize

_Statement = Select[*tuple[Any, ...]]

# Written if this batch of its process was not written before: who lost the connection at the commit cannot know. The
# rows are locked in one order by all processes, or two of them would sometimes wait for each other.
ADD = text(
    """
WITH flushed AS (
    INSERT INTO platform.usage_meters AS m (id, batch, flushed_at) VALUES (:meter_id, :number, now())
    ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, flushed_at = excluded.flushed_at
     WHERE m.batch < excluded.batch
    RETURNING m.id
)
INSERT INTO platform.tenant_usage AS u
       (id, tenant_id, starts_at, requests, refused, errors, database_us, received_bytes, sent_bytes)
SELECT c.id, c.tenant_id, c.starts_at, c.requests, c.refused, c.errors, c.database_us, c.received_bytes, c.sent_bytes
  FROM unnest(CAST(:ids AS uuid[]), CAST(:tenant_ids AS uuid[]), CAST(:starts_at AS timestamptz[]),
              CAST(:requests AS bigint[]), CAST(:refused AS bigint[]), CAST(:errors AS bigint[]),
              CAST(:database_us AS bigint[]), CAST(:received_bytes AS bigint[]), CAST(:sent_bytes AS bigint[]))
       AS c (id, tenant_id, starts_at, requests, refused, errors, database_us, received_bytes, sent_bytes)
 WHERE EXISTS (SELECT FROM flushed)
 ORDER BY c.tenant_id, c.starts_at
ON CONFLICT (tenant_id, starts_at) DO UPDATE
   SET requests = u.requests + excluded.requests, refused = u.refused + excluded.refused,
       errors = u.errors + excluded.errors, database_us = u.database_us + excluded.database_us,
       received_bytes = u.received_bytes + excluded.received_bytes, sent_bytes = u.sent_bytes + excluded.sent_bytes
"""
)
_SUMS = tuple(
    func.coalesce(func.sum(column), 0).label(column.key)
    for column in (
        TenantUsage.requests,
        TenantUsage.refused,
        TenantUsage.errors,
        TenantUsage.database_us,
        TenantUsage.received_bytes,
        TenantUsage.sent_bytes,
    )
)
_SIZE = (
    select(TenantSize.rows, TenantSize.bytes, TenantSize.measured_at)
    .where(TenantSize.tenant_id == Tenant.id)
    .order_by(TenantSize.starts_at.desc())
    .limit(1)
    .lateral("size")
)
SIZES: _Statement = select(TenantSize.starts_at, TenantSize.measured_at, TenantSize.rows, TenantSize.bytes).order_by(
    TenantSize.starts_at
)


class UsageRepository:
    """What tenants have used, for one unit of work."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def add(self, batch: UsageBatch) -> None:
        """Add a batch to what is written, once, however often it is tried."""
        counts = [hour.counts for hour in batch.hours]
        await self._session.execute(
            ADD,
            {
                "meter_id": batch.meter_id,
                "number": batch.number,
                "ids": [new_id() for _ in counts],
                "tenant_ids": [hour.tenant_id for hour in batch.hours],
                "starts_at": [hour.starts_at for hour in batch.hours],
                "requests": [each.requests for each in counts],
                "refused": [each.refused for each in counts],
                "errors": [each.errors for each in counts],
                "database_us": [round(each.database_s * 1_000_000) for each in counts],
                "received_bytes": [each.received_bytes for each in counts],
                "sent_bytes": [each.sent_bytes for each in counts],
            },
        )

    async def knows(self, tenant_id: UUID) -> bool:
        """Tell whether there is a tenant with this id, whatever its state."""
        return bool(await self._session.scalar(select(exists().where(Tenant.id == tenant_id))))

    async def buckets(self, tenant_id: UUID, bucket: Bucket, *, since: datetime, before: datetime) -> list[RowMapping]:
        """Return what a tenant has used in each hour or day (UTC) that begins in a range and has anything."""
        starts_at = func.date_trunc(literal(bucket, literal_execute=True), TenantUsage.starts_at, "UTC")
        statement = (
            select(starts_at.label("starts_at"), *_SUMS)
            .where(TenantUsage.tenant_id == tenant_id, TenantUsage.starts_at >= since, TenantUsage.starts_at < before)
            .group_by(text("1"))
            .order_by(text("1"))
        )
        return await self._all(statement)

    async def sizes(self, tenant_id: UUID, *, since: datetime, before: datetime) -> list[RowMapping]:
        """Return what a tenant kept on each day that begins in a range."""
        days = SIZES.where(TenantSize.tenant_id == tenant_id, TenantSize.starts_at >= since)
        return await self._all(days.where(TenantSize.starts_at < before))

    async def top(self, by: TopBy, *, since: datetime, limit: int) -> list[RowMapping]:
        """Return the tenants that have most of something since an hour, the greatest first, and what they keep now."""
        used = select(TenantUsage.tenant_id, *_SUMS).where(TenantUsage.starts_at >= since)
        sums = used.group_by(TenantUsage.tenant_id).subquery("used")
        columns = {column.key: func.coalesce(column, 0) for column in sums.c if column.key != "tenant_id"}
        greatest = {
            "requests": columns["requests"],
            "errors": columns["errors"],
            "db": columns["database_us"],
            "traffic": columns["received_bytes"] + columns["sent_bytes"],
            "bytes": func.coalesce(_SIZE.c.bytes, 0),
        }[by]
        statement = (
            select(
                Tenant.id.label("tenant_id"),
                Tenant.slug,
                *(column.label(key) for key, column in columns.items()),
                _SIZE.c.rows,
                _SIZE.c.bytes,
                _SIZE.c.measured_at,
            )
            .outerjoin_from(Tenant, sums, sums.c.tenant_id == Tenant.id)
            .outerjoin(_SIZE, literal(True))
            .where(greatest > 0)
            .order_by(greatest.desc(), Tenant.id)
            .limit(limit)
        )
        return await self._all(statement)

    async def write_sizes(self, sizes: Sequence[MeasuredSize]) -> None:
        """Write what tenants keep, in place of what was measured earlier on the same day."""
        rows = [
            {
                "id": new_id(),
                "tenant_id": size.tenant_id,
                "starts_at": size.measured_at.replace(hour=0, minute=0, second=0, microsecond=0),
                "measured_at": size.measured_at,
                "rows": size.rows,
                "bytes": size.bytes,
            }
            for size in sorted(sizes, key=lambda size: size.tenant_id)
        ]
        if not rows:
            return
        written = insert(TenantSize).values(rows)
        changed = {name: written.excluded[name] for name in ("measured_at", "rows", "bytes")}
        await self._session.execute(
            written.on_conflict_do_update(index_elements=["tenant_id", "starts_at"], set_=changed)
        )

    async def forget(self, *, usage_of: timedelta, meters_of: timedelta) -> None:
        """Delete hours and days that are over for so long, and processes that have flushed nothing for so long."""
        for model, at, age in (
            (TenantUsage, TenantUsage.starts_at, usage_of),
            (TenantSize, TenantSize.starts_at, usage_of),
            (FlushedMeter, FlushedMeter.flushed_at, meters_of),
        ):
            await self._session.execute(delete(model).where(at < func.now() - age))

    async def _all(self, statement: _Statement) -> list[RowMapping]:
        return list((await self._session.execute(statement)).mappings())
