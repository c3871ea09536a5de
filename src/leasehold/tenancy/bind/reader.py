"""The reader: read-only transactions on one tenant's data, straight on the driver."""

import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import starmap
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from leasehold.core.errors import DatabaseUnavailable, Problem
from leasehold.core.reads import Read, StructT
from leasehold.core.sqlstate import LOST_CONNECTION, problem_of_driver
from leasehold.tenancy.bind.binding import begin_bound
from leasehold.tenancy.bind.moved import PLACE, is_about_shape, moved
from leasehold.tenancy.bind.pool import ReaderConnection, ReaderPool
from leasehold.tenancy.bind.trace import remarked
from leasehold.tenancy.context import TenantRef

_DEAD = (*LOST_CONNECTION, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)
RowsT = TypeVar("RowsT")


class TenantReader:
    """Reads one tenant's data; made by `tenant_reader` alone.

    Each read is a transaction of its own, which PostgreSQL keeps from writing. Between two reads nothing is held, so
    no route can keep a connection for longer than its query, nor forget to give it back.
    """

    __slots__ = ("_begin", "_pool", "_tenant")

    def __init__(self, pool: ReaderPool, tenant: TenantRef, *, is_hurried: bool) -> None:
        self._pool = pool
        self._tenant = tenant
        self._begin = f"BEGIN READ ONLY; {pool.binding(tenant, is_hurried=is_hurried)}"

    @property
    def tenant_id(self) -> UUID:
        """Whose data is read."""
        return self._tenant.id

    async def one(self, read: Read[StructT], **values: object) -> StructT | None:
        """Return the first row of a read, None if there is none.

        Raises:
            DatabaseUnavailable: no connection can be had, or it was lost.
        """
        row = await self._run(ReaderConnection.fetchrow, read, values)
        return None if row is None else read.struct(*row)

    async def all(self, read: Read[StructT], **values: object) -> list[StructT]:
        """Return all rows of a read.

        Raises:
            DatabaseUnavailable: no connection can be had, or it was lost.
        """
        return list(starmap(read.struct, await self._run(ReaderConnection.fetch, read, values)))

    async def _run(
        self, fetch: Callable[..., Awaitable[RowsT]], read: Read[Any], values: Mapping[str, object]
    ) -> RowsT:
        try:
            connection = await self._begun()
            try:
                rows = await self._fetched(fetch, connection, read, values)
                if not self._pool.hand_over(connection):
                    await connection.execute("COMMIT")
                    self._pool.release(connection)
            except BaseException:
                # In what state it is, nobody wants to find out.
                self._pool.discard(connection)
                raise
            finally:
                seconds = time.perf_counter() - connection.begun_at
                self._pool.usage.count_transaction(self._tenant.id, seconds)
                self._pool.seconds.observe(seconds)
        except Exception as error:
            problem = _problem_with_driver(error)
            if problem is None and is_about_shape(error):
                problem = await self._moved()
            if problem is None:
                raise
            raise problem from error
        return rows

    async def _begun(self) -> ReaderConnection:
        """Return a connection in a transaction on the tenant."""
        connection = await self._pool.acquire(self._tenant.id)
        connection.begun_at = time.perf_counter()
        try:
            try:
                # Whose read was before us may have left it to us to end its transaction.
                end = "COMMIT; " if connection.is_in_transaction() else ""
                await begin_bound(connection.execute, self._begin, before=end)
            except _DEAD:
                # Nothing has been done yet, so it may be done again. This is the cure for connections that died while
                # they were idle: asking each one before it is used would cost a round trip.
                connection = await self._pool.replace(connection, self._tenant.id)
                connection.begun_at = time.perf_counter()
                await begin_bound(connection.execute, self._begin)
        except BaseException:
            self._pool.discard(connection)
            raise
        return connection

    async def _moved(self) -> Problem | None:
        """Return what to say if the tenant was migrated or put back since this request learned where its schema is.

        Raises:
            DatabaseUnavailable: no connection can be had, or it was lost.
        """
        connection = await self._pool.acquire(self._tenant.id)
        try:
            if connection.is_in_transaction():
                await connection.execute("COMMIT")
            place = await connection.fetchrow(PLACE, self._tenant.id)
        except BaseException as error:
            self._pool.discard(connection)
            problem = _problem_with_driver(error)
            if problem is None:
                raise
            raise problem from error
        self._pool.release(connection)
        return moved(self._tenant, place)

    async def _fetched(
        self,
        fetch: Callable[..., Awaitable[RowsT]],
        connection: ReaderConnection,
        read: Read[Any],
        values: Mapping[str, object],
    ) -> RowsT:
        sql, started = remarked(read.sql, self._tenant), time.perf_counter()
        try:
            return await fetch(connection, sql, *read.arguments(values))
        finally:
            self._pool.statements.ended(sql, self._tenant, started=started)


def _problem_with_driver(error: BaseException) -> Problem | None:
    """Return what an error of the driver or of the network is to the client, None for what is no such error."""
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return None  # only a reader that writes meets it
    if isinstance(error, asyncpg.PostgresError):
        return problem_of_driver(error)
    return DatabaseUnavailable() if isinstance(error, LOST_CONNECTION) else None


def tenant_reader(pool: ReaderPool, tenant: TenantRef, *, is_hurried: bool = True) -> TenantReader:
    """Return a reader of one tenant's data. It holds nothing, and needs not be closed.

    One that is not `is_hurried` may take as long as it does, though the pool hold statements to a time.
    """
    return TenantReader(pool, tenant, is_hurried=is_hurried)
