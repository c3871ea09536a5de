"""One runner at a time: who comes second is told so, who died is replaced at once, and who slept changes nothing."""

import asyncio
import os
import random
import socket
from collections.abc import Generator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leasehold.tenancy.fleet.fingerprint import describe_all
from leasehold.tenancy.names import REFERENCE_SCHEMA, quoted
from tests.faults.agreement import demand_agreement, demand_head, eventually, gone, lease_of, members, quiet, waiting
from tests.faults.migrating import HEAD, Fleet, Run, installed_fleet

LEASE_S = 2.0
"""Short, so that a test can wait until it has run out, but longer than a busy machine lets a process wait."""
_IS_CLAIMED = """
SELECT NOT EXISTS (SELECT FROM platform.fleet_leases WHERE pid = $1) OR EXISTS (
    SELECT FROM pg_stat_activity a, platform.fleet_leases l
     WHERE l.pid = $1 AND datname = current_database() AND application_name LIKE 'leasehold-run-%'
       AND application_name <> 'leasehold-run-' || replace(l.run_id::text, '-', '')
)
"""
"""Whether another run is there to take the lease over, or has done so since it was last asked."""
_ALTERS_THE_PLATFORM = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE platform.tenants %'
"""
TAKEN_OVER = "Another run has taken the lease over; this one changes nothing any more."


@pytest.fixture
def fleet(request: pytest.FixtureRequest, admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=getattr(request, "param", 8)) as made:
        yield made


async def test_a_second_run_ends_at_once_and_names_the_first(fleet: Fleet) -> None:
    async with fleet.connected() as owner, fleet.migrating("--lock-timeout=120") as first:
        async with fleet.locked((await members(owner))[3].items):
            lease = await lease_of(owner, first)
            await waiting(owner)
            second = await fleet.migrated()
            assert not first.has_ended
        started = lease["started_at"].isoformat(timespec="seconds")
        named = f"on {socket.gethostname()}, process {first.pid}, since {started}"
        assert second.errors == f"leasehold: Another run is under way: {named}.\n"
        assert (second.status, second.output) == (2, "")
        assert (await first.end()).status == 0
        await demand_head(fleet, owner)


async def test_a_run_that_was_killed_is_replaced_at_once_and_its_backends_are_ended(fleet: Fleet) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        async with fleet.locked((await members(owner))[3].items):
            first = await stack.enter_async_context(fleet.migrating("--lock-timeout=60", lease_s=60))
            lease = await lease_of(owner, first)
            (stuck, *_) = await waiting(owner)
            await first.kill()
            second = await stack.enter_async_context(fleet.migrating())
            assert (await lease_of(owner, second))["started_at"] < lease["expires_at"]
            await gone(owner, stuck)
        ended = await second.end()
        assert ended.status == 0, ended.all_said
        assert await _outcomes(owner) == {first.pid: "lost", second.pid: "succeeded"}
        await demand_head(fleet, owner)


@pytest.mark.parametrize(
    ("moment", "start"),
    [("reference", "0001"), ("concurrent index", "0002"), ("live revision", "0003")],
)
async def test_a_run_that_slept_while_its_lease_ran_out_changes_nothing_after_it_was_replaced(
    fleet: Fleet, moment: str, start: str
) -> None:
    await fleet.bring_to(start)
    if moment != "reference":
        await fleet.bring_reference_to_head()
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        _, stuck, *_, last = await members(owner)
        async with fleet.locked(f"{REFERENCE_SCHEMA}.items" if moment == "reference" else stuck.items):
            sleeper = await stack.enter_async_context(fleet.migrating("--wave=3", lease_s=LEASE_S))
            await waiting(owner)
            sleeper.stop()
        await _lease_runs_out(owner, sleeper)
        other = await fleet.migrated("--only", last.slug)
        assert other.status == 0, other.all_said
        before = await _everything(owner)
        stands = {tenant.id: tenant.revision for tenant in await members(owner)}
        assert (stands[last.id] == HEAD, stands[stuck.id] == HEAD) == (True, False)
        sleeper.go_on()
        assert (await sleeper.end()).sentence == TAKEN_OVER
        assert await _everything(owner) == before
        assert (await _outcomes(owner)).get(sleeper.pid, "lost") == "lost"
        assert (await fleet.migrated()).status == 0
        await demand_head(fleet, owner)


@pytest.mark.parametrize(
    ("moment", "start"), [("transaction", "0001"), ("concurrent index", "0002"), ("live revision", "0003")]
)
async def test_what_a_run_has_begun_is_not_committed_once_its_lease_is_anothers(
    fleet: Fleet, moment: str, start: str
) -> None:
    await fleet.bring_to(start)
    await fleet.bring_reference_to_head()
    async with fleet.connected() as owner, fleet.migrating("--lock-timeout=30", "--wave=1") as run:
        first = (await members(owner))[0]
        async with fleet.locked(first.items):
            await waiting(owner)
            # As if it woke just when another run took over, which could not end the connections that it then opened.
            await owner.execute("UPDATE platform.fleet_leases SET run_id = gen_random_uuid()")
        assert (await run.end()).sentence == TAKEN_OVER
        await quiet(owner)
        await demand_agreement(owner)
        assert {tenant.revision for tenant in await members(owner)} == {start}, moment


async def test_a_run_that_sleeps_in_a_live_revision_lets_go_of_the_tenant_and_does_it_again_when_it_wakes(
    fleet: Fleet,
) -> None:
    await fleet.bring_to("0003")
    await fleet.bring_reference_to_head()
    async with fleet.connected() as owner, fleet.migrating("--lock-timeout=30", idle_timeout_s=0.5) as sleeper:
        first = (await members(owner))[0]
        async with fleet.transaction(f"SELECT FROM {first.items} FOR UPDATE"):
            (sleeping,) = await waiting(owner)
            sleeper.stop()
        await gone(owner, sleeping)
        async with owner.transaction():
            await owner.execute(f"LOCK TABLE {first.items} IN ACCESS EXCLUSIVE MODE NOWAIT")
        sleeper.go_on()
        ended = await sleeper.end()
        assert ended.status == 0, ended.all_said
        again = "SELECT slug FROM platform.fleet_results JOIN platform.tenants t ON t.id = tenant_id WHERE attempts > 1"
        # A busy machine may let others wait for their runner for too long, too.
        assert first.slug in {row["slug"] for row in await owner.fetch(again)}
        await demand_head(fleet, owner)


async def test_a_run_that_sleeps_in_the_migration_of_the_platform_holds_up_nobody_once_its_lease_has_run_out(
    fleet: Fleet,
) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        async with fleet.locked("platform.tenants"):
            sleeper = await stack.enter_async_context(fleet.migrating(lease_s=LEASE_S))
            await eventually(partial(owner.fetchval, _ALTERS_THE_PLATFORM))
            sleeper.stop()
        await _lease_runs_out(owner, sleeper)
        async with fleet.migrating() as other:
            assert (await other.end()).status == 0
        sleeper.go_on()
        assert (await sleeper.end()).sentence
        await demand_head(fleet, owner)


@pytest.mark.parametrize("fleet", [40], indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
async def test_of_a_run_that_wakes_and_one_that_takes_over_just_then_exactly_one_goes_on(
    fleet: Fleet, seed: int
) -> None:
    dice = random.Random(seed)
    async with fleet.connected() as owner, fleet.migrating(lease_s=LEASE_S) as sleeper:
        await lease_of(owner, sleeper)
        await asyncio.sleep(dice.uniform(0, 0.6))
        sleeper.stop()
        assert not sleeper.has_ended
        await _lease_runs_out(owner, sleeper)
        async with fleet.migrating() as other:
            if dice.random() < 0.5:
                await eventually(partial(owner.fetchval, _IS_CLAIMED, sleeper.pid))
            else:
                await lease_of(owner, other)
                await asyncio.sleep(dice.uniform(0, 0.8))
            sleeper.go_on()
            both = [await sleeper.end(), await other.end()]
        loser = max(both, key=lambda ended: ended.status)
        assert sorted(ended.status for ended in both) == [0, 2], "".join(ended.all_said for ended in both)
        assert loser.sentence == TAKEN_OVER or loser.sentence.startswith("Another run is under way: ")
        await demand_head(fleet, owner)


async def _lease_runs_out(owner: Any, run: Run) -> None:
    await eventually(
        partial(owner.fetchval, "SELECT expires_at < now() FROM platform.fleet_leases WHERE pid = $1", run.pid)
    )


async def _outcomes(owner: Any) -> dict[int, str]:
    """Return how the runs of other processes than this one ended."""
    return dict(await owner.fetch("SELECT pid, outcome FROM platform.fleet_runs WHERE pid <> $1", os.getpid()))


async def _everything(owner: Any) -> list[Any]:
    """Return all that a run might change."""
    tenants = await members(owner)
    schemas = [tenant.target.schema for tenant in tenants]
    written = [await owner.fetch(f"SELECT i::text FROM {tenant.items} i ORDER BY id") for tenant in tenants]
    versions = [await owner.fetch(f"SELECT version_num FROM {quoted(schema)}.alembic_version") for schema in schemas]
    names = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'platform' ORDER BY tablename")
    registry = [await owner.fetch(f"SELECT t::text FROM platform.{quoted(row['tablename'])} t") for row in names]
    return [tenants, await describe_all(owner, [tenant.target for tenant in tenants]), written, versions, registry]
