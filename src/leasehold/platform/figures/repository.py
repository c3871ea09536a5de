"""A few queries about everything, none of them about one tenant. They use indexes, or the registry's few thousand rows.

Jobs are counted up to `MOST_JOBS` of a state: a million that wait must not make it slow to find out that they do.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    literal_column,
    select,
)

from leasehold.core.database import PlatformSession
from leasehold.platform.jobs.repository import WORKERS
from leasehold.tenancy.audit.models import PlatformAuditEvent
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.jobs.models import PeriodicTask, QueuedJob
from leasehold.tenancy.registry import FleetLease, LedgerResult, LedgerRun, Tenant

MOST_JOBS = 100_000

_Statement = Select[*tuple[Any, ...]]
_GONE = [TenantState.PURGING, TenantState.PURGED]
TENANTS: _Statement = (
    select(Tenant.state, Tenant.revision, func.count().label("tenants"))
    .where(Tenant.state.not_in(_GONE))
    .group_by(Tenant.state, Tenant.revision)
)
LAST_RUN: _Statement = (
    select(
        LedgerRun.outcome,
        func.extract("epoch", LedgerRun.finished_at).label("finished_at"),
        select(func.count())
        .where(LedgerResult.run_id == LedgerRun.id, LedgerResult.error.is_not(None))
        .scalar_subquery()
        .label("failures"),
    )
    .where(LedgerRun.outcome.is_not(None), LedgerRun.kind != "call")
    .order_by(LedgerRun.id.desc())
    .limit(1)
)
IS_RUNNING: _Statement = select(
    exists().where(
        and_(FleetLease.run_id == LedgerRun.id, LedgerRun.outcome.is_(None), FleetLease.expires_at > func.now())
    )
)
_NOW = func.statement_timestamp()
# What is kept with a state that is set aside waits for that state, and for no worker.
_IS_TO_BE_DONE = QueuedJob.lane.not_in(select(Tenant.id).where(Tenant.state == TenantState.SET_ASIDE))
OVERDUE: _Statement = (
    # They wait for a worker to find that their time has come.
    select(func.extract("epoch", _NOW - QueuedJob.run_at))
    .where(QueuedJob.state == literal("delayed", literal_execute=True), QueuedJob.run_at <= _NOW, _IS_TO_BE_DONE)
    .order_by(QueuedJob.run_at)
    .limit(1)
)
FAILED_TASKS: _Statement = select(func.count()).where(PeriodicTask.outcome == "failed")
LIVING_WORKERS: _Statement = select(func.count()).select_from(WORKERS.order_by(None).subquery())


def _some_in(state: str, column: ColumnElement[Any]) -> Subquery:
    """Return a column of the jobs of a state, but for those that are kept with what is set aside.

    The state is written out, as the partial indexes want it.
    """
    is_in = QueuedJob.state == literal(state, literal_execute=True)
    return select(column).where(is_in, _IS_TO_BE_DONE).limit(literal(MOST_JOBS, literal_execute=True)).subquery()


# No column is asked for, so that an index alone can answer.
JOBS: dict[str, _Statement] = {
    state: select(func.count()).select_from(_some_in(state, literal_column("1")))
    for state in ("ready", "delayed", "running", "dead")
}
_READY = _some_in("ready", QueuedJob.run_at.label("run_at"))
OLDEST: _Statement = select(func.extract("epoch", _NOW - func.min(_READY.c.run_at)))


LAST_BACKUP: _Statement = (
    select(func.extract("epoch", PlatformAuditEvent.created_at))
    .where(
        PlatformAuditEvent.action == "backup.made", PlatformAuditEvent.changes["is_whole"]["to"].as_boolean().is_(True)
    )
    .order_by(PlatformAuditEvent.id.desc())
    .limit(1)
)


class FigureRepository:
    """Asks for the figures."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def tenants(self) -> list[RowMapping]:
        """Return how many tenants there are of each state at each revision; those that are gone do not count."""
        return list((await self._session.execute(TENANTS)).mappings())

    async def last_run(self) -> RowMapping | None:
        """Return what became of the last migration of the fleet, None before the first."""
        return (await self._session.execute(LAST_RUN)).mappings().one_or_none()

    async def is_running(self) -> bool:
        """Tell whether a run is under way."""
        return bool(await self._session.scalar(IS_RUNNING))

    async def jobs(self) -> dict[str, int]:
        """Return how many jobs there are of each state."""
        return {state: int(await self._session.scalar(statement) or 0) for state, statement in JOBS.items()}

    async def waited_s(self) -> float:
        """Return for how many seconds a job has been ready, or should have been."""
        found = [await self._session.scalar(statement) for statement in (OLDEST, OVERDUE)]
        return max(float(seconds or 0) for seconds in found)

    async def failed_tasks(self) -> int:
        """Return how many periodic tasks have failed the last time."""
        return int(await self._session.scalar(FAILED_TASKS) or 0)

    async def last_backup(self) -> float:
        """Return when the last run of backups of everything ended in which nothing failed, 0 before the first."""
        return float(await self._session.scalar(LAST_BACKUP) or 0)

    async def workers(self) -> int:
        """Return how many workers live."""
        return int(await self._session.scalar(LIVING_WORKERS) or 0)
