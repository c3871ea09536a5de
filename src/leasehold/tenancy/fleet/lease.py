"""The lease: one run at a time over the fleet, wherever it was started.

It is a row of the registry and no advisory lock, which a pooler would lose. The id of the run that holds it is the
fencing token: every transaction of a run demands it at its end, so that a runner that was stopped, and wakes after
another one took over, changes nothing. A holder is dead when its connection has ended, or when it has not said for a
while that it lives; whoever takes over ends what the dead one has left open.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.ids import new_id
from leasehold.core.lively import LivelyConnection
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.tenancy.names import literal

LEASE_S = 15.0
LEASE_LOST = "LH001"
"""The SQLSTATE of `platform.demand_lease`."""

_HOLDERS = """
SELECT run_id, host, pid, started_at,
       expires_at < clock_timestamp() OR NOT EXISTS (
           SELECT FROM pg_catalog.pg_stat_activity a
            WHERE a.pid = l.backend_pid AND a.backend_start = l.backend_started_at
       ) AS is_dead
  FROM platform.fleet_leases l
"""
_HOLDER = f"{_HOLDERS} WHERE name = $1"
_ME = "(SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid())"
_TAKE = f"""
INSERT INTO platform.fleet_leases AS l
       (id, name, run_id, host, pid, backend_pid, backend_started_at, started_at, expires_at)
VALUES ($1, $2, $3, $4, $5, pg_backend_pid(), {_ME}, now(), now() + make_interval(secs => $6))
ON CONFLICT (name) DO UPDATE
   SET run_id = $3, host = $4, pid = $5, backend_pid = pg_backend_pid(), backend_started_at = {_ME}, started_at = now(),
       expires_at = now() + make_interval(secs => $6)
 WHERE l.run_id = $7
RETURNING run_id
"""
_KEEP = f"""
UPDATE platform.fleet_leases
   SET expires_at = now() + make_interval(secs => $2), backend_pid = pg_backend_pid(), backend_started_at = {_ME}
 WHERE run_id = $1
RETURNING run_id
"""
_BURY = """
UPDATE platform.fleet_runs SET outcome = 'lost', finished_at = now() WHERE id = $1 AND outcome IS NULL
"""
_END_LEFT_OVERS = """
SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE application_name = $1 AND pid <> pg_backend_pid()
"""
_IS_MINE = "SELECT EXISTS (SELECT FROM platform.fleet_leases WHERE run_id = $1)"
_RELEASE = "DELETE FROM platform.fleet_leases WHERE run_id = $1"

_log = structlog.get_logger(__name__)


class RunnerBusy(RuntimeError):
    """Another run is under way: on {host}, process {pid}, since {since}."""

    def __init__(self, *, host: str, pid: int, since: datetime) -> None:
        started = since.isoformat(timespec="seconds")
        super().__init__((self.__doc__ or "").format(host=host, pid=pid, since=started))


class LeaseLost(RuntimeError):
    """Another run has taken the lease over; this one changes nothing any more."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def raise_if_lost(group: BaseExceptionGroup[BaseException]) -> None:
    """Raise LeaseLost where one of several tasks has met it, whatever the others have met.

    Raises:
        LeaseLost: one of them has.
    """
    if group.subgroup(LeaseLost) is not None:
        raise LeaseLost from group


