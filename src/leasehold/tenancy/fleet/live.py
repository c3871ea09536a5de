"""Live revisions: those that look at each schema, and so are run there by Alembic instead of being rendered."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from leasehold.core.database import DriverConnection, open_engine
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.lease import application_name
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.replay import Closing, SchemaTarget, binding, demand_revision, message, rights_to_grant
from leasehold.tenancy.fleet.segments import Segment


class LiveRevisionFailed(RuntimeError):
    """The live revision {revision} failed: {reason}"""

    def __init__(self, revision: str | None, reason: Exception) -> None:
        named = f"{type(reason).__name__}: {reason}"
        super().__init__((self.__doc__ or "").format(revision=revision or "base", reason=named))


class LiveRevisions:
    """Runs live revisions, each in one transaction of its own.

    One at a time, whatever the number of jobs: Alembic's `op` is a global of the process. For the same reason all
    renderings are made before the first one is run.
    """

    def __init__(self, owner_url: str, history: TenantHistory, metadata: MetaData, *, run_id: UUID) -> None:
        self._engine = open_engine(owner_url, pool_size=None, application_name=application_name(run_id))
        self._history = history
        self._metadata = metadata
        self._turn = asyncio.Lock()

    async def run(self, target: SchemaTarget, segment: Segment, limits: Limits, closing: Closing) -> None:
        """Run the revision of a live segment in one schema; the version row moves with it.

        Raises:
            asyncpg.PostgresError: the schema does not stand where the segment starts, or `closing` failed.
            LiveRevisionFailed: the revision raised something; nothing of it stays.
        """
        async with self._turn, self._engine.connect() as connection, connection.begin():
            driver = await begun(connection)
            await driver.execute(message(binding(target.schema), limits.in_transaction, demand_revision(segment.start)))
            await run_live_revision(connection, self._history, segment)
            rights = await rights_to_grant(driver, target, self._metadata)
            await driver.execute(message(*rights, closing()))


async def run_live_revision(connection: AsyncConnection, history: TenantHistory, segment: Segment) -> None:
    """Run the revision of a live segment on a connection that is in a transaction and bound to a schema.

    Raises:
        LiveRevisionFailed: the revision raised something.
    """
    try:
        await connection.run_sync(_run, history, segment)
    except Exception as error:  # whatever somebody's revision may raise
        raise LiveRevisionFailed(segment.end, error) from error


def _run(connection: Connection, history: TenantHistory, segment: Segment) -> None:
    def steps(heads: Any, _context: MigrationContext) -> Iterable[RevisionStep]:
        return history.steps(segment.start, segment.end or "base", heads)

    context = MigrationContext.configure(connection, opts={"fn": steps, "script": history.script})
    with Operations.context(context):
        context.run_migrations()


async def begun(connection: AsyncConnection) -> DriverConnection:
    """Return the driver's connection in its transaction, which SQLAlchemy begins with the first statement only."""
    await connection.exec_driver_sql("SELECT 1")
    raw = await connection.get_raw_connection()
    return cast("DriverConnection", raw.driver_connection)
