"""How much tenants keep, measured by the job, against what their tables say themselves."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from leasehold.config import Settings
from leasehold.core.database import DriverConnection, platform_session
from leasehold.core.ids import new_id
from leasehold.platform.usage import jobs
from leasehold.platform.usage.jobs import forget_usage, measure_sizes
from leasehold.process import Process
from leasehold.tenancy.bind import BindableConnection
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.tenancy.jobs.enqueue import enqueue
from tests.factories import parts_of, provisioned
from tests.integration.worker.crew import all_done, at_work
from tests.queued import empty_queue

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = $1"
_ROW = "SELECT rows, bytes, starts_at, measured_at FROM platform.tenant_sizes WHERE tenant_id = $1"
_ADD_ITEMS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'Desk', repeat('x', 500), now(), now() FROM generate_series(1, $1)
"""
_AN_HOUR = "INSERT INTO platform.tenant_usage VALUES ($1, $1, now() - make_interval(days => $2), 1, 0, 0, 0, 0, 0)"
_A_DAY = "INSERT INTO platform.tenant_sizes VALUES ($1, $1, now() - make_interval(days => $2), now(), 1, 1)"
_A_METER = "INSERT INTO platform.usage_meters VALUES ($1, 1, now() - make_interval(days => $2))"


async def measure(process: Process) -> None:
    await measure_sizes.function(NoArguments(), open_session=partial(platform_session, process.database))


async def fill(owner: DriverConnection, tenant: TenantRef, items: int) -> None:
    """Give a tenant items, and let PostgreSQL know how many there are."""
    await owner.execute(_ADD_ITEMS.format(schema=tenant.schema), items)
    await owner.execute("SELECT pg_stat_force_next_flush()")
    for row in await owner.fetch(_TABLES, tenant.schema):
        await owner.execute(f'ANALYZE "{tenant.schema}".{row["tablename"]}')


async def really(owner: DriverConnection, tenant: TenantRef) -> tuple[int, int]:
    """Return the rows and bytes of all tables of a tenant, one by one."""
    rows = size = 0
    for table in await owner.fetch(_TABLES, tenant.schema):
        name = f'"{tenant.schema}".{table["tablename"]}'
        rows += await owner.fetchval(f"SELECT count(*) FROM {name}")
        size += await owner.fetchval("SELECT pg_total_relation_size($1::text::regclass)", name)
    return rows, size


async def measured(owner: DriverConnection, tenant_id: UUID) -> list[tuple[int, int]]:
    return [(row["rows"], row["bytes"]) for row in await owner.fetch(_ROW, tenant_id)]


async def test_each_tenant_has_the_rows_and_bytes_of_its_own_tables(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    await empty_queue(owner)
    await fill(owner, acme, 700)
    await fill(owner, globex, 3)
    for _ in range(5):
        async with platform_session(process.database) as session:
            await enqueue(session, measure_sizes, NoArguments())
        async with at_work(process, measure_sizes):
            await all_done(owner, within_s=120)
        # Asked for behind the measure, for a vacuum adds to the bytes of a table.
        ours, theirs = await really(owner, acme), await really(owner, globex)
        found = [await measured(owner, tenant.id) for tenant in (acme, globex)]
        if found == [[ours], [theirs]]:
            break
        # Others tell PostgreSQL up to ten seconds late what they wrote; it counts that twice until the next ANALYZE.
        await asyncio.sleep(4)
        await fill(owner, acme, 0)
        await fill(owner, globex, 0)
    assert found == [[ours], [theirs]]
    assert ours[0] > 700 > theirs[0] > 3
    assert ours[1] > theirs[1] + 300_000
    row = await owner.fetchrow(_ROW, acme.id)
    assert row is not None
    assert datetime.now(UTC) - timedelta(minutes=5) < row["measured_at"] <= datetime.now(UTC)
    assert row["starts_at"] == row["measured_at"].replace(hour=0, minute=0, second=0, microsecond=0)


async def test_a_later_measure_takes_the_place_of_the_days_earlier_one(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await fill(owner, acme, 10)
    await measure(process)
    [before] = await measured(owner, acme.id)
    await fill(owner, acme, 500)
    await measure(process)
    [after] = await measured(owner, acme.id)
    # The few rows that a new tenant has may be counted twice in one of them, as above.
    assert 480 < after[0] - before[0] < 520


async def test_tenants_are_measured_a_few_at_a_time_and_none_is_left_out(
    process: Process, owner: DriverConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = [await provisioned(process) for _ in range(5)]
    monkeypatch.setattr(jobs, "_AT_ONCE", 2)
    await measure(process)
    for tenant in tenants:
        assert len(await measured(owner, tenant.id)) == 1


async def test_deleted_tenants_are_measured_and_those_without_a_schema_are_not(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    await owner.execute("UPDATE platform.tenants SET state = 'deleted' WHERE id = $1", acme.id)
    await owner.execute("UPDATE platform.tenants SET state = 'purged' WHERE id = $1", globex.id)
    await measure(process)
    assert len(await measured(owner, acme.id)) == 1
    assert await measured(owner, globex.id) == []


@pytest.fixture
async def forgetful(settings: Settings) -> AsyncGenerator[Process]:
    """A process whose connections are replaced when they have met more than two tenants."""
    async with parts_of(settings.model_copy(update={"tenants_per_connection": 2, "pool_size": 3})) as own:
        yield own


async def _backend(process: Process) -> tuple[int, set[Any]]:
    async with platform_session(process.database) as session:
        raw = await (await session.connection()).get_raw_connection()
        driver: Any = raw.driver_connection
        assert isinstance(driver, BindableConnection)
        return driver.get_server_pid(), set(driver.tenants)


async def test_the_connection_that_measures_is_replaced_when_it_has_met_too_many_tables(
    forgetful: Process, process: Process
) -> None:
    for _ in range(3):
        await provisioned(process)
    before, met = await _backend(forgetful)
    assert met == set()
    await measure(forgetful)
    after, met = await _backend(forgetful)
    assert after != before
    assert met == set()


@pytest.mark.parametrize(
    ("statement", "kept", "forgotten"),
    [(_AN_HOUR, 399, 401), (_A_DAY, 399, 401), (_A_METER, 29, 31)],
    ids=["hours", "days", "processes"],
)
async def test_what_is_old_is_forgotten(
    process: Process, owner: DriverConnection, statement: str, kept: int, forgotten: int
) -> None:
    old, young = new_id(), new_id()
    await owner.execute(statement, old, forgotten)
    await owner.execute(statement, young, kept)
    async with platform_session(process.database) as session:
        await forget_usage.function(NoArguments(), session=session)
    left = await owner.fetch(f"SELECT id FROM {statement.split()[2]} WHERE id = ANY($1::uuid[])", [old, young])
    assert [row["id"] for row in left] == [young]
