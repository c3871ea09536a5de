"""What becomes of a job: it succeeds, is tried again, dies, or comes back from a worker that died."""

from datetime import timedelta

import pytest

from leasehold.core.database import DriverConnection
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import ClaimedJob
from tests.integration.tenancy.jobs.chores import Hand, asked, many_asked, row_of, states
from tests.integration.tenancy.jobs.conftest import Hire


@pytest.fixture
async def job(process: Process, acme: TenantRef, hand: Hand) -> ClaimedJob:
    """A job that runs; it may be tried twice."""
    await asked(process, acme)
    return await hand.claim_one()


async def _wait_of(connection: DriverConnection) -> timedelta:
    return await connection.fetchval("SELECT run_at - now() FROM platform.jobs")


async def test_a_job_that_succeeded_leaves_nothing_behind(job: ClaimedJob, hand: Hand) -> None:
    await hand.queue.finish(job)
    assert await states(hand.connection) == []


async def test_a_job_that_failed_is_tried_again_later_and_tells_why(job: ClaimedJob, hand: Hand) -> None:
    assert await hand.queue.fail(job, error="LookupError: x", traceback="line 1", again_in_s=60) == "delayed"
    row = await row_of(hand.connection)
    assert (row["state"], row["attempts"], row["worker_id"]) == ("delayed", 1, None)
    assert (row["error"], row["traceback"], row["ended_at"]) == ("LookupError: x", "line 1", None)
    assert timedelta(seconds=50) < await _wait_of(hand.connection) <= timedelta(seconds=60)


async def test_a_job_whose_attempts_are_used_up_is_dead_with_its_last_error_and_traceback(
    job: ClaimedJob, hand: Hand
) -> None:
    await hand.queue.fail(job, error="first", traceback="first", again_in_s=0)
    await hand.queue.promote()
    again = await hand.claim_one()
    assert again.attempt == again.max_attempts == 2
    assert await hand.queue.fail(again, error="second", traceback="line 2", again_in_s=0) == "dead"
    row = await row_of(hand.connection)
    assert (row["state"], row["error"], row["traceback"]) == ("dead", "second", "line 2")
    assert row["ended_at"] is not None
    await hand.queue.promote()
    assert await hand.claim() == []


async def test_a_job_that_is_handed_back_was_not_tried(job: ClaimedJob, hand: Hand) -> None:
    await hand.queue.hand_back(job)
    row = await row_of(hand.connection)
    assert (row["state"], row["attempts"], row["worker_id"]) == ("ready", 0, None)
    assert (await hand.claim_one()).attempt == 1


async def test_a_job_that_is_put_off_waits_and_was_not_tried(job: ClaimedJob, hand: Hand) -> None:
    await hand.queue.hand_back(job, in_s=60)
    row = await row_of(hand.connection)
    assert (row["state"], row["attempts"]) == ("delayed", 0)
    assert timedelta(seconds=50) < await _wait_of(hand.connection) <= timedelta(seconds=60)


async def test_jobs_of_a_dead_worker_go_to_others_and_count_as_tried(job: ClaimedJob, hand: Hand, other: Hand) -> None:
    await hand.die()
    assert await other.queue.sweep() == 1
    row = await row_of(hand.connection)
    assert (row["state"], row["attempts"], row["error"]) == ("ready", 1, "the worker that ran it died")
    again = await other.claim_one()
    assert (again.id, again.worker_id, again.attempt) == (job.id, other.id, 2)


async def test_a_job_that_has_killed_as_many_workers_as_it_may_is_dead(
    job: ClaimedJob, hand: Hand, other: Hand, hire: Hire
) -> None:
    await hand.die()
    await other.queue.sweep()
    await other.claim_one()
    await other.die()
    assert await (await hire()).queue.sweep() == 1
    row = await row_of(hand.connection)
    assert (row["state"], row["error"]) == ("dead", "the worker that ran it died")
    assert row["ended_at"] is not None


async def test_jobs_of_a_worker_that_was_seen_lately_stay_with_it(job: ClaimedJob, hand: Hand, other: Hand) -> None:
    await hand.connection.execute("UPDATE platform.job_workers SET seen_at = now() - interval '25 seconds'")
    assert await other.queue.sweep() == 0
    assert await states(hand.connection) == [("tests.note", "running")]
    await hand.queue.finish(job)


async def test_a_worker_that_is_taken_for_dead_hears_of_it_and_may_come_again(hand: Hand, other: Hand) -> None:
    assert await hand.queue.beat()
    await hand.die()
    assert await hand.queue.beat()  # nobody has noticed, and now it lives again
    await other.queue.sweep()
    assert await hand.queue.beat()
    await hand.die()
    await other.queue.sweep()
    assert not await hand.queue.beat()
    await hand.queue.register(host="x", pid=1)
    assert await hand.queue.beat()


async def test_a_worker_that_left_leaves_its_jobs_to_others(job: ClaimedJob, hand: Hand, other: Hand) -> None:
    await hand.queue.leave()
    assert await other.queue.sweep() == 1
    assert (await other.claim_one()).id == job.id


async def test_what_a_worker_does_not_know_of_is_let_go_and_was_not_tried(
    five: list[TenantRef], hand: Hand, other: Hand
) -> None:
    await many_asked(hand.connection, five[0], 6)
    known, *unknown = await hand.claim(wanted=4)
    theirs = await other.claim(wanted=1)
    await hand.queue.let_go(but=[known.id])
    rows = await hand.connection.fetch("SELECT id, state, attempts, worker_id FROM platform.jobs")
    by_id = {row["id"]: tuple(row)[1:] for row in rows}
    assert by_id[known.id] == ("running", 1, hand.id)
    assert by_id[theirs[0].id] == ("running", 1, other.id)
    assert {by_id[job.id] for job in unknown} == {("ready", 0, None)}
    assert len(await other.claim()) == 4
    await hand.queue.let_go(but=[])
    assert (await other.claim_one()).id == known.id
