"""What a worker gets when it asks for jobs, and in which order."""

import asyncio
import json
from collections.abc import Callable

import pytest

from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob, JobQueue
from tests.integration.tenancy.jobs.chores import (
    Hand,
    Note,
    asked,
    asked_by_the_platform,
    many_asked,
    note,
    row_of,
    states,
)


@tenant_job("tests.hurry", priority=5)
async def hurry(_arguments: Note) -> None: ...


@tenant_job("tests.dawdle", priority=-5)
async def dawdle(_arguments: Note) -> None: ...


async def _in_turn(hand: Hand, jobs: int, what: Callable[[ClaimedJob], str]) -> list[str]:
    """Claim jobs one after the other, and finish each."""
    found: list[str] = []
    for _ in range(jobs):
        claimed = await hand.claim_one()
        found.append(what(claimed))
        await hand.queue.finish(claimed)
    return found


def _text_of(job: ClaimedJob) -> str:
    return json.loads(job.arguments)["text"]


async def test_a_claimed_job_is_told_as_it_was_asked_for(process: Process, acme: TenantRef, hand: Hand) -> None:
    await asked(process, acme, note, "Grüße")
    claimed = await hand.claim_one()
    row = await row_of(hand.connection)
    assert claimed == ClaimedJob(
        id=row["id"],
        worker_id=hand.id,
        tenant_id=acme.id,
        lane=acme.id,
        name="tests.note",
        arguments=claimed.arguments,
        attempt=1,
        max_attempts=2,
        times_put_off=0,
        traceparent=None,
        waited_s=claimed.waited_s,
    )
    assert json.loads(claimed.arguments) == {"text": "Grüße"}
    assert 0 <= claimed.waited_s < 30
    assert (row["state"], row["worker_id"]) == ("running", hand.id)


async def test_an_empty_queue_has_nothing(hand: Hand) -> None:
    assert await hand.claim() == []


async def test_no_more_jobs_than_wanted_are_claimed(process: Process, acme: TenantRef, hand: Hand) -> None:
    await many_asked(hand.connection, acme, 7)
    assert [len(await hand.claim(wanted=3)) for _ in range(4)] == [3, 3, 1, 0]


async def test_jobs_of_a_tenant_run_in_the_order_they_were_asked_for(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    for text in ("first", "second", "third"):
        await asked(process, acme, note, text)
    assert await _in_turn(hand, 3, _text_of) == ["first", "second", "third"]


async def test_the_higher_priority_goes_first_whenever_it_came(process: Process, acme: TenantRef, hand: Hand) -> None:
    for job in (dawdle, note, hurry, note, hurry):
        await asked(process, acme, job)
    names = await _in_turn(hand, 5, lambda job: job.name)
    assert names == ["tests.hurry", "tests.hurry", "tests.note", "tests.note", "tests.dawdle"]


async def test_a_priority_counts_among_the_jobs_of_one_tenant_alone(
    process: Process, acme: TenantRef, globex: TenantRef, hand: Hand
) -> None:
    for _ in range(3):
        await asked(process, acme, hurry)
    await asked(process, globex, dawdle)
    assert {job.name for job in await hand.claim(wanted=2)} == {"tests.hurry", "tests.dawdle"}


async def test_a_job_with_a_delay_is_claimed_when_it_is_due_and_was_made_ready(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme, delay_s=3600)
    await hand.queue.promote()
    assert await states(hand.connection) == [("tests.note", "delayed")]
    assert await hand.claim() == []
    await hand.connection.execute("UPDATE platform.jobs SET run_at = now()")
    await hand.queue.promote()
    assert (await hand.claim_one()).name == "tests.note"


async def test_a_short_delay_is_obeyed(process: Process, acme: TenantRef, hand: Hand) -> None:
    await asked(process, acme, delay_s=0.3)
    claimed: list[ClaimedJob] = []
    async with asyncio.timeout(60):
        while not claimed:
            await hand.queue.promote()
            claimed = await hand.claim()
    row = await row_of(hand.connection)
    waited = await hand.connection.fetchval("SELECT clock_timestamp() - $1", row["created_at"])
    assert waited.total_seconds() >= 0.3


async def test_what_was_delayed_stands_behind_what_was_ready_earlier(
    process: Process, acme: TenantRef, hand: Hand
) -> None:
    await asked(process, acme, note, "delayed", delay_s=3600)
    await asked(process, acme, note, "at once")
    await hand.connection.execute("UPDATE platform.jobs SET run_at = now() WHERE state = 'delayed'")
    await hand.queue.promote()
    assert await _in_turn(hand, 2, _text_of) == ["at once", "delayed"]


@pytest.mark.parametrize("state", ["delayed", "running", "dead", "dropped"])
async def test_only_what_is_ready_is_claimed(process: Process, acme: TenantRef, hand: Hand, state: str) -> None:
    await asked(process, acme)
    await asked_by_the_platform(process)
    await hand.connection.execute("UPDATE platform.jobs SET state = $1", state)
    assert await hand.claim() == []


async def test_who_is_no_worker_gets_nothing(
    process: Process, acme: TenantRef, app_connection: DriverConnection
) -> None:
    await asked(process, acme)
    stranger = Hand(new_id(), JobQueue(app_connection, new_id()), app_connection)
    assert await stranger.claim() == []
    assert await states(app_connection) == [("tests.note", "ready")]
    assert (await row_of(app_connection))["attempts"] == 0


async def test_a_job_of_a_tenant_that_nobody_knows_is_not_claimed(hand: Hand) -> None:
    await hand.connection.execute(
        "SELECT platform.enqueue_job(gen_random_uuid(), gen_random_uuid(), 'tests.note', '{}', 0, 1, 0, NULL)"
    )
    assert await hand.claim() == []
