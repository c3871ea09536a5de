"""Says whom a statement waits for that runs outside a transaction.

CREATE INDEX CONCURRENTLY waits for every transaction in the database that is older than itself, those of other tenants
included. From outside it looks as if it did nothing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import asyncpg

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION

_EVERY_S = 2.0
# Of what other logins do, an owner who is no superuser sees the process and its locks. Locks name schemas.
_BLOCKERS = """
SELECT a.pid, a.usename,
       ARRAY(SELECT DISTINCT t.slug
               FROM pg_catalog.pg_locks l
               JOIN pg_catalog.pg_class c ON c.oid = l.relation
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               JOIN platform.tenants t ON t.schema_name = n.nspname
              WHERE l.pid = a.pid) AS slugs
  FROM unnest(pg_catalog.pg_blocking_pids($1)) AS blocking (pid)
  JOIN pg_catalog.pg_stat_activity a USING (pid)
"""


class Watch:
    """Looks every two seconds, while it lasts, whether a connection waits for others, and tells `on_wait` for whom."""

    def __init__(self, url: str, connection: DriverConnection, on_wait: Callable[[str], None]) -> None:
        self._url = url
        self._pid = connection.get_server_pid()
        self._on_wait = on_wait
        self._looking: asyncio.Task[None] | None = None
        self.seen: str | None = None
        """Whom it waited for last."""

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="fleet-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        if isinstance(error, asyncpg.QueryCanceledError) and self.seen:
            error.args = (f"{error}; it waited for {self.seen}",)

    async def _look(self) -> None:
        await asyncio.sleep(_EVERY_S)
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            connection = await asyncpg.connect(driver_url(self._url), connection_class=LivelyConnection, timeout=10)
            try:
                while True:
                    rows = await connection.fetch(_BLOCKERS, self._pid)
                    if rows:
                        self.seen = ", ".join(_named(row) for row in rows)
                        self._on_wait(self.seen)
                    await asyncio.sleep(_EVERY_S)
            finally:
                connection.terminate()


def _named(row: asyncpg.Record) -> str:
    tenants = f" on {', '.join(row['slugs'])}" if row["slugs"] else ""
    return f"process {row['pid']} ({row['usename']}){tenants}"