class Lease:
    """The lease that this process holds for one run, kept alive in the background."""

    def __init__(self, url: str, run_id: UUID, connection: DriverConnection, *, seconds: float) -> None:
        self.run_id = run_id
        self.connection = connection
        self._url = url
        self._seconds = seconds
        self._is_lost = False

    @property
    def fence(self) -> str:
        """The statement that fails once the lease is another's; until its transaction ends, nobody can take it."""
        return f"SELECT platform.demand_lease({literal(str(self.run_id))})"

    def demand(self) -> None:
        """Pass while the lease is held, as far as this process knows.

        Raises:
            LeaseLost: another run has it.
        """
        if self._is_lost:
            raise LeaseLost

    async def is_another_s(self) -> bool:
        """Ask whether another run has taken the lease over; no, where the database does not answer."""
        if self._is_lost:
            return True
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            connection = await connect_for_run(self._url, self.run_id)
            try:
                return not await connection.fetchval(_IS_MINE, self.run_id)
            finally:
                connection.terminate()
        return False

    async def keep(self) -> None:
        """Say again and again that the holder lives, until cancelled or until the lease is another's."""
        loop = asyncio.get_running_loop()
        confirmed = loop.time()
        while not self._is_lost:
            await asyncio.sleep(self._seconds / 3)
            try:
                if self.connection.is_closed():
                    self.connection = await connect_for_run(self._url, self.run_id)
                async with asyncio.timeout(self._seconds / 3):
                    self._is_lost = await self.connection.fetchval(_KEEP, self.run_id, self._seconds) is None
                confirmed = loop.time()
            except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
                _log.warning("lease_not_confirmed", error=repr(error))
                self.connection.terminate()
                self._is_lost = loop.time() - confirmed > self._seconds
        _log.error("lease_lost", run=str(self.run_id))


@asynccontextmanager
async def held_lease(url: str, *, name: str, seconds: float = LEASE_S) -> AsyncGenerator[Lease]:
    """Hold the lease of this name for a run of its own, and give it back.

    Raises:
        RunnerBusy: another run holds it, and lives.
        OSError, asyncpg.PostgresError: the database does not answer.
    """
    run_id = new_id()
    lease = Lease(url, run_id, await connect_for_run(url, run_id), seconds=seconds)
    try:
        await _take(lease.connection, run_id, name, seconds)
        keeping = asyncio.create_task(lease.keep(), name="fleet-lease")
        try:
            yield lease
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError, *LOST_CONNECTION, asyncpg.PostgresError):
                await keeping
            await _release(url, run_id)
    finally:
        lease.connection.terminate()


async def living_holder(connection: DriverConnection) -> Any:
    """Return who holds any lease and lives, None where no run is under way."""
    # In a transaction, PostgreSQL shows who was there when it was first asked.
    await connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    holders: Any = await connection.fetch(_HOLDERS)
    return next((holder for holder in holders if not holder["is_dead"]), None)


async def connect_for_run(url: str, run_id: UUID) -> DriverConnection:
    """Open a connection that bears the name of a run, by which whoever takes over can find and end it."""
    settings = {"application_name": application_name(run_id)}
    return await asyncpg.connect(
        driver_url(url), connection_class=LivelyConnection, timeout=10, server_settings=settings
    )


def application_name(run_id: UUID) -> str:
    """Return the name that connections of a run bear."""
    return f"leasehold-run-{run_id.hex}"


async def _take(connection: DriverConnection, run_id: UUID, name: str, seconds: float) -> None:
    holder: Any = await connection.fetchrow(_HOLDER, name)
    if holder is not None and not holder["is_dead"]:
        raise _busy(holder)
    if holder is not None:
        await connection.execute(_END_LEFT_OVERS, application_name(holder["run_id"]))
    me = (socket.gethostname(), os.getpid())
    async with connection.transaction():
        # A transaction of the dead run that has just looked at its lease is through in no time.
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        before = holder["run_id"] if holder is not None else None
        taken = await connection.fetchval(_TAKE, new_id(), name, run_id, *me, seconds, before)
        if taken is not None and holder is not None:
            await connection.execute(_BURY, holder["run_id"])
            _log.warning("lease_taken_over", host=holder["host"], pid=holder["pid"])
    if taken is None:  # somebody was faster
        await _take(connection, run_id, name, seconds)


def _busy(holder: Any) -> RunnerBusy:
    return RunnerBusy(host=holder["host"], pid=holder["pid"], since=holder["started_at"])


async def _release(url: str, run_id: UUID) -> None:
    """Give the lease back; where that fails, it ends with the connection that held it."""
    with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
        connection = await connect_for_run(url, run_id)
        try:
            await connection.execute(_RELEASE, run_id)
        finally:
            await connection.close(timeout=2)
