"""One look at a tenant, in which nothing moves: a read-only transaction, bound like any other on its data.

Its tables are locked before the first look is taken. A migration rewrites tables in a way that an older snapshot does
not see through: it would find a table empty that is not.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.tenancy.archive.copying import FORMATS
from leasehold.tenancy.archive.manifest import ArchivedTenant
from leasehold.tenancy.archive.refusals import BeingMigrated, Drifted, NotExportable, PutBackMeanwhile
from leasehold.tenancy.archive.shape import TableShape, table_names, table_shapes
from leasehold.tenancy.bind import binding_sql
from leasehold.tenancy.bind.binding import begin_bound
from leasehold.tenancy.context import TenantRef, TenantState, UnknownTenant
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import APP_ROLE, VERSION_TABLE, quoted

_WAIT = "30s"
_LOOKS = 3
EXPORTABLE = (TenantState.ACTIVE, TenantState.SUSPENDED, TenantState.MAINTENANCE, TenantState.DELETED)
_MOVING = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InvalidParameterValueError,
    asyncpg.DeadlockDetectedError,
)
"""How PostgreSQL says that a table, a schema or a role is not there any more, or is about to go."""
_TENANT = """
SELECT t.id, t.slug, t.name, t.schema_name, t.role_name, t.state, t.deleted_from, t.revision, t.created_at, t.plan,
       t.limits::text AS limits, t.features::text AS features, t.rate_limits::text AS rate_limits, r.fingerprint,
       ARRAY(SELECT d.hostname FROM platform.tenant_domains d WHERE d.tenant_id = t.id ORDER BY d.hostname) AS domains
  FROM platform.tenants t
  LEFT JOIN platform.tenant_revisions r ON r.revision = t.revision
 WHERE t.id = $1
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tenant at one moment, and the connection that sees it so."""

    connection: DriverConnection
    ref: TenantRef
    tenant: ArchivedTenant
    tables: Sequence[TableShape]
    """All but the version table, each behind those that it refers to."""


@asynccontextmanager
async def snapshot(url: str, tenant_id: UUID, *, tenant_roles: bool) -> AsyncGenerator[Snapshot]:
    """Lend a look at a tenant, over a connection of its own of the app's login.

    Raises:
        UnknownTenant: there is no such tenant.
        NotExportable: it has no data yet, or none any more.
        BeingMigrated: a migration holds its tables for longer than half a minute.
        Drifted: its schema is not the one of its revision.
        PutBackMeanwhile: it was put back to an earlier state while it was looked at.
        OSError, asyncpg.PostgresError: the database does not answer, or refuses.
    """
    # Where there is a pooler, what was prepared in one transaction is not there in the next.
    connection = await asyncpg.connect(
        driver_url(url), connection_class=LivelyConnection, timeout=10, statement_cache_size=0
    )
    try:
        for is_last in (*[False] * (_LOOKS - 1), True):
            if found := await _look(connection, tenant_id, tenant_roles=tenant_roles, is_last=is_last):
                try:
                    yield found
                except asyncpg.UndefinedTableError as error:  # all were there, and no migration can touch them
                    raise PutBackMeanwhile(slug=found.ref.slug) from error
                return
            await connection.execute("ROLLBACK")
        raise BeingMigrated(slug=tenant_id)
    finally:
        connection.terminate()


async def _look(connection: DriverConnection, tenant_id: UUID, *, tenant_roles: bool, is_last: bool) -> Snapshot | None:
    """Begin the transaction, and return what it sees; None where tables came or went in the last moment.

    A tenant that is put back in the middle is as good as drifted, for PostgreSQL describes it by its names of now: so
    that counts in the last look alone.
    """
    try:
        return await _seen(connection, tenant_id, tenant_roles=tenant_roles)
    except _MOVING:
        return None
    except Drifted:
        if is_last:
            raise
        return None


async def _seen(connection: DriverConnection, tenant_id: UUID, *, tenant_roles: bool) -> Snapshot | None:
    async with connection.transaction(readonly=True):
        ref = _ref(await _row(connection, tenant_id))
        names = await table_names(connection, ref.schema)
    if not names:
        return None
    await _begin(connection, ref, names, tenant_roles=tenant_roles)
    row = await _row(connection, tenant_id)
    if row["revision"] != ref.revision or await table_names(connection, ref.schema) != names:
        return None
    target = SchemaTarget(ref.schema, ref.role if tenant_roles else APP_ROLE)
    if row["fingerprint"] and await fingerprint(connection, target) != row["fingerprint"]:
        raise Drifted(slug=ref.slug)
    tables = await table_shapes(connection, ref.schema)
    await connection.execute(f"{binding_sql(ref, tenant_roles=tenant_roles)}; {FORMATS}")
    if await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}") != ref.revision:
        raise BeingMigrated(slug=ref.slug)
    return Snapshot(connection, ref, _archived(row), tables)


async def _begin(connection: DriverConnection, ref: TenantRef, names: Sequence[str], *, tenant_roles: bool) -> None:
    """Lock all tables; the snapshot is taken by the first query behind that."""
    listed = ", ".join(f"{quoted(ref.schema)}.{quoted(name)}" for name in names)
    binding = binding_sql(ref, tenant_roles=tenant_roles)
    locks = f"SET LOCAL lock_timeout = '{_WAIT}'; LOCK TABLE {listed} IN ACCESS SHARE MODE; SET LOCAL ROLE none"
    begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {binding}; {locks}"
    try:
        await begin_bound(connection.execute, begin)
    except asyncpg.LockNotAvailableError as error:
        raise BeingMigrated(slug=ref.slug) from error


async def _row(connection: DriverConnection, tenant_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(_TENANT, tenant_id)
    if row is None:
        raise UnknownTenant
    if row["state"] not in EXPORTABLE:
        raise NotExportable(slug=row["slug"], state=row["state"])
    return row


def _ref(row: asyncpg.Record) -> TenantRef:
    return TenantRef(
        row["id"], row["slug"], row["schema_name"], row["role_name"], TenantState(row["state"]), row["revision"]
    )


def _archived(row: asyncpg.Record) -> ArchivedTenant:
    values: dict[str, Any] = {name: row[name] for name in ("id", "slug", "name", "created_at", "plan")}
    terms = {name: json.loads(row[name]) for name in ("limits", "features", "rate_limits")}
    is_suspended = TenantState.SUSPENDED in (row["state"], row["deleted_from"])
    return ArchivedTenant(**values, **terms, is_suspended=is_suspended, domains=tuple(row["domains"]))
