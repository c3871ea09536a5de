"""Periodic tasks over several workers that look at the clock at the same time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from sqlalchemy import text

from leasehold.core.database import DriverConnection, PlatformSession
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import NoArguments, Periodic, platform_job, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue_for_each_tenant
from tests.factories import until
from tests.integration.worker.crew import all_done, at_work

_OLD = """
INSERT INTO platform.periodic_tasks (id, name, cron, due_at, seen_at)
VALUES (gen_random_uuid(), 'tests.old', '* * * * *', now(), now() - interval '25 hours')
"""
_SUSPEND_OTHERS = """
UPDATE platform.tenants SET state = 'suspended' WHERE state = 'active' AND id <> ALL($1) RETURNING id
"""
_DUE_AT = text("SELECT due_at FROM platform.periodic_tasks WHERE name = 'tests.tick'")


async def test_each_time_that_is_due_is_one_run_whatever_the_number_of_workers(
    process: Process, owner: DriverConnection
) -> None:
    runs: list[datetime] = []

    @platform_job("tests.tick")
    async def tick(_arguments: NoArguments, session: PlatformSession) -> None:
        runs.append(await session.scalar(_DUE_AT))

    task = Periodic("* * * * * *", tick)  # each second
    async with (
        at_work(process, tasks=[task], poll_s=0.05) as one,
        at_work(process, tasks=[task], poll_s=0.05) as two,
        at_work(process, tasks=[task], poll_s=0.05) as three,
    ):
        await until(lambda: len(runs) >= 3, timeout_s=30)
        crew = (one, two, three)
        for work in crew:
            await work.ended()
    assert len(set(runs)) == len(runs)
    assert runs == sorted(runs)
    assert sum(work.count(tick, "succeeded") for work in crew) == len(runs)
    row = await owner.fetchrow("SELECT outcome, error FROM platform.periodic_tasks")
    assert row is not None
    assert tuple(row) == ("succeeded", None)


async def test_a_task_that_left_the_code_is_forgotten_and_one_that_was_forgotten_too_early_is_back(
    process: Process, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.worker.worker._SWEEP_S", 0.1)

    async def names() -> list[str]:
        return [row["name"] for row in await owner.fetch("SELECT name FROM platform.periodic_tasks")]

    @platform_job("tests.tick")
    async def tick(_arguments: NoArguments, session: PlatformSession) -> None: ...

    await owner.execute(_OLD)
    async with at_work(process, tasks=[Periodic("0 0 1 1 *", tick)]), asyncio.timeout(20):
        while await names() != ["tests.tick"]:
            await asyncio.sleep(0.02)
        await owner.execute("DELETE FROM platform.periodic_tasks")
        while await names() != ["tests.tick"]:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def without_others(owner: DriverConnection, *tenants: TenantRef) -> AsyncGenerator[None]:
    """Let these tenants alone be active: late in a run there are thousands that other tests have left."""
    ids = [tenant.id for tenant in tenants]
    others = [row["id"] for row in await owner.fetch(_SUSPEND_OTHERS, ids)]
    try:
        yield
    finally:
        await owner.execute("UPDATE platform.tenants SET state = 'active' WHERE id = ANY($1)", others)


async def test_a_task_can_ask_for_a_job_of_every_tenant(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    called: list[TenantRef] = []

    @tenant_job("tests.greet")
    async def greet(_arguments: NoArguments, tenant: TenantRef) -> None:
        called.append(tenant)

    @platform_job("tests.greet_all")
    async def greet_all(_arguments: NoArguments, session: PlatformSession) -> None:
        await enqueue_for_each_tenant(session, greet, dedupe_key="greeting")

    async with without_others(owner, acme, globex):
        async with at_work(process, greet, tasks=[Periodic("* * * * * *", greet_all)], poll_s=0.05):
            await until(lambda: {acme, globex} <= set(called), timeout_s=30)
        async with at_work(process, greet, greet_all):
            await all_done(owner)
