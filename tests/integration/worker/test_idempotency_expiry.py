"""Kept answers are deleted when they have expired: by the clock, tenant by tenant, so many at once."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from leasehold.core.database import DriverConnection
from leasehold.platform.idempotency.jobs import forget_answers as forget_of_platform
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Periodic
from leasehold.worker.features import JOBS, TASKS
from leasehold.workspace.features import PERIODIC
from leasehold.workspace.idempotency.jobs import forget_answers
from tests.factories import provisioned
from tests.integration.worker.crew import all_done, ask, at_work

_ANSWER = """
INSERT INTO {schema}.idempotency_keys (id, subject, key, fingerprint, status, headers, body, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), $1 || n, '', 201, '{{}}', '', now() - $2::text::interval
  FROM generate_series(1, $3) n
"""
_RECEIPT = """
INSERT INTO platform.provisioning_receipts (id, subject, key, fingerprint, tenant_id, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), $1 || n, '', gen_random_uuid(), now() - $2::text::interval
  FROM generate_series(1, $3) n
"""


@pytest.fixture
async def few(owner: DriverConnection, acme: TenantRef, globex: TenantRef) -> AsyncGenerator[None]:
    """For the registry no tenants of other tests are active, for what is done for each of a thousand takes long."""
    others = "UPDATE platform.tenants SET state = 'suspended' WHERE state = 'active' AND id <> ALL($1) RETURNING id"
    ids = [row["id"] for row in await owner.fetch(others, [acme.id, globex.id])]
    yield
    await owner.execute("UPDATE platform.tenants SET state = 'active' WHERE id = ANY($1)", ids)


def of_keys() -> Periodic:
    """Return the task that asks for the job of every tenant."""
    (task,) = (task for task in PERIODIC if task.job.name == "idempotency.forget_of_each_tenant")
    return task


async def fill(owner: DriverConnection, sql: str, schema: str = "platform") -> None:
    """Put three expired rows and two that have not expired into a table."""
    for name, age, count in (("old", "24 hours 1 second", 3), ("young", "23 hours 30 minutes", 2)):
        await owner.execute(sql.format(schema=f'"{schema}"'), name, age, count)


async def left(owner: DriverConnection, schema: str = "platform", table: str = "idempotency_keys") -> list[str]:
    return [row["key"] for row in await owner.fetch(f'SELECT key FROM "{schema}".{table} ORDER BY key')]


@pytest.mark.usefixtures("few")
async def test_by_the_clock_every_tenants_expired_answers_are_deleted_and_no_others(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    untouched = await provisioned(process)
    for tenant in (acme, globex):
        await fill(owner, _ANSWER, tenant.schema)
    await owner.execute(_ANSWER.format(schema=f'"{untouched.schema}"'), "young", "1 second", 2)
    task = of_keys()
    await ask(process, None, task.job)
    async with at_work(process, forget_answers, task.job) as work:
        await all_done(owner)
        await work.ended()
    for tenant in (acme, globex, untouched):
        assert await left(owner, tenant.schema) == ["young1", "young2"]
    assert work.count(forget_answers, "succeeded") >= 3
    assert work.count(forget_answers, "failed") == 0


async def test_workers_know_the_tasks_and_when_they_are_due() -> None:
    crons = {task.job.name: task.cron for task in TASKS}
    assert crons["idempotency.forget_of_each_tenant"] == "41 * * * *"
    assert crons["idempotency.forget_of_platform"] == "37 * * * *"
    assert JOBS["idempotency.forget"] is forget_answers
    assert set(crons) <= set(JOBS)


@pytest.mark.usefixtures("few")
async def test_what_is_due_is_done_though_nobody_asks(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    for tenant in (acme, globex):
        await fill(owner, _ANSWER, tenant.schema)
    tasks = [dataclasses.replace(of_keys(), cron="* * * * * *")]
    async with at_work(process, forget_answers, tasks=tasks, poll_s=0.05) as work:
        async with asyncio.timeout(30):
            while await left(owner, acme.schema) != ["young1", "young2"]:
                await asyncio.sleep(0.05)
        await work.ended()
    async with at_work(process, forget_answers, *(task.job for task in tasks)):
        await all_done(owner)
    assert await left(owner, globex.schema) == ["young1", "young2"]


async def test_a_transaction_deletes_so_many_at_most_and_another_job_goes_on(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leasehold.workspace.idempotency.jobs.AT_ONCE", 10)
    await owner.execute(_ANSWER.format(schema=f'"{acme.schema}"'), "old", "2 days", 25)
    await fill(owner, _ANSWER, globex.schema)
    await ask(process, acme, forget_answers)
    async with at_work(process, forget_answers) as work:
        await all_done(owner)
        await work.ended()
        assert work.count(forget_answers, "succeeded") == 3
    assert await left(owner, acme.schema) == []
    assert len(await left(owner, globex.schema)) == 5


@pytest.mark.usefixtures("few")
async def test_answers_of_a_tenant_that_is_not_active_stay_until_it_is(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    for tenant in (acme, globex):
        await fill(owner, _ANSWER, tenant.schema)
    await owner.execute("UPDATE platform.tenants SET state = 'suspended' WHERE id = $1", acme.id)
    for remaining, state in ((5, "active"), (2, "active")):
        await ask(process, None, of_keys().job)
        async with at_work(process, forget_answers, of_keys().job):
            await all_done(owner)
        assert len(await left(owner, acme.schema)) == remaining
        assert len(await left(owner, globex.schema)) == 2
        await owner.execute("UPDATE platform.tenants SET state = $2 WHERE id = $1", acme.id, state)


async def test_a_row_that_somebody_else_holds_is_left_for_the_next_time(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    for tenant in (acme, globex):
        await fill(owner, _ANSWER, tenant.schema)
    async with owner.transaction():
        await owner.execute(f"""SELECT FROM "{acme.schema}".idempotency_keys WHERE key = 'old2' FOR UPDATE""")
        for tenant in (acme, globex):
            await ask(process, tenant, forget_answers)
        async with at_work(process, forget_answers):
            await all_done(owner)
    assert await left(owner, acme.schema) == ["old2", "young1", "young2"]
    assert await left(owner, globex.schema) == ["young1", "young2"]


@pytest.mark.parametrize(("at_once", "jobs"), [(1_000, 1), (2, 2)])
async def test_the_platforms_answers_and_receipts_are_deleted_too(
    process: Process,
    owner: DriverConnection,
    monkeypatch: pytest.MonkeyPatch,
    acme: TenantRef,
    globex: TenantRef,
    at_once: int,
    jobs: int,
) -> None:
    monkeypatch.setattr("leasehold.platform.idempotency.jobs.AT_ONCE", at_once)
    for tenant in (acme, globex):
        await fill(owner, _ANSWER, tenant.schema)
    tables: dict[str, Any] = {"idempotency_keys": _ANSWER, "provisioning_receipts": _RECEIPT}
    for table, sql in tables.items():
        await owner.execute(f"DELETE FROM platform.{table}")
        await fill(owner, sql)
    await ask(process, None, forget_of_platform)
    async with at_work(process, forget_of_platform) as work:
        await all_done(owner)
        await work.ended()
        assert work.count(forget_of_platform, "succeeded") == jobs
    for table in tables:
        assert await left(owner, table=table) == ["young1", "young2"]
        await owner.execute(f"DELETE FROM platform.{table}")
    for tenant in (acme, globex):
        assert len(await left(owner, tenant.schema)) == 5
