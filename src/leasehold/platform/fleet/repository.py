"""How the ledger of the fleet is read. Only runs write it."""

from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, case, func, select
from sqlalchemy.sql.elements import KeyedColumnElement

from leasehold.core.database import PlatformSession
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.registry import FleetLease, LedgerResult, LedgerRun, Tenant

_Statement = Select[*tuple[Any, ...]]
_IN_THE_FLEET = Tenant.state.not_in([TenantState.PURGING, TenantState.PURGED])
_LATEST = (
    select(LedgerResult)
    .where(LedgerResult.tenant_id == Tenant.id)
    .order_by(LedgerResult.id.desc())
    .limit(1)
    .lateral("latest")
)
REVISION_COUNTS: _Statement = (
    select(Tenant.revision, func.count().label("tenants"))
    .where(_IN_THE_FLEET)
    .group_by(Tenant.revision)
    .order_by(Tenant.revision)
)
STRAGGLERS: _Statement = (
    select(
        Tenant.id.label("tenant_id"),
        Tenant.slug,
        Tenant.revision,
        _LATEST.c.error,
        func.coalesce(_LATEST.c.attempts, 0).label("attempts"),
        _LATEST.c.finished_at.label("last_attempt_at"),
        func.count(_LATEST.c.error).over().label("failed"),
    )
    .outerjoin_from(Tenant, _LATEST, _LATEST.c.tenant_id == Tenant.id)
    .where(_IN_THE_FLEET)
    .order_by(_LATEST.c.error.is_(None), Tenant.id)
)


def _count(*, failed: bool) -> KeyedColumnElement[Any]:
    has_failed = LedgerResult.error.is_not(None)
    one = case((has_failed if failed else ~has_failed, 1))
    counted = select(func.count(one)).where(LedgerResult.run_id == LedgerRun.id).scalar_subquery()
    return counted.label("failed" if failed else "succeeded")


RUNS: _Statement = select(
    LedgerRun.id,
    LedgerRun.kind,
    LedgerRun.target,
    func.coalesce(LedgerRun.outcome, "running").label("outcome"),
    LedgerRun.reason,
    LedgerRun.host,
    LedgerRun.pid,
    LedgerRun.planned,
    _count(failed=False),
    _count(failed=True),
    LedgerRun.started_at,
    LedgerRun.finished_at,
).order_by(LedgerRun.id.desc())
RESULTS: _Statement = (
    select(
        LedgerResult.id,
        LedgerResult.tenant_id,
        Tenant.slug,
        LedgerResult.start,
        LedgerResult.target,
        LedgerResult.error,
        LedgerResult.attempts,
        LedgerResult.duration_ms,
        LedgerResult.finished_at,
    )
    .join(Tenant, Tenant.id == LedgerResult.tenant_id)
    .order_by(LedgerResult.id)
)


class LedgerRepository:
    """The runs over the fleet and what they came to."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def revision_counts(self) -> list[RowMapping]:
        """Return how many tenants stand at each revision."""
        return await self._all(REVISION_COUNTS)

    async def stragglers(self, *, head: str, limit: int) -> list[RowMapping]:
        """Return tenants that are not at head, those whose last attempt failed first."""
        return await self._all(STRAGGLERS.where(Tenant.revision != head).limit(limit))

    async def runs(self, *, before: UUID | None, limit: int) -> list[RowMapping]:
        """Return runs, the latest first."""
        return await self._all((RUNS.where(LedgerRun.id < before) if before else RUNS).limit(limit))

    async def run(self, run_id: UUID) -> RowMapping | None:
        """Return one run."""
        rows = await self._all(RUNS.where(LedgerRun.id == run_id))
        return rows[0] if rows else None

    async def running(self) -> RowMapping | None:
        """Return the run that holds the lease of migrations."""
        rows = await self._all(RUNS.join(FleetLease, FleetLease.run_id == LedgerRun.id).limit(1))
        return rows[0] if rows else None

    async def results(self, run_id: UUID, *, after: UUID | None, limit: int) -> list[RowMapping]:
        """Return what a run came to, tenant by tenant, in the order they were done."""
        statement = RESULTS.where(LedgerResult.run_id == run_id)
        return await self._all((statement.where(LedgerResult.id > after) if after else statement).limit(limit))

    async def _all(self, statement: _Statement) -> list[RowMapping]:
        return list((await self._session.execute(statement)).mappings())
