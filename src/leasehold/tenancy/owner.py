"""The connections of the owner, who may make and destroy schemas: two at most, in the processes that have its URL."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from leasehold.core.budget import OWNER_CONNECTIONS
from leasehold.core.database import DriverConnection
from leasehold.core.errors import Unavailable
from leasehold.tenancy.connections import Connections

LETS_GO = "SET LOCAL idle_in_transaction_session_timeout = '10s'"
"""Whoever is stopped in the middle must not keep others from the tables, rows and roles that it locked."""


class NoOwner(Unavailable):
    """This process may not create schemas: it has no LEASEHOLD_OWNER_URL."""

    type = "no-owner"
    title = "Cannot create schemas"


class OwnerPooled(NoOwner):
    """LEASEHOLD_OWNER_URL leads to a pooler; whoever makes, fills or destroys schemas must reach PostgreSQL itself."""


class Owner:
    """Lends connections of the owner, which are opened when somebody needs them."""

    def __init__(self, url: str | None) -> None:
        """Take the URL of the owner, which is None in a process that shall not have it."""
        self._connections = Connections(url, size=OWNER_CONNECTIONS) if url else None
        self._is_direct = False

    @property
    def is_there(self) -> bool:
        """Whether this process has the owner's URL."""
        return self._connections is not None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[DriverConnection]:
        """Lend a connection.

        Raises:
            NoOwner: this process has no owner URL, or one that leads to a pooler.
            DatabaseUnavailable: the database does not answer, or the connection was lost.
        """
        if self._connections is None:
            raise NoOwner
        async with self._connections.connection() as connection:
            if not self._is_direct:
                await demand_direct(connection)
                self._is_direct = True
            yield connection

    async def close(self) -> None:
        """Close the connections."""
        if self._connections:
            await self._connections.close()


async def demand_direct(connection: DriverConnection) -> None:
    """Pass if a connection of the owner leads to PostgreSQL itself: a pooler says another process id than its servers.

    Through a pooler most would work, and some of it only once: locks of a session, and statements that are prepared for
    one client and found by the next.

    Raises:
        OwnerPooled: it does not.
    """
    told = connection.get_server_pid()
    try:
        # In one message without parameters, so that nothing is prepared.
        await connection.execute(
            f"DO $$ BEGIN IF pg_catalog.pg_backend_pid() <> {told:d} THEN RAISE feature_not_supported; END IF; END $$"
        )
    except asyncpg.FeatureNotSupportedError as error:
        raise OwnerPooled from error
