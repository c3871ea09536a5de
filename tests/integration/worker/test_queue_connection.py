"""The worker's line to its queue: it may break at any moment, and it may lead through a pooler."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, driver_url
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.jobs.link import QueueLink
from leasehold.tenancy.jobs.queue import ClaimedJob, JobQueue
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import until
from tests.integration.worker.crew import WAITING, AtWork, Title, all_done, ask, at_work, came_to, titles
from tests.integration.worker.line import line_to

AnswerT = TypeVar("AnswerT")

_KILL = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
 WHERE application_name = 'leasehold-worker' AND datname = current_database()
"""

# In one transaction: a worker that hears of the first before the second gives its job back as if it had not been tried.
_TAKEN_FOR_DEAD = "DELETE FROM platform.job_workers; UPDATE platform.jobs SET worker_id = NULL, state = 'ready'"


@pytest.fixture
async def killer(settings: Settings) -> AsyncGenerator[DriverConnection]:
    """A connection that may end those of workers."""
    connection: Any = await asyncpg.connect(driver_url(settings.database_url.get_secret_value()))
    yield connection
    await connection.close()


async def _killing(killer: DriverConnection, work: AtWork, *, every_s: float) -> int:
    """End the worker's connection again and again until no job waits or runs, and return how often.

    A little later each time: on a busy machine nothing would ever be done between two of them.
    """
    kills = 0
    async with asyncio.timeout(120):
        while await killer.fetchval(WAITING):
            kills += await killer.fetchval(_KILL)
            await asyncio.sleep(every_s)
            every_s *= 1.05
            assert not work.task.done()
    return kills


