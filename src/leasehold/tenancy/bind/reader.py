"""The reader: a read-only transaction on one tenant's data, straight on the driver."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.reads import Read, StructT
from leasehold.core.sqlstate import problem_of_code
from leasehold.tenancy.bind.binding import binding_sql
from leasehold.tenancy.bind.pool import ReaderConnection, ReaderPool
from leasehold.tenancy.context import TenantRef

# InternalClientError is how the driver meets the farewell of a backend that it has not read yet.
_DEAD = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)


class TenantReader:
    """Runs reads in one transaction that PostgreSQL keeps from writing; made by `open_tenant_reader` alone."""

    __slots__ = ("_connection", "_remark")

    def __init__(self, connection: ReaderConnection, revision: str) -> None:
        self._connection = connection
        # Tenants at two revisions must not share a prepared statement: its result columns would differ.
        self._remark = f" /* {revision} */"

    async def one(self, read: Read[StructT], **values: object) -> StructT | None:
        """Return the first row of a read, None if there is none."""
        row = await self._connection.fetchrow(read.sql + self._remark, *read.arguments(values))
        return None if row is None else read.struct(*row)

    async def all(self, read: Read[StructT], **values: object) -> list[StructT]:
        """Return all rows of a read."""
        rows = await self._connection.fetch(read.sql + self._remark, *read.arguments(values))
        struct = read.struct
        return [struct(*row) for row in rows]


@asynccontextmanager
async def open_tenant_reader(pool: ReaderPool, tenant: TenantRef) -> AsyncGenerator[TenantReader]:
    """Open one read-only transaction on one tenant. A BEGIN that meets a dead connection is tried on a fresh one.

    Raises:
        DatabaseUnavailable: no connection can be had, or it was lost.
    """
    begin = f"BEGIN READ ONLY; {binding_sql(tenant, tenant_roles=pool.tenant_roles)}"
    connection = await pool.acquire(tenant.id)
    is_clean = False
    try:
        try:
            await connection.execute(begin)
        except _DEAD:
            # Nothing has been done yet, so it may be done again.
            connection = await pool.replace(connection, tenant.id)
            await connection.execute(begin)
        try:
            yield TenantReader(connection, tenant.revision)
        except asyncpg.PostgresError:
            raise
        except Exception:
            await connection.execute("ROLLBACK")
            is_clean = True
            raise
        await connection.execute("COMMIT")
        is_clean = True
    except asyncpg.PostgresError as error:
        problem = problem_of_code(error.sqlstate or "")
        if problem is None:
            raise
        raise problem from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnavailable from error
    finally:
        # What was cancelled or refused in the middle is in a state that nobody wants to find out.
        pool.release(connection) if is_clean else pool.discard(connection)
