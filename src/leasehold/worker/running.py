"""Puts a worker together from the parts of a process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog

from leasehold.core.failures import kind_of
from leasehold.mail.choice import mailer_of
from leasehold.process import Process
from leasehold.tenancy.jobs.link import QueueLink
from leasehold.worker.calling import Caller
from leasehold.worker.features import JOBS, TASKS
from leasehold.worker.metrics import Metrics
from leasehold.worker.worker import Worker

_PLACES_INSIDE = 2

_log = structlog.get_logger(__name__)


def build_worker(process: Process, *, places: int) -> Worker:
    """Return a worker that runs up to `places` jobs at once, and is not connected yet.

    What it counts is told with the figures of the process.

    Raises:
        BadJob: a job cannot be called.
    """
    settings, metrics = process.settings, Metrics(JOBS)
    process.sources.append(metrics.families)
    wake = asyncio.Event()
    return Worker(
        QueueLink(settings, on_news=wake.set),
        Caller(process, JOBS, mailer_of(settings)),
        TASKS,
        metrics,
        wake,
        places=places,
        poll_s=settings.job_poll_s,
        grace_s=settings.worker_grace_s,
        spans=process.spans,
    )


@asynccontextmanager
async def worker_inside(process: Process) -> AsyncGenerator[None]:
    """Run a small worker in a process that serves, so that one process does everything; for one machine."""
    stop = asyncio.Event()
    task = asyncio.create_task(build_worker(process, places=_PLACES_INSIDE).run(stop), name="worker-inside")
    task.add_done_callback(_say_if_it_died)
    try:
        yield
    finally:
        stop.set()
        with suppress(Exception):
            await task


def _say_if_it_died(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("worker_died", error=kind_of(error), exc_info=error)
