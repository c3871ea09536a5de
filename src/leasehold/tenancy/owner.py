"""The connections of the owner, who may make and destroy schemas: two at most, in the processes that have its URL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg

from leasehold.core.budget import OWNER_CONNECTIONS
from leasehold.core.database import DriverConnection, DriverPool, driver_url
from leasehold.core.errors import DatabaseUnavailable, Unavailable
from leasehold.core.sqlstate import LOST_CONNECTION


class NoOwner(Unavailable):
    """This process may not create schemas: it has no LEASEHOLD_OWNER_URL."""

    type = "no-owner"
    title = "Cannot create schemas"


class Owner:
    """Lends connections of the owner, which are opened when somebody needs them."""

    def __init__(self, url: str | None) -> None:
        """Take the URL of the owner, which is None in a process that shall not have it."""
        self._url = url
        self._pool: DriverPool | None = None
        self._opening = asyncio.Lock()

    @property
    def is_there(self) -> bool:
        """Whether this process has the owner's URL."""
        return self._url is not None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[DriverConnection]:
        """Lend a connection.

        Raises:
            NoOwner: this process has no owner URL.
            DatabaseUnavailable: the database does not answer, or the connection was lost.
        """
        if self._url is None:
            raise NoOwner
        try:
            async with (await self._opened(self._url)).acquire() as acquired:
                yield cast("DriverConnection", acquired)
        except (*LOST_CONNECTION, asyncpg.PostgresConnectionError) as error:
            raise DatabaseUnavailable from error

    async def close(self) -> None:
        """Close the connections."""
        if self._pool:
            await self._pool.close()

    async def _opened(self, url: str) -> DriverPool:
        async with self._opening:
            if self._pool is None:
                self._pool = await _open_pool(url)
            return self._pool


async def _open_pool(url: str) -> DriverPool:
    try:
        # Nothing is set on a connection beyond its transaction, so nothing is to be reset.
        return await asyncpg.create_pool(
            driver_url(url), min_size=0, max_size=OWNER_CONNECTIONS, timeout=5, reset=_leave_as_it_is
        )
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseUnavailable from error


async def _leave_as_it_is(_connection: object) -> None:
    """Spare a round trip."""
