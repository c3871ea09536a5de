"""Replays a rendering in one schema: each segment binds anew, and locks the version row before it changes anything."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.indexes import run_concurrently
from leasehold.tenancy.fleet.segments import Rendering, Segment
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


class NoLiveRevisions(RuntimeError):
    """Revision {revision} is live, and can only be run by `leasehold migrate`."""

    def __init__(self, revision: str | None) -> None:
        super().__init__((self.__doc__ or "").format(revision=revision or "base"))


Record = Callable[[DriverConnection, str], Awaitable[None]]
"""Writes down, in the transaction of a segment, the revision that its schema then has."""


@dataclass(frozen=True, slots=True)
class SchemaTarget:
    """A schema to be migrated and the role that uses it."""

    schema: str
    role: str


RunLive = Callable[[SchemaTarget, Segment, Record | None], Awaitable[None]]
"""Runs the revision of a live segment in a schema."""


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
    record: Record | None = None,
    run_live: RunLive | None = None,
) -> None:
    """Apply a rendering. `record` is called inside each transaction with the revision that the schema then has.

    Every segment sees for itself where the schema stands. So a replay that was killed is taken up by another one,
    rendered from where the schema stands then, and two at once cannot both do the same.

    Raises:
        RevisionMoved: the schema does not stand where a segment starts.
        NoLiveRevisions: a revision is live, and `run_live` was not given.
        asyncpg.PostgresError: a statement failed; the segments before it stay.
    """
    for segment in rendering.segments:
        if segment.is_live:
            if run_live is None:
                raise NoLiveRevisions(segment.end)
            await run_live(target, segment, record)
        elif segment.autocommit:
            await _run_alone(connection, target, segment)
        else:
            await _run_together(connection, target, segment, metadata, record)


async def _run_together(
    connection: DriverConnection, target: SchemaTarget, segment: Segment, metadata: MetaData, record: Record | None
) -> None:
    async with connection.transaction():
        await bind_owner(connection, target.schema)
        await check_revision(connection, segment.start)
        await connection.execute(segment.script)
        await grant_rights(connection, target, metadata)
        if record is not None and segment.end is not None:
            await record(connection, segment.end)


async def check_revision(connection: DriverConnection, expected: str | None) -> None:
    """Lock the version row of the bound schema; None is a schema that has none yet.

    Raises:
        RevisionMoved: it does not say what is expected.
    """
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
            await run_concurrently(connection, target.schema, statement)
    finally:
        if not connection.is_closed():
            await connection.execute("RESET search_path")
