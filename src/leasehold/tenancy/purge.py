"""The purge: all that a deleted tenant had is destroyed, in small transactions, each of which stands for itself.

PostgreSQL holds a lock on each table, index and TOAST table that a transaction drops, and all backends together have
room for a few thousand. So foreign keys go first, for a table that others refer to could only be dropped with locks on
all of them; then tables, a few at a time, counted in the transaction that drops them. Whoever is killed in between has
done what is committed, and the next one goes on.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.audit.owner import record_purge
from leasehold.tenancy.context import TenantState, UnknownTenant
from leasehold.tenancy.entitlements import DEFAULT_PLAN
from leasehold.tenancy.names import quoted, role_name, schema_name, vacant_slug
from leasehold.tenancy.owner import Owner

_AT_ONCE = 4
"""Tables or foreign keys that one transaction drops. A table takes some twenty locks with all that belongs to it."""
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"

_TENANT = """
SELECT id, schema_name, role_name, state, purge_at <= clock_timestamp() AS is_due
  FROM platform.tenants WHERE id = $1 FOR UPDATE
"""
_BEGIN = """
WITH purging AS (
    UPDATE platform.tenants SET state = 'purging', updated_at = now() WHERE id = $1
)
INSERT INTO platform.tenant_purges (id, tenant_id, started_at, row_counts) VALUES ($2, $1, now(), '{}')
ON CONFLICT (tenant_id) DO NOTHING
"""
# Nobody restores what is condemned. That it is due lets the worker go on with it.
_CONDEMN = """
WITH purging AS (
    UPDATE platform.tenants SET state = 'purging', deleted_at = now(), purge_at = now(), updated_at = now()
     WHERE id = $1 AND state = 'set_aside'
    RETURNING id
)
INSERT INTO platform.tenant_purges (id, tenant_id, started_at, row_counts) SELECT $2, id, now(), '{}' FROM purging
RETURNING tenant_id
"""
_SET_ASIDE = "SELECT aside_id FROM platform.tenant_restores WHERE tenant_id = $1"
# By the dependencies on a schema, which are indexed: pg_class has no index by schema, and thousands of schemas.
_OF_SCHEMA = """
  FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
   AND d.classid = 'pg_catalog.pg_class'::regclass
  JOIN pg_catalog.pg_class r ON r.oid = d.objid AND r.relkind IN ('r', 'p')
"""
_FOREIGN_KEYS = f"""
SELECT c.conname AS name, r.relname AS table_name {_OF_SCHEMA}
  JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid AND c.contype = 'f' AND c.conparentid = 0
 WHERE n.nspname = $1 ORDER BY r.relname, c.conname LIMIT $2
"""
_TABLES = f"""
SELECT r.relname AS name {_OF_SCHEMA} WHERE n.nspname = $1 AND NOT r.relispartition ORDER BY r.relname LIMIT $2
"""
_NOTE = "UPDATE platform.tenant_purges SET row_counts = row_counts || $2::jsonb WHERE tenant_id = $1"
# What names the tenant or its people outside of its schema. Ids stay, in the audit log and in the ledger; those of
# requests where they are ours, for a client may choose any.
_FORGET = (
    """
DELETE FROM platform.idempotency_keys WHERE position(convert_to($1::uuid::text, 'UTF8') IN body) > 0 OR EXISTS (
    SELECT FROM (
        SELECT hostname FROM platform.tenant_domains WHERE tenant_id = $1
        UNION SELECT changes -> 'hostname' ->> 'to' FROM platform.audit_events WHERE target_id = $1
    ) d WHERE position(convert_to(d.hostname, 'UTF8') IN body) > 0)
""",
    # Of its key, which is whatever a client took.
    "DELETE FROM platform.provisioning_receipts WHERE tenant_id = $1",
    """
UPDATE platform.audit_events
   SET changes = changes - ARRAY['slug', 'name', 'hostname'], reason = NULL,
       request_id = CASE WHEN request_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN request_id END
 WHERE target_id = $1 OR target_id IN (SELECT id FROM platform.impersonations WHERE tenant_id = $1)
""",
    "UPDATE platform.fleet_results SET error = 'purged' WHERE tenant_id = $1 AND error IS NOT NULL",
    "DELETE FROM platform.tenant_domains WHERE tenant_id = $1",
    "DELETE FROM platform.former_slugs WHERE tenant_id = $1",
    "DELETE FROM platform.jobs WHERE tenant_id = $1",
    "DELETE FROM platform.impersonations WHERE tenant_id = $1",
    "DELETE FROM platform.tenant_clones WHERE source_id = $1 OR tenant_id = $1",
    "DELETE FROM platform.tenant_restores WHERE aside_id = $1",
)
_END = """
UPDATE platform.tenants
   SET state = 'purged', slug = $2, schema_name = $4, role_name = $5, name = '', is_canary = false,
       is_read_only = false, maintenance_ends_at = NULL,
       deleted_from = NULL, purge_at = NULL, plan = $3, limits = '{}', features = '{}', rate_limits = '{}',
       deletion_requested_at = NULL, updated_at = now()
 WHERE id = $1
