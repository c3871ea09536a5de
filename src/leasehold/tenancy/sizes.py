"""How much tenants keep in their schemas, by the catalog alone: no table of a tenant is read."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, literal_column, text

from leasehold.core.database import PlatformSession
from leasehold.tenancy.bind import note_met

# By the dependencies on a schema, which are indexed: pg_class has no index by schema. Rows are what the statistics have
# counted; those are lost in a crash, and then it is what the last VACUUM or ANALYZE has found. A table that is dropped
# in this moment has no size.
_SIZES = text(
    """
SELECT t.id AS tenant_id, now() AS measured_at,
       coalesce(sum(coalesce(nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0),
                             greatest(c.reltuples, 0)::bigint)), 0)::bigint AS rows,
       coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint AS bytes
  FROM (SELECT id, schema_name FROM platform.tenants
         WHERE id > :after AND state IN ('active', 'suspended', 'maintenance', 'deleted')
         ORDER BY id LIMIT :limit) t
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema_name
  LEFT JOIN (pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'm'))
    ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
   AND d.classid = 'pg_catalog.pg_class'::regclass
 GROUP BY t.id
 ORDER BY t.id
"""
)

OWN_BYTES = literal_column(
    """
(SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint
   FROM pg_catalog.pg_depend d
   JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'm')
  WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
    AND d.refobjid = pg_catalog.to_regnamespace(current_schema()::text)
    AND d.classid = 'pg_catalog.pg_class'::regclass)""",
    BigInteger,
)
"""What the bound tenant keeps at this moment, in bytes."""


@dataclass(frozen=True, slots=True)
class MeasuredSize:
    """What a tenant keeps."""

    tenant_id: UUID
    measured_at: datetime
    rows: int
    """Estimated."""
    bytes: int
    """Of its tables with their indexes."""


async def measured_sizes(session: PlatformSession, *, after: UUID | None, limit: int) -> list[MeasuredSize]:
    """Measure up to `limit` tenants that have a schema, in the order of their ids, behind the one that is named.

    To measure a table is to meet it, and a server process keeps what it knows of those it has met. So the tenants count
    for the session's connection, which is replaced when it has met too many.
    """
    rows = await session.execute(_SIZES, {"after": after or UUID(int=0), "limit": limit})
    sizes = [MeasuredSize(**row) for row in rows.mappings()]
    await session.run_sync(note_met, {size.tenant_id for size in sizes})
    return sizes
