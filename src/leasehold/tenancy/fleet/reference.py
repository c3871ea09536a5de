"""The reference schema: a tenant schema at head that belongs to no tenant.

Autogenerate compares the models with it, and its fingerprint is what every schema at that revision must have.
"""

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.live import LiveRevisions
from leasehold.tenancy.fleet.rendering import render
from leasehold.tenancy.fleet.replay import SchemaTarget, grant_rights, replay
from leasehold.tenancy.names import REFERENCE_SCHEMA, VERSION_TABLE, quoted, reference_role

_RECORD = """
INSERT INTO platform.tenant_revisions (id, revision, served_by, fingerprint) VALUES ($1, $2, $3, $4)
ON CONFLICT (revision) DO UPDATE SET served_by = excluded.served_by, fingerprint = excluded.fingerprint
"""


async def open_reference(connection: DriverConnection) -> SchemaTarget:
    """Return the reference schema with its role, both made if they were missing."""
    oid = await connection.fetchval("SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()")
    target = SchemaTarget(REFERENCE_SCHEMA, reference_role(oid))
    if not await connection.fetchval("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", target.role):
        await connection.execute(f"CREATE ROLE {quoted(target.role)} NOLOGIN")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(target.schema)}")
    return target


async def migrate_reference(
    connection: DriverConnection,
    history: TenantHistory,
    target_revision: str,
    metadata: MetaData,
    live: LiveRevisions,
) -> None:
    """Bring the reference schema to a revision and record it."""
    target = await open_reference(connection)
    start = await schema_revision(connection, target.schema)
    if start is None:
        # What `alembic downgrade base` leaves: the table without a row.
        await connection.execute(f"DROP TABLE IF EXISTS {quoted(target.schema)}.{VERSION_TABLE}")
    if start != target_revision:
        rendering = render(history, start, target_revision)
        await replay(connection, target, rendering, metadata, run_live=live.run)
    await close_reference(connection, history, metadata)


async def close_reference(connection: DriverConnection, history: TenantHistory, metadata: MetaData) -> None:
    """Bring the rights on the reference schema up to date, and record its revision with its fingerprint."""
    target = await open_reference(connection)
    async with connection.transaction():
        await grant_rights(connection, target, metadata)
    revision = await schema_revision(connection, target.schema)
    if revision is not None and await connection.fetchval("SELECT to_regclass('platform.tenant_revisions')"):
        taken = await fingerprint(connection, target)
        await connection.execute(_RECORD, new_id(), revision, history.served_by(revision), taken)


async def schema_revision(connection: DriverConnection, schema: str) -> str | None:
    """Return the revision of a schema, None for one that is empty."""
    table = f"{quoted(schema)}.{VERSION_TABLE}"
    if not await connection.fetchval("SELECT to_regclass($1)", table):
        return None
    return await connection.fetchval(f"SELECT version_num FROM {table}")
