"""A run killed at any moment leaves whole tenants and an honest ledger, and the next one does exactly the rest.

LEASEHOLD_TEST_LONG=1 kills more runs at more moments, over a larger fleet.
"""

import asyncio
import os
import random
from collections.abc import Generator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leasehold.tenancy.names import REFERENCE_SCHEMA
from tests.faults.agreement import (
    backends,
    demand_agreement,
    demand_head,
    demand_whole_schemas,
    eventually,
    gone,
    lease_of,
    members,
    quiet,
    waiting,
)
from tests.faults.migrating import HEAD, Ended, Fleet, Run, installed_fleet
from tests.fleets import provision

REBUILD = """
    with op.get_context().autocommit_block():
        op.execute("REINDEX INDEX CONCURRENTLY ix_items_both")
"""
SEEDS, TENANTS = (12, 300) if os.environ.get("LEASEHOLD_TEST_LONG") else (3, 120)
MOST_KILLS = TENANTS // 20
"""After so many a run is let through: a test has to end."""
MOST_STEPS = 150
"""How far a run comes, from one revision of a tenant to the next: all kills together leave some of the fleet to do."""
_STEPS = "SELECT sum(revision::int) FROM platform.tenants"
_INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
def fleet(request: pytest.FixtureRequest, admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=getattr(request, "param", 6)) as made:
        yield made


@pytest.fixture
def empty(admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=0) as made:
        yield made


@pytest.mark.parametrize("fleet", [TENANTS], indirect=True)
@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
async def test_runs_killed_at_random_leave_whole_tenants_and_the_last_one_does_exactly_the_rest(
    fleet: Fleet, seed: int
) -> None:
    dice = random.Random(seed)
    async with fleet.connected() as owner:
        for kills in range(MOST_KILLS + 1):
            left = {tenant.id for tenant in await members(owner) if tenant.revision != HEAD}
            ended, pid = await _run_until(owner, fleet, dice if kills < MOST_KILLS else None)
            await demand_agreement(owner)
            if ended is not None:
                break
            if dice.random() < 0.5:  # else the next run meets what this one has left in the database
                await quiet(owner)
                await demand_agreement(owner)
                await demand_whole_schemas(fleet, owner)
        assert ended is not None
        assert ended.status == 0, ended.all_said
        assert kills >= MOST_KILLS / 2
        await demand_head(fleet, owner)
        # Nothing is done by the last one where one that was killed had come to the end.
        done = await owner.fetch(
            "SELECT tenant_id, planned, outcome FROM platform.fleet_runs r"
            " JOIN platform.fleet_results ON run_id = r.id WHERE pid = $1",
            pid,
        )
        assert {row["tenant_id"] for row in done} <= left
        assert {(row["outcome"], row["planned"]) for row in done} <= {("succeeded", len(done))}
        assert await owner.fetchval("SELECT count(*) FROM platform.fleet_results") == TENANTS


async def _run_until(owner: Any, fleet: Fleet, dice: random.Random | None) -> tuple[Ended | None, int]:
    """Run until a random moment, and return how the run ended if it did so by itself; with its process."""
    async with fleet.migrating("--wave=40") as run:
        if dice is not None:
            await _wait_somewhere(owner, run, dice)
            if not run.has_ended:
                await run.kill()
                return None, run.pid
        return await run.end(), run.pid


async def _wait_somewhere(owner: Any, run: Run, dice: random.Random) -> None:
    where = dice.random()
    if where < 0.15:  # before or while it begins
        await asyncio.sleep(dice.uniform(0.5, 1.2))
    elif await lease_of(owner, run) and where < 0.3:  # most of all before the first tenant
        await asyncio.sleep(dice.uniform(0, 1.2))
    elif not run.has_ended:
        far = await owner.fetchval(_STEPS) + dice.randrange(MOST_STEPS)
        while not run.has_ended and await owner.fetchval(_STEPS) < far:
            await asyncio.sleep(0.01)
        await asyncio.sleep(dice.uniform(0, 0.1))


