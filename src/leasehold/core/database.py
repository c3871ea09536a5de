"""Engines, and the session of the shared schema. Sessions on tenant data are made in `tenancy.bind` alone."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool, QueuePool

from leasehold.core.errors import DatabaseUnavailable, OutcomeUnknown, Problem
from leasehold.core.figures import Histogram
from leasehold.core.ids import new_id
from leasehold.core.places import Places
from leasehold.core.sqlstate import is_lost, problem_of
from leasehold.core.usage import UsageMeter

if TYPE_CHECKING:
    DriverConnection = asyncpg.Connection[asyncpg.Record]
    DriverPool = asyncpg.Pool[asyncpg.Record]
else:  # asyncpg's classes take no type arguments when they run
    DriverConnection = asyncpg.Connection
    DriverPool = asyncpg.Pool

SessionT = TypeVar("SessionT", bound=AsyncSession)


@dataclass(frozen=True, slots=True)
class Database:
    """The connections of one process to its database, and what that database can do."""

    engine: AsyncEngine
    tenant_roles: bool
    """Whether every tenant has a role of its own."""
    usage: UsageMeter = field(default_factory=UsageMeter)
    """Where it is counted for how long transactions on tenants' data were open."""
    seconds: Histogram = field(default_factory=Histogram)
    """The same, of all tenants together."""
    places: Places | None = None
    """Who may have a connection for a transaction on a tenant's data; None where nobody has to wait for a turn."""
    statement_ms: int | None = None
    """After so many milliseconds a statement of a tenant is ended, where its plan says nothing else; None for never,
    and whatever a plan says."""

    @property
    def pool(self) -> "WatchedPool":
        """The connections that wait for use."""
        pool = self.engine.pool
        if not isinstance(pool, WatchedPool):
            raise TypeError(f"an engine with a {type(pool).__name__} keeps no connections")
        return pool

    async def fill_pool(self) -> None:
        """Open all connections that the pool may hold.

        Not for speed: where a request is cancelled while it opens a new connection, SQLAlchemy's pool takes the place
        back but wakes nobody, and those who wait for it wait until they time out (measured with SQLAlchemy 2.1.9). A
        connection that was open once has a record, and a record goes back to those who wait.
        """
        pool = self.engine.pool
        if isinstance(pool, QueuePool):
            async with AsyncExitStack() as stack:
                for _ in range(pool.size()):
                    await stack.enter_async_context(self.engine.connect())

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


class WatchedPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, which can say who waits."""

    waiting = 0
    """How many wait for a connection."""
    timeouts = 0
    """How often somebody has waited in vain."""

    def _do_get(self) -> ConnectionPoolEntry:
        self.waiting += 1
        try:
            return super()._do_get()
        except PoolTimeout:
            self.timeouts += 1
            raise
        finally:
            self.waiting -= 1


class PlatformSession(AsyncSession):
    """One transaction on the shared schema, as the login of the app: it can reach no tenant's data."""


def driver_url(url: str) -> str:
    """Return the URL as asyncpg takes it, whatever driver it names."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest


def open_engine(
    url: str,
    *,
    pool_size: int | None,
    pool_timeout_s: float = 5.0,
    prepared_statements: bool = True,
    connection_class: type[DriverConnection] = DriverConnection,
    application_name: str | None = None,
) -> AsyncEngine:
    """Return an engine on asyncpg; with `pool_size` None each use opens and closes a connection of its own."""
    connect_args: dict[str, Any] = {"connection_class": connection_class, "timeout": 5}
    if application_name:
        connect_args["server_settings"] = {"application_name": application_name}
    if not prepared_statements:
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"s_{new_id().hex}",
        }
    pool: dict[str, Any] = (
        {"poolclass": NullPool}
        if pool_size is None
        else {
            "poolclass": WatchedPool,
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": pool_timeout_s,
        }
    )
    address, _, options = driver_url(url).partition("?")
    if options:
        # SQLAlchemy would hand them on as arguments, which are named otherwise: `sslmode` is none.
        connect_args["dsn"] = driver_url(url)
    sqlalchemy_url = "postgresql+asyncpg://" + address.partition("://")[2]
    return create_async_engine(
        sqlalchemy_url, connect_args=connect_args, pool_reset_on_return="rollback", hide_parameters=True, **pool
    )


@asynccontextmanager
async def unit_of_work(session: SessionT) -> AsyncGenerator[SessionT]:
    """Lend a session for one transaction: committed at the end, rolled back by any exception.

    Raises:
        DatabaseUnavailable: no connection can be had, or it was lost; nothing of the transaction stays.
        OutcomeUnknown: the connection was lost in the COMMIT, so that nobody knows.
        Problem: what else the database refuses, where its SQLSTATE says so.
    """
    try:
        yield session
        # Together, for each call into SQLAlchemy's synchronous half costs as much as a small query.
        await session.run_sync(_commit_and_close)
    except BaseException as error:
        await _close_what_failed(session)
        problem = _problem_with_database(error)
        if problem is None:
            raise
        raise problem from error


def platform_session(database: Database) -> AbstractAsyncContextManager[PlatformSession]:
    """Open one transaction on the shared schema, as a unit of work."""
    return unit_of_work(PlatformSession(database.engine, expire_on_commit=False))


async def _close_what_failed(session: AsyncSession) -> None:
    """Roll back and close. Where the connection is lost in that, PostgreSQL rolls back by itself."""
    try:
        async with session:  # which closes it, whoever cancels
            pass
    except (OSError, DBAPIError) as error:
        if not is_lost(error):
            raise


def _commit_and_close(session: Session) -> None:
    session.flush()
    try:
        session.commit()
    except (OSError, DBAPIError) as error:
        if not is_lost(error):
            raise
        raise OutcomeUnknown from error
    session.close()


def _problem_with_database(error: BaseException) -> Problem | None:
    """Return what an error of SQLAlchemy or of the network is to the client, None for what is no such error."""
    # The last is how the driver meets the farewell of a backend that it has not read yet; SQLAlchemy passes it on.
    if isinstance(error, (PoolTimeout, OSError, InterfaceError, asyncpg.InternalClientError)):
        return DatabaseUnavailable()
    return problem_of(error) if isinstance(error, DBAPIError) else None
