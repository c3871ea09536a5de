"""`leasehold jobs`: what an admin sees of jobs, and does for those that failed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import get_args
from uuid import UUID

import click
from msgspec import Struct
from rich_click import RichGroup

from leasehold.cli.operator import operator
from leasehold.cli.options import as_json
from leasehold.cli.session import run, show, tenant_service
from leasehold.core.database import platform_session
from leasehold.core.pagination import MAX_LIMIT, Page, Pager
from leasehold.platform.jobs.schemas import Job, JobDetail, JobFilter, JobState, JobSummary, PeriodicTask, Worker
from leasehold.platform.jobs.service import JobService
from leasehold.process import Process

_REPLACED = "\N{REPLACEMENT CHARACTER}"

job_ids = click.argument("job_ids", nargs=-1, metavar="ID...", type=click.UUID)


class Retried(Struct):
    """How many jobs were made ready at once."""

    jobs: int


class JobsStatus(Struct):
    """How it goes with the jobs as a whole."""

    jobs: JobSummary
    workers: list[Worker]
    periodic_tasks: list[PeriodicTask]


@click.group(cls=RichGroup)
def jobs() -> None:
    """Watch jobs, and decide what becomes of those that failed."""


@jobs.command("list")
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--tenant", metavar="SLUG", help="Only jobs of this tenant.")
@click.option("--name", help="Only jobs of this name.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, MAX_LIMIT), help="How many jobs.")
@as_json
def list_some(state: JobState | None, tenant: str | None, name: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the latest first. Those that succeeded are gone."""

    async def work(process: Process) -> Page[Job]:
        tenant_id = await _tenant_id(process, tenant) if tenant else None
        async with _job_service(process) as service:
            return await service.page(Pager(process.cursors, limit), JobFilter(state, tenant_id, name))

    page = run(work)
    lines = [_line(job) for job in page.items] or ["There are no such jobs."]
    show(page.items, [*lines, *(["There are more."] if page.has_more else [])], as_json=as_json)


@jobs.command("show")
@click.argument("job_id", metavar="ID", type=click.UUID)
@as_json
def show_one(job_id: UUID, as_json: bool) -> None:
    """Show one job and its traceback. Its arguments are not shown: they may be personal."""

    async def work(process: Process) -> JobDetail:
        async with _job_service(process) as service:
            return await service.find(job_id)

    job = run(work)
    show(job, [_line(job), *_printable(job.traceback or "").splitlines()], as_json=as_json)


@jobs.command()
@job_ids
@click.option("--all-dead", is_flag=True, help="All dead jobs, but for those of deleted tenants.")
@click.option("--name", help="With --all-dead: only those of this name.")
@as_json
def retry(job_ids: tuple[UUID, ...], all_dead: bool, name: str | None, as_json: bool) -> None:
    """Let dead or dropped jobs run again, at once and with all their attempts: all that are named, or none."""
    if bool(job_ids) == all_dead:
        raise click.UsageError("Name jobs, or say --all-dead.")
    if name is not None and not all_dead:
        raise click.UsageError("--name goes with --all-dead.")
    if job_ids:
        _change(job_ids, lambda service, job_id: service.retry(job_id, by=operator()), as_json=as_json)
        return

    async def work(process: Process) -> Retried:
        async with _job_service(process) as service:
            return Retried(await service.retry_dead(name, by=operator()))

    retried = run(work)
    show(retried, [f"Jobs that were dead and are ready: {retried.jobs}"], as_json=as_json)


@jobs.command()
@job_ids
@as_json
def drop(job_ids: tuple[UUID, ...], as_json: bool) -> None:
    """Drop jobs that do not run: all that are named, or none. Records of them are kept for a while."""
    if not job_ids:
        raise click.UsageError("Name jobs.")
    _change(job_ids, lambda service, job_id: service.drop(job_id, by=operator()), as_json=as_json)


@jobs.command()
@as_json
def status(as_json: bool) -> None:
    """Count jobs by state; name the workers that live, and say what periodic tasks came to."""

    async def work(process: Process) -> JobsStatus:
        async with _job_service(process) as service:
            return JobsStatus(
                jobs=await service.summary(),
                workers=(await service.workers(Pager(process.cursors, MAX_LIMIT))).items,
                periodic_tasks=(await service.periodic_tasks(Pager(process.cursors, MAX_LIMIT))).items,
            )

    found = run(work)
    lines = [
        ", ".join(f"{state} {getattr(found.jobs, state)}" for state in get_args(JobState)),
        *([_worker_line(worker) for worker in found.workers] or ["No worker lives."]),
        *map(_task_line, found.periodic_tasks),
    ]
    show(found, lines, as_json=as_json)


@asynccontextmanager
async def _job_service(process: Process) -> AsyncGenerator[JobService]:
    """Open a transaction on the platform with the service that admins use."""
    async with platform_session(process.database) as session:
        yield JobService(session)


async def _tenant_id(process: Process, slug: str) -> UUID:
    async with tenant_service(process) as tenants:
        return (await tenants.find_by_slug(slug)).id


def _change(
    job_ids: tuple[UUID, ...], change: Callable[[JobService, UUID], Awaitable[JobDetail]], *, as_json: bool
) -> None:
    async def work(process: Process) -> list[JobDetail]:
        async with _job_service(process) as service:
            # In one order for everybody, so that two admins wait for one another, and not for ever.
            return [await change(service, job_id) for job_id in sorted(set(job_ids))]

    changed = run(work)
    show(changed, [_line(job) for job in changed], as_json=as_json)


def _line(job: Job) -> str:
    whose = job.tenant_slug or job.tenant_id or "(platform)"
    error = f"  {_printable(job.error).splitlines()[0]}" if job.error else ""
    return (
        f"{job.id}  {job.state:<8} {job.name:<24} {whose!s:<24} attempt {job.attempts} of {job.max_attempts}, "
        f"{job.ended_at or job.run_at:%Y-%m-%d %H:%M:%S}{error}"
    )


def _worker_line(worker: Worker) -> str:
    return (
        f"worker {worker.id} on {worker.host}, process {worker.pid}: "
        f"since {worker.started_at:%Y-%m-%d %H:%M:%S}, seen {worker.seen_at:%H:%M:%S}"
    )


def _task_line(task: PeriodicTask) -> str:
    if task.ended_at is None:
        return f"{task.name} ({task.cron}): not run yet"
    error = f": {_printable(task.error).splitlines()[0]}" if task.error else ""
    outcome = f"{task.outcome} at {task.ended_at:%Y-%m-%d %H:%M:%S}{error}"
    return f"{task.name} ({task.cron}): last due {task.due_at:%Y-%m-%d %H:%M:%S}, {outcome}"


def _printable(text: str) -> str:
    """Return a text that does nothing to a terminal: what an error says may come from a tenant."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else _REPLACED for letter in text)
