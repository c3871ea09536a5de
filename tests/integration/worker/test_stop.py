"""A worker that is told to stop takes nothing new, lets running jobs end, and hands back what takes too long."""

import asyncio
import time

import pytest

from leasehold.core.database import DriverConnection
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.jobs.link import QueueAway, QueueLink
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.factories import until
from tests.integration.worker.crew import Title, all_done, ask, at_work, came_to, titles
from tests.integration.worker.line import line_to

_CLAIMED = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, max_attempts, attempts, state, run_at, worker_id)
VALUES (gen_random_uuid(), $1, 'tests.dawdle', '{}', 0, 1, 1, 'running', now(), $2)
"""


@tenant_job("tests.dawdle", max_attempts=1)
async def dawdle(arguments: Title, session: TenantSession) -> None:
    """Take half a second, or for ever."""
    await ItemService(session=session).add(ItemCreate(arguments.title))
    await asyncio.sleep(3600 if arguments.title == "for ever" else 0.5)


async def test_running_jobs_end_and_no_other_is_begun(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, dawdle, "one", "two", "three", "four")
    async with at_work(process, dawdle, places=3) as work:  # of which one tenant gets two
        await until(lambda: work.running == 2, timeout_s=10)
        await work.ended()
        assert work.count(dawdle, "succeeded") == 2
    assert await titles(process, acme) == ["one", "two"]
    rows = await came_to(owner, "ready", "ready")
    assert [row["attempts"] for row in rows] == [0, 0]
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0


async def test_what_takes_longer_than_the_grace_is_handed_back_as_if_it_had_not_been_tried(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, dawdle, "for ever")
    await ask(process, acme, dawdle, "one")
    async with at_work(process, dawdle, grace_s=5) as work:
        await until(lambda: work.running == 2, timeout_s=10)
        await work.ended()
        assert (work.count(dawdle, "succeeded"), work.count(dawdle, "handed_back")) == (1, 1)
    (row,) = await came_to(owner, "ready")
    assert (row["attempts"], row["worker_id"], row["error"]) == (0, None, None)
    assert await titles(process, acme) == ["one"]
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0


async def test_a_job_that_was_handed_back_runs_elsewhere_at_once(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    await ask(process, acme, dawdle, "for ever")
    async with at_work(process, dawdle, grace_s=0) as first:
        await until(lambda: first.running == 1, timeout_s=10)
        await first.ended()
    await came_to(owner, "ready")
    async with at_work(process, dawdle, grace_s=0) as second:
        await until(lambda: second.running == 1, timeout_s=30)
    (row,) = await came_to(owner, "ready")
    assert row["attempts"] == 0


async def test_an_idle_worker_stops_without_waiting_for_its_next_look(
    process: Process, owner: DriverConnection
) -> None:
    async with at_work(process, dawdle, poll_s=3600, grace_s=3600) as work:
        await until(lambda: work.worker.seen_at > 0, timeout_s=10)
        await work.ended()
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0


async def test_what_was_claimed_in_an_answer_that_was_lost_is_handed_back_at_the_end(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    """The queue says so by the row; the worker cannot know of it."""
    async with at_work(process, dawdle, poll_s=3600) as work:
        await until(lambda: work.worker.seen_at > 0, timeout_s=10)
        await owner.execute(_CLAIMED, acme.id, work.link.worker_id)
        await work.ended()
    (row,) = await came_to(owner, "ready")
    assert row["attempts"] == 0


async def test_a_worker_whose_queue_is_away_stops_too_and_its_job_is_found_by_others(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    done = asyncio.Event()

    @tenant_job("tests.wait")
    async def wait(_arguments: Title) -> None:
        await done.wait()

    await ask(process, acme, wait)
    async with line_to(process.settings) as line, at_work(process, wait, settings=line.settings, grace_s=1) as work:
        await until(lambda: work.running == 1, timeout_s=10)
        line.cut()
        done.set()
        await work.ended()
        assert work.count(wait, "left") == 1
    (row,) = await came_to(owner, "running")
    assert row["worker_id"] == work.link.worker_id
    await owner.execute("UPDATE platform.job_workers SET seen_at = now() - interval '31 seconds'")
    async with at_work(process, wait):
        await all_done(owner)


async def test_a_worker_whose_queue_is_away_takes_no_longer_to_stop_than_its_grace(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    """Also where it was about to claim: the queue and the job that runs share one grace."""
    await ask(process, acme, dawdle, "for ever", "one")
    async with line_to(process.settings) as line, at_work(process, dawdle, settings=line.settings, grace_s=5) as work:
        await until(lambda: work.running == 2, timeout_s=10)
        line.cut()
        await until(lambda: work.running == 1, timeout_s=10)  # so there is room, and it asks for more
        await until(lambda: work.link.losses > 1, timeout_s=10)
        stopped_at = time.monotonic()
        await work.ended()
        assert 4.9 < time.monotonic() - stopped_at < 9.5  # two graces are ten seconds
        assert (work.count(dawdle, "succeeded"), work.count(dawdle, "left")) == (1, 1)


async def test_when_patience_is_over_nobody_looks_again_for_a_queue_that_was_away(process: Process) -> None:
    async with line_to(process.settings) as line:
        line.cut()
        link = QueueLink(line.settings, on_news=lambda: None)
        link.lose_patience(in_s=2)
        link.lose_patience(in_s=3600)
        async with asyncio.timeout(30):
            with pytest.raises(QueueAway):
                await link.ask(lambda queue: queue.beat())
        assert (looked := link.losses) > 1
        line.mend()
        with pytest.raises(QueueAway):
            await link.ask(lambda queue: queue.beat())
        assert link.losses == looked


async def test_when_patience_is_over_a_queue_that_was_there_is_asked_all_the_same(
    process: Process, owner: DriverConnection
) -> None:
    """For the last words of a worker whose jobs took all the grace; also where one of them broke off an answer."""
    link = QueueLink(process.settings, on_news=lambda: None)
    await link.register()
    link.lose_patience(in_s=0)
    assert await link.ask(lambda queue: queue.beat())
    broken_off = asyncio.create_task(link.ask(lambda queue: queue.promote()))
    await asyncio.sleep(0)
    broken_off.cancel()
    await asyncio.wait([broken_off])
    assert link.losses == 1
    await link.ask(lambda queue: queue.leave())
    await link.close()
    assert await owner.fetchval("SELECT count(*) FROM platform.job_workers") == 0


async def test_a_worker_that_has_never_seen_its_queue_stops_too(process: Process, owner: DriverConnection) -> None:
    async with line_to(process.settings) as line:
        line.cut()
        async with at_work(process, dawdle, settings=line.settings, grace_s=0.5) as work:
            await until(lambda: work.link.losses > 1, timeout_s=10)
            await work.ended()


async def test_a_worker_that_begins_while_its_queue_is_away_works_when_it_is_back(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    async with line_to(process.settings) as line:
        line.cut()
        async with at_work(process, dawdle, settings=line.settings) as work:
            await ask(process, acme, dawdle)
            await until(lambda: work.link.losses > 1, timeout_s=10)
            line.mend()
            await all_done(owner)
    assert await titles(process, acme) == ["done"]
