"""While a job of one name and key waits or runs, another is not taken; nobody else's job counts."""

import asyncio

from leasehold.core.database import DriverConnection, platform_session
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue, enqueue_for, enqueue_for_each_tenant
from tests.integration.tenancy.jobs.chores import Hand, Note, asked, asked_by_the_platform, count, note, states, tell


async def _again(process: Process, tenant: TenantRef) -> bool:
    return await asked(process, tenant, dedupe_key="daily")


async def test_a_second_one_is_taken_when_the_first_has_succeeded(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    assert await _again(process, acme)
    assert not await _again(process, acme)
    claimed = await hand.claim_one()
    assert not await _again(process, acme)
    await hand.queue.finish(claimed)
    assert await _again(process, acme)


async def test_one_that_will_be_tried_again_still_waits_and_a_dead_one_does_not(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await _again(process, acme)
    assert await hand.queue.fail(await hand.claim_one(), error="x", traceback="x", again_in_s=0) == "delayed"
    assert not await _again(process, acme)
    await hand.queue.promote()
    assert await hand.queue.fail(await hand.claim_one(), error="x", traceback="x", again_in_s=0) == "dead"
    assert await _again(process, acme)


async def test_one_that_is_delayed_waits_too(process: Process, acme: TenantRef, hand: Hand) -> None:
    assert await asked(process, acme, dedupe_key="daily", delay_s=3600)
    assert not await _again(process, acme)


async def test_other_tenants_other_names_other_keys_and_no_key_do_not_count(
    process: Process, acme: TenantRef, globex: TenantRef, app_connection: DriverConnection
) -> None:
    assert await _again(process, acme)
    assert await _again(process, globex)
    assert await asked(process, acme, tell, dedupe_key="daily")
    assert await asked_by_the_platform(process, tell, dedupe_key="daily")
    assert await asked(process, acme, dedupe_key="weekly")
    assert await asked(process, acme)
    assert await asked(process, acme)
    assert len(await states(app_connection)) == 7


async def test_who_asks_at_the_same_time_waits_and_is_taken_if_the_first_is_rolled_back(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    for is_committed in (False, True):
        async with open_tenant_session(process.database, acme) as session:
            assert await enqueue(session, note, Note(), dedupe_key=f"key {is_committed}")
            second = asyncio.create_task(asked(process, acme, dedupe_key=f"key {is_committed}"))
            await asyncio.sleep(0.2)
            assert not second.done()
            if not is_committed:
                await session.rollback()
        assert await second is not is_committed
    assert len(await states(app_connection)) == 2


async def test_the_platform_asks_for_a_tenant_by_the_same_rule(process: Process, acme: TenantRef, hand: Hand) -> None:
    async with platform_session(process.database) as session:
        assert await enqueue_for(session, acme.id, note, Note("x"), dedupe_key="daily")
        assert not await enqueue_for(session, acme.id, note, Note("x"), dedupe_key="daily")
    assert not await _again(process, acme)
    assert (await hand.claim_one()).tenant_id == acme.id


async def test_a_job_for_each_tenant_goes_to_active_ones_that_do_not_wait_for_one(
    process: Process, acme: TenantRef, globex: TenantRef, app_connection: DriverConnection
) -> None:
    await app_connection.execute("UPDATE platform.tenants SET state = 'suspended' WHERE id = $1", globex.id)
    active = await app_connection.fetchval("SELECT count(*) FROM platform.tenants WHERE state = 'active'")
    assert await asked(process, acme, count, dedupe_key="daily")
    async with platform_session(process.database) as session:
        assert await enqueue_for_each_tenant(session, count, dedupe_key="daily") == active - 1
        assert await enqueue_for_each_tenant(session, count, dedupe_key="daily") == 0
    tenants = await app_connection.fetch("SELECT tenant_id FROM platform.jobs")
    assert len({row["tenant_id"] for row in tenants}) == len(tenants) == active
    assert globex.id not in {row["tenant_id"] for row in tenants}
