"""`/platform/v1/jobs`, `/platform/v1/workers` and `/platform/v1/periodic-tasks`."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Invalid
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.text import TEXT_PATTERN
from leasehold.platform.jobs.schemas import Job, JobDetail, JobFilter, JobState, JobSummary, PeriodicTask, Worker
from leasehold.platform.jobs.service import JobService, TenantOfJobDeleted, WrongJobState

READ = ("platform:jobs:read",)
WRITE = ("platform:jobs:write",)

State = Annotated[JobState | None, QueryParameter(name="state", description="Only jobs in this state")]
TenantId = Annotated[UUID | None, QueryParameter(name="tenant", description="Only jobs of the tenant with this id")]
Name = Annotated[str | None, QueryParameter(max_length=200, pattern=TEXT_PATTERN, description="Only jobs of this name")]


def provide_jobs(session: NamedDependency[PlatformSession]) -> JobService:
    """Return the service on the session of the request."""
    return JobService(session)


@get("/jobs", operation_id="listJobs", summary="List jobs", problems=(Invalid,), scopes=READ)
async def list_jobs(
    jobs: NamedDependency[JobService],
    cursors: NamedDependency[Cursors],
    job_state: State = None,
    tenant_id: TenantId = None,
    name: Name = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Job]:
    """Return one page of jobs, the latest first; a cursor works with the filters that it was issued for."""
    return await jobs.page(Pager(cursors, limit, cursor), JobFilter(job_state, tenant_id, name))


@get("/jobs/summary", operation_id="getJobSummary", summary="Count jobs by state", scopes=READ)
async def get_summary(jobs: NamedDependency[JobService]) -> JobSummary:
    """Return how many jobs there are in each state."""
    return await jobs.summary()


@get("/jobs/{job_id:uuid}", operation_id="getJob", summary="Get a job", scopes=READ)
async def get_job(job_id: FromPath[UUID], jobs: NamedDependency[JobService]) -> JobDetail:
    """Return one job with its traceback, and without its arguments: they may be personal."""
    return await jobs.find(job_id)


@post(
    "/jobs/{job_id:uuid}/retry",
    operation_id="retryJob",
    summary="Retry a job",
    problems=(WrongJobState, TenantOfJobDeleted),
    scopes=WRITE,
    status_code=200,
)
async def retry_job(
    job_id: FromPath[UUID], jobs: NamedDependency[JobService], actor: NamedDependency[Actor]
) -> JobDetail:
    """Let a dead or dropped job run again, at once and with all its attempts."""
    return await jobs.retry(job_id, by=actor)


@post(
    "/jobs/{job_id:uuid}/drop",
    operation_id="dropJob",
    summary="Drop a job",
    problems=(WrongJobState,),
    scopes=WRITE,
    status_code=200,
)
async def drop_job(
    job_id: FromPath[UUID], jobs: NamedDependency[JobService], actor: NamedDependency[Actor]
) -> JobDetail:
    """Drop a delayed, ready or dead job; a record of it is kept for a while."""
    return await jobs.drop(job_id, by=actor)


@get("/workers", operation_id="listWorkers", summary="List workers", scopes=READ)
async def list_workers(
    jobs: NamedDependency[JobService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Worker]:
    """Return one page of the workers that live, in the order they started."""
    return await jobs.workers(Pager(cursors, limit, cursor))


@get("/periodic-tasks", operation_id="listPeriodicTasks", summary="List periodic tasks", scopes=READ)
async def list_periodic_tasks(
    jobs: NamedDependency[JobService],
    cursors: NamedDependency[Cursors],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[PeriodicTask]:
    """Return one page of what runs by the clock, with what the last call of each came to."""
    return await jobs.periodic_tasks(Pager(cursors, limit, cursor))


router = Router(
    "/",
    route_handlers=[list_jobs, get_summary, get_job, retry_job, drop_job, list_workers, list_periodic_tasks],
    dependencies={"jobs": Provide(provide_jobs, sync_to_thread=False)},
    tags=["jobs"],
)
