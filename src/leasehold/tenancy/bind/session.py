"""The session: an AsyncSession under Advanced Alchemy whose transactions are bound to one tenant."""

import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy import Connection, Uuid, bindparam, event, func, select, text
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry

from leasehold.core.clock import utc_now
from leasehold.core.database import Database, platform_session, unit_of_work
from leasehold.core.errors import Problem
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import ReadOnly
from leasehold.tenancy.bind.binding import begin_bound, binding_sql
from leasehold.tenancy.bind.moved import PLACE, is_about_shape, moved
from leasehold.tenancy.bind.trace import Statements, remarked
from leasehold.tenancy.context import TenantInMaintenance, TenantRef
from leasehold.tenancy.registry import LedgerResult, announce_change

RESET_ROLE = text("RESET ROLE")
"""Lets what follows in a transaction be done by the login itself; said behind a flush."""

_PLACE = text(PLACE.replace("$1", ":id")).bindparams(bindparam("id", type_=Uuid()))
_TENANT = "tenant"
_ROLES = "tenant_roles"
_STATEMENT_MS = "statement_ms"
_USAGE = "usage"
_SECONDS = "seconds"
_BEGUN_AT = "begun_at"


class Unbound(RuntimeError):
    """A session on tenant data has no tenant; nothing was sent to the database."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class BindableConnection(LivelyConnection):
    """A driver connection whose next BEGIN carries what must hold for that one transaction."""

    next_binding: str | None = None
    tenant: TenantRef | None = None
    """The tenant of the transaction, None for one of the platform."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tenants: set[UUID] = set()
        """Whom it was ever bound to."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """Execute as asyncpg does, with the binding behind the BEGIN of a transaction."""
        if self.next_binding is None or not query.startswith("BEGIN"):
            return await super().execute(query, *args, timeout=timeout)
        bound, self.next_binding = query + self.next_binding, None
        try:
            await begin_bound(super().execute, bound)
            return "BEGIN"
        except asyncpg.InternalClientError as error:
            # The farewell of a backend that was not read yet; SQLAlchemy does not know this error as a lost connection.
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError(str(error)) from error
        except BaseException:
            # BEGIN took effect and the rest did not: whoever used this connection next would be in the ruins.
            self.terminate()
            raise


class _BoundSession(Session):
    """The synchronous half of a `TenantSession`, on which the hook is hung."""


class TenantSession(AsyncSession):
    """A transaction on one tenant's data, under Advanced Alchemy; made by `open_tenant_session` alone."""

    sync_session_class = _BoundSession

    @property
    def tenant(self) -> TenantRef:
        """Whose data it is."""
        return self.info[_TENANT]

    @property
    def has_role(self) -> bool:
        """Whether the transaction runs as the tenant's own role."""
        return self.info[_ROLES]


OpenSession = Callable[[], AbstractAsyncContextManager[TenantSession]]
"""Opens one transaction on a tenant that is already chosen, for who needs several short ones."""