@pytest.mark.parametrize(
    ("start", "statement", "schema"),
    [
        ("0002", "CREATE INDEX", "a tenant"),
        ("0004", "DROP INDEX", "a tenant"),
        ("0002", "CREATE INDEX", REFERENCE_SCHEMA),
    ],
)
async def test_a_concurrent_index_that_dies_with_its_run_is_made_whole_by_the_next(
    fleet: Fleet, start: str, statement: str, schema: str
) -> None:
    await fleet.bring_to(start)
    async with fleet.connected() as owner:
        table = f"{REFERENCE_SCHEMA}.items"
        if schema != REFERENCE_SCHEMA:
            await fleet.bring_reference_to_head()
            table = (await members(owner))[0].items
        await _kill_and_migrate(fleet, owner, table, f"{statement} CONCURRENTLY")
        await demand_head(fleet, owner)


async def test_an_index_rebuilt_concurrently_by_a_run_that_died_leaves_no_other_index(fleet: Fleet) -> None:
    await fleet.bring_to(HEAD)
    await fleet.add("0007", REBUILD, after=HEAD)
    await fleet.bring_reference_to_head()
    async with fleet.connected() as owner:
        await _kill_and_migrate(fleet, owner, (await members(owner))[0].items, "REINDEX")
        await demand_head(fleet, owner, head="0007")


async def _kill_and_migrate(fleet: Fleet, owner: Any, table: str, statement: str) -> None:
    """Kill a run while a statement waits for somebody who reads a table, and let the next run do all."""
    async with AsyncExitStack() as stack:
        async with fleet.observed(table):
            first = await stack.enter_async_context(fleet.migrating())
            (dead, *_) = await waiting(owner, statement)
            await first.kill()
            assert await owner.fetchval(_INVALID) > 0  # asked before the next run makes it whole
            second = await stack.enter_async_context(fleet.migrating())
            assert await lease_of(owner, second)
            await gone(owner, dead)
        ended = await second.end()
        assert ended.status == 0, ended.all_said


async def test_a_fleet_without_tenants_whose_first_run_died_at_the_end_can_have_tenants_after_the_next(
    empty: Fleet,
) -> None:
    async with empty.connected() as owner:
        async with empty.locked("platform.tenant_revisions"), empty.migrating() as first:
            await waiting(owner, "platform.tenant_revisions")
            await first.kill()
            for pid in await backends(owner):  # as when the whole machine dies
                await owner.execute("SELECT pg_terminate_backend($1)", pid)
            await quiet(owner)
        assert (await empty.migrated()).status == 0
        await provision(empty.settings, 1)
        assert [tenant.revision for tenant in await members(owner)] == [HEAD]


async def test_a_run_that_died_after_its_last_tenant_is_not_under_way_for_ever(fleet: Fleet) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack, AsyncExitStack() as holding_up:
        # A tenant is held up meanwhile, so that the run cannot come to its end before that is.
        await holding_up.enter_async_context(fleet.locked((await members(owner))[0].items))
        first = await stack.enter_async_context(fleet.migrating("--lock-timeout=60"))
        await lease_of(owner, first)
        await eventually(partial(owner.fetchval, "SELECT count(*) FROM platform.fleet_runs WHERE outcome IS NULL"))
        async with fleet.locked("platform.fleet_runs"):
            await holding_up.aclose()
            await waiting(owner, "platform.fleet_runs")
            await first.kill()
            for pid in await backends(owner):  # as when the whole machine dies
                await owner.execute("SELECT pg_terminate_backend($1)", pid)
            await quiet(owner)
        assert {tenant.revision for tenant in await members(owner)} == {HEAD}
        assert (await fleet.migrated()).status == 0
        assert await owner.fetchval("SELECT outcome FROM platform.fleet_runs WHERE pid = $1", first.pid) == "lost"
