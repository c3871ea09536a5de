"""Puts real workers to work on the database of the tests, and sees what became of the jobs."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, platform_session
from leasehold.mail.folder import LogMailer
from leasehold.mail.message import Mailer
from leasehold.observe.exposition import text_of
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job, NoArguments, Periodic, by_name
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.link import QueueLink
from leasehold.worker.calling import Caller
from leasehold.worker.metrics import Metrics
from leasehold.worker.worker import Worker
from tests.isolation.scenario import TITLES

WAITING = "SELECT count(*) FROM platform.jobs WHERE state IN ('delayed', 'ready', 'running')"
"""Asks how many jobs wait or run."""
_OF_SOME = " AND name = ANY($1)"


class Title(Struct, frozen=True):
    """The title of an item that a job makes."""

    title: str = "done"


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker that runs in a task of its own."""

    worker: Worker
    link: QueueLink
    metrics: Metrics
    stop: asyncio.Event
    task: asyncio.Task[None]

    async def ended(self, *, within_s: float = 120.0) -> None:
        """Tell the worker to stop, and wait until it has."""
        self.stop.set()
        async with asyncio.timeout(within_s):
            await self.task

    def count(self, job: Job[Any], outcome: str) -> int:
        """Return how many calls of a job ended so, by the worker's own figures."""
        key = f'leasehold_jobs_ended_total{{job="{job.name}",outcome="{outcome}"}} '
        return sum(int(float(line.removeprefix(key))) for line in self._figures if line.startswith(key))

    @property
    def running(self) -> int:
        """How many jobs run now, by the worker's own figures."""
        key = "leasehold_jobs_running "
        (line,) = [line for line in self._figures if line.startswith(key)]
        return int(float(line.removeprefix(key)))

    @property
    def job_names(self) -> set[str]:
        """The names of jobs that became series."""
        return {name for line in self._figures for name in re.findall(r'[{,]job="([^"]*)"', line)}

    @property
    def _figures(self) -> Sequence[str]:
        return text_of(self.metrics.families).decode().splitlines()


@asynccontextmanager
async def at_work(
    process: Process,
    *jobs: Job[Any],
    tasks: Sequence[Periodic] = (),
    settings: Settings | None = None,
    mailer: Mailer | None = None,
    link_class: type[QueueLink] = QueueLink,
    caller_class: type[Caller] = Caller,
    places: int = 8,
    poll_s: float = 0.1,
    grace_s: float = 10.0,
) -> AsyncGenerator[AtWork]:
    """Run a worker that knows these jobs; at the end it must end well."""
    wake, stop = asyncio.Event(), asyncio.Event()
    link = link_class(settings or process.settings, on_news=wake.set)
    known = by_name((*jobs, *(task.job for task in tasks)))
    metrics = Metrics(known)
    caller = caller_class(process, known, mailer or LogMailer())
    worker = Worker(link, caller, tasks, metrics, wake, places=places, poll_s=poll_s, grace_s=grace_s)
    made = AtWork(worker, link, metrics, stop, asyncio.create_task(worker.run(stop)))
    try:
        yield made
    finally:
        await made.ended()


async def ask(process: Process, tenant: TenantRef | None, job: Job[Any], *titles: str, **options: Any) -> None:
    """Ask for jobs of a tenant, or of the platform, in one transaction; one for each title, or one without."""
    opened = platform_session(process.database) if tenant is None else open_tenant_session(process.database, tenant)
    async with opened as session:
        if job.arguments is NoArguments:
            await enqueue(session, job, NoArguments(), **options)
            return
        for title in titles or ("done",):
            await enqueue(session, job, Title(title), **options)


async def all_done(connection: DriverConnection, *names: str, within_s: float = 120.0) -> None:
    """Wait until no job waits or runs; with names none of these, for a worker of the product has its tasks, too."""
    sql, which = (WAITING + _OF_SOME, [list(names)]) if names else (WAITING, [])
    async with asyncio.timeout(within_s):
        while await connection.fetchval(sql, *which):
            await asyncio.sleep(0.02)


async def came_to(
    connection: DriverConnection, *expected: str, of: TenantRef | None = None, within_s: float = 30.0
) -> list[Any]:
    """Wait until the jobs there are have these states, in the order they were asked for, and return their rows.

    With a tenant only its jobs, for a worker of the product has its tasks, too.
    """
    deadline, which = time.monotonic() + within_s, "" if of is None else f"WHERE tenant_id = '{of.id}'"
    while True:
        rows: list[Any] = await connection.fetch(f"SELECT * FROM platform.jobs {which} ORDER BY created_at, id")
        if [row["state"] for row in rows] == [*expected]:
            return rows
        assert time.monotonic() < deadline, [(row["name"], row["state"], row["error"]) for row in rows]
        await asyncio.sleep(0.02)


async def lose_connection(session: TenantSession) -> None:
    """Let PostgreSQL end the connection of a session, which only the login itself may ask for."""
    await session.execute(text("RESET ROLE"))
    await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def titles(process: Process, tenant: TenantRef) -> list[str]:
    """Return the titles of a tenant's items."""
    async with open_tenant_session(process.database, tenant) as session:
        return sorted(await session.scalars(TITLES))
