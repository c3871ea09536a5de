"""Jobs of a suspended tenant wait, those of a deleted one are dropped with a record, and nobody else notices."""

import pytest

from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue_for
from tests.factories import OPERATOR, lifecycle
from tests.integration.tenancy.jobs.chores import Hand, Note, asked, asked_by_the_platform, many_asked, note, row_of


async def _change(process: Process, tenant: TenantRef, verb: str) -> None:
    """Do with a tenant what an admin does."""
    async with platform_session(process.database) as session:
        service = lifecycle(session)
        await getattr(service, verb)(tenant.id, by=OPERATOR)


async def test_jobs_of_a_suspended_tenant_wait_and_run_when_it_is_resumed(
    process: Process, acme: TenantRef, globex: TenantRef, hand: Hand
) -> None:
    for tenant in (acme, globex):
        await asked(process, tenant)
    await _change(process, acme, "suspend")
    await hand.queue.sweep()
    assert [job.tenant_id for job in await hand.claim()] == [globex.id]
    assert await hand.claim() == []
    await _change(process, acme, "resume")
    assert (await hand.claim_one()).tenant_id == acme.id


@pytest.mark.parametrize("state", ["suspended", "maintenance", "vacant"])
async def test_only_jobs_of_active_tenants_run(process: Process, acme: TenantRef, hand: Hand, state: str) -> None:
    await asked(process, acme)
    await hand.connection.execute("UPDATE platform.tenants SET state = $1 WHERE id = $2", state, acme.id)
    await hand.queue.sweep()
    assert await hand.claim() == []
    await hand.connection.execute("UPDATE platform.tenants SET state = 'active' WHERE id = $1", acme.id)
    assert (await hand.claim_one()).attempt == 1


async def test_a_job_that_runs_when_its_tenant_is_suspended_can_end(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme)
    job = await hand.claim_one()
    await _change(process, acme, "suspend")
    await hand.queue.finish(job)


async def test_jobs_of_a_deleted_tenant_are_dropped_with_a_record(
    process: Process, acme: TenantRef, globex: TenantRef, hand: Hand
) -> None:
    await asked(process, acme)
    await asked(process, acme, delay_s=3600)
    await asked(process, globex)
    await _change(process, acme, "delete")
    await hand.queue.sweep()
    rows = await hand.connection.fetch("SELECT * FROM platform.jobs WHERE tenant_id = $1", acme.id)
    assert {(row["state"], row["error"]) for row in rows} == {("dropped", "the tenant was deleted")}
    assert len(rows) == 2
    assert all(row["ended_at"] is not None for row in rows)
    assert [job.tenant_id for job in await hand.claim()] == [globex.id]


@pytest.mark.parametrize("state", ["deleted", "purging", "purged"])
async def test_a_deleted_tenants_job_is_not_even_claimed_before_it_is_dropped(
    process: Process, acme: TenantRef, hand: Hand, state: str
) -> None:
    await asked(process, acme)
    await hand.connection.execute("UPDATE platform.tenants SET state = $1 WHERE id = $2", state, acme.id)
    assert await hand.claim() == []
    await hand.queue.sweep()
    assert (await row_of(hand.connection))["state"] == "dropped"


async def test_a_job_that_runs_when_its_tenant_is_deleted_is_dropped_when_it_should_be_tried_again(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme)
    job = await hand.claim_one()
    await _change(process, acme, "delete")
    await hand.queue.sweep()
    assert (await row_of(hand.connection))["state"] == "running"
    await hand.queue.fail(job, error="x", traceback="x", again_in_s=0)
    await hand.queue.sweep()
    assert (await row_of(hand.connection))["state"] == "dropped"


async def test_a_dropped_job_holds_its_key_no_longer_and_a_dead_one_stays_dead(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme, dedupe_key="daily")
    await hand.connection.execute("UPDATE platform.jobs SET state = 'dead', error = 'x'")
    await asked(process, acme, dedupe_key="daily")
    await _change(process, acme, "delete")
    await hand.queue.sweep()
    rows = await hand.connection.fetch("SELECT state, error FROM platform.jobs ORDER BY id")
    assert [tuple(row) for row in rows] == [("dead", "x"), ("dropped", "the tenant was deleted")]
    assert await asked(process, acme, dedupe_key="daily")


async def test_jobs_of_a_tenant_that_is_not_in_the_registry_are_dropped_and_nobody_elses(
    process: Process, acme: TenantRef, globex: TenantRef, hand: Hand
) -> None:
    await asked_by_the_platform(process)
    await asked(process, acme)
    await asked(process, globex, delay_s=3600)
    async with platform_session(process.database) as session:
        for _ in range(2):
            assert await enqueue_for(session, new_id(), note, Note())
    await hand.queue.sweep()
    rows = await hand.connection.fetch("SELECT state, error, ended_at IS NULL FROM platform.jobs ORDER BY state, id")
    assert [tuple(row) for row in rows] == [
        ("delayed", None, True),
        ("dropped", "nobody knows the tenant", False),
        ("dropped", "nobody knows the tenant", False),
        ("ready", None, True),
        ("ready", None, True),
    ]


async def test_a_sweep_drops_so_many_jobs_that_it_ends_soon_and_the_next_ones_drop_the_rest(
    process: Process, acme: TenantRef, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a statement for a million jobs, which a worker would break off and begin anew for ever."""
    monkeypatch.setattr("leasehold.tenancy.jobs.queue._MOST_DROPPED", 400)
    await many_asked(hand.connection, acme, 1000)
    await _change(process, acme, "delete")
    dropped: list[int] = []
    for _ in range(3):
        await hand.queue.sweep()
        dropped.append(await hand.connection.fetchval("SELECT count(*) FROM platform.jobs WHERE state = 'dropped'"))
    assert dropped == [400, 800, 1000]
