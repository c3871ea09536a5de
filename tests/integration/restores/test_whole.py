"""`leasehold restore --everything`: an empty installation becomes the one that was lost, and goes on when cut off."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from leasehold.cli.session import run_with
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.process import Process
from tests.archives import seen
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, item, lifecycle, new_slug
from tests.integration.archives.conftest import as_owner
from tests.restores import said_by


def test_platform_and_tenants_come_back_and_one_without_a_backup_is_named_until_it_has_one(
    admin_url: str, tmp_path: Path
) -> None:
    acme, late = new_slug(), new_slug()

    async def live(process: Process) -> tuple[Any, dict[str, list[str]]]:
        tenant = await process.provisioner.provision(slug=acme, name="A tenant", by=OPERATOR)
        await item(process, tenant, "Desk")
        async with platform_session(process.database) as session:
            await lifecycle(session).suspend(tenant.id, by=OPERATOR)
        await said_by(process.settings, tmp_path, "backup")
        # Its platform is backed up, and it is not.
        await process.provisioner.provision(slug=late, name="Later", by=OPERATOR)
        await said_by(process.settings, tmp_path, "backup")
        for file in _archives_of(tmp_path, late, await _ids(process)):
            file.unlink()
        owner = await as_owner(process.settings)
        rows = await seen(owner, tenant.id, tenant.schema, process.key)
        await owner.close()
        return tenant, rows

    with installed(admin_url, f"leasehold_whole_{new_slug()[2:]}") as lost:
        migrate(lost)
        tenant, before = asyncio.run(run_with(lost, live))

    with installed(admin_url, f"leasehold_whole_{new_slug()[2:]}") as fresh:
        made = fresh.model_copy(update={"installation_key": lost.installation_key})
        restore = partial(said_by, made, tmp_path, "restore", "--everything", "--json", status=1)
        done = json.loads(asyncio.run(restore()))
        assert (done["is_taken_over"], done["came_back"], done["failed"]) == (True, 1, 1)
        assert [(one["slug"], one["reason"]) for one in done["tenants"]] == [
            (acme, None),
            (late, "there is no backup"),
        ]
        again = json.loads(asyncio.run(restore()))
        assert (again["is_taken_over"], again["came_back"], again["failed"]) == (False, 0, 1)

        async def look() -> None:
            owner = await as_owner(made)
            row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE slug = $1", acme)
            assert (row["id"], row["state"], row["schema_name"]) == (tenant.id, "suspended", tenant.schema)
            after = await seen(owner, tenant.id, tenant.schema, await _key(made))
            assert after["items"] == before["items"]
            assert after["tenant_secrets"] == before["tenant_secrets"]
            await owner.close()

        asyncio.run(look())


def test_a_server_that_still_has_the_roles_gives_tenants_their_ids_and_other_homes(
    admin_url: str, tmp_path: Path
) -> None:
    async def live(process: Process) -> Any:
        tenant = await process.provisioner.provision(slug=new_slug(), name="A tenant", by=OPERATOR)
        await item(process, tenant, "Desk")
        await said_by(process.settings, tmp_path, "backup")
        return tenant

    async def look(settings: Settings, tenant: Any) -> None:
        owner = await as_owner(settings)
        row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE slug = $1", tenant.slug)
        assert (row["id"], row["state"]) == (tenant.id, "active")
        assert row["role_name"] != tenant.role
        assert await owner.fetchval(f'SELECT title FROM "{row["schema_name"]}".items') == "Desk"
        await owner.close()

    with (
        installed(admin_url, f"leasehold_whole_{new_slug()[2:]}") as production,
        installed(admin_url, f"leasehold_whole_{new_slug()[2:]}") as beside,
    ):
        migrate(production)
        tenant = asyncio.run(run_with(production, live))
        rehearsed = beside.model_copy(update={"installation_key": production.installation_key})
        done = json.loads(asyncio.run(said_by(rehearsed, tmp_path, "restore", "--everything", "--json")))
        assert [(one["slug"], one["tenant_id"], one["reason"]) for one in done["tenants"]] == [
            (tenant.slug, str(tenant.id), None)
        ]
        asyncio.run(look(rehearsed, tenant))


async def _key(settings: Any) -> Any:
    async def key(process: Process) -> Any:
        return process.key

    return await run_with(settings, key)


async def _ids(process: Process) -> dict[str, Any]:
    owner = await as_owner(process.settings)
    rows = await owner.fetch("SELECT slug, id FROM platform.tenants")
    await owner.close()
    return {row["slug"]: row["id"] for row in rows}


def _archives_of(store: Path, slug: str, ids: dict[str, Any]) -> list[Path]:
    return list((store / "tenants" / str(ids[slug])).iterdir())
