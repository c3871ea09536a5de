"""Calls that meet a database that is away are not counted as attempts, but they do not go on for ever either."""

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from leasehold.core.database import DriverConnection, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job, tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import parts_of, until
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to, lose_connection, titles

_KILL_ALL = text("""
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
 WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
""")


@tenant_job("tests.write", max_attempts=1)
async def write(arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
    await ItemService(session=session).add(ItemCreate(arguments.title))
    if not job.times_put_off:
        await lose_connection(session)


@tenant_job("tests.write_elsewhere", max_attempts=1)
async def write_elsewhere(
    arguments: Title, open_session: Callable[[], AbstractAsyncContextManager[TenantSession]], job: ClaimedJob
) -> None:
    async with open_session() as session:
        await ItemService(session=session).add(ItemCreate(arguments.title))
        if not job.times_put_off:
            await lose_connection(session)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("job", [write, write_elsewhere], ids=["one transaction", "sessions of its own"])
async def test_a_job_that_may_be_tried_once_outlives_the_loss_of_its_connection(
    process: Process, acme: TenantRef, owner: DriverConnection, job: Job[Any]
) -> None:
    await ask(process, acme, job)
    async with at_work(process, job) as work:
        await all_done(owner)
        await work.ended()
        assert (work.count(job, "put_off"), work.count(job, "succeeded")) == (1, 1)
    assert await came_to(owner) == []
    assert await titles(process, acme) == ["done"]


@pytest.mark.usefixtures("at_once")
async def test_jobs_that_may_be_tried_once_outlive_the_end_of_all_connections(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    """As when PostgreSQL is started anew: the queue's own line is among them."""
    begun, go_on = list[str](), asyncio.Event()

    @tenant_job("tests.dawdle", max_attempts=1)
    async def dawdle(arguments: Title, session: TenantSession) -> None:
        await ItemService(session=session).add(ItemCreate(arguments.title))
        begun.append(arguments.title)
        await go_on.wait()

    await ask(process, acme, dawdle, "one", "two")
    async with at_work(process, dawdle) as work:
        await until(lambda: sorted(begun) == ["one", "two"], timeout_s=10)
        async with platform_session(process.database) as session:
            assert await session.scalar(_KILL_ALL) > 2
        go_on.set()
        await all_done(owner)
        await work.ended()
        assert (work.count(dawdle, "put_off"), work.count(dawdle, "succeeded")) == (2, 2)
    assert await titles(process, acme) == ["one", "two"]


async def test_it_is_put_off_for_longer_each_time(
    process: Process, acme: TenantRef, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def wait_not(attempt: int) -> float:
        asked.append(attempt)
        return 0.0

    @tenant_job("tests.give_up", max_attempts=2)
    async def give_up(_arguments: Title, job: ClaimedJob) -> None:
        if job.times_put_off < 3:
            raise DatabaseUnavailable

    monkeypatch.setattr("leasehold.worker.worker.backoff_s", wait_not)
    await ask(process, acme, give_up)
    async with at_work(process, give_up):
        await all_done(owner)
    assert asked == [1, 2, 3]


@pytest.mark.usefixtures("at_once")
async def test_a_job_that_brings_its_connection_down_each_time_is_dead_in_the_end(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    calls: list[int] = []

    @tenant_job("tests.bring_down", max_attempts=2)
    async def bring_down(_arguments: Title, session: TenantSession, job: ClaimedJob) -> None:
        calls.append(job.attempt)
        await lose_connection(session)

    await ask(process, acme, bring_down)
    async with at_work(process, bring_down) as work:
        (row,) = await came_to(owner, "dead")
        await work.ended()
        assert [work.count(bring_down, outcome) for outcome in ("put_off", "failed", "dead")] == [10, 1, 1]
    assert calls == [1] * 11 + [2]
    assert (row["attempts"], row["times_put_off"]) == (2, 10)
    assert row["error"] == "DatabaseUnavailable: The database cannot be reached, or has no connection to spare."


async def test_it_is_put_off_for_two_seconds_or_so_and_has_no_error(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    @tenant_job("tests.give_up", max_attempts=1)
    async def give_up(_arguments: Title) -> None:
        work.stop.set()  # it is called once, however late the test looks
        raise DatabaseUnavailable

    await ask(process, acme, give_up)
    before = await owner.fetchval("SELECT clock_timestamp()")
    async with at_work(process, give_up) as work:
        (row,) = await came_to(owner, "delayed")
        await work.ended()
    after = await owner.fetchval("SELECT clock_timestamp()")
    assert (row["attempts"], row["times_put_off"], row["error"]) == (0, 1, None)
    assert row["run_at"] - before >= timedelta(seconds=1)
    assert row["run_at"] - after <= timedelta(seconds=3)


@pytest.mark.parametrize(
    "error", [TimeoutError("no answer"), ConnectionRefusedError("no bank")], ids=lambda it: str(it)
)
async def test_what_a_job_meets_elsewhere_on_the_network_counts(
    process: Process, acme: TenantRef, owner: DriverConnection, error: OSError
) -> None:
    @tenant_job("tests.call", max_attempts=1)
    async def call(arguments: Title, session: TenantSession) -> None:
        await ItemService(session=session).add(ItemCreate(arguments.title))
        raise error

    await ask(process, acme, call)
    async with at_work(process, call):
        (row,) = await came_to(owner, "dead")
    assert (row["attempts"], row["times_put_off"]) == (1, 0)


async def test_a_database_that_refuses_connections_is_away(
    process: Process, acme: TenantRef, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_long(_attempt: int) -> float:
        return 3600.0  # or it is put off twice

    monkeypatch.setattr("leasehold.worker.worker.backoff_s", wait_long)
    url = type(process.settings.database_url)("postgresql://x@127.0.0.1:1/x")
    await ask(process, acme, write)
    async with (
        parts_of(process.settings.model_copy(update={"database_url": url})) as away,
        at_work(dataclasses.replace(process, database=away.database), write),
    ):
        (row,) = await came_to(owner, "delayed")
    assert (row["attempts"], row["times_put_off"]) == (0, 1)
