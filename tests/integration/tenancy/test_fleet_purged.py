"""A run that meets a tenant which is being purged skips it; a schema that is missing otherwise is a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from leasehold.cli.fleet_run import fleet_run
from leasehold.cli.progress import summary_lines
from leasehold.config import Settings
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.fleet.run import RunSummary
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.purge import Purger
from tests.factories import OPERATOR
from tests.faults.agreement import eventually
from tests.fleets import ADD_COLUMN, add, provision, revisions
from tests.locks import WAITED_FOR

_DELETE = (
    "UPDATE platform.tenants SET state = 'deleted', deleted_from = 'active', deleted_at = now(), purge_at = now()"
    " WHERE id = $1"
)


async def purge(settings: Settings, tenant: TenantRef) -> None:
    """Destroy a tenant whose grace is over."""
    assert settings.owner_url is not None
    destroying = Owner(settings.owner_url.get_secret_value())
    assert await Purger(destroying).purge(tenant.id, by=OPERATOR)
    await destroying.close()


async def run_with(
    settings: Settings, meanwhile: Callable[[], Awaitable[str | None]] | None = None, **options: Any
) -> RunSummary:
    """Run over the fleet, and let something happen between the canaries and all others."""
    return await replace(fleet_run(settings, RunOptions(**options)), verify=meanwhile).run()


async def last_run(owner: Any) -> tuple[str, str | None]:
    return tuple(await owner.fetchrow("SELECT outcome, reason FROM platform.fleet_runs ORDER BY id DESC LIMIT 1"))


async def test_a_tenant_that_is_purged_since_the_run_began_is_skipped_and_a_missing_schema_is_a_failure(
    own: Settings, owner: Any
) -> None:
    canary, purged, half_purged, broken, last = await provision(own, 5)
    add(own, "0002_colour", ADD_COLUMN)

    async def meanwhile() -> None:
        await owner.execute(_DELETE, purged.id)
        await purge(own, purged)
        await owner.execute("UPDATE platform.tenants SET state = 'purging' WHERE id = $1", half_purged.id)
        await owner.execute(f'DROP TABLE "{half_purged.schema}".alembic_version')
        await owner.execute(f'DROP SCHEMA "{broken.schema}" CASCADE')

    summary = await run_with(own, meanwhile, canaries=(canary.slug,), max_failures=2)
    assert sorted(summary.skipped) == sorted([purged.slug, half_purged.slug])
    assert [result.slug for result in summary.failed] == [broken.slug]
    assert (summary.outcome, summary.stopped, summary.planned, len(summary.results)) == ("failed", None, 5, 3)
    assert await revisions(owner, [canary, last]) == ["0002", "0002"]
    assert summary_lines(summary) == [
        "migrated to 0002: 2 of 5 tenants, 1 failed, 2 skipped, for they were purged meanwhile"
    ]
    assert await last_run(owner) == ("failed", "2 skipped, for they were purged meanwhile")
    told = {row["tenant_id"] for row in await owner.fetch("SELECT tenant_id FROM platform.fleet_results")}
    assert told == {canary.id, broken.id, last.id}


async def test_a_purge_that_comes_between_two_attempts_of_a_run_ends_them(
    own: Settings, owner: Any, admin: Any
) -> None:
    (tenant,) = await provision(own, 1)
    add(own, "0002_colour", ADD_COLUMN)

    async def waiting() -> bool:
        return await admin.fetchval(WAITED_FOR, f'"{tenant.schema}".items')

    async def begun() -> bool:
        return await admin.fetchval("SELECT state = 'purging' FROM platform.tenants WHERE id = $1", tenant.id)

    async with owner.transaction():
        await owner.execute(f'LOCK TABLE "{tenant.schema}".items IN ACCESS SHARE MODE')
        limits = Limits(lock_timeout_s=0.5, attempts=100)
        running = asyncio.create_task(run_with(own, limits=limits))
        await eventually(waiting)
        await admin.execute(_DELETE, tenant.id)
        purging = asyncio.create_task(purge(own, tenant))
        await eventually(begun)
        summary = await running
    await purging
    assert (summary.skipped, summary.results, summary.outcome) == ((tenant.slug,), (), "succeeded")
    assert await owner.fetchval("SELECT state FROM platform.tenants") == "purged"
    assert await last_run(owner) == ("succeeded", "1 skipped, for they were purged meanwhile")
