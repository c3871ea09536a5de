"""What a run does while somebody else is in the way: it waits for nobody for long, and says for whom."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet import waits
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.fleet.run import Report
from tests.fleets import ADD_COLUMN, ADD_INDEX, add, provision, revisions, run
from tests.locks import WAITED_FOR

_SLOW = ADD_COLUMN.replace(
    "def upgrade() -> None:",
    'def upgrade() -> None:\n    op.execute("DO $$ BEGIN'
    " PERFORM pg_sleep(60) WHERE NOT starts_with(current_schema(), 'tenant_'); END $$\")",
)
"""Stands still in a tenant's schema, and not in those in which its shape is found out before."""
_ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


@asynccontextmanager
async def in_the_way(own: Settings, tenant: TenantRef) -> AsyncGenerator[Any]:
    """Hold a transaction that has read the tenant's items."""
    assert own.owner_url is not None
    connection = await asyncpg.connect(driver_url(own.owner_url.get_secret_value()))
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch(f'SELECT * FROM "{tenant.schema}".items')
            yield connection
    finally:
        await connection.close()


async def test_a_tenant_whose_tables_somebody_holds_delays_only_itself(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 5)
    add(own, "0002_colour", ADD_COLUMN)
    limits = Limits(lock_timeout_s=0.1, attempts=2)
    async with in_the_way(own, tenants[0]):
        summary = await run(own, jobs=1, limits=limits)
    assert [result.slug for result in summary.results][-1] == tenants[0].slug
    (failed,) = summary.failed
    assert (failed.slug, failed.attempts) == (tenants[0].slug, 2)
    assert "lock timeout" in str(failed.error)
    assert await revisions(owner, tenants) == ["0001", "0002", "0002", "0002", "0002"]


async def test_a_tenant_whose_tables_become_free_is_migrated_by_a_later_attempt(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    async with in_the_way(own, tenants[0]):
        running = asyncio.create_task(run(own, limits=Limits(lock_timeout_s=0.5)))
        items = f'"{tenants[0].schema}".items'
        async with asyncio.timeout(60):
            while not await owner.fetchval(WAITED_FOR, items):
                await asyncio.sleep(0.01)
            while await owner.fetchval(WAITED_FOR, items):  # until the attempt has given up
                await asyncio.sleep(0.01)
    summary = await running
    assert (summary.outcome, max(result.attempts for result in summary.results) > 1) == ("succeeded", True)
    assert await revisions(owner, tenants) == ["0002", "0002"]


async def test_a_statement_that_takes_too_long_is_ended_and_not_repeated(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 1)
    assert (await run(own)).planned == 0
    add(own, "0002_colour", _SLOW)
    summary = await run(own, limits=Limits(statement_timeout_s=2))
    (failed,) = summary.failed
    assert (failed.attempts, "statement timeout" in str(failed.error)) == (1, True)
    assert await revisions(owner, tenants) == ["0001"]


async def test_an_index_that_waits_for_another_tenant_says_for_whom_and_ends_in_time(
    own: Settings, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "_EVERY_S", 0.1)
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own)
    # The reference schema first, for its index would wait too, and before any tenant.
    add(own, "0003_index", ADD_INDEX)
    heard: dict[str, str] = {}
    made = fleet_run(own, RunOptions(only=(tenants[0].slug,), limits=Limits(index_timeout_s=4)))
    async with in_the_way(own, tenants[1]) as other:
        summary = await replace(made, report=Report(on_wait=heard.__setitem__)).run()
        expected = f"process {other.get_server_pid()} (lh_owner) on {tenants[1].slug}"
    assert heard == {tenants[0].slug: expected}
    (failed,) = summary.failed
    assert str(failed.error).endswith(f"it waited for {expected}")
    assert await revisions(owner, tenants) == ["0002", "0002"]
    # Nobody is in the way any more, and the index that was left invalid is made anew.
    assert (await run(own)).outcome == "succeeded"
    assert await revisions(owner, tenants) == ["0003", "0003"]
    assert await owner.fetchval("SELECT bool_and(indisvalid) FROM pg_index")


async def test_a_run_that_is_cancelled_leaves_nothing_half_done_and_says_so(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", _SLOW)
    started: list[int] = []
    made = fleet_run(own, RunOptions(jobs=2))
    running = asyncio.create_task(replace(made, report=Report(on_start=started.append)).run())
    async with asyncio.timeout(60):
        while await owner.fetchval(_ASLEEP) < 2:
            await asyncio.sleep(0.01)
    assert started == [2]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await revisions(owner, tenants) == ["0001", "0001"]
    outcome = "SELECT outcome || ': ' || reason FROM platform.fleet_runs ORDER BY id DESC LIMIT 1"
    assert await owner.fetchval(outcome) == "stopped: it was interrupted"
    assert await owner.fetchval("SELECT count(*) FROM platform.fleet_leases") == 0