def _bind(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if transaction.nested:
        return
    tenant: TenantRef | None = session.info.get(_TENANT)
    if tenant is None:
        raise Unbound
    driver = driver_of(connection)
    driver.next_binding = binding_sql(
        tenant, tenant_roles=session.info[_ROLES], statement_ms=session.info[_STATEMENT_MS]
    )
    driver.tenant = tenant
    driver.tenants.add(tenant.id)
    session.info[_BEGUN_AT] = time.perf_counter()


def _count(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:  # a savepoint, or what SQLAlchemy opens for each flush
        return
    begun_at: float | None = session.info.pop(_BEGUN_AT, None)
    if begun_at is not None:
        seconds = time.perf_counter() - begun_at
        session.info[_USAGE].count_transaction(session.info[_TENANT].id, seconds)
        session.info[_SECONDS].observe(seconds)


event.listen(_BoundSession, "after_begin", _bind)
event.listen(_BoundSession, "after_transaction_end", _count)


def prepare_engine(engine: AsyncEngine, *, max_tenants: int, statements: Statements | None = None) -> AsyncEngine:
    """Make an engine of `BindableConnection` fit for tenant sessions; `statements` are told what they say.

    A connection that has met more than `max_tenants` is replaced: its backend never forgets a table it has met.
    """

    def watch(driver: Any, record: ConnectionPoolEntry) -> None:
        def replace_it(_dead: object) -> None:
            record.invalidate(soft=True)

        driver.driver_connection.add_termination_listener(replace_it)

    def inspect(driver: Any, *_: object) -> None:
        connection: BindableConnection = driver.driver_connection
        # A transaction that was announced but never begun leaves its binding behind: it must not reach another's.
        connection.next_binding = None
        connection.tenant = None
        if connection.is_closed():
            # It died just now; this error makes the pool try a fresh connection.
            raise DisconnectionError

    def retire(driver: Any, record: ConnectionPoolEntry) -> None:
        if driver is not None and len(driver.driver_connection.tenants) > max_tenants:
            # Softly: it is replaced when it is next taken. In `inspect` it would be too late, for a request that is
            # cancelled while SQLAlchemy obeys a DisconnectionError takes the place in the pool with it.
            record.invalidate(soft=True)

    # Events of the dialect and of the pool: one of the engine would slow down all that a connection does.
    event.listen(engine.sync_engine, "connect", watch)
    event.listen(engine.sync_engine, "checkout", inspect)
    event.listen(engine.sync_engine, "checkin", retire)
    _listen_to_statements(engine, statements or Statements())
    return engine


def _listen_to_statements(engine: AsyncEngine, statements: Statements) -> None:
    """Run each statement in place of the dialect, as a reader would; True tells SQLAlchemy that it has been run."""

    def run(
        execute: Callable[[str, object], object], statement: str, parameters: object, context: ExecutionContext
    ) -> bool:
        tenant = driver_of(context.root_connection).tenant
        sql, started = remarked(statement, tenant) if tenant else statement, time.perf_counter()
        try:
            execute(sql, parameters)
        finally:
            statements.ended(sql, tenant, started=started)
        return True

    def one(cursor: Any, statement: str, parameters: object, context: ExecutionContext) -> bool:
        return run(cursor.execute, statement, parameters, context)

    def many(cursor: Any, statement: str, parameters: object, context: ExecutionContext) -> bool:
        return run(cursor.executemany, statement, parameters, context)

    event.listen(engine.sync_engine, "do_execute", one)
    event.listen(engine.sync_engine, "do_executemany", many)


def driver_of(connection: Connection) -> BindableConnection:
    """Return the driver's connection below one of SQLAlchemy."""
    return cast("BindableConnection", connection.connection.driver_connection)


@asynccontextmanager
async def open_tenant_session(database: Database, tenant: TenantRef) -> AsyncGenerator[TenantSession]:
    """Open one transaction on one tenant, as a unit of work.

    Raises:
        TenantInMaintenance: the tenant can only be read, and this was no reading.
        TenantNotMigrated: the tenant was migrated since `tenant` was read, and does not fit this code any more.
        TenantPutBack: it was put back to an earlier state since.
        TooManyAtOnce: the tenant has its share of the connections, and gave none back in time.
        DatabaseUnavailable, Problem: as for any unit of work.
    """
    info = {
        _TENANT: tenant,
        _ROLES: database.tenant_roles,
        _STATEMENT_MS: database.statement_ms,
        _USAGE: database.usage,
        _SECONDS: database.seconds,
    }
    places = database.places
    if places is not None and (turn := places.enter(tenant.id)) is not None:
        await turn
    try:
        async with unit_of_work(TenantSession(database.engine, expire_on_commit=False, info=info)) as session:
            yield session
    except ReadOnly as error:
        if tenant.is_read_only:
            raise TenantInMaintenance(tenant.maintenance) from error
        raise
    except (DBAPIError, Problem) as error:  # a rule that is violated has become a Problem by now
        problem = await _moved(database, tenant) if is_about_shape(error) else None
        if problem is None:
            raise
        raise problem from error
    finally:
        if places is not None:
            places.leave(tenant.id)


async def _moved(database: Database, tenant: TenantRef) -> Problem | None:
    """Return what to say if a tenant was migrated or put back since this request learned where its schema is."""
    async with platform_session(database) as session:
        place = await session.execute(_PLACE, {"id": tenant.id})
        return moved(tenant, place.one_or_none())


async def leave_role(session: TenantSession) -> None:
    """Let what a session does from now on be done by the login itself, which may write to the platform.

    For the last words of a transaction: the login reaches none of the tenant's tables.
    """
    if session.has_role:
        await session.flush()
        await session.execute(RESET_ROLE)


def driver_under(session: Session) -> BindableConnection:
    """Return the driver's connection under a session that has asked something already: its transaction is under way."""
    return driver_of(session.connection())


def note_met(session: Session, tenant_ids: Iterable[UUID]) -> None:
    """Count tenants whose tables the platform touches among those that the session's connection has met.

    It takes the synchronous half of a session, for each call into that costs as much as a small query.
    """
    driver_of(session.connection()).tenants.update(tenant_ids)


async def record_call(session: TenantSession, *, run_id: UUID, target: str, ms: int) -> None:
    """Write down, in the transaction of a call over the fleet, that it has succeeded for the bound tenant.

    Raises:
        sqlalchemy.exc.DBAPIError: another run has taken the lease over; nothing of the call stays.
    """
    tenant = session.tenant
    await leave_role(session)
    row = LedgerResult(run_id=run_id, tenant_id=tenant.id, start=tenant.revision, target=target, attempts=1)
    row.duration_ms, row.finished_at = ms, utc_now()
    session.add(row)
    await session.flush()
    await session.execute(select(func.platform.demand_lease(run_id)))


async def announce_revocation(session: TenantSession, subject: UUID) -> None:
    """Let every process forget that `subject` of the bound tenant was seen to be active, once this has committed.

    The tenant's role may not write to the platform: a SECURITY DEFINER function does, and takes the tenant from the
    bound role, so that nobody can revoke elsewhere.
    """
    if session.has_role:
        await session.execute(select(func.platform.announce_revocation(subject)))
    else:
        await announce_change(session, tenant_id=session.tenant.id, subject=subject)
