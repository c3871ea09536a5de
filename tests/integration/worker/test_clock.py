"""A clock that jumps, put before PostgreSQL's own in the search path of the workers' lines to the queue."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.core.budget import worker_budget
from leasehold.core.database import DriverConnection, PlatformSession, driver_url
from leasehold.core.ids import new_id
from leasehold.main import build_process, running
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import NoArguments, Periodic, platform_job, tenant_job
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.jobs.queue import ClaimedJob, JobQueue
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.conftest import installed, migrate
from tests.factories import new_slug, provisioned, until
from tests.integration.worker.crew import Title, all_done, ask, at_work, titles

_INSTALL = """
CREATE SCHEMA faketime;
CREATE TABLE faketime.clock (ahead interval NOT NULL);
INSERT INTO faketime.clock VALUES ('0');
CREATE FUNCTION faketime.now() RETURNS timestamptz STABLE LANGUAGE sql
    AS 'SELECT pg_catalog.now() + ahead FROM faketime.clock';
GRANT USAGE ON SCHEMA faketime TO lh_app;
GRANT SELECT ON faketime.clock TO lh_app;
"""


@dataclass(frozen=True, slots=True)
class Clock:
    """What workers take for the time."""

    connection: DriverConnection

    async def jump(self, ahead: str) -> None:
        """Go before or after the real time."""
        await self.connection.execute("UPDATE faketime.clock SET ahead = $1::text::interval", ahead)

    async def set(self, hour: int, minute: int, second: float, *, year: int = 2040) -> None:
        """Show a time of the first day of a year."""
        shown = datetime(year, 1, 1, hour, minute, tzinfo=UTC)
        await self.connection.execute(
            "UPDATE faketime.clock SET ahead = $1::timestamptz + make_interval(secs => $2) - now()", shown, second
        )


@pytest.fixture(scope="module")
def own(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation whose workers see the clock of these tests."""
    with installed(admin_url, f"leasehold_clock_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        url = made.database_url.get_secret_value()
        yield made.model_copy(update={"direct_url": SecretStr(f"{url}?search_path=faketime,pg_catalog,pg_temp")})


@pytest.fixture(scope="module")
async def process(own: Settings) -> AsyncGenerator[Process]:
    """The parts of a process on that installation."""
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    await connection.execute(_INSTALL)
    await connection.close()
    made = build_process(own, budget=worker_budget(jobs=16))
    async with running(made):
        yield made


@pytest.fixture
async def owner(own: Settings, process: Process) -> AsyncGenerator[DriverConnection]:
    """A connection of the owner, to an empty queue and a clock that is right."""
    assert own.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    for table in ("jobs", "job_workers", "periodic_tasks"):
        await connection.execute(f"DELETE FROM platform.{table}")
    await Clock(connection).jump("0")
    yield connection
    await connection.close()


@pytest.fixture
def clock(owner: DriverConnection) -> Clock:
    """The clock of the workers."""
    return Clock(owner)


async def _next_beat(connection: DriverConnection) -> None:
    """Wait until a worker has just shown that it lives, so that its next beat is far away."""
    seen = before = await connection.fetchval("SELECT max(seen_at) FROM platform.job_workers")
    async with asyncio.timeout(30):
        while seen == before:
            await asyncio.sleep(0.01)
            seen = await connection.fetchval("SELECT max(seen_at) FROM platform.job_workers")


async def test_an_hour_forward_takes_jobs_from_living_workers_and_nothing_ends_twice(
    process: Process, owner: DriverConnection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._BEAT_S", 2.0)
    monkeypatch.setattr("leasehold.worker.worker._SWEEP_S", 0.1)
    tenant = await provisioned(process)
    calls: Counter[str] = Counter()
    taken = asyncio.Event()

    async def dawdle(title: str) -> None:
        """Be at work until jobs were taken from somebody, and those who have them now may have ended."""
        if calls[title] > 1:
            taken.set()
            return
        await taken.wait()
        await asyncio.sleep(1)

    @tenant_job("tests.write")
    async def write(arguments: Title, session: TenantSession) -> None:
        calls[arguments.title] += 1
        await ItemService(session=session).add(ItemCreate(arguments.title))
        await dawdle(arguments.title)

    @tenant_job("tests.note")
    async def note(arguments: Title) -> None:
        calls[arguments.title] += 1
        await dawdle(arguments.title)

    written, noted = [f"written {number}" for number in range(6)], [f"noted {number}" for number in range(6)]
    await ask(process, tenant, write, *written)
    await ask(process, tenant, note, *noted)
    async with at_work(process, write, note) as one, at_work(process, write, note) as two:
        await until(lambda: len(calls) == 12, timeout_s=20)
        for hours in range(1, 10):  # again where both have beaten before one has swept
            await _next_beat(owner)
            await clock.jump(f"{hours} hours")
            with suppress(TimeoutError):
                await until(taken.is_set, timeout_s=5)
                break
        await all_done(owner, within_s=60)
        await one.ended()
        await two.ended()
        ended = [work.count(job, "succeeded") for job in (write, note) for work in (one, two)]
    assert sum(calls.values()) > 12  # some ran twice
    assert sum(ended) == 12  # and none to its end
    assert await titles(process, tenant) == sorted(written)


async def test_an_hour_back_keeps_no_dead_worker_alive(
    process: Process, own: Settings, owner: DriverConnection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._SWEEP_S", 0.1)
    tenant = await provisioned(process)
    attempts: list[int] = []

    @tenant_job("tests.note")
    async def note(_arguments: Title, job: ClaimedJob) -> None:
        attempts.append(job.attempt)

    assert own.direct_url is not None
    await ask(process, tenant, note)
    connection: Any = await asyncpg.connect(driver_url(own.direct_url.get_secret_value()))
    dead = JobQueue(connection, new_id())
    await dead.register(host="x", pid=1)
    assert len(await dead.claim(behind=PLATFORM_LANE, wanted=1, most_of_one=1)) == 1
    await connection.close()
    async with at_work(process, note):
        await asyncio.sleep(0.5)
        assert attempts == []  # nobody knows yet that it is dead
        await clock.jump("-1 hour")
        await all_done(owner, within_s=60)
    assert attempts == [2]


async def test_a_due_time_that_the_clock_passes_twice_is_one_run(
    process: Process, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._BEAT_S", 0.2)
    monkeypatch.setattr("leasehold.worker.worker._SWEEP_S", 0.1)
    runs: list[str] = []

    @platform_job("tests.tick")
    async def tick(_arguments: NoArguments, session: PlatformSession) -> None:
        due_at: Any = await session.scalar(text("SELECT due_at FROM platform.periodic_tasks"))
        runs.append(f"{due_at:%H:%M}")

    async def shows(hour: int, minute: int, second: float) -> None:
        """Let all workers live with a time for a while, in which they look at it many times."""
        await clock.set(hour, minute, second)
        await asyncio.sleep(1)

    task = Periodic("17 * * * *", tick)
    await clock.set(12, 16, 0)
    async with at_work(process, tasks=[task]), at_work(process, tasks=[task]), at_work(process, tasks=[task]):
        await shows(12, 16, 1)
        assert runs == []
        await shows(12, 16, 59.8)
        await until(lambda: len(runs) == 1, timeout_s=20)
        for hour in (11, 12):
            await shows(hour, 16, 59.8)
            await shows(hour, 30, 0)
        assert runs == ["12:17"]
        await shows(13, 16, 59.8)
        await until(lambda: len(runs) == 2, timeout_s=20)
    assert runs == ["12:17", "13:17"]


@pytest.mark.parametrize("sees_the_jump", [True, False], ids=["the same worker", "a new worker"])
async def test_a_clock_that_was_years_ahead_and_is_right_again_does_not_silence_a_task(
    process: Process, clock: Clock, sees_the_jump: bool
) -> None:
    runs: list[str] = []

    @platform_job("tests.tick")
    async def tick(_arguments: NoArguments, session: PlatformSession) -> None:
        due_at: Any = await session.scalar(text("SELECT due_at FROM platform.periodic_tasks"))
        runs.append(f"{due_at:%Y %H:%M}")

    task = Periodic("17 * * * *", tick)
    await clock.set(12, 16, 0)
    async with AsyncExitStack() as crew:
        await crew.enter_async_context(at_work(process, tasks=[task]))
        async with asyncio.timeout(30):
            while not await clock.connection.fetchval("SELECT count(*) FROM platform.periodic_tasks"):
                await asyncio.sleep(0.01)
        await clock.set(12, 16, 0, year=2060)
        await until(lambda: runs == ["2060 11:17"], timeout_s=20)
        if not sees_the_jump:
            await crew.aclose()
        await clock.set(12, 16, 1)
        if not sees_the_jump:
            await crew.enter_async_context(at_work(process, tasks=[task]))
        await until(lambda: len(runs) == 2, timeout_s=20)
        await asyncio.sleep(0.5)
        assert runs == ["2060 11:17", "2040 11:17"]
        await clock.set(12, 16, 59.8)
        await until(lambda: len(runs) == 3, timeout_s=20)
    assert runs[2] == "2040 12:17"
