"""With a session the call of a job is one transaction, in which the job is also ticked off: once, whatever happens."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from leasehold.core.database import DriverConnection, PlatformSession, platform_session
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job, NoArguments, platform_job, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to, lose_connection, titles

_ANOTHER_TAKES_IT = """
WITH another AS (INSERT INTO platform.job_workers VALUES (gen_random_uuid(), 'x', 1, now(), now()) RETURNING id)
UPDATE platform.jobs SET worker_id = another.id FROM another
"""

pytestmark = pytest.mark.usefixtures("at_once")


@tenant_job("tests.write")
async def write(arguments: Title, session: TenantSession) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))


@tenant_job("tests.write_and_fail_once")
async def write_and_fail_once(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))
    if job.attempt == 1:
        raise LookupError("not yet")


@tenant_job("tests.pass_on")
async def pass_on(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
    await enqueue(session, write, Title(f"{arguments.title} {job.attempt}"))
    if job.attempt == 1:
        raise LookupError("not yet")


@tenant_job("tests.lose_the_database")
async def lose_the_database(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))
    if job.times_put_off == 0:
        await lose_connection(session)


@platform_job("tests.rename_workers")
async def rename_workers(_arguments: NoArguments, session: PlatformSession, job: ClaimedJob) -> None:
    await session.execute(text("UPDATE platform.job_workers SET pid = pid + 1, host = 'x'"))
    if job.attempt == 1:
        raise LookupError("not yet")


async def test_a_job_does_its_work_and_is_gone(process: Process, acme: TenantRef, owner: DriverConnection) -> None:
    await ask(process, acme, write, "one", "two")
    async with at_work(process, write) as work:
        await came_to(owner)
        assert await titles(process, acme) == ["one", "two"]
        await work.ended()
        assert work.count(write, "succeeded") == 2
        assert work.running == 0


async def test_rows_and_tick_off_are_seen_together_at_every_moment(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    """In every snapshot there are as many jobs and rows together as jobs were asked for."""
    jobs = 300
    await ask(process, acme, write, *(f"item {number}" for number in range(jobs)))
    both = f'SELECT (SELECT count(*) FROM platform.jobs), (SELECT count(*) FROM "{acme.schema}".items)'
    seen: set[tuple[int, int]] = set()
    async with at_work(process, write), asyncio.timeout(60):
        while (0, jobs) not in seen:
            (row,) = await owner.fetch(both)
            seen.add((row[0], row[1]))
    assert {waiting + done for waiting, done in seen} == {jobs}
    assert len(seen) > 2
    assert len(set(await titles(process, acme))) == jobs


@pytest.mark.parametrize(
    ("job", "outcome"),
    [(write_and_fail_once, "failed"), (lose_the_database, "put_off")],
    ids=["its own fault", "the database's"],
)
async def test_an_attempt_that_failed_leaves_no_row_behind(
    process: Process, acme: TenantRef, owner: DriverConnection, job: Job[Any], outcome: str
) -> None:
    await ask(process, acme, job, "one", "two", "three")
    async with at_work(process, write_and_fail_once, lose_the_database) as work:
        await all_done(owner)
        assert await titles(process, acme) == ["one", "three", "two"]
        await work.ended()
        assert work.count(job, outcome) == 3
        assert work.count(job, "succeeded") == 3


async def test_a_job_that_was_asked_for_by_a_job_is_asked_for_once(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, pass_on, "passed on in attempt")
    async with at_work(process, pass_on, write):
        await all_done(owner)
    assert await titles(process, acme) == ["passed on in attempt 2"]


async def test_what_a_job_of_the_platform_writes_is_written_once_too(process: Process, owner: DriverConnection) -> None:
    await ask(process, None, rename_workers)
    other = new_id()
    await owner.execute("INSERT INTO platform.job_workers VALUES ($1, 'y', 100, now(), now())", other)
    async with at_work(process, rename_workers):
        await all_done(owner)
        row = await owner.fetchrow("SELECT host, pid FROM platform.job_workers WHERE id = $1", other)
    assert row is not None
    assert tuple(row) == ("x", 101)


async def test_a_job_that_is_another_workers_by_now_leaves_nothing(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @tenant_job("tests.dawdle", max_attempts=1)
    async def dawdle(arguments: Title, session: TenantSession) -> None:
        await ItemService(session=session).add(ItemCreate(arguments.title))
        begun.set()
        await go_on.wait()

    await ask(process, acme, dawdle)
    async with at_work(process, dawdle) as work:
        async with asyncio.timeout(10):
            await begun.wait()
        await owner.execute(_ANOTHER_TAKES_IT)
        go_on.set()
        await work.ended()
        assert work.count(dawdle, "lost") == 1
    assert await titles(process, acme) == []
    (row,) = await came_to(owner, "running")
    assert row["error"] is None


async def test_without_a_session_a_job_is_ticked_off_when_it_has_ended(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    states: list[str] = []

    @tenant_job("tests.look")
    async def look(arguments: Title, tenant: TenantRef) -> None:
        assert tenant == acme
        async with platform_session(process.database) as session:
            states.append(await session.scalar(text("SELECT state FROM platform.jobs")))

    await ask(process, acme, look)
    async with at_work(process, look) as work:
        await all_done(owner)
        await work.ended()
        assert (states, work.count(look, "succeeded")) == (["running"], 1)
    assert await came_to(owner) == []
