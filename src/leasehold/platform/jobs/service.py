"""What can be known of jobs, and what an admin does with those that failed or are not wanted any more."""

from typing import Any
from uuid import UUID

import msgspec

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Conflict, NotFound, WrongState
from leasehold.core.pagination import Page, Pager
from leasehold.platform.jobs import schemas
from leasehold.platform.jobs.repository import RETRIABLE, JobRepository
from leasehold.tenancy.audit import AuditLog

_JOBS = b"jobs"
_WORKERS = b"workers"
_PERIODIC_TASKS = b"periodic-tasks"


class NoSuchJob(NotFound):
    """There is no job {id}."""


class WrongJobState(WrongState):
    """The job {id} is {state}; that cannot be done with it now."""


class TenantOfJobDeleted(Conflict):
    """The tenant of the job {id} is deleted; none of its jobs can run."""

    type = "tenant-deleted"
    title = "Tenant deleted"


class JobService:
    """The jobs of all tenants and of the platform, for one unit of work.

    A change states what it wants of the job in the statement that makes it: of two admins one succeeds, and the other
    is told how the job stands by then.
    """

    def __init__(self, session: PlatformSession) -> None:
        self._session = session
        self._jobs = JobRepository(session)

    async def page(self, pager: Pager, wanted: schemas.JobFilter) -> Page[schemas.Job]:
        """Return one page of jobs, the latest first."""
        scope = _JOBS + msgspec.json.encode(wanted)
        rows = await self._jobs.jobs(wanted, before=pager.after(scope), limit=pager.limit + 1)
        return pager.page([schemas.Job(**row) for row in rows], scope)

    async def find(self, job_id: UUID) -> schemas.JobDetail:
        """Return a job.

        Raises:
            NoSuchJob: there is none with this id; it may have succeeded.
        """
        return (await self._found(job_id))[0]

    async def retry(self, job_id: UUID, *, by: Actor) -> schemas.JobDetail:
        """Let a dead or dropped job run again, at once and with all its attempts; its error stays until it has ended.

        Raises:
            NoSuchJob: there is none with this id.
            WrongJobState: it is neither dead nor dropped.
            TenantOfJobDeleted: it can run no more.
        """
        row = await self._jobs.retry(job_id)
        if row is None:
            job, has_a_future = await self._found(job_id)
            if job.state in RETRIABLE and not has_a_future:
                raise TenantOfJobDeleted(id=job_id)
            raise WrongJobState(id=job_id, state=job.state)
        await self._jobs.wake_workers()
        job = schemas.JobDetail(**row)
        await self._record("job.retried", job, by)
        return job

    async def retry_dead(self, name: str | None = None, *, by: Actor) -> int:
        """Let all dead jobs run again, or those of a name, and return how many; those of deleted tenants stay dead."""
        retried = await self._jobs.retry_dead(name)
        if retried:
            await self._jobs.wake_workers()
            changes = created(retried=retried, name=name)
            await AuditLog(self._session, by).record("jobs.retried", ("job", None), changes=changes)
        return retried

    async def drop(self, job_id: UUID, *, by: Actor) -> schemas.JobDetail:
        """Drop a job that does not run. A record of it is kept for a while.

        Raises:
            NoSuchJob: there is none with this id.
            WrongJobState: it runs, or is dropped already.
        """
        row = await self._jobs.drop(job_id)
        if row is None:
            raise WrongJobState(id=job_id, state=(await self.find(job_id)).state)
        job = schemas.JobDetail(**row)
        await self._record("job.dropped", job, by)
        return job

    async def summary(self) -> schemas.JobSummary:
        """Return how many jobs there are in each state."""
        return schemas.JobSummary(**await self._jobs.counts())

    async def workers(self, pager: Pager) -> Page[schemas.Worker]:
        """Return one page of the workers that live, in the order they started."""
        rows = await self._jobs.workers(after=pager.after(_WORKERS), limit=pager.limit + 1)
        return pager.page([schemas.Worker(**row) for row in rows], _WORKERS)

    async def periodic_tasks(self, pager: Pager) -> Page[schemas.PeriodicTask]:
        """Return one page of what runs by the clock, with what the last call of each came to."""
        rows = await self._jobs.periodic_tasks(after=pager.after(_PERIODIC_TASKS), limit=pager.limit + 1)
        return pager.page([schemas.PeriodicTask(**row) for row in rows], _PERIODIC_TASKS)

    async def _record(self, action: str, job: schemas.JobDetail, by: Actor) -> None:
        """Write down what was done to a job; one of a tenant is the tenant's affair too."""
        log, target, changes = AuditLog(self._session, by), ("job", job.id), created(state=job.state)
        if job.tenant_id is None:
            await log.record(action, target, changes=changes)
        else:
            await log.record_to(job.tenant_id, action, target, changes=changes)

    async def _found(self, job_id: UUID) -> tuple[schemas.JobDetail, bool]:
        """Return a job, and whether it can ever run."""
        row = await self._jobs.job(job_id)
        if row is None:
            raise NoSuchJob(id=job_id)
        fields: dict[str, Any] = dict(row)
        has_a_future: bool = fields.pop("has_a_future")
        return schemas.JobDetail(**fields), has_a_future
