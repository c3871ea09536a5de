"""What PostgreSQL says of a server that is under test."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.feed import APPLICATION_NAME


class Backends:
    """The backends of a server that was started after this."""

    def __init__(self, connection: Any, others: list[int]) -> None:
        self._connection, self._others = connection, others

    async def states(self) -> list[str]:
        """Return the states of all that serve requests; the directory's has transactions whenever it likes."""
        rows = await self._of_server("application_name <> $2", APPLICATION_NAME)
        return [row["state"] for row in rows]

    async def count(self) -> int:
        return len(await self._of_server("true"))

    async def blocked(self) -> int:
        """Return how many wait for a lock."""
        return len(await self._of_server("wait_event_type = 'Lock'"))

    async def _of_server(self, condition: str, *values: str) -> list[Any]:
        return await self._connection.fetch(
            f"SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL($1) AND {condition}",
            self._others,
            *values,
        )


@asynccontextmanager
async def backends_of(settings: Settings) -> AsyncGenerator[Backends]:
    """Look at the backends of whatever is started from now on."""
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    try:
        yield Backends(connection, [row["pid"] for row in await connection.fetch("SELECT pid FROM pg_stat_activity")])
    finally:
        await connection.close()
