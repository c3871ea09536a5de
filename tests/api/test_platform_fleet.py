"""`/platform/v1/fleet`: where the schemas stand and what the runs have done."""

import asyncpg
import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.ledger import TenantResult, finish_run, record_failure, start_run, success_sql
from tests.api.problems import refusal_of
from tests.factories import OPERATOR, admin, bearer

FLEET = "/platform/v1/fleet"


@pytest.fixture
async def run_path(settings: Settings, acme: TenantRef, globex: TenantRef) -> str:
    """The path of a run that has migrated one tenant and failed at another, written as the engine writes it."""
    assert settings.owner_url is not None
    run_id = new_id()
    owner = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    try:
        await start_run(owner, run_id, kind="upgrade", target="0009", planned=3, by=OPERATOR)
        done = TenantResult(acme.id, acme.slug, "0001", "0009", attempts=2, duration_ms=12)
        await owner.execute(success_sql(run_id, done))
        failed = TenantResult(globex.id, globex.slug, "0001", "0009", attempts=1, duration_ms=5, error="it broke")
        await record_failure(owner, run_id, failed, "SELECT 1")
        await finish_run(owner, run_id, "stopped", "1 tenants failed")
    finally:
        await owner.close()
    return f"{FLEET}/runs/{run_id}"


async def test_the_state_of_the_fleet_counts_revisions(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    answer = await http.get(FLEET, headers=await admin(process, "platform:fleet:read"))
    assert answer.status_code == 200
    body = answer.json()
    assert body["head"] == acme.revision == process.window.head
    assert body["tenants"] == sum(count["tenants"] for count in body["revisions"]) >= 1
    assert body["running"] is None


async def test_a_run_says_how_it_went(http: httpx.AsyncClient, process: Process, run_path: str) -> None:
    body = (await http.get(run_path, headers=await admin(process, "platform:fleet:read"))).json()
    assert {name: body[name] for name in ("kind", "target", "outcome", "reason", "planned", "succeeded", "failed")} == {
        "kind": "upgrade",
        "target": "0009",
        "outcome": "stopped",
        "reason": "1 tenants failed",
        "planned": 3,
        "succeeded": 1,
        "failed": 1,
    }


async def test_the_results_of_a_run_name_tenants_and_errors_page_by_page(
    http: httpx.AsyncClient, process: Process, run_path: str, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await admin(process, "platform:fleet:read")
    first = (await http.get(f"{run_path}/results", params={"limit": 1}, headers=headers)).json()
    second = (await http.get(f"{run_path}/results", params={"cursor": first["next_cursor"]}, headers=headers)).json()
    found = [(row["slug"], row["error"], row["attempts"]) for row in [*first["items"], *second["items"]]]
    assert found == [(acme.slug, None, 2), (globex.slug, "it broke", 1)]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_runs_are_listed_the_latest_first(http: httpx.AsyncClient, process: Process, run_path: str) -> None:
    headers = await admin(process, "platform:fleet:read")
    first = (await http.get(f"{FLEET}/runs", params={"limit": 1}, headers=headers)).json()
    assert run_path.endswith(first["items"][0]["id"])
    second = (await http.get(f"{FLEET}/runs", params={"cursor": first["next_cursor"]}, headers=headers)).json()
    assert all(row["started_at"] <= first["items"][0]["started_at"] for row in second["items"])


async def test_another_scope_does_not_open_it(http: httpx.AsyncClient, process: Process) -> None:
    headers = await admin(process, "platform:tenants:read", "platform:tenants:write")
    for path in ("", "/runs", f"/runs/{new_id()}", f"/runs/{new_id()}/results"):
        assert refusal_of(await http.get(f"{FLEET}{path}", headers=headers)) == (403, "insufficient-scope")


async def test_a_tenants_token_does_not_open_it(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    assert (await http.get(FLEET, headers=await bearer(process, acme))).status_code == 401


async def test_a_run_that_does_not_exist_is_not_found(http: httpx.AsyncClient, process: Process) -> None:
    headers = await admin(process, "platform:fleet:read")
    for path in (f"{FLEET}/runs/{new_id()}", f"{FLEET}/runs/{new_id()}/results"):
        assert refusal_of(await http.get(path, headers=headers)) == (404, "not-found")


async def test_a_tenant_is_flagged_as_a_canary(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await admin(process, "platform:tenants:write", "platform:fleet:write")
    path = f"/platform/v1/tenants/{acme.id}"
    assert (await http.patch(path, json={"is_canary": True}, headers=headers)).json()["is_canary"] is True
    assert (await http.patch(path, json={"name": "Acme"}, headers=headers)).json()["is_canary"] is True
    assert (await http.patch(path, json={"is_canary": False}, headers=headers)).json()["is_canary"] is False
