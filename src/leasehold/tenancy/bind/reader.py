"""The reader: a read-only transaction on one tenant's data, straight on the driver."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

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
    """Runs reads in one transaction that PostgreSQL keeps from writing; made by `open_tenant_reader` alone.

    The transaction begins with the first read: a request that is refused before has taken no connection.
    """

    __slots__ = ("_connection", "_pool", "_remark", "_tenant")

    def __init__(self, pool: ReaderPool, tenant: TenantRef) -> None:
        self._pool = pool
        self._tenant = tenant
        self._connection: ReaderConnection | None = None
        # Tenants at two revisions must not share a prepared statement: its result columns would differ.
        self._remark = f" /* {tenant.revision} */"

    async def one(self, read: Read[StructT], **values: object) -> StructT | None:
        """Return the first row of a read, None if there is none."""
        connection = self._connection or await self._begin()
        row = await connection.fetchrow(read.sql + self._remark, *read.arguments(values))
        return None if row is None else read.struct(*row)

    async def all(self, read: Read[StructT], **values: object) -> list[StructT]:
        """Return all rows of a read."""
        connection = self._connection or await self._begin()
        struct = read.struct
        return [struct(*row) for row in await connection.fetch(read.sql + self._remark, *read.arguments(values))]

    async def end(self, verb: Literal["COMMIT", "ROLLBACK"]) -> None:
        """End the transaction, if there is one, and hand its connection back."""
        if self._connection is not None:
            await self._connection.execute(verb)
            connection, self._connection = self._connection, None
            self._pool.release(connection)

    def abandon(self) -> None:
        """Close the connection of a transaction that was not ended: nobody wants to find out in what state it is."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._pool.discard(connection)

    async def _begin(self) -> ReaderConnection:
        begin = f"BEGIN READ ONLY; {binding_sql(self._tenant, tenant_roles=self._pool.tenant_roles)}"
        self._connection = await self._pool.acquire(self._tenant.id)
        try:
            await self._connection.execute(begin)
        except _DEAD:
            # Nothing has been done yet, so it may be done again.
            dead, self._connection = self._connection, None
            self._connection = await self._pool.replace(dead, self._tenant.id)
            await self._connection.execute(begin)
        return self._connection


@asynccontextmanager
async def open_tenant_reader(pool: ReaderPool, tenant: TenantRef) -> AsyncGenerator[TenantReader]:
    """Open one read-only transaction on one tenant. A BEGIN that meets a dead connection is tried on a fresh one.

    Raises:
        DatabaseUnavailable: no connection can be had, or it was lost.
    """
    reader = TenantReader(pool, tenant)
    try:
        try:
            yield reader
        except asyncpg.PostgresError:
            raise
        except Exception:
            await reader.end("ROLLBACK")
            raise
        await reader.end("COMMIT")
    except asyncpg.PostgresError as error:
        problem = problem_of_code(error.sqlstate or "")
        if problem is None:
            raise
        raise problem from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnavailable from error
    finally:
        reader.abandon()
