"""`/platform/v1/jobs` and what stands beside it: jobs of all tenants, workers that live, and what runs by the clock."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.worker.running import build_worker
from tests.api.problems import pointers_of, refusal_of
from tests.factories import admin, bearer
from tests.pooler import direct
from tests.queued import SECRET, empty_queue, queued

PLATFORM = "/platform/v1"
JOBS = f"{PLATFORM}/jobs"
NOBODY = "0198c5f2-0000-7000-8000-000000000000"
STATES = ["delayed", "ready", "running", "dead", "dropped"]
FIELDS = {
    "id",
    "tenant_id",
    "tenant_slug",
    "name",
    "state",
    "priority",
    "attempts",
    "max_attempts",
    "run_at",
    "created_at",
    "ended_at",
    "error",
}


@pytest.fixture
def url(settings: Settings) -> str:
    """The login of the app."""
    return direct(settings)


@pytest.fixture
async def headers(process: Process) -> dict[str, str]:
    """An admin who may look at jobs, and nothing else."""
    return await admin(process, "platform:jobs:read")


@asynccontextmanager
async def working(process: Process) -> AsyncGenerator[None]:
    """Let a real worker work."""
    stop = asyncio.Event()
    worker = asyncio.create_task(build_worker(process, places=2).run(stop))
    try:
        yield
    finally:
        stop.set()
        await worker


async def ids_of(http: httpx.AsyncClient, headers: dict[str, str], **filters: object) -> list[str]:
    answer = await http.get(JOBS, headers=headers, params={name: str(value) for name, value in filters.items()})
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


async def eventually(http: httpx.AsyncClient, headers: dict[str, str], job_id: str, state: str) -> dict[str, Any]:
    """Return a job once it is in a state; the test fails when it does not come into it."""
    async with asyncio.timeout(30):
        while (job := (await http.get(f"{JOBS}/{job_id}", headers=headers)).json()).get("state") != state:
            await asyncio.sleep(0.05)
    return job


async def test_a_job_that_dies_is_listed_with_its_error_and_shown_with_its_traceback(
    http: httpx.AsyncClient, process: Process, url: str, owner: Any, headers: dict[str, str], acme: TenantRef
) -> None:
    await empty_queue(owner)
    job_id = queued(url, acme.id, "ready", name="tests.unheard_of", max_attempts=1, priority=7)
    async with working(process):
        shown = await eventually(http, headers, job_id, "dead")
    assert set(shown) == FIELDS | {"traceback"}
    assert shown["traceback"].startswith("Traceback (most recent call last):")
    [listed] = (await http.get(JOBS, headers=headers, params={"tenant": str(acme.id)})).json()["items"]
    assert set(listed) == FIELDS
    assert listed == {name: shown[name] for name in FIELDS}
    assert listed["error"] == "UnknownJob: This release has no job tests.unheard_of."
    assert (listed["tenant_id"], listed["tenant_slug"]) == (str(acme.id), acme.slug)
    assert [listed[name] for name in ("priority", "attempts", "max_attempts")] == [7, 1, 1]
    assert listed["ended_at"] > listed["created_at"]


async def test_arguments_are_shown_nowhere(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef
) -> None:
    job_id = queued(url, acme.id, "dead")
    for path in (f"{JOBS}?tenant={acme.id}", f"{JOBS}/{job_id}"):
        answer = await http.get(path, headers=headers)
        assert job_id in answer.text
        assert SECRET not in answer.text


async def test_pages_show_every_job_once_the_latest_first(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    queued(url, globex.id, "ready")
    made = [queued(url, acme.id, STATES[number % 5]) for number in range(7)]
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = await http.get(JOBS, headers=headers, params={"tenant": str(acme.id), "limit": "3", **more})
        page = answer.json()
        assert len(page["items"]) <= 3
        seen += [job["id"] for job in page["items"]]
        if not page["has_more"]:
            break
        more = {"cursor": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert seen == made[::-1]


async def test_each_filter_leaves_what_it_names(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    ours = {state: queued(url, acme.id, state) for state in STATES}
    named = queued(url, acme.id, "dead", name="tests.other")
    theirs = queued(url, globex.id, "dead", name="tests.other")
    for state in STATES:
        expected = [named, ours[state]] if state == "dead" else [ours[state]]
        assert await ids_of(http, headers, tenant=acme.id, state=state) == expected
    assert await ids_of(http, headers, tenant=globex.id) == [theirs]
    assert (await ids_of(http, headers, name="tests.other"))[:2] == [theirs, named]
    assert await ids_of(http, headers, tenant=acme.id, name="tests.other", state="dead") == [named]
    assert await ids_of(http, headers, tenant=acme.id, name="tests.other", state="ready") == []
    assert await ids_of(http, headers, tenant=uuid4()) == []
    assert await ids_of(http, headers, name="tests.%") == []


async def test_a_job_of_the_platform_has_no_tenant(http: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
    job_id = queued(url, None, "dead")
    shown = (await http.get(f"{JOBS}/{job_id}", headers=headers)).json()
    assert (shown["tenant_id"], shown["tenant_slug"]) == (None, None)


async def test_a_cursor_works_for_the_list_and_the_filters_that_it_was_issued_for_alone(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, acme, globex):
        queued(url, tenant.id, "dead")
    own = {"tenant": str(acme.id), "state": "dead", "name": "tests.fail"}
    cursor = (await http.get(JOBS, headers=headers, params={**own, "limit": "1"})).json()["next_cursor"]
    assert (await http.get(JOBS, headers=headers, params={**own, "cursor": cursor})).status_code == 200
    for other in (
        {},
        {**own, "tenant": str(globex.id)},
        {**own, "state": "dropped"},
        {**own, "name": "tests.other"},
        {name: value for name, value in own.items() if name != "state"},
    ):
        refused = await http.get(JOBS, headers=headers, params={**other, "cursor": cursor})
        assert refusal_of(refused) == (422, "invalid-cursor"), other
    for path in ("/workers", "/periodic-tasks"):
        refused = await http.get(f"{PLATFORM}{path}", headers=headers, params={"cursor": cursor})
        assert refusal_of(refused) == (422, "invalid-cursor"), path


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "succeeded"), ("tenant", "acme"), ("name", "a\0b"), ("name", "x" * 201), ("limit", "101")],
)
async def test_a_filter_that_cannot_be_one_is_pointed_at(
    http: httpx.AsyncClient, headers: dict[str, str], name: str, value: str
) -> None:
    refused = await http.get(JOBS, headers=headers, params={name: value})
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == [f"?{name}"]


@pytest.mark.parametrize("job_id", [NOBODY, "acme", "1"])
async def test_a_job_that_does_not_exist_is_not_found(http: httpx.AsyncClient, process: Process, job_id: str) -> None:
    headers = await admin(process)
    for method, path in (("GET", ""), ("POST", "/retry"), ("POST", "/drop")):
        refused = await http.request(method, f"{JOBS}/{job_id}{path}", headers=headers)
        assert refusal_of(refused) == (404, "not-found"), path


async def test_the_summary_counts_each_state(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], acme: TenantRef
) -> None:
    before = (await http.get(f"{JOBS}/summary", headers=headers)).json()
    assert list(before) == STATES
    for number, state in enumerate(STATES, start=1):
        for _ in range(number):
            queued(url, acme.id, state)
    after = (await http.get(f"{JOBS}/summary", headers=headers)).json()
    assert [after[state] - before[state] for state in STATES] == [1, 2, 3, 4, 5]


async def workers_of(http: httpx.AsyncClient, headers: dict[str, str]) -> list[dict[str, Any]]:
    page = (await http.get(f"{PLATFORM}/workers", headers=headers, params={"limit": 100})).json()
    assert not page["has_more"]
    return page["items"]


async def test_a_worker_is_listed_while_it_works(
    http: httpx.AsyncClient, process: Process, owner: Any, headers: dict[str, str]
) -> None:
    await empty_queue(owner)
    async with working(process), asyncio.timeout(30):
        while not (found := await workers_of(http, headers)):
            await asyncio.sleep(0.05)
    assert [set(worker) for worker in found] == [{"id", "host", "pid", "started_at", "seen_at"}]
    assert found[0]["pid"] == os.getpid()
    assert await workers_of(http, headers) == []


async def test_a_worker_that_was_not_seen_for_longer_than_its_lease_is_not_listed(
    http: httpx.AsyncClient, url: str, owner: Any, headers: dict[str, str]
) -> None:
    await empty_queue(owner)
    with psycopg.connect(url, autocommit=True) as connection:
        for host, seconds in (("late", 31), ("alive", 10), ("early", -60)):
            connection.execute(
                "INSERT INTO platform.job_workers (id, host, pid, started_at, seen_at)"
                " VALUES (gen_random_uuid(), %s, 1, now(), now() - make_interval(secs => %s))",
                [host, seconds],
            )
        try:
            assert [worker["host"] for worker in await workers_of(http, headers)] == ["alive"]
            assert connection.execute("SELECT count(*) FROM platform.job_workers").fetchone() == (3,)
        finally:
            connection.execute("DELETE FROM platform.job_workers")


async def test_periodic_tasks_say_what_their_last_call_came_to(
    http: httpx.AsyncClient, process: Process, url: str, owner: Any, headers: dict[str, str]
) -> None:
    async def tasks() -> dict[str, dict[str, Any]]:
        page = (await http.get(f"{PLATFORM}/periodic-tasks", headers=headers)).json()
        return {task["name"]: task for task in page["items"]}

    await empty_queue(owner)
    async with working(process), asyncio.timeout(30):
        while "admins.expire_tokens" not in await tasks():
            await asyncio.sleep(0.05)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE platform.periodic_tasks SET outcome = 'failed', error = 'it broke', ended_at = now()"
            " WHERE name = 'admins.expire_tokens'"
        )
    task = (await tasks())["admins.expire_tokens"]
    assert set(task) == {"id", "name", "cron", "due_at", "ended_at", "outcome", "error"}
    assert (task["cron"], task["outcome"], task["error"]) == ("17 * * * *", "failed", "it broke")
    assert task["due_at"] <= task["ended_at"]


async def test_who_may_only_look_changes_nothing_and_the_other_way_round(
    http: httpx.AsyncClient, process: Process, url: str, headers: dict[str, str], acme: TenantRef
) -> None:
    job_id = queued(url, acme.id, "dead")
    for action in ("retry", "drop"):
        refused = await http.post(f"{JOBS}/{job_id}/{action}", headers=headers)
        assert refusal_of(refused) == (403, "insufficient-scope")
        assert 'scope="platform:jobs:write"' in refused.headers["www-authenticate"]
    assert await ids_of(http, headers, tenant=acme.id, state="dead") == [job_id]
    for other in (await admin(process, "platform:jobs:write"), await admin(process, "platform:tenants:read")):
        for path in ("/jobs", "/jobs/summary", f"/jobs/{job_id}", "/workers", "/periodic-tasks"):
            refused = await http.get(f"{PLATFORM}{path}", headers=other)
            assert refusal_of(refused) == (403, "insufficient-scope"), path
    assert (await http.get(JOBS, headers=await bearer(process, acme))).status_code == 401
