"""Replays a rendering in one schema: each segment binds anew, and locks the version row before it changes anything."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.rendering import Rendering, Segment
from leasehold.tenancy.names import VERSION_TABLE, quoted
from leasehold.tenancy.rights import rights_sql

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"
_TABLES = """
SELECT relname FROM pg_catalog.pg_class
 WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p')
"""


class RevisionMoved(RuntimeError):
    """The schema stands at revision {found}, not at {expected}: somebody else migrated it."""

    def __init__(self, *, found: str | None, expected: str | None) -> None:
        super().__init__((self.__doc__ or "").format(found=found or "base", expected=expected or "base"))


@dataclass(frozen=True, slots=True)
class SchemaTarget:
    """A schema to be migrated and the role that uses it."""

    schema: str
    role: str


async def bind_owner(connection: DriverConnection, schema: str) -> None:
    """Put the current transaction of the owner on one schema, with limits on locks and statements."""
    await connection.execute(
        f"SET LOCAL search_path = {quoted(schema)}, pg_temp; "
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"
    )


async def grant_rights(connection: DriverConnection, target: SchemaTarget, metadata: MetaData) -> None:
    """Give the role of a schema exactly what the models declare on the tables that the schema has."""
    tables = [row["relname"] for row in await connection.fetch(_TABLES, target.schema)]
    await connection.execute(";\n".join(rights_sql(metadata, tables, schema=target.schema, role=target.role)))


async def replay(
    connection: DriverConnection,
    target: SchemaTarget,
    rendering: Rendering,
    metadata: MetaData,
    *,
    record: Callable[[str], Awaitable[None]] | None = None,
) -> None:
    """Apply a rendering. `record` is called inside each transaction with the revision that the schema then has.

    Raises:
        RevisionMoved: the schema does not stand where the rendering starts.
        asyncpg.PostgresError: a statement failed; the segments before it stay.
    """
    expected = rendering.start
    for segment in rendering.segments:
        if segment.autocommit:
            await _run_alone(connection, target, segment)
            continue
        async with connection.transaction():
            await bind_owner(connection, target.schema)
            await _check_revision(connection, expected)
            await connection.execute(segment.script)
            await grant_rights(connection, target, metadata)
            if record is not None:
                await record(await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}"))
        expected = None


async def _check_revision(connection: DriverConnection, expected: str | None) -> None:
    """Lock the version row of the bound schema and see that it says what is expected."""
    if expected is None:
        return
    found = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE} FOR UPDATE")
    if found != expected:
        raise RevisionMoved(found=found, expected=expected)


async def _run_alone(connection: DriverConnection, target: SchemaTarget, segment: Segment) -> None:
    """Run each statement outside a transaction; the path is set on the connection, which serves nobody else."""
    await connection.execute(f"SET search_path = {quoted(target.schema)}, pg_temp")
    try:
        for statement in segment.statements:
            await connection.execute(statement)
    finally:
        if not connection.is_closed():
            await connection.execute("RESET search_path")
