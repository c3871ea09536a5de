"""Calls a function once for every tenant, each time in a session that is bound to the tenant.

That a call has succeeded is written in the transaction of the call itself. So a run that was killed, or in which some
failed, is resumed by running it again, and no call is made twice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg

from leasehold.core.actor import Actor
from leasehold.core.database import Database, DriverConnection
from leasehold.core.sqlstate import LOST_CONNECTION, sqlstate_of
from leasehold.tenancy.bind import TenantSession, open_tenant_session, record_call
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.lease import LEASE_LOST, Lease, LeaseLost, connect_for_run, held_lease, raise_if_lost
from leasehold.tenancy.fleet.ledger import TenantResult, finish_run, gone_among, record_failure, start_run
from leasehold.tenancy.fleet.plan import HAS_HOME, UnknownTenantSlug
from leasehold.tenancy.fleet.run import Report, RunSummary
from leasehold.tenancy.registry import TERMS_SQL, tenant_ref_of
from leasehold.tenancy.window import RevisionWindow

TenantCall = Callable[[TenantSession, TenantRef], Awaitable[object]]
"""What is called for each tenant; its session is committed afterwards."""

# What is set aside for a tenant has the secrets of that tenant, whose it may be again.
_TENANTS = f"""
SELECT t.id, t.slug, t.schema_name, t.role_name, t.state, t.revision, {TERMS_SQL}, r.served_by,
       coalesce(x.tenant_id, t.id) AS owner_id
  FROM platform.tenants t
  JOIN platform.plans p ON p.name = t.plan
  LEFT JOIN platform.tenant_revisions r ON r.revision = t.revision
  LEFT JOIN platform.tenant_restores x ON x.aside_id = t.id
 WHERE t.state NOT IN ('purging', 'purged') AND {HAS_HOME} ORDER BY t.id
"""
# Of the runs since the last one that reached its end. What was done before a tenant was put back, is set aside.
_DONE = """
SELECT coalesce(x.aside_id, r.tenant_id) AS tenant_id
  FROM platform.fleet_results r JOIN platform.fleet_runs f ON f.id = r.run_id
  LEFT JOIN platform.tenant_restores x
         ON x.tenant_id = r.tenant_id AND x.set_aside_at > r.finished_at AND NOT x.is_undone
 WHERE f.kind = 'call' AND f.target = $1 AND r.error IS NULL
   AND f.started_at > coalesce((SELECT max(started_at) FROM platform.fleet_runs
                                 WHERE kind = 'call' AND target = $1 AND outcome = 'succeeded'), '-infinity')
"""


@dataclass(frozen=True, slots=True)
class _Callee:
    """For whom a function is called."""

    tenant: TenantRef
    """Whose schema is bound, and who stands in the ledger."""
    named: TenantRef
    """Who the function is told that it is: the tenant for whom its secrets are wrapped."""


@dataclass(frozen=True, slots=True)
class FleetCall:
    """A function to be called for tenants."""

    owner_url: str
    by: Actor
    database: Database
    window: RevisionWindow
    name: str
    """What the ledger calls the function: `module:function`."""
    function: TenantCall
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    jobs: int = 1
    max_failures: int = 10
    anew: bool = False
    """Call it also for tenants for whom the last run, which did not reach its end, has done so."""
    report: Report = field(default_factory=Report)

    async def run(self) -> RunSummary:
        """Call it for every tenant for whom it has not succeeded yet.

        Raises:
            RunnerBusy: the same function is being called by another run.
            UnknownTenantSlug: the options name a tenant that does not exist.
            OSError, asyncpg.PostgresError: the database does not answer.
        """
        async with held_lease(self.owner_url, name=f"call {self.name}") as lease:
            connection = await connect_for_run(self.owner_url, lease.run_id)
            try:
                return await self._run(connection, lease)
            finally:
                connection.terminate()

    async def _run(self, connection: DriverConnection, lease: Lease) -> RunSummary:
        fleet, tenants = await self._tenants(connection)
        await start_run(connection, lease.run_id, kind="call", target=self.name, planned=len(tenants), by=self.by)
        self.report.on_start(len(tenants))
        results: list[TenantResult] = []
        skipped: list[str] = []
        stopped: str | None = "it was interrupted"
        try:
            await self._call_all(tenants, lease, results, skipped)
            failures = sum(result.error is not None for result in results)
            stopped = f"{failures} tenants failed" if failures >= self.max_failures else None
        finally:
            summary = RunSummary("call", self.name, fleet, len(tenants), tuple(results), stopped, tuple(skipped))
            with suppress(*LOST_CONNECTION, asyncpg.PostgresError):
                await finish_run(connection, lease.run_id, summary.outcome, summary.reason)
        return summary

    async def _tenants(self, connection: DriverConnection) -> tuple[int, list[_Callee]]:
        rows = await connection.fetch(_TENANTS)
        known = {row["slug"] for row in rows}
        for slug in (*self.only, *self.exclude):
            if slug not in known:
                raise UnknownTenantSlug(slug)
        done = set[UUID]() if self.anew else {row["tenant_id"] for row in await connection.fetch(_DONE, self.name)}
        return len(rows), [
            _callee(row)
            for row in rows
            if row["id"] not in done and (not self.only or row["slug"] in self.only) and row["slug"] not in self.exclude
        ]

    async def _call_all(
        self, tenants: list[_Callee], lease: Lease, results: list[TenantResult], skipped: list[str]
    ) -> None:
        queue = iter(tenants)

        async def work() -> None:
            for callee in queue:
                if sum(result.error is not None for result in results) >= self.max_failures:
                    return
                lease.demand()
                if result := await self._call(callee, lease):
                    results.append(result)
                    self.report.on_result(result)
                else:
                    skipped.append(callee.tenant.slug)
                    self.report.on_skip(callee.tenant.slug)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.jobs, len(tenants))):
                    group.create_task(work())
        except BaseExceptionGroup as group:
            raise_if_lost(group)
            raise

    async def _call(self, callee: _Callee, lease: Lease) -> TenantResult | None:
        """Return what a call came to; None for a tenant that is being purged, or was."""
        started, tenant = time.monotonic(), callee.tenant

        def result(error: str | None = None) -> TenantResult:
            ms = round((time.monotonic() - started) * 1000)
            return TenantResult(tenant.id, tenant.slug, tenant.revision, self.name, 1, ms, error)

        try:
            self.window.demand(tenant)
            async with open_tenant_session(self.database, tenant) as session:
                await self.function(session, callee.named)
                await record_call(session, run_id=lease.run_id, target=self.name, ms=result().duration_ms)
        except Exception as error:  # whatever somebody's function may raise
            if sqlstate_of(error) == LEASE_LOST:
                raise LeaseLost from error
            failed = result(f"{type(error).__name__}: {error}")
            connection = await connect_for_run(self.owner_url, lease.run_id)
            try:
                if await gone_among(connection, [tenant.id]):
                    return None
                await record_failure(connection, lease.run_id, failed, lease.fence)
            finally:
                connection.terminate()
            return failed
        return result()


def _callee(row: asyncpg.Record) -> _Callee:
    tenant = tenant_ref_of(row)
    return _Callee(tenant, replace(tenant, id=row["owner_id"]))
