"""What comes back from an archive is what went into it, in every row, and works as before."""

from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on
from tests.archives import Rows, exported, fill, imported, purged, rows_of_a_tenant, seen
from tests.factories import api_key, item, provisioned


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rows=rows_of_a_tenant())
async def test_a_purged_tenant_comes_back_equal_in_every_row(
    process: Process, owner: Any, tmp_path: Path, rows: Rows
) -> None:
    tenant = await provisioned(process)
    await fill(owner, tenant.schema, process.key, rows)
    before = await seen(owner, tenant.id, tenant.schema, process.key)
    file = tmp_path / f"{tenant.slug}.archive"
    await exported(process, tenant.slug, file)
    await purged(process, tenant.id)
    done = await imported(process, file)
    after = await seen(owner, tenant.id, tenant.schema, process.key)
    assert (done.id, done.slug, done.has_kept_id, done.reissue) == (tenant.id, tenant.slug, True, ())
    (came_back,) = set(after.pop("audit_events")) - set(before.pop("audit_events"))
    assert "tenant.imported" in came_back
    assert after == before


async def test_an_api_key_works_again_once_its_purged_tenant_has_come_back(
    process: Process, http: httpx.AsyncClient, acme: TenantRef, tmp_path: Path
) -> None:
    key = await api_key(process, acme)
    made = await item(process, acme, "Desk")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await purged(process, acme.id)
    await imported(process, tmp_path / "acme.archive")
    await process.feed.caught_up()
    answer = await http.get(on(acme.slug, f"/v1/items/{made.id}"), headers={"Authorization": f"Bearer {key.key}"})
    assert (answer.status_code, answer.json()["title"]) == (200, "Desk")
