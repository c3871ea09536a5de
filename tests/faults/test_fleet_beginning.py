"""What stands in the way of a run before its first tenant: it is waited for, or named in a sentence.

Whatever it is, it holds up nobody else, and no tenant is touched.
"""

from collections.abc import Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from leasehold.tenancy.names import REFERENCE_SCHEMA
from tests.faults.agreement import demand_head, eventually, members, waiting
from tests.faults.migrating import HEAD, Fleet, add_revision, installed_fleet

LIVE = 'live = True\non_empty = "skip"\n'
_ALTERS_THE_PLATFORM = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE platform.tenants %'
"""


@pytest.fixture
def fleet(admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=3) as made:
        yield made


async def test_who_reads_the_reference_for_long_is_waited_for(fleet: Fleet) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        async with fleet.transaction(f"SELECT FROM {REFERENCE_SCHEMA}.items"):  # as pg_dump does
            run = await stack.enter_async_context(fleet.migrating("--lock-timeout=0.5"))
            (first, *_) = await waiting(owner)

            async def has_given_up() -> bool:
                sql = "SELECT coalesce((SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1), '') <> 'Lock'"
                return await owner.fetchval(sql, first)

            await eventually(has_given_up)
        ended = await run.end()
        assert ended.status == 0, ended.all_said
        await demand_head(fleet, owner)


async def test_while_the_platforms_migration_waits_for_one_who_reads_it_all_others_can_read_it_too(
    fleet: Fleet,
) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        async with fleet.transaction("SELECT FROM platform.tenants"):  # as pg_dump does
            run = await stack.enter_async_context(fleet.migrating())
            await eventually(lambda: owner.fetch(_ALTERS_THE_PLATFORM))
            await owner.fetchval("SELECT count(*) FROM platform.tenants", timeout=10)
        ended = await run.end()
        assert ended.status == 0, ended.all_said
        await demand_head(fleet, owner)


@pytest.mark.parametrize(
    ("body", "declared", "reason"),
    [
        ('\n    op.add_column("nothing", sa.Column("colour", sa.Text()))\n', "", 'relation "nothing" does not exist'),
        ("\n    raise ValueError('no such luck')\n", LIVE, "no such luck"),
    ],
    ids=["rendered", "live"],
)
async def test_a_revision_that_fails_everywhere_is_one_sentence_and_touches_no_tenant(
    fleet: Fleet, body: str, declared: str, reason: str
) -> None:
    await fleet.bring_to(HEAD)
    add_revision(fleet.settings, "0007", body, after=HEAD, declared=declared)
    ended = await fleet.migrated()
    assert reason in ended.sentence
    async with fleet.connected() as owner:
        assert {tenant.revision for tenant in await members(owner)} == {HEAD}
        assert await owner.fetchval("SELECT count(*) FROM platform.fleet_leases") == 0
