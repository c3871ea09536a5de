"""How the queue is read and changed on behalf of an admin. What workers say to it stands in the kernel."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, exists, func, literal, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from leasehold.core.database import PlatformSession
from leasehold.platform.jobs.schemas import JobFilter
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.jobs.models import CHANNEL, JobWorker, PeriodicTask, QueuedJob
from leasehold.tenancy.jobs.queue import LEASE_S
from leasehold.tenancy.registry import Tenant

RETRIABLE = ("dead", "dropped")
DROPPABLE = ("delayed", "ready", "dead")

_Statement = Select[*tuple[Any, ...]]
_Change = ReturningUpdate[*tuple[Any, ...]]
_LEASE = timedelta(seconds=LEASE_S)
_JOB = (
    QueuedJob.id,
    QueuedJob.tenant_id,
    select(Tenant.slug)
    .where(Tenant.id == QueuedJob.tenant_id)
    .correlate(QueuedJob)
    .scalar_subquery()
    .label("tenant_slug"),
    QueuedJob.name,
    QueuedJob.state,
    QueuedJob.priority,
    QueuedJob.attempts,
    QueuedJob.max_attempts,
    QueuedJob.run_at,
    QueuedJob.created_at,
    QueuedJob.ended_at,
    QueuedJob.error,
)
_DETAIL = (*_JOB, QueuedJob.traceback)
# A job of a tenant that is served no more would be dropped again, or wait for ever.
_HAS_A_FUTURE = QueuedJob.tenant_id.is_(None) | exists().where(
    Tenant.id == QueuedJob.tenant_id,
    Tenant.state.in_([TenantState.ACTIVE, TenantState.SUSPENDED, TenantState.MAINTENANCE]),
).correlate(QueuedJob)


def _in_state(*states: str) -> ColumnElement[bool]:
    """Return whether a job is in one of some states.

    They are written out in the statement: the indexes hold the jobs of some states alone, and a plan for whatever
    state a parameter may have, as PostgreSQL makes them for a statement that comes again, could use none of them.
    """
    return QueuedJob.state.in_([literal(state, literal_execute=True) for state in states])


JOBS: _Statement = select(*_JOB).order_by(QueuedJob.id.desc())
JOB: _Statement = select(*_DETAIL, _HAS_A_FUTURE.label("has_a_future"))
COUNTS: _Statement = select(QueuedJob.state, func.count().label("jobs")).group_by(QueuedJob.state)
WORKERS: _Statement = (
    select(JobWorker.id, JobWorker.host, JobWorker.pid, JobWorker.started_at, JobWorker.seen_at)
    .where(JobWorker.seen_at.between(func.now() - _LEASE, func.now() + _LEASE))
    .order_by(JobWorker.id)
)
PERIODIC_TASKS: _Statement = select(
    PeriodicTask.id,
    PeriodicTask.name,
    PeriodicTask.cron,
    PeriodicTask.due_at,
    PeriodicTask.ended_at,
    PeriodicTask.outcome,
    PeriodicTask.error,
).order_by(PeriodicTask.id)

# Its key is left: another job with it may wait by now, and that one was asked for later.
_READY_AGAIN = {
    QueuedJob.state: "ready",
    QueuedJob.attempts: 0,
    QueuedJob.times_put_off: 0,
    QueuedJob.run_at: func.now(),
    QueuedJob.dedupe_key: None,
    QueuedJob.ended_at: None,
}
_DROPPED = {
    QueuedJob.state: "dropped",
    QueuedJob.ended_at: func.now(),
    QueuedJob.error: func.concat("dropped by an admin", literal("; before that: ") + QueuedJob.error),
}


def _change(values: Mapping[Any, object], *conditions: ColumnElement[bool]) -> _Change:
    changed = update(QueuedJob).where(*conditions).values(values).returning(*_DETAIL)
    return changed.execution_options(synchronize_session=False)


RETRY: _Change = _change(_READY_AGAIN, _in_state(*RETRIABLE), _HAS_A_FUTURE)
RETRY_DEAD = (
    update(QueuedJob)
    .where(_in_state("dead"), _HAS_A_FUTURE)
    .values(_READY_AGAIN)
    .execution_options(synchronize_session=False)
)
DROP: _Change = _change(_DROPPED, _in_state(*DROPPABLE))


class JobRepository:
    """The jobs of all tenants and of the platform, whatever their state."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session

    async def jobs(self, wanted: JobFilter, *, before: UUID | None, limit: int) -> list[RowMapping]:
        """Return jobs, the latest first."""
        statement = JOBS.where(*_conditions(wanted))
        return await self._all((statement.where(QueuedJob.id < before) if before else statement).limit(limit))

    async def job(self, job_id: UUID) -> RowMapping | None:
        """Return one job, and whether its tenant has a future."""
        return await self._one(JOB.where(QueuedJob.id == job_id))

    async def retry(self, job_id: UUID) -> RowMapping | None:
        """Make a job ready that has ended, and return it; None if it has not, or cannot run any more."""
        return await self._one(RETRY.where(QueuedJob.id == job_id))

    async def retry_dead(self, name: str | None) -> int:
        """Make all dead jobs ready, or those of a name, and return how many there were."""
        statement = RETRY_DEAD if name is None else RETRY_DEAD.where(QueuedJob.name == name)
        result: Any = await self._session.execute(statement)
        return result.rowcount

    async def drop(self, job_id: UUID) -> RowMapping | None:
        """Drop a job that does not run, and return it; None if it runs, or is dropped already."""
        return await self._one(DROP.where(QueuedJob.id == job_id))

    async def wake_workers(self) -> None:
        """Let workers look for jobs once this transaction has committed."""
        await self._session.execute(select(func.pg_notify(CHANNEL, "")))

    async def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state that has any."""
        return {row["state"]: row["jobs"] for row in await self._all(COUNTS)}

    async def workers(self, *, after: UUID | None, limit: int) -> list[RowMapping]:
        """Return the workers that live, in the order they started."""
        return await self._all((WORKERS.where(JobWorker.id > after) if after else WORKERS).limit(limit))

    async def periodic_tasks(self, *, after: UUID | None, limit: int) -> list[RowMapping]:
        """Return what runs by the clock."""
        statement = PERIODIC_TASKS.where(PeriodicTask.id > after) if after else PERIODIC_TASKS
        return await self._all(statement.limit(limit))

    async def _one(self, statement: _Statement | _Change) -> RowMapping | None:
        return (await self._session.execute(statement)).mappings().one_or_none()

    async def _all(self, statement: _Statement) -> list[RowMapping]:
        return list((await self._session.execute(statement)).mappings())


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(_in_state(wanted.state))
    if wanted.tenant_id is not None:
        conditions.append(QueuedJob.tenant_id == wanted.tenant_id)
    if wanted.name is not None:
        conditions.append(QueuedJob.name == wanted.name)
    return conditions