"""
_FINISH = """
UPDATE platform.tenant_purges SET finished_at = now() WHERE tenant_id = $1
RETURNING started_at, finished_at, row_counts
"""

_log = structlog.get_logger(__name__)


class Purger:
    """Destroys tenants, on connections of the owner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    async def purge(self, tenant_id: UUID, *, by: Actor) -> bool:
        """Destroy all that a tenant has, or what is left of it, and return whether there was anything to do.

        There is not where its grace is not over, or it was restored or purged meanwhile. Of two who want it at once,
        one waits until the other has ended.

        Raises:
            UnknownTenant: there is no such tenant.
            NoOwner, DatabaseUnavailable: as for `Owner.connection`.
            asyncpg.PostgresError: others hold a table for longer than ten seconds; what was done stays.
        """
        async with self._owner.connection() as connection, _alone(connection, tenant_id):
            tenant = await self._begin(connection, tenant_id)
            if tenant is None:
                return False
            # What it had before it was put back is its own, whether that was confirmed or not.
            for kept in await connection.fetch(_SET_ASIDE, tenant_id):
                async with _alone(connection, kept["aside_id"]):
                    await condemn(connection, kept["aside_id"])
                    if aside := await self._begin(connection, kept["aside_id"]):
                        await self._destroy(connection, aside, by)
            await self._destroy(connection, tenant, by)
        return True

    async def _destroy(self, connection: DriverConnection, tenant: asyncpg.Record, by: Actor) -> None:
        tenant_id, schema = tenant["id"], tenant["schema_name"]
        while keys := await connection.fetch(_FOREIGN_KEYS, schema, _AT_ONCE):
            await self._drop_foreign_keys(connection, schema, keys)
        while tables := await connection.fetch(_TABLES, schema, _AT_ONCE):
            await self._drop_tables(connection, tenant_id, schema, [row["name"] for row in tables])
        await self._end(connection, tenant, by)
        _log.info("tenant_purged", tenant=tenant_id)

    async def _begin(self, connection: DriverConnection, tenant_id: UUID) -> asyncpg.Record | None:
        """Take a tenant whose time has come, behind which nobody restores it."""
        async with connection.transaction():
            tenant = await connection.fetchrow(_TENANT, tenant_id)
            if tenant is None:
                raise UnknownTenant
            if tenant["state"] == TenantState.PURGING:
                return tenant
            if tenant["state"] != TenantState.DELETED or not tenant["is_due"]:
                return None
            await connection.execute(_BEGIN, tenant_id, new_id())
            return tenant

    async def _drop_foreign_keys(
        self, connection: DriverConnection, schema: str, keys: Sequence[asyncpg.Record]
    ) -> None:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            for key in keys:
                table, name = f"{quoted(schema)}.{quoted(key['table_name'])}", quoted(key["name"])
                await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    async def _drop_tables(
        self, connection: DriverConnection, tenant_id: UUID, schema: str, tables: Sequence[str]
    ) -> None:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            counts: dict[str, int] = {}
            for name in tables:
                table = f"{quoted(schema)}.{quoted(name)}"
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                counts[name] = await connection.fetchval(f"SELECT count(*) FROM {table}")
                await connection.execute(f"DROP TABLE {table} CASCADE")
            await connection.execute(_NOTE, tenant_id, json.dumps(counts))

    async def _end(self, connection: DriverConnection, tenant: asyncpg.Record, by: Actor) -> None:
        tenant_id: UUID = tenant["id"]
        async with connection.transaction():
            await connection.execute(f"DROP SCHEMA IF EXISTS {quoted(tenant['schema_name'])} CASCADE")
            if await connection.fetchval("SELECT to_regrole($1) IS NOT NULL", quoted(tenant["role_name"])):
                await connection.execute(f"DROP ROLE {quoted(tenant['role_name'])}")
            for statement in _FORGET:
                await connection.execute(statement, tenant_id)
            own = (schema_name(tenant_id), role_name(tenant_id))  # where it would live if it came back
            await connection.execute(_END, tenant_id, vacant_slug(tenant_id), DEFAULT_PLAN, *own)
            certificate: Any = await connection.fetchrow(_FINISH, tenant_id)
            await record_purge(connection, tenant_id, by, certificate)


async def condemn(connection: DriverConnection, aside_id: UUID) -> bool:
    """Let what is set aside be purged, which nothing can undo; return whether it was not so already."""
    return await connection.fetchval(_CONDEMN, aside_id, new_id()) is not None


@asynccontextmanager
async def _alone(connection: DriverConnection, tenant_id: UUID) -> AsyncGenerator[None]:
    """Keep others from purging the same tenant meanwhile; PostgreSQL lets go for who is killed."""
    key = f"purge {tenant_id}"
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", key)
        yield
        await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", key)
    except BaseException:
        # Who is cancelled cannot know whether it was given the lock, and a pool would keep that for ever.
        connection.terminate()
        raise
