"""Takes one wave of tenants after another through their renderings, several at a time.

A tenant whose locks others hold, or whose connection is lost, is put back and tried again, while the others go on. One
that fails keeps the revision it has reached. One that is purged meanwhile has no revision to reach, and is skipped; a
schema that is missing for any other reason is a failure.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError

from leasehold.core.database import DriverConnection
from leasehold.core.sqlstate import LOST_CONNECTION, sqlstate_of
from leasehold.tenancy.fleet.lease import LEASE_LOST, Lease, LeaseLost, connect_for_run, raise_if_lost
from leasehold.tenancy.fleet.ledger import TenantResult, gone_among, record_failure, revision_sql, success_sql
from leasehold.tenancy.fleet.limits import IN_THE_WAY
from leasehold.tenancy.fleet.live import LiveRevisionFailed
from leasehold.tenancy.fleet.plan import Plan, PlannedTenant, Wave
from leasehold.tenancy.fleet.replay import Replay, message
from leasehold.tenancy.fleet.segments import Segment
from leasehold.tenancy.fleet.waits import Watch

_OF_ONE_TENANT = (*LOST_CONNECTION, asyncpg.PostgresError, SQLAlchemyError, RuntimeError)
_LOST_CLASSES = ("08", "57P")  # connection exceptions; an administrator, a crash, a server that starts up


@dataclass(slots=True)
class _Work:
    """One tenant on its way."""

    tenant: PlannedTenant
    phases: Sequence[Sequence[Segment]]
    position: int = 0
    """How many segments of the present phase are done."""
    attempts: int = 1
    started: float = field(default_factory=time.monotonic)
    ready_at: float = 0.0
    is_open: bool = True

    def result(self, error: str | None = None) -> TenantResult:
        return TenantResult(
            tenant_id=self.tenant.id,
            slug=self.tenant.slug,
            start=self.tenant.start,
            target=self.tenant.goal,
            attempts=self.attempts,
            duration_ms=round((time.monotonic() - self.started) * 1000),
            error=error,
        )


class Crew:
    """The connections of a run, and what they came to."""

    def __init__(
        self,
        url: str,
        *,
        lease: Lease,
        plan: Plan,
        replay: Replay,
        jobs: int,
        max_failures: int,
        on_result: Callable[[TenantResult], None],
        on_skip: Callable[[str], None],
        on_wait: Callable[[str, str], None],
    ) -> None:
        self.results: list[TenantResult] = []
        self.skipped: list[str] = []
        """The slugs of those that were purged meanwhile."""
        self.failures = 0
        self._url = url
        self._lease = lease
        self._plan = plan
        self._replay = replay
        self._jobs = jobs
        self._max_failures = max_failures
        self._on_result = on_result
        self._on_skip = on_skip
        self._on_wait = on_wait
        self._connections: list[DriverConnection | None] = [None] * jobs

    @property
    def has_enough(self) -> bool:
        """Whether so many have failed that the run stops."""
        return self.failures >= self._max_failures

    async def migrate(self, wave: Wave) -> None:
        """Take the tenants of a wave through their phases, all of them through one before the next.

        Raises:
            LeaseLost: another run took over.
        """
        works = [_Work(tenant, self._plan.rendering_of(tenant).phases) for tenant in wave.tenants]
        for number in range(max(len(work.phases) for work in works)):
            queue = [work for work in works if work.is_open and number < len(work.phases)]
            queue = await self._without_gone(queue)
            try:
                async with asyncio.TaskGroup() as group:
                    for slot in range(min(self._jobs, len(queue))):
                        group.create_task(self._serve(slot, queue, number))
            except BaseExceptionGroup as group:
                raise_if_lost(group)
                raise

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            if connection is not None:
                connection.terminate()

    async def _serve(self, slot: int, queue: list[_Work], number: int) -> None:
        while queue and not self.has_enough:
            work = min(queue, key=lambda each: each.ready_at)
            if (pause_s := work.ready_at - time.monotonic()) > 0:
                await asyncio.sleep(pause_s)
                continue
            queue.remove(work)
            await self._advance(slot, queue, work, number)

    async def _advance(self, slot: int, queue: list[_Work], work: _Work, number: int) -> None:
        self._lease.demand()
        phase, is_last = work.phases[number], number == len(work.phases) - 1
        try:
            connection = await self._connection(slot)
            if work.ready_at and await self._is_committed(connection, work, phase[work.position]):
                work.position += 1
            for segment in phase[work.position :]:
                await self._apply(connection, work, segment, is_last=is_last and segment is phase[-1])
                work.position += 1
        except _OF_ONE_TENANT as error:
            if sqlstate_of(error) == LEASE_LOST:
                raise LeaseLost from error
            if not await self._without_gone([work], slot):
                return
            if _may_come_back(error) and work.attempts < self._replay.limits.attempts:
                work.ready_at = time.monotonic() + self._replay.limits.pause_s(work.attempts)
                work.attempts += 1
                queue.append(work)
                return
            await self._fail(slot, work, error)
        else:
            work.position = 0
            work.ready_at = 0.0
            if is_last:
                self._close(work.result())

    async def _apply(self, connection: DriverConnection, work: _Work, segment: Segment, *, is_last: bool) -> None:
        tenant = work.tenant

        def closing() -> str:
            moved = revision_sql(tenant.id, segment.end or "") if segment.end != segment.start else ""
            done = success_sql(self._lease.run_id, work.result()) if is_last else ""
            return message(moved, done)

        if segment.autocommit:
            async with Watch(self._url, connection, lambda text: self._on_wait(tenant.slug, text)):
                await self._replay.apply(connection, tenant.schema, segment, closing)
        else:
            await self._replay.apply(connection, tenant.schema, segment, closing)

    async def _without_gone(self, works: list[_Work], slot: int = 0) -> list[_Work]:
        """Return the works without those whose tenants are being purged, or were; these are closed."""
        gone: frozenset[UUID] = frozenset()
        # Where nobody answers, whoever is next finds out what is wrong.
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            gone = await gone_among(await self._connection(slot), [work.tenant.id for work in works])
        for work in works:
            if work.tenant.id in gone:
                work.is_open = False
                self.skipped.append(work.tenant.slug)
                self._on_skip(work.tenant.slug)
        return [work for work in works if work.is_open]

    async def _is_committed(self, connection: DriverConnection, work: _Work, segment: Segment) -> bool:
        """Tell whether an attempt whose connection was lost had been committed before it was."""
        if segment.autocommit or segment.end == segment.start:
            return False
        sql = "SELECT revision FROM platform.tenants WHERE id = $1"
        return await connection.fetchval(sql, work.tenant.id) == segment.end

    async def _fail(self, slot: int, work: _Work, error: Exception) -> None:
        work.is_open = False
        result = work.result(f"{type(error).__name__}: {error}")
        # What cannot be written down now is still in the summary.
        with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
            connection = await self._connection(slot)
            await record_failure(connection, self._lease.run_id, result, self._lease.fence)
        self._close(result)

    def _close(self, result: TenantResult) -> None:
        self.results.append(result)
        self.failures += result.error is not None
        self._on_result(result)

    async def _connection(self, slot: int) -> DriverConnection:
        connection = self._connections[slot]
        if connection is None or connection.is_closed():
            connection = self._connections[slot] = await connect_for_run(self._url, self._lease.run_id)
        return connection


def _may_come_back(error: Exception) -> bool:
    """Tell whether a later attempt may succeed: somebody else was in the way, or the connection was lost."""
    state = sqlstate_of(error)
    return _was_lost(error) or state in IN_THE_WAY or state.startswith(_LOST_CLASSES)


def _was_lost(error: Exception) -> bool:
    """Tell whether the connection was lost; what else a live revision may raise is its own affair."""
    cause = error.__cause__ if isinstance(error, LiveRevisionFailed) else error
    if isinstance(cause, DBAPIError):
        return cause.connection_invalidated or isinstance(cause, InterfaceError)
    return isinstance(error, LOST_CONNECTION)