@tenant_job("tests.write", max_attempts=1)
async def write(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
    await asyncio.sleep(0.01)
    await ItemService(session=session).add(ItemCreate(f"{arguments.title} {job.attempt}"))


@tenant_job("tests.note", max_attempts=1)
async def note(_arguments: Title) -> None:
    await asyncio.sleep(0.01)


async def test_a_connection_that_is_killed_again_and_again_costs_no_job_and_no_attempt(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, killer: DriverConnection
) -> None:
    """Each job may be tried once: one that were counted as tried without being run would be dead."""
    numbers = [str(number) for number in range(150)]
    for tenant in (acme, globex):
        await ask(process, tenant, write, *numbers)
        await ask(process, tenant, note, *numbers)
    async with at_work(process, write, note) as work:
        kills = await _killing(killer, work, every_s=0.3)
        await work.ended()
        assert work.count(write, "succeeded") == work.count(note, "succeeded") == 300
    assert kills > 3
    for tenant in (acme, globex):
        assert await titles(process, tenant) == sorted(f"{number} 1" for number in numbers)


class _CountsClaims(QueueLink):
    """Counts how often the worker has looked for jobs."""

    claims = 0

    async def ask(self, question: Callable[[JobQueue], Awaitable[AnswerT]]) -> AnswerT:
        answer = await super().ask(question)
        self.claims += type(answer) is list
        return answer


class _LosesAnAnswer(QueueLink):
    """Loses its connection behind the first claim that got something, and the answer with it."""

    lost: list[ClaimedJob] | None = None

    async def ask(self, question: Callable[[JobQueue], Awaitable[AnswerT]]) -> AnswerT:
        answer = await super().ask(question)
        claimed: Any = answer
        if self.lost is None and claimed and type(claimed) is list:
            self.lost = claimed
            self._drop()
            return await super().ask(question)
        return answer


async def test_what_was_claimed_in_an_answer_that_was_lost_is_run_all_the_same_and_once(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, write, "one", "two", "three")
    async with at_work(process, write, link_class=_LosesAnAnswer) as work:
        await all_done(owner)
        assert isinstance(work.link, _LosesAnAnswer)
        assert len(work.link.lost or []) == 3
        await work.ended()
        assert work.count(write, "succeeded") == 3
    assert await titles(process, acme) == ["one 1", "three 1", "two 1"]


async def test_a_running_job_is_kept_when_the_connection_is_lost(
    process: Process, acme: TenantRef, owner: DriverConnection, killer: DriverConnection
) -> None:
    calls: list[int] = []
    go_on = asyncio.Event()

    @tenant_job("tests.wait")
    async def wait(_arguments: Title, job: ClaimedJob) -> None:
        calls.append(job.attempt)
        await go_on.wait()

    await ask(process, acme, wait)
    async with at_work(process, wait) as work:
        await until(lambda: len(calls) == 1, timeout_s=10)
        assert await killer.fetchval(_KILL) > 0
        await until(lambda: work.link.losses > 0, timeout_s=10)
        await ask(process, acme, note)  # which makes it claim again, and let go what it does not know
        await came_to(owner, "running", "dead")  # for this worker does not know the second one
        go_on.set()
        await came_to(owner, "dead")
    assert calls == [1]


async def test_a_job_that_ends_while_the_queue_is_away_is_ticked_off_when_it_is_back(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    go_on = asyncio.Event()

    @tenant_job("tests.wait", max_attempts=1)
    async def wait(_arguments: Title) -> None:
        await go_on.wait()

    await ask(process, acme, wait)
    async with line_to(process.settings) as line, at_work(process, wait, settings=line.settings) as work:
        await until(lambda: work.running == 1, timeout_s=10)
        line.cut()
        go_on.set()
        await until(lambda: work.link.losses > 1, timeout_s=10)
        line.mend()
        await all_done(owner)
        await work.ended()
        assert work.count(wait, "succeeded") == 1


async def test_with_a_direct_url_a_job_is_heard_of_at_once(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    async with at_work(process, note, poll_s=3600) as work:
        await until(lambda: work.worker.seen_at > 0, timeout_s=10)
        for _ in range(3):
            await asyncio.sleep(0.2)
            await ask(process, acme, note)
            await all_done(owner)


@pytest.mark.parametrize("prepared_statements", [True, False])
async def test_without_a_direct_url_it_looks_for_jobs_and_does_not_listen(
    process: Process, acme: TenantRef, owner: DriverConnection, prepared_statements: bool
) -> None:
    settings = process.settings.model_copy(update={"direct_url": None, "prepared_statements": prepared_statements})
    async with at_work(process, note, settings=settings, poll_s=0.2) as work:
        await until(lambda: work.worker.seen_at > 0, timeout_s=10)
        for _ in range(3):
            await ask(process, acme, note)
            await all_done(owner)
    async with at_work(process, note, settings=settings, poll_s=3600, link_class=_CountsClaims) as work:
        link = work.link
        assert isinstance(link, _CountsClaims)
        # Once before anybody knows it, and once behind its first round of all else; the next is in an hour.
        await until(lambda: link.claims >= 2, timeout_s=10)
        await ask(process, acme, note)
        await asyncio.sleep(1)
        await came_to(owner, "ready")


async def test_without_a_direct_url_a_connection_that_is_killed_costs_no_job_either(
    process: Process, acme: TenantRef, owner: DriverConnection, killer: DriverConnection
) -> None:
    settings = process.settings.model_copy(update={"direct_url": None, "prepared_statements": False})
    numbers = [str(number) for number in range(300)]
    await ask(process, acme, write, *numbers)
    async with at_work(process, write, settings=settings, poll_s=0.05) as work:
        assert await _killing(killer, work, every_s=0.05) > 3
    assert await titles(process, acme) == sorted(f"{number} 1" for number in numbers)


async def test_a_worker_that_was_taken_for_dead_goes_on_as_another_and_its_jobs_with_it(
    process: Process, acme: TenantRef, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._BEAT_S", 0.1)
    attempts: list[int] = []

    @tenant_job("tests.dawdle")
    async def dawdle(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
        attempts.append(job.attempt)
        await ItemService(session=session).add(ItemCreate(arguments.title))
        if job.attempt == 1:
            await asyncio.sleep(3600)

    await ask(process, acme, dawdle)
    async with at_work(process, dawdle) as work:
        await until(lambda: len(attempts) == 1, timeout_s=10)
        before = work.link.worker_id
        await owner.execute(_TAKEN_FOR_DEAD)
        await all_done(owner)
        assert work.link.worker_id != before
        assert await owner.fetchval("SELECT array_agg(id) FROM platform.job_workers") == [work.link.worker_id]
    assert attempts == [1, 2]
    assert await titles(process, acme) == ["done"]
