"""The reference: how a schema looks at a revision, when nobody but the migrations has touched it.

The reference schema stands at head and belongs to no tenant; autogenerate compares the models with it. What a schema
looks like at any other revision is built in a transaction that is rolled back.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.fleet.fingerprint import describe, digest, fingerprint, tables_in
from leasehold.tenancy.fleet.history import DatabaseNewer, TenantHistory
from leasehold.tenancy.fleet.rendering import render, render_provisioning
from leasehold.tenancy.fleet.replay import Replay, SchemaTarget, build_sql, message, rights_to_grant
from leasehold.tenancy.names import REFERENCE_SCHEMA, SCRATCH_SCHEMA, VERSION_TABLE, quoted, reference_role

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
    connection: DriverConnection, history: TenantHistory, goal: str, replay: Replay, *, downgrade: bool = False
) -> None:
    """Bring the reference schema to a revision, which may be relative; it never goes in the other direction.

    Raises:
        DatabaseNewer: it stands at a revision that the history does not have.
        UnknownRevision: there is no such revision.
    """
    target = await open_reference(connection)
    start = await schema_revision(connection, target.schema)
    if start is None:
        # What `alembic downgrade base` leaves: the table without a row.
        await connection.execute(f"DROP TABLE IF EXISTS {quoted(target.schema)}.{VERSION_TABLE}")
    elif start not in history.revisions:
        raise DatabaseNewer("The reference schema", start)
    resolved = history.resolve_from(start or history.head, goal)
    if start != resolved and history.is_downgrade(start, resolved) == downgrade:
        for segment in render(history, start, resolved).segments:
            await replay.apply(connection, target, segment, str)
        if resolved not in replay.tables:
            await record_revisions(connection, history, [resolved], replay.metadata)


async def record_revisions(
    connection: DriverConnection, history: TenantHistory, revisions: Iterable[str], metadata: MetaData
) -> dict[str, frozenset[str]]:
    """Write down how schemas look at these revisions and who may serve them; return the tables that each one has."""
    tables: dict[str, frozenset[str]] = {}
    for revision in revisions:
        lines = await describe_revision(connection, history, revision, metadata)
        tables[revision] = tables_in(lines)
        await connection.execute(_RECORD, new_id(), revision, history.served_by(revision), digest(lines))
    return tables


async def describe_revision(
    connection: DriverConnection, history: TenantHistory, revision: str, metadata: MetaData
) -> list[str]:
    """Return the shape of a schema that the migrations alone have brought to a revision.

    Raises:
        Unrenderable: a live revision does not say what it does in an empty schema.
    """
    async with schema_at(connection, history, revision, metadata) as target:
        return await describe(connection, target)


@asynccontextmanager
async def schema_at(
    connection: DriverConnection, history: TenantHistory, revision: str, metadata: MetaData
) -> AsyncGenerator[SchemaTarget]:
    """Lend an empty schema at a revision, which nobody else sees and which is gone afterwards.

    Raises:
        Unrenderable: a live revision does not say what it does in an empty schema.
    """
    rendering = render_provisioning(history, revision)
    target = SchemaTarget(SCRATCH_SCHEMA, (await open_reference(connection)).role)
    attempt = connection.transaction()
    await attempt.start()
    try:
        await connection.execute(message(f"CREATE SCHEMA {quoted(target.schema)}", build_sql(target, rendering)))
        await connection.execute(message(*await rights_to_grant(connection, target, metadata)))
        yield target
    finally:
        if not connection.is_closed():
            await attempt.rollback()


async def close_reference(connection: DriverConnection, history: TenantHistory, metadata: MetaData) -> None:
    """Bring the rights on the reference schema up to date, and record its revision with its fingerprint."""
    target = await open_reference(connection)
    for statement in await rights_to_grant(connection, target, metadata):
        await connection.execute(statement)
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
