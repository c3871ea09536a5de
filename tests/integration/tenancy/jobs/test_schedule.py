"""Periodic tasks: once for each due time over all workers, not while one still runs, and what came of the last one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leasehold.core.database import DriverConnection, PlatformSession, platform_session
from leasehold.process import Process
from leasehold.tenancy.jobs.definition import NoArguments, Periodic, platform_job
from leasehold.tenancy.jobs.queue import finish_in
from tests.integration.tenancy.jobs.chores import Hand, states
from tests.integration.tenancy.jobs.conftest import Hire


@platform_job("tests.tidy_up", priority=2, max_attempts=2)
async def tidy_up(_arguments: NoArguments, session: PlatformSession) -> None: ...


_TASK = Periodic("* * * * *", tidy_up)
_SOON = datetime(2100, 1, 1, 12, tzinfo=UTC)  # later than any task of these tests was made
_LATER, _LATEST = _SOON + timedelta(minutes=1), _SOON + timedelta(minutes=2)
_SEEN = "UPDATE platform.periodic_tasks SET seen_at = now() - $1::text::interval"


async def _do_nothing(_arguments: NoArguments, session: PlatformSession) -> None: ...


@pytest.fixture
async def known(hand: Hand) -> Hand:
    """A worker that has entered the task."""
    await hand.queue.know_tasks([_TASK])
    return hand


async def _task(connection: DriverConnection) -> Any:
    return await connection.fetchrow("SELECT * FROM platform.periodic_tasks WHERE name = 'tests.tidy_up'")


async def test_five_workers_enqueue_it_once_for_a_due_time(hire: Hire, app_connection: DriverConnection) -> None:
    hands = [await hire() for _ in range(5)]
    for hand in hands:
        await hand.queue.know_tasks([_TASK])
    for due_at in (_SOON, _LATER, _LATEST):
        answers = await asyncio.gather(*(hand.queue.schedule(_TASK, due_at) for hand in hands))
        assert sorted(answers) == [False] * 4 + [True]
        assert await states(app_connection) == [("tests.tidy_up", "ready")]
        await hands[0].queue.finish(await hands[0].claim_one())
        assert await states(app_connection) == []


async def test_it_is_a_job_of_the_platform_as_its_definition_says(known: Hand) -> None:
    await known.queue.schedule(_TASK, _SOON)
    claimed = await known.claim_one()
    assert (claimed.name, claimed.tenant_id, claimed.arguments) == ("tests.tidy_up", None, b"{}")
    assert (claimed.attempt, claimed.max_attempts) == (1, 2)


async def test_it_is_not_enqueued_while_the_last_one_waits_runs_or_is_to_be_tried_again(known: Hand) -> None:
    assert await known.queue.schedule(_TASK, _SOON)
    assert not await known.queue.schedule(_TASK, _LATER)
    claimed = await known.claim_one()
    assert not await known.queue.schedule(_TASK, _LATEST)
    assert await known.queue.fail(claimed, error="x", traceback="x", again_in_s=60) == "delayed"
    assert not await known.queue.schedule(_TASK, _LATEST + timedelta(minutes=1))
    assert await states(known.connection) == [("tests.tidy_up", "delayed")]


async def test_what_was_due_while_the_last_one_ran_is_not_made_up_for(known: Hand) -> None:
    await known.queue.schedule(_TASK, _SOON)
    claimed = await known.claim_one()
    await known.queue.schedule(_TASK, _LATER)
    await known.queue.finish(claimed)
    assert not await known.queue.schedule(_TASK, _LATER)
    assert await known.queue.schedule(_TASK, _LATEST)


async def test_an_earlier_due_time_is_over(known: Hand) -> None:
    await known.queue.schedule(_TASK, _LATER)
    await known.queue.finish(await known.claim_one())
    assert not await known.queue.schedule(_TASK, _SOON)
    assert await states(known.connection) == []


async def test_what_was_enqueued_for_the_next_but_one_is_believed_and_for_a_later_time_not(known: Hand) -> None:
    for ahead, is_wrong in ((timedelta(minutes=2), False), (timedelta(minutes=2, seconds=1), True)):
        await known.connection.execute("UPDATE platform.periodic_tasks SET due_at = $1", _SOON + ahead)
        assert await known.queue.schedule(_TASK, _SOON) is is_wrong
    assert (await _task(known.connection))["due_at"] == _SOON
    assert await states(known.connection) == [("tests.tidy_up", "ready")]


async def test_a_worker_that_stood_still_takes_no_earlier_time_again(known: Hand, other: Hand) -> None:
    now: datetime = await known.connection.fetchval("SELECT now()")
    await known.connection.execute("UPDATE platform.periodic_tasks SET due_at = $1", now - timedelta(hours=2))
    assert await other.queue.schedule(_TASK, now)
    await other.queue.finish(await other.claim_one())
    assert not await known.queue.schedule(_TASK, now - timedelta(hours=1))


async def test_five_workers_that_see_that_the_clock_was_wrong_enqueue_it_once(
    hire: Hire, app_connection: DriverConnection
) -> None:
    hands = [await hire() for _ in range(5)]
    for hand in hands:
        await hand.queue.know_tasks([_TASK])
    await hands[0].queue.schedule(_TASK, datetime(2140, 1, 1, tzinfo=UTC))
    await hands[0].queue.finish(await hands[0].claim_one())
    answers = await asyncio.gather(*(hand.queue.schedule(_TASK, _SOON) for hand in hands))
    assert sorted(answers) == [False] * 4 + [True]


async def test_a_new_task_has_missed_nothing_and_a_known_one_is_where_it_was(hand: Hand, other: Hand) -> None:
    now = await hand.connection.fetchval("SELECT now()")
    first = (await hand.queue.know_tasks([_TASK]))["tests.tidy_up"]
    assert now <= first < now + timedelta(minutes=1)
    await hand.queue.schedule(_TASK, _SOON)
    assert await other.queue.know_tasks([_TASK]) == {"tests.tidy_up": _SOON}


async def test_a_task_gets_the_expression_of_the_latest_release(known: Hand, other: Hand) -> None:
    await other.queue.know_tasks([Periodic("17 * * * *", tidy_up)])
    assert (await _task(known.connection))["cron"] == "17 * * * *"
    assert await known.connection.fetchval("SELECT count(*) FROM platform.periodic_tasks") == 1


async def test_a_task_that_no_worker_has_known_for_a_day_is_forgotten(known: Hand, other: Hand) -> None:
    for age, left in (("23 hours 59 minutes", 1), ("24 hours 1 minute", 0)):
        await known.connection.execute(_SEEN, age)
        assert await other.queue.keep_tasks([])
        assert await known.connection.fetchval("SELECT count(*) FROM platform.periodic_tasks") == left


async def test_a_task_that_an_older_release_knows_is_kept_while_its_workers_live(known: Hand, other: Hand) -> None:
    """Each of two releases has a task that the other has not."""
    another = Periodic("17 * * * *", platform_job("tests.tidy_more")(_do_nothing))
    await other.queue.know_tasks([another])
    for _ in range(3):
        await known.connection.execute(_SEEN, "20 hours")
        assert await known.queue.keep_tasks([_TASK])
        assert await other.queue.keep_tasks([another])
    assert await known.connection.fetchval("SELECT count(*) FROM platform.periodic_tasks") == 2


async def test_a_worker_hears_that_its_task_was_forgotten(known: Hand, other: Hand) -> None:
    await known.connection.execute(_SEEN, "2 days")
    assert await other.queue.keep_tasks([])
    assert not await known.queue.keep_tasks([_TASK])


async def test_what_was_seen_an_hour_ago_is_written_down_and_what_was_seen_since_is_not(known: Hand) -> None:
    """Prevents a write for each task, worker and look."""
    for age, is_written in (("59 minutes", False), ("61 minutes", True), ("-1 minute", True)):
        await known.connection.execute(_SEEN, age)
        before = await known.connection.fetchval("SELECT seen_at FROM platform.periodic_tasks")
        await known.queue.keep_tasks([_TASK])
        assert (await known.connection.fetchval("SELECT seen_at FROM platform.periodic_tasks") != before) is is_written


async def test_a_task_that_nobody_knows_is_not_enqueued(hand: Hand) -> None:
    assert not await hand.queue.schedule(_TASK, _SOON)
    assert await states(hand.connection) == []


async def test_what_came_of_the_last_one_can_be_seen(process: Process, known: Hand) -> None:
    assert (await _task(known.connection))["outcome"] is None
    await known.queue.schedule(_TASK, _SOON)
    await known.queue.fail(await known.claim_one(), error="LookupError: x", traceback="x", again_in_s=0)
    row = await _task(known.connection)
    assert (row["outcome"], row["error"], row["due_at"]) == ("failed", "LookupError: x", _SOON)
    failed_at = row["ended_at"]
    await known.queue.promote()
    claimed = await known.claim_one()
    async with platform_session(process.database) as session:
        await finish_in(session, claimed)
    row = await _task(known.connection)
    assert (row["outcome"], row["error"]) == ("succeeded", None)
    assert row["ended_at"] > failed_at


async def test_one_whose_worker_died_has_failed(known: Hand, other: Hand) -> None:
    await known.queue.schedule(_TASK, _SOON)
    await known.claim_one()
    await known.die()
    await other.queue.sweep()
    row = await _task(known.connection)
    assert (row["outcome"], row["error"]) == ("failed", "the worker that ran it died")
    await other.queue.finish(await other.claim_one())
    assert (await _task(known.connection))["outcome"] == "succeeded"


async def test_a_dead_one_does_not_stand_in_the_way_of_the_next(known: Hand) -> None:
    await known.queue.schedule(_TASK, _SOON)
    for _ in range(2):
        await known.queue.fail(await known.claim_one(), error="x", traceback="x", again_in_s=0)
        await known.queue.promote()
    assert await states(known.connection) == [("tests.tidy_up", "dead")]
    assert await known.queue.schedule(_TASK, _LATER)
