"""Nothing of a purged tenant that is somebody's is left, wherever one looks."""

from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.http.request_log import RequestLog
from leasehold.main import create_app, running
from leasehold.process import Process
from tests.admins import impersonated
from tests.archives import purged
from tests.conftest import installed, migrate
from tests.factories import admin, bearer, item, new_slug, provisioned, until
from tests.integration.archives.conftest import as_owner
from tests.people import user
from tests.plans import PLANS, decided, plan_of

TENANTS = "/platform/v1/tenants"


@pytest.fixture
def alone(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation of this test alone, for it looks into each column of each table."""
    with installed(admin_url, f"leasehold_purge_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.fixture
async def owner(alone: Settings) -> AsyncGenerator[Any]:
    connection = await as_owner(alone)
    yield connection
    await connection.close()


@pytest.fixture
async def app(alone: Settings) -> AsyncGenerator[RequestLog]:
    made = create_app(alone)
    async with running(made.app.state.process):
        yield made


@pytest.fixture
async def http(app: RequestLog, alone: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{alone.base_domain}") as client:
        yield client


async def places_of(owner: Any, text: str) -> list[str]:
    """Return every column of every table of the database in which a text stands, whatever its case."""
    columns = await owner.fetch(
        "SELECT n.nspname, c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND a.attnum > 0"
        " AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'"
    )
    found: list[str] = []
    for schema, table, column in columns:
        place = f'"{schema}"."{table}"'
        # As text, and as the text that bytes may be.
        shown = f"concat_ws(' ', \"{column}\"::text, CASE WHEN pg_typeof(\"{column}\") = 'bytea'::regtype"
        shown += f" THEN encode(\"{column}\"::text::bytea, 'escape') END)"
        if await owner.fetchval(f"SELECT EXISTS (SELECT FROM {place} WHERE {shown} ILIKE $1)", f"%{text}%"):
            found.append(f"{schema}.{table}.{column}")
    return found


async def test_nothing_that_names_the_tenant_or_its_people_is_left_in_the_whole_database(
    app: RequestLog, http: httpx.AsyncClient, owner: Any
) -> None:
    process: Process = app.app.state.process
    globex = await provisioned(process)
    root, slug = await admin(process), new_slug()
    key = {"Idempotency-Key": f"make-{slug}"}
    made = await http.post(TENANTS, headers=root | key, json={"slug": slug, "name": f"Company {slug}"})
    await until(lambda: process.directory.by_slug(slug) is not None)
    tenant = process.directory.by_slug(slug)
    assert tenant is not None
    address, domain, email = f"{TENANTS}/{tenant.id}", f"{slug}.example", f"sam.{slug}@people.example"
    key = {"Idempotency-Key": new_slug()}
    await http.post(f"{address}/domains", headers=root | key, json={"hostname": domain})
    root["Request-Id"] = f"onboarding-{slug}"
    other = {"Idempotency-Key": new_slug()}
    await http.post(f"{address}/domains", headers=root | other, json={"hostname": f"{slug}.gone"})
    assert (await http.delete(f"{address}/domains/{slug}.gone", headers=root)).status_code == 204
    await http.patch(address, headers=root, json={"name": f"Renamed {slug}", "slug": f"{slug}-two"})
    plan = await plan_of(http, process, tenant)
    await decided(http, process, tenant, limits={"items": 7}, features={"bulk_import": False})
    await user(process, tenant, email)
    ours = await bearer(process, tenant)
    await http.post("/v1/invitations", headers=ours, json={"email": f"new.{email}", "role": "member"})
    await http.post("/v1/items", headers=ours | {"Idempotency-Key": new_slug()}, json={"title": f"Item of {slug}"})
    await http.post("/v1/tenant/deletion-request", headers=ours)
    await impersonated(http, process, tenant)
    key, copy = {"Idempotency-Key": new_slug()}, {"slug": f"{slug}-copy", "is_scrubbed": True}
    await http.post(f"{address}/clones", headers=root | key, json=copy)
    await owner.execute(
        "INSERT INTO platform.fleet_runs (id, kind, target, host, pid, planned, started_at) "
        "VALUES ($1, 'upgrade', 'x', 'h', 1, 1, now())",
        run_id := new_id(),
    )
    await owner.execute(
        "INSERT INTO platform.fleet_results (id, run_id, tenant_id, start, target, error, attempts, duration_ms, "
        "finished_at) VALUES ($1, $2, $3, 'a', 'b', $4, 1, 1, now())",
        new_id(),
        run_id,
        tenant.id,
        f"Key (email)=({email}) already exists",
    )
    assert made.status_code == 201
    before = await places_of(owner, slug)
    assert {"platform.tenants.slug", "platform.idempotency_keys.body", "platform.audit_events.changes"} <= set(before)
    outside = {"platform.former_slugs.slug", "platform.provisioning_receipts.key", "platform.tenant_clones.slug"}
    assert outside <= set(before)
    assert "platform.audit_events.request_id" in before
    kept = await item(process, globex, "Kept")
    await purged(process, tenant.id)
    assert await places_of(owner, slug) == []
    row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE id = $1", tenant.id)
    left = {name: row[name] for name in ("plan", "limits", "features", "rate_limits", "deletion_requested_at")}
    assert left == {
        "plan": "default",
        "limits": "{}",
        "features": "{}",
        "rate_limits": "{}",
        "deletion_requested_at": None,
    }
    assert (await http.delete(f"{PLANS}/{plan}", headers=root)).status_code == 204
    listed = await http.get("/v1/items", headers=await bearer(process, globex))
    assert [row["id"] for row in listed.json()["items"]] == [str(kept.id)]
    assert await owner.fetchval("SELECT to_regnamespace($1)", tenant.schema) is None
    assert await owner.fetchval("SELECT to_regrole($1)", tenant.role) is None
