"""Whoever has lost a job ends nothing: not by finishing, nor by failing, nor by handing back, nor by its work."""

import dataclasses
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import ClaimedJob, JobLost, finish_in
from leasehold.workspace.items.models import Item
from tests.integration.tenancy.jobs.chores import Hand, asked, asked_by_the_platform, row_of, states
from tests.isolation.scenario import TITLES

Lose = Callable[[Hand, Hand, ClaimedJob], Awaitable[ClaimedJob | None]]


async def _to_another(hand: Hand, other: Hand, _job: ClaimedJob) -> ClaimedJob:
    await hand.die()
    assert await other.queue.sweep() == 1
    return await other.claim_one()


async def _to_nobody_yet(hand: Hand, other: Hand, _job: ClaimedJob) -> None:
    await hand.die()
    assert await other.queue.sweep() == 1


async def _to_itself(hand: Hand, _other: Hand, job: ClaimedJob) -> ClaimedJob:
    """The same worker has failed and got the job again: only the attempt differs."""
    assert await hand.queue.fail(job, error="x", traceback="x", again_in_s=0) == "delayed"
    await hand.queue.promote()
    return await hand.claim_one()


@pytest.fixture(params=[_to_another, _to_nobody_yet, _to_itself])
async def lost(
    request: pytest.FixtureRequest, process: Process, acme: TenantRef, hand: Hand, other: Hand
) -> tuple[ClaimedJob, ClaimedJob | None]:
    """A job as the one who has lost it knows it, and as its owner does."""
    lose: Lose = request.param
    await asked(process, acme)
    job = await hand.claim_one()
    return job, await lose(hand, other, job)


async def test_the_loser_can_say_nothing_about_the_job(hand: Hand, lost: tuple[ClaimedJob, ClaimedJob | None]) -> None:
    job, _ = lost
    before = await row_of(hand.connection)
    with pytest.raises(JobLost):
        await hand.queue.finish(job)
    assert await hand.queue.fail(job, error="late", traceback="late", again_in_s=0) is None
    await hand.queue.hand_back(job)
    await hand.queue.hand_back(job, in_s=5)
    assert await row_of(hand.connection) == before


async def test_whoever_has_the_job_now_can_end_it(
    hand: Hand, other: Hand, lost: tuple[ClaimedJob, ClaimedJob | None]
) -> None:
    _, owned = lost
    await hand.queue.finish(owned or await other.claim_one())  # the token is the job's, whoever says it
    assert await states(hand.connection) == []


async def _work_and_finish(process: Process, tenant: TenantRef, job: ClaimedJob) -> None:
    async with open_tenant_session(process.database, tenant) as session:
        session.add(Item(title="done", description=""))
        await finish_in(session, job)


async def _titles(process: Process, tenant: TenantRef) -> list[str]:
    async with open_tenant_session(process.database, tenant) as session:
        return list(await session.scalars(TITLES))


async def test_the_work_of_the_loser_is_rolled_back(
    process: Process, acme: TenantRef, hand: Hand, lost: tuple[ClaimedJob, ClaimedJob | None]
) -> None:
    job, owned = lost
    before = await row_of(hand.connection)
    with pytest.raises(JobLost):
        await _work_and_finish(process, acme, job)
    assert await _titles(process, acme) == []
    assert await row_of(hand.connection) == before
    if owned is not None:
        await _work_and_finish(process, acme, owned)
        assert await _titles(process, acme) == ["done"]
        assert await states(hand.connection) == []


async def _work_and_finish_on_the_platform(process: Process, job: ClaimedJob) -> None:
    async with platform_session(process.database) as session:
        await session.execute(text("UPDATE platform.job_workers SET host = 'work was done'"))
        await finish_in(session, job)


async def test_the_work_of_the_platform_is_fenced_too(process: Process, hand: Hand, other: Hand) -> None:
    hosts = "SELECT count(*) FROM platform.job_workers WHERE host = 'work was done'"
    await asked_by_the_platform(process)
    job = await hand.claim_one()
    owned = await _to_itself(hand, other, job)
    with pytest.raises(JobLost):
        await _work_and_finish_on_the_platform(process, job)
    assert await hand.connection.fetchval(hosts) == 0
    await _work_and_finish_on_the_platform(process, owned)
    assert await hand.connection.fetchval(hosts) == 2
    assert await states(hand.connection) == []


async def test_what_is_finished_twice_is_lost_the_second_time(process: Process, acme: TenantRef, hand: Hand) -> None:
    await asked(process, acme)
    job = await hand.claim_one()
    await _work_and_finish(process, acme, job)
    with pytest.raises(JobLost):
        await _work_and_finish(process, acme, job)
    assert await _titles(process, acme) == ["done"]


@pytest.mark.parametrize("changes", [{"worker_id": new_id()}, {"attempt": 2}, {"attempt": 0}, {"id": new_id()}])
async def test_every_part_of_the_token_counts(
    process: Process, acme: TenantRef, hand: Hand, changes: dict[str, object]
) -> None:
    await asked(process, acme)
    job = await hand.claim_one()
    with pytest.raises(JobLost):
        await hand.queue.finish(dataclasses.replace(job, **changes))
    assert await states(hand.connection) == [("tests.note", "running")]


async def test_a_call_that_was_rolled_back_leaves_the_job_with_its_worker(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme)
    job = await hand.claim_one()

    async def fail_at_the_end(session: TenantSession) -> None:
        await finish_in(session, job)
        raise LookupError

    with pytest.raises(LookupError):
        async with open_tenant_session(process.database, acme) as session:
            await fail_at_the_end(session)
    assert await states(hand.connection) == [("tests.note", "running")]
    await hand.queue.finish(job)


async def test_the_last_words_of_a_call_reach_no_table_of_the_tenant(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    """Behind `finish_in` the login itself speaks, which has no right on a tenant's rows."""
    await asked(process, acme)
    job = await hand.claim_one()
    async with open_tenant_session(process.database, acme) as session:
        await finish_in(session, job)
        assert await session.scalar(text("SELECT current_user::text")) == "lh_app"
        reaches = text("SELECT has_schema_privilege(:schema, 'USAGE')")
        assert not await session.scalar(reaches, {"schema": acme.schema})
