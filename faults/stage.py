"""Where a fault is done: what it may reach, and what it can note for the checks that follow."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from faults.cluster import Cluster
from faults.deployment import Deployment
from faults.installation import DATABASE, Installation

_BACKENDS = """
SELECT pid, state, application_name, query FROM pg_stat_activity
 WHERE datname = $1 AND backend_type = 'client backend' AND application_name <> 'faults'
"""


@dataclass(slots=True)
class Stage:
    """One trial."""

    folder: Path
    cluster: Cluster
    installation: Installation
    is_short: bool
    deployment: Deployment = field(init=False)
    wire: Any = None
    """What the fault has put between the processes and PostgreSQL."""
    demands: list[Callable[[], Awaitable[str | None]]] = field(
        default_factory=list[Callable[[], Awaitable[str | None]]]
    )
    """What else must be so before everything is stopped; each says what is wrong, or None."""
    afterwards: list[Callable[[], Awaitable[None]]] = field(default_factory=list[Callable[[], Awaitable[None]]])
    """What is to end, too, before anybody counts what is left."""
    struck: int = 0
    """How often the harm has met something that it is to harm."""
    found: list[str] = field(default_factory=list[str])
    """What was seen besides the figures."""

    @property
    def journal(self) -> Path:
        """The file in which clients write down what they ask."""
        return self.folder / "journal"

    def lasts(self, *, short_s: float, long_s: float) -> float:
        """Return how long the harm lasts."""
        return short_s if self.is_short else long_s

    async def admin(self) -> Any:
        """Return a connection of the superuser to the installation's database."""
        return await self.cluster.connect(DATABASE)

    async def execute(self, *statements: str) -> None:
        """Do something as the superuser."""
        connection = await self.admin()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def backends(self) -> list[Any]:
        """Return the backends of all processes of the installation."""
        connection = await self.admin()
        try:
            return await self.backends_by(connection)
        finally:
            await connection.close()

    async def backends_by(self, connection: Any) -> list[Any]:
        """Return the same, asked on a connection that is there already."""
        return await connection.fetch(_BACKENDS, DATABASE)

    async def eventually_admin(self, *, within_s: float = 30) -> Any:
        """Return a connection of the superuser as soon as PostgreSQL lets one in."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    return await self.admin()
                await asyncio.sleep(0.05)
