"""A tenant whose row came with a platform that was taken over: what is its own of the row, and what of its archive."""

import json
from pathlib import Path
from typing import Any

import pytest

from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.archives import exported, imported
from tests.factories import item, new_slug

_ROW = "SELECT slug, name, state, limits::text, rate_limits::text, schema_name FROM platform.tenants WHERE id = $1"
_CHANGE = """
UPDATE platform.tenants SET slug = $2, name = 'Renamed', limits = '{"items": 7}', state = $3, deleted_from = $4,
       deleted_at = CASE WHEN $3 = 'deleted' THEN now() END, purge_at = CASE WHEN $3 = 'deleted' THEN now() END
 WHERE id = $1
"""


async def lose(owner: Any, tenant: TenantRef) -> None:
    """Leave of a tenant what another server has of it that took its platform over."""
    await owner.execute(f'DROP SCHEMA "{tenant.schema}" CASCADE; DROP ROLE "{tenant.role}"')


@pytest.mark.parametrize(
    ("lost_as", "comes_back"),
    [
        (("suspended", None), "suspended"),
        (("deleted", "suspended"), "suspended"),
        (("deleted", "active"), "active"),
        (("maintenance", None), "active"),
    ],
)
async def test_what_the_platform_says_of_a_tenant_stays_when_its_archive_is_older(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path, lost_as: tuple[str, str | None], comes_back: str
) -> None:
    await item(process, acme, "Desk")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    slug, domain = new_slug(), f"{new_slug()}.example"
    await owner.execute(_CHANGE, acme.id, slug, *lost_as)
    await owner.execute(
        "INSERT INTO platform.tenant_domains (id, tenant_id, hostname, created_at) VALUES ($1, $2, $3, now())",
        new_id(),
        acme.id,
        domain,
    )
    await lose(owner, acme)

    done = await imported(process, tmp_path / "acme.archive")

    assert (done.id, done.slug, done.state, done.has_kept_id) == (acme.id, slug, comes_back, True)
    row = await owner.fetchrow(_ROW, acme.id)
    assert (row["slug"], row["name"], row["state"]) == (slug, "Renamed", comes_back)
    assert json.loads(row["limits"]) == {"items": 7}
    assert await owner.fetchval(f'SELECT title FROM "{row["schema_name"]}".items') == "Desk"
    hostnames = await owner.fetch("SELECT hostname FROM platform.tenant_domains WHERE tenant_id = $1", acme.id)
    assert [found["hostname"] for found in hostnames] == [domain]


async def test_a_tenant_that_was_suspended_when_it_was_archived_comes_back_so(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await owner.execute("UPDATE platform.tenants SET state = 'suspended' WHERE id = $1", acme.id)
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await owner.execute("UPDATE platform.tenants SET state = 'maintenance' WHERE id = $1", acme.id)
    await lose(owner, acme)

    assert (await imported(process, tmp_path / "acme.archive")).state == "suspended"
