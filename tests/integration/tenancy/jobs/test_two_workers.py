"""However many workers claim at once, a job is one worker's."""

import asyncio
from collections import Counter
from uuid import UUID

from leasehold.core.database import DriverConnection
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from tests.integration.tenancy.jobs.chores import Hand, many_asked
from tests.integration.tenancy.jobs.conftest import Hire


async def test_no_job_is_claimed_by_two(five: list[TenantRef], hire: Hire, app_connection: DriverConnection) -> None:
    """Half of the jobs fail once, so that many are claimed a second time, and others meanwhile."""
    for lane in (None, *five):
        await many_asked(app_connection, lane, 500)
    claimed: Counter[tuple[UUID, int]] = Counter()
    finished: Counter[UUID] = Counter()

    async def work(hand: Hand) -> None:
        behind = PLATFORM_LANE
        while await app_connection_has_jobs():
            await hand.queue.promote()
            for job in await hand.claim(wanted=7, most_of_one=5, behind=behind):
                claimed[job.id, job.attempt] += 1
                behind = job.lane
                if job.attempt == 1 and job.id.int % 2:
                    assert await hand.queue.fail(job, error="x", traceback="x", again_in_s=0) == "delayed"
                else:
                    await hand.queue.finish(job)
                    finished[job.id] += 1

    turn = asyncio.Lock()

    async def app_connection_has_jobs() -> bool:
        async with turn:
            return await app_connection.fetchval("SELECT EXISTS (SELECT FROM platform.jobs)")

    async with asyncio.timeout(120):
        await asyncio.gather(*[work(await hire()) for _ in range(5)])
    assert set(claimed.values()) == {1}
    assert set(finished.values()) == {1}
    assert len(finished) == 3000


async def test_a_claim_does_not_wait_for_what_another_claims_just_now(
    five: list[TenantRef], hand: Hand, other: Hand
) -> None:
    await many_asked(hand.connection, five[0], 4)
    async with hand.connection.transaction():
        mine = await hand.claim(wanted=2)
        async with asyncio.timeout(60):
            theirs = await other.claim(wanted=4)
    assert (len(mine), len(theirs)) == (2, 2)
    assert not {job.id for job in mine} & {job.id for job in theirs}
