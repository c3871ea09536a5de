"""Jobs are bound as requests are: however those of many tenants interleave, each sees its own tenant alone.

The last test gives every job to one tenant on purpose: if it did not find leaks, the first ones would prove nothing.
"""

import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import pytest
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from leasehold.config import Settings
from leasehold.core.database import Database, DriverConnection, PlatformSession, driver_url
from leasehold.core.reads import Read
from leasehold.process import Process
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job, platform_job, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.worker.calling import Caller
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to
from tests.isolation.scenario import ACTS, TITLES, Watch
from tests.pooler import direct
from tests.queued import empty_queue

FAILING = ("fail_in_python", "fail_in_sql", "never_begin", "be_cancelled")
_TITLES = Read(TITLES, Title)
OpenTenant = Callable[[], AbstractAsyncContextManager[TenantSession]]


@pytest.fixture
async def queue(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection to an empty queue."""
    connection: Any = await asyncpg.connect(driver_url(direct(settings)))
    await empty_queue(connection)
    yield connection
    await connection.close()


class Watched:
    """Jobs of tenants that look around, and what they saw."""

    def __init__(self, tenants: list[TenantRef]) -> None:
        self.watch = Watch()
        self.calls: Counter[str] = Counter()
        self._tenants = {tenant.id: tenant for tenant in tenants}

        @tenant_job("tests.act", max_attempts=1)
        async def act(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
            await ACTS[arguments.title](session, self._called(job), self.watch)
            await self.watch.look(session, self._called(job))

        @tenant_job("tests.open", max_attempts=1)
        async def open_(arguments: Title, open_session: OpenTenant, job: ClaimedJob) -> None:
            for _ in range(2):
                async with open_session() as session:
                    await ACTS[arguments.title](session, self._called(job), self.watch)

        @tenant_job("tests.read", max_attempts=1)
        async def read(arguments: Title, reader: TenantReader, job: ClaimedJob) -> None:
            called, found = self._called(job), {row.title for row in await reader.all(_TITLES)}
            if found - {called.slug}:
                self.watch.leaks.append(f"{called.slug} read rows of {found}")

        @tenant_job("tests.pass_on", max_attempts=1)
        async def pass_on(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
            await enqueue(session, act, Title("write"))

        self.jobs: tuple[Job[Any], ...] = (act, open_, read, pass_on)

    def _called(self, job: ClaimedJob) -> TenantRef:
        assert job.tenant_id is not None
        self.calls[job.name] += 1
        return self._tenants[job.tenant_id]

    async def ask(self, process: Process) -> None:
        """Ask for each kind of job with each kind of act, in turn for all tenants."""
        for name in sorted(ACTS):
            for tenant in self._tenants.values():
                for job in self.jobs:
                    await ask(process, tenant, job, name)


async def test_no_interleaving_of_jobs_shows_one_tenant_to_another(
    process: Process, pool: Database, eight: list[TenantRef], queue: DriverConnection
) -> None:
    watched = Watched(eight)
    await watched.ask(process)
    asked = await queue.fetchval("SELECT count(*) FROM platform.jobs")
    async with at_work(dataclasses.replace(process, database=pool), *watched.jobs, places=16) as work:
        await all_done(queue, within_s=120)
        await work.ended()
    assert watched.watch.leaks == []
    failed = await queue.fetch("SELECT name, arguments ->> 'title' FROM platform.jobs WHERE state = 'dead'")
    assert {tuple(row) for row in failed} == {(name, act) for name in ("tests.act", "tests.open") for act in FAILING}
    assert asked == len(ACTS) * 8 * 4
    assert watched.calls["tests.act"] >= len(ACTS) * 8 * 2
    assert pool.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


class Schema(Struct, frozen=True):
    """Whose table to look into."""

    schema: str


_LOOK = 'SELECT count(*) FROM "{schema}".items'


@platform_job("tests.look_into", max_attempts=1)
async def look_into(arguments: Schema, session: PlatformSession) -> None:
    await session.execute(text(_LOOK.format(schema=arguments.schema)))


@platform_job("tests.look_around", max_attempts=1)
async def look_around(
    arguments: Schema, open_session: Callable[[], AbstractAsyncContextManager[PlatformSession]]
) -> None:
    async with open_session() as session:
        await session.execute(TITLES)


@tenant_job("tests.look_beyond", max_attempts=1)
async def look_beyond(arguments: Schema, session: TenantSession) -> None:
    await session.execute(text(_LOOK.format(schema=arguments.schema)))


_ENQUEUE = """
SELECT platform.enqueue_job($1, gen_random_uuid(), $2, jsonb_build_object('schema', $3::text), 0, 1, 0, NULL)
"""


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (look_into, "permission denied for schema"),
        (look_around, 'relation "items" does not exist'),
        (look_beyond, "permission denied for schema"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_job_reaches_no_table_of_a_tenant_that_is_not_its_own(
    process: Process, acme: TenantRef, globex: TenantRef, queue: DriverConnection, job: Job[Any], error: str
) -> None:
    tenant_id = acme.id if job is look_beyond else None
    await queue.execute(_ENQUEUE, tenant_id, job.name, globex.schema)
    async with at_work(process, look_into, look_around, look_beyond):
        (row,) = await came_to(queue, "dead")
    assert row["error"].startswith(ProgrammingError.__name__)
    assert error in row["error"]


class GivesAllToOne(Caller):
    """Binds every job to the same tenant."""

    def _tenant_of(self, claimed: ClaimedJob) -> TenantRef | None:
        tenant = super()._tenant_of(claimed)
        return tenant and self._process.directory.by_slug(self.slug)

    slug = ""


async def test_a_job_that_is_bound_to_another_tenant_is_found(
    process: Process, eight: list[TenantRef], queue: DriverConnection
) -> None:
    watched = Watched(eight)
    GivesAllToOne.slug = eight[0].slug
    for job in watched.jobs[:3]:
        await ask(process, eight[1], job, "read")
    async with at_work(process, *watched.jobs, caller_class=GivesAllToOne):
        await came_to(queue)
    told = "".join(watched.watch.leaks)
    assert f"{eight[1].slug} ran as {eight[0].role}" in told
    assert f"{eight[1].slug} read rows of" in told
