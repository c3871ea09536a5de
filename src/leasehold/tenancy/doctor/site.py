"""What the doctor examines: an installation as one process with its settings reaches it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import MetaData

from leasehold.config import DatabaseUrl, Settings
from leasehold.core.clock import utc_now
from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.secrets import PlatformSecretColumn

APP_SETTING = "LEASEHOLD_DATABASE_URL"
DIRECT_SETTING = "LEASEHOLD_DIRECT_URL"
OWNER_SETTING = "LEASEHOLD_OWNER_URL"
_CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 30.0
"""So long a question waits for its answer; then nothing more is asked."""
_NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError)


class PlainConnection(DriverConnection):
    """Asks each question in a transaction that PostgreSQL itself keeps from changing anything."""

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Return all rows."""
        async with self._whole():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """Return the first row, None if there is none."""
        async with self._whole():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Return the first column of the first row."""
        async with self._whole():
            return await super().fetchval(query, *args, **options)

    @asynccontextmanager
    async def _whole(self) -> AsyncGenerator[None]:
        if self.is_in_transaction():
            yield
            return
        # Not by the driver's own time-out: that asks who does not answer to stop, and waits for an answer.
        hanging = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT_S, self.terminate)
        try:
            async with self.transaction(readonly=True):
                yield
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            if self.is_closed() and hanging.when() <= asyncio.get_running_loop().time():
                raise TimeoutError(f"no answer within {ANSWER_TIMEOUT_S:g} seconds") from error
            raise
        finally:
            hanging.cancel()


@dataclass(frozen=True, slots=True)
class SeenBackups:
    """What a look at the store of backups came to."""

    unusable: str | None = None
    """Why there is nothing to be seen."""
    succeeded_at: datetime | None = None
    """When the last run of all ended in which nothing failed."""
    failed: int = 0
    """How many have no backup by the last run of all."""
    reasons: str = ""
    """Of some of them, why."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the code that examines expects of an installation."""

    history: TenantHistory
    outdated_revisions: frozenset[str]
    """Revisions of the shared schema that it has left behind."""
    platform_head: str
    platform_metadata: MetaData
    platform_secrets: Sequence[PlatformSecretColumn]
    look_at_backups: Callable[[Settings], Awaitable[SeenBackups]]
    majors: range = range(16, 19)
    """The PostgreSQL versions that it is tested on."""
    oldest_redis: int = 7
    """The oldest Redis whose scripts it is tested on; Valkey says that it is Redis 7.2, and is newer."""
    now: Callable[[], datetime] = utc_now


@dataclass(frozen=True, slots=True)
class Site:
    """One installation: its settings, and the connections that could be opened by them."""

    settings: Settings
    code: Code
    key: InstallationKey
    connections: Mapping[str, DriverConnection]
    """By the setting that names the URL."""
    failures: Mapping[str, str]
    """Why the others could not be opened."""
    platform_revision: str | None
    """Where the shared schema stands; None if there is none."""
    is_deep: bool

    @property
    def is_migrated(self) -> bool:
        """Whether the shared schema has all that this code knows of."""
        return self.platform_revision is not None and self.platform_revision not in self.code.outdated_revisions

    @property
    def app(self) -> DriverConnection:
        """The connection on which requests come, through a pooler if there is one."""
        return self.connections[APP_SETTING]

    @property
    def catalog(self) -> DriverConnection:
        """The connection for questions to the database, on PostgreSQL itself where there is one."""
        return self.connections.get(DIRECT_SETTING, self.app)

    async def is_pooled(self, setting: str = APP_SETTING) -> bool:
        """Tell whether a pooler answers at this URL: it hands out keys for cancelling that are of no backend."""
        connection = self.connections[setting]
        return connection.get_server_pid() != await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")


@asynccontextmanager
async def open_site(settings: Settings, code: Code, key: InstallationKey, *, is_deep: bool) -> AsyncGenerator[Site]:
    """Open what can be opened of an installation, and close it again."""
    urls: dict[str, DatabaseUrl | None] = {
        APP_SETTING: settings.database_url,
        DIRECT_SETTING: settings.direct_url,
        OWNER_SETTING: settings.owner_url,
    }
    connections: dict[str, DriverConnection] = {}
    failures: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for setting, url in urls.items():
            if url is None:
                continue
            try:
                connections[setting] = await open_plainly(url.get_secret_value())
            except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
                failures[setting] = str(error) or type(error).__name__
            else:
                stack.push_async_callback(_close, connections[setting])
        revision = None
        if APP_SETTING in connections:
            try:
                revision = await _platform_revision(connections[APP_SETTING])
            except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
                del connections[APP_SETTING]
                failures[APP_SETTING] = str(error) or type(error).__name__
        yield Site(settings, code, key, connections, failures, revision, is_deep)


async def open_plainly(url: str) -> DriverConnection:
    """Open a connection that keeps no statement, so that any pooler can stand in between.

    Raises:
        OSError, asyncpg.PostgresError, TimeoutError: it cannot be opened.
    """
    return await asyncpg.connect(
        driver_url(url),
        connection_class=PlainConnection,
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=2 * ANSWER_TIMEOUT_S,  # for what is no question
        statement_cache_size=0,
    )


async def _close(connection: DriverConnection) -> None:
    with suppress(*LOST_CONNECTION):
        await connection.close(timeout=2)


async def _platform_revision(connection: DriverConnection) -> str | None:
    try:
        return await connection.fetchval("SELECT version_num FROM platform.alembic_version")
    except _NOT_MIGRATED:
        return None
