"""What an admin does with a job: retry and drop, each only from where it makes sense, and once among several admins."""

import asyncio
from typing import Any

import asyncpg
import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.platform.jobs.service import JobService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.models import CHANNEL
from leasehold.worker.running import build_worker
from tests.api.problems import problem_of, refusal_of
from tests.factories import OPERATOR, admin
from tests.pooler import direct
from tests.queued import empty_queue, queued, row_of

JOBS = "/platform/v1/jobs"


@pytest.fixture
def url(settings: Settings) -> str:
    """The login of the app."""
    return direct(settings)


@pytest.fixture
async def headers(process: Process) -> dict[str, str]:
    """An admin who may change jobs."""
    return await admin(process, "platform:jobs:write")


def put_tenant(url: str, tenant: TenantRef, state: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE platform.tenants SET state = %s WHERE id = %s", [state, tenant.id])


@pytest.mark.parametrize("state", ["dead", "dropped"])
async def test_a_job_that_has_ended_is_ready_again_with_all_its_attempts(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, state: str
) -> None:
    job_id = queued(url, acme.id, state, attempts=3, error="it broke", traceback="where", dedupe_key="daily")
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE platform.jobs SET times_put_off = 10 WHERE id = %s", [job_id])
    answer = await http.post(f"{JOBS}/{job_id}/retry", headers=headers)
    assert answer.status_code == 200
    job = answer.json()
    assert (job["id"], job["state"], job["attempts"], job["ended_at"]) == (job_id, "ready", 0, None)
    assert (job["error"], job["traceback"]) == ("it broke", "where")
    assert row_of(url, job_id) == {
        "state": "ready",
        "attempts": 0,
        "times_put_off": 0,
        "dedupe_key": None,
        "error": "it broke",
        "traceback": "where",
        "ended_at": None,
        "worker_id": None,
        "is_due_now": True,
    }


async def test_a_retried_job_is_run_by_a_worker_that_lives(
    http: httpx.AsyncClient, process: Process, url: str, owner: Any, headers: dict[str, str], acme: TenantRef
) -> None:
    await empty_queue(owner)
    job_id = queued(url, acme.id, "dead", name="clients.note_use", arguments='{"last_used_at": {}}', attempts=3)
    stop = asyncio.Event()
    worker = asyncio.create_task(build_worker(process, places=2).run(stop))
    try:
        assert (await http.post(f"{JOBS}/{job_id}/retry", headers=headers)).status_code == 200
        async with asyncio.timeout(30):
            while row_of(url, job_id) is not None:
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await worker


async def test_workers_hear_of_a_retry_and_not_of_one_that_was_refused(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef
) -> None:
    heard: list[str] = []
    listener: Any = await asyncpg.connect(driver_url(url))
    try:
        await listener.add_listener(CHANNEL, lambda *told: heard.append(told[2]))
        running, dead = queued(url, acme.id, "running"), queued(url, acme.id, "dead")
        assert (await http.post(f"{JOBS}/{running}/retry", headers=headers)).status_code == 409
        await listener.execute("SELECT 1")
        assert heard == []
        assert (await http.post(f"{JOBS}/{dead}/retry", headers=headers)).status_code == 200
        async with asyncio.timeout(30):
            while not heard:
                await asyncio.sleep(0.01)
    finally:
        await listener.close()
    assert heard == [CHANNEL]


async def test_a_retried_job_does_not_meet_the_one_that_waits_under_its_key(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef
) -> None:
    dead = queued(url, acme.id, "dead", dedupe_key="daily")
    queued(url, acme.id, "ready", dedupe_key="daily")
    assert (await http.post(f"{JOBS}/{dead}/retry", headers=headers)).status_code == 200


@pytest.mark.parametrize("state", ["delayed", "ready", "dead"])
async def test_a_job_that_does_not_run_is_dropped(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, state: str
) -> None:
    tried = queued(url, acme.id, state, attempts=2, error="it broke", traceback="where")
    untried = queued(url, acme.id, state)
    job = (await http.post(f"{JOBS}/{tried}/drop", headers=headers)).json()
    assert (job["id"], job["state"], job["attempts"]) == (tried, "dropped", 2)
    assert (job["error"], job["traceback"]) == ("dropped by an admin; before that: it broke", "where")
    assert job["ended_at"] > job["run_at"]
    assert (await http.post(f"{JOBS}/{untried}/drop", headers=headers)).json()["error"] == "dropped by an admin"
    for job_id in (tried, untried):
        assert (row_of(url, job_id) or {})["state"] == "dropped"


@pytest.mark.parametrize(
    ("action", "state"),
    [("retry", "delayed"), ("retry", "ready"), ("retry", "running"), ("drop", "running"), ("drop", "dropped")],
)
async def test_from_any_other_state_a_change_is_refused_and_leaves_the_job_as_it_is(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, action: str, state: str
) -> None:
    job_id = queued(url, acme.id, state, attempts=2, error="it broke", dedupe_key="daily")
    before = row_of(url, job_id)
    refused = await http.post(f"{JOBS}/{job_id}/{action}", headers=headers)
    assert refusal_of(refused) == (409, "wrong-state")
    assert problem_of(refused)["detail"] == f"The job {job_id} is {state}; that cannot be done with it now."
    assert row_of(url, job_id) == before


@pytest.mark.parametrize("state", ["deleted", "purging", "purged"])
async def test_a_job_of_a_deleted_tenant_is_not_retried_and_can_be_dropped(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, state: str
) -> None:
    job_id = queued(url, acme.id, "dead")
    put_tenant(url, acme, state)
    refused = await http.post(f"{JOBS}/{job_id}/retry", headers=headers)
    assert refusal_of(refused) == (409, "tenant-deleted")
    assert (row_of(url, job_id) or {})["state"] == "dead"
    assert (await http.post(f"{JOBS}/{job_id}/drop", headers=headers)).json()["state"] == "dropped"


@pytest.mark.parametrize("state", ["suspended", "maintenance"])
async def test_a_job_of_a_tenant_that_will_be_served_again_can_be_retried(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, state: str
) -> None:
    job_id = queued(url, acme.id, "dead")
    put_tenant(url, acme, state)
    assert (await http.post(f"{JOBS}/{job_id}/retry", headers=headers)).json()["state"] == "ready"


@pytest.mark.parametrize("action", ["retry", "drop"])
async def test_of_several_admins_at_once_one_succeeds(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, action: str
) -> None:
    job_id = queued(url, acme.id, "dead", error="it broke")
    answers = await asyncio.gather(*(http.post(f"{JOBS}/{job_id}/{action}", headers=headers) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    if action == "drop":
        assert (row_of(url, job_id) or {})["error"] == "dropped by an admin; before that: it broke"


@pytest.mark.parametrize(("action", "state", "meanwhile"), [("retry", "dead", "ready"), ("drop", "ready", "running")])
async def test_a_change_that_waits_for_another_one_sees_what_came_of_it(
    http: httpx.AsyncClient,
    url: str,
    headers: dict[str, str],
    acme: TenantRef,
    action: str,
    state: str,
    meanwhile: str,
) -> None:
    job_id = queued(url, acme.id, state)
    with psycopg.connect(url) as faster:
        faster.execute("UPDATE platform.jobs SET state = %s WHERE id = %s", [meanwhile, job_id])
        asking = asyncio.create_task(http.post(f"{JOBS}/{job_id}/{action}", headers=headers))
        await _blocked_by(url, faster.info.backend_pid)
        assert not asking.done()
        faster.commit()
        refused = await asking
    assert refusal_of(refused) == (409, "wrong-state")
    assert (row_of(url, job_id) or {})["state"] == meanwhile


async def test_all_dead_jobs_are_retried_at_once_but_for_those_that_cannot_run(
    process: Process, url: str, acme: TenantRef, globex: TenantRef
) -> None:
    name = f"tests.all_{acme.slug[2:]}"
    dead = [queued(url, tenant_id, "dead", name=name, attempts=3) for tenant_id in (acme.id, acme.id, None)]
    others = {
        queued(url, acme.id, "dead", name=f"{name}_other"): "dead",
        queued(url, acme.id, "dropped", name=name): "dropped",
        queued(url, acme.id, "delayed", name=name): "delayed",
        queued(url, globex.id, "dead", name=name): "dead",
    }
    put_tenant(url, globex, "deleted")
    for expected in (3, 0):
        async with platform_session(process.database) as session:
            assert await JobService(session).retry_dead(name, by=OPERATOR) == expected
    assert [(row_of(url, job_id) or {})["state"] for job_id in dead] == ["ready"] * 3
    assert {job_id: (row_of(url, job_id) or {})["state"] for job_id in others} == others


async def _blocked_by(url: str, pid: int) -> None:
    """Wait until somebody waits for a lock that a backend holds."""
    with psycopg.connect(url, autocommit=True) as connection:
        async with asyncio.timeout(30):
            while not connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", [pid]
            ).fetchone():
                await asyncio.sleep(0.02)
