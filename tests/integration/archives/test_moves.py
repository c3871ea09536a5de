"""A tenant moves: into newer code, into another installation, and beside itself under another id."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx

from leasehold.config import PROJECT_ROOT, Settings
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Imported
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.provision import FleetNotReady
from tests.api.problems import on
from tests.archives import exported, imported, purged, seen
from tests.factories import OPERATOR, api_key, item, new_slug, parts_of
from tests.fleets import ADD_COLUMN, ADD_INDEX, HEAD, LIVE, add, behind_head, revisions, run
from tests.integration.archives.conftest import as_owner

_ITEM = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at) VALUES ($1, 'Desk', $2, now(), now())
"""


def _with_newer_code(settings: Settings) -> None:
    compiled = shutil.ignore_patterns("__pycache__")  # others may be writing there
    shutil.copytree(PROJECT_ROOT / "migrations", settings.migrations_dir, ignore=compiled, dirs_exist_ok=True)


async def _status(http: httpx.AsyncClient, slug: str, key: str, path: str = "/v1/items") -> int:
    return (await http.get(on(slug, path), headers={"Authorization": f"Bearer {key}"})).status_code


async def test_a_tenant_of_older_code_and_another_installation_comes_to_head_and_its_api_key_works(
    process: Process, http: httpx.AsyncClient, owner: Any, elsewhere: Settings, there: Process, tmp_path: Path
) -> None:
    tenant = await there.provisioner.provision(slug=new_slug(), name="Acmé", by=OPERATOR)
    key = await api_key(there, tenant)
    old = await as_owner(elsewhere)
    await old.execute(_ITEM.format(schema=tenant.schema), new_id(), "a\tb\\n\nc")
    before = await seen(old, tenant.id, tenant.schema, there.key)
    await old.close()
    await exported(there, tenant.slug, tmp_path / "old.archive")
    await purged(there, tenant.id)

    done = await imported(process, tmp_path / "old.archive")
    await process.feed.caught_up()
    assert (done.id, done.archive_revision, done.revision) == (tenant.id, "0009", HEAD)
    assert (done.has_kept_id, done.is_from_here) == (True, False)
    after = await seen(owner, tenant.id, tenant.schema, process.key)
    assert len(after.pop("audit_events")) == len(before.pop("audit_events")) + 1
    assert after == before
    assert await owner.fetchval("SELECT name FROM platform.tenants WHERE id = $1", tenant.id) == "Acmé"
    assert await _status(http, tenant.slug, key.key) == 200


async def test_an_archive_goes_through_revisions_that_are_live_or_concurrent_in_one_transaction(
    process: Process, elsewhere: Settings, acme: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "Desk")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    _with_newer_code(elsewhere)
    for name, revision in (("9002_c", ADD_COLUMN), ("9003_i", ADD_INDEX), ("9004_l", LIVE.replace('"0004"', '"9004"'))):
        add(elsewhere, name, behind_head(revision))
    await run(elsewhere)
    connection = await as_owner(elsewhere)

    # Roles are those of the whole server, on which the tenant still has its own.
    async with parts_of(elsewhere) as newer:
        done = await imported(newer, tmp_path / "acme.archive")
    await purged(process, acme.id)

    assert (done.has_kept_id, done.archive_revision, done.revision) == (True, HEAD, "9004")
    schema, role = await connection.fetchrow("SELECT schema_name, role_name FROM platform.tenants")
    assert role != acme.role
    assert await connection.fetchval("SELECT to_regrole($1) IS NOT NULL", role)
    assert await connection.fetchval(f'SELECT colour FROM "{schema}".items') == "one of 1"
    assert await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.ix_items_colour")
    await connection.close()


async def test_imports_while_the_fleet_is_migrated_end_where_their_schemas_stand(
    elsewhere: Settings, there: Process, tmp_path: Path
) -> None:
    made = [await there.provisioner.provision(slug=new_slug(), name="x", by=OPERATOR) for _ in range(4)]
    await exported(there, made[0].slug, tmp_path / "old.archive")
    _with_newer_code(elsewhere)
    connection = await as_owner(elsewhere)

    async with parts_of(elsewhere) as newer:
        migration = asyncio.create_task(run(elsewhere))
        loads = [imported(process, tmp_path / "old.archive", slug=new_slug()) for process in (there, newer) * 2]
        done = await asyncio.gather(*loads, return_exceptions=True)
        await migration
        for refusal in (one for one in done if isinstance(one, BaseException)):
            assert isinstance(refusal, FleetNotReady), refusal
        rows = await connection.fetch("SELECT * FROM platform.tenants ORDER BY id")
        tenants = [
            TenantRef(row["id"], row["slug"], row["schema_name"], row["role_name"], row["state"], "") for row in rows
        ]
        assert len(tenants) == 4 + sum(isinstance(one, Imported) for one in done)
        assert set(await revisions(connection, tenants)) <= {"0009", HEAD}
        await run(elsewhere)
        assert set(await revisions(connection, tenants)) == {HEAD}
        again = await imported(newer, tmp_path / "old.archive", slug=new_slug())
        assert (again.archive_revision, again.revision) == ("0009", HEAD)
    await connection.close()


async def test_a_copy_under_another_id_opens_by_none_of_the_credentials_and_tells_which(
    process: Process, http: httpx.AsyncClient, acme: TenantRef, tmp_path: Path
) -> None:
    key, made = await api_key(process, acme), await item(process, acme, "Desk")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    slug = new_slug()
    done = await imported(process, tmp_path / "acme.archive", slug=slug)
    await process.feed.caught_up()
    assert done.id != acme.id
    assert not done.has_kept_id
    assert [(kind.what, kind.count, kind.labels) for kind in done.reissue] == [
        ("API keys", 1, ("test",)),
        ("secrets of API clients", 1, ("test",)),
    ]
    assert await _status(http, acme.slug, key.key, f"/v1/items/{made.id}") == 200
    assert await _status(http, slug, key.key, f"/v1/items/{made.id}") == 403
    fresh = await api_key(
        process, TenantRef(done.id, slug, f"t_{done.id.hex}", f"lh_t_{done.id.hex}", done.state, HEAD)
    )
    assert await _status(http, slug, fresh.key, f"/v1/items/{made.id}") == 200
