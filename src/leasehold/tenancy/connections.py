"""A few connections of one login straight on the driver, for what is a transaction of its own beside a request's."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import asyncpg

from leasehold.core.database import DriverConnection, DriverPool, driver_url
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION

_QUERIES = 100
"""After so many a connection is replaced: its backend never forgets a table that it has met, and one claim meets the
tables of ten tenants."""
_GIVEN_BACK_S = 5.0
"""So long whoever is to close them waits for those that are lent."""


class Connections:
    """Lends connections, which are opened when somebody needs them."""

    def __init__(self, url: str, *, size: int, prepared_statements: bool = True) -> None:
        """Take the URL, and how many may be open at once; without prepared statements where a pooler keeps none."""
        self.prepared_statements = prepared_statements
        self._url = url
        self._size = size
        self._pool: DriverPool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[DriverConnection]:
        """Lend a connection.

        Raises:
            DatabaseUnavailable: the database does not answer, or the connection was lost.
        """
        try:
            async with (await self._opened()).acquire() as acquired:
                yield cast("DriverConnection", acquired)
        except (*LOST_CONNECTION, asyncpg.PostgresConnectionError) as error:
            raise DatabaseUnavailable from error

    async def close(self) -> None:
        """Close the connections; one that is not given back in time is broken off."""
        if self._pool:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GIVEN_BACK_S):
                    await self._pool.close()

    async def _opened(self) -> DriverPool:
        async with self._opening:
            if self._pool is None:
                self._pool = await _open_pool(self._url, size=self._size, prepared_statements=self.prepared_statements)
            return self._pool


async def _open_pool(url: str, *, size: int, prepared_statements: bool) -> DriverPool:
    options: dict[str, Any] = {} if prepared_statements else {"statement_cache_size": 0}
    try:
        # Nothing is set on a connection beyond its transaction, so nothing is to be reset.
        return await asyncpg.create_pool(
            driver_url(url),
            connection_class=LivelyConnection,
            min_size=0,
            max_size=size,
            max_queries=_QUERIES,
            timeout=5,
            reset=_leave_as_it_is,
            **options,
        )
    except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
        raise DatabaseUnavailable from error


async def _leave_as_it_is(_connection: object) -> None:
    """Spare a round trip."""
