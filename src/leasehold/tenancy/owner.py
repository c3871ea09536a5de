"""The connections of the owner, who may make and destroy schemas: two at most, in the processes that have its URL."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from leasehold.core.budget import OWNER_CONNECTIONS
from leasehold.core.database import DriverConnection
from leasehold.core.errors import Unavailable
from leasehold.tenancy.connections import Connections


class NoOwner(Unavailable):
    """This process may not create schemas: it has no LEASEHOLD_OWNER_URL."""

    type = "no-owner"
    title = "Cannot create schemas"


class Owner:
    """Lends connections of the owner, which are opened when somebody needs them."""

    def __init__(self, url: str | None) -> None:
        """Take the URL of the owner, which is None in a process that shall not have it."""
        self._connections = Connections(url, size=OWNER_CONNECTIONS) if url else None

    @property
    def is_there(self) -> bool:
        """Whether this process has the owner's URL."""
        return self._connections is not None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[DriverConnection]:
        """Lend a connection.

        Raises:
            NoOwner: this process has no owner URL.
            DatabaseUnavailable: the database does not answer, or the connection was lost.
        """
        if self._connections is None:
            raise NoOwner
        async with self._connections.connection() as connection:
            yield connection

    async def close(self) -> None:
        """Close the connections."""
        if self._connections:
            await self._connections.close()
