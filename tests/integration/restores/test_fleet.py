"""A run over the fleet and a restore in place never meet, and what is set aside goes on with the fleet."""

import asyncio
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from leasehold.config import PROJECT_ROOT, Settings
from leasehold.core.database import driver_url
from leasehold.process import Process
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.fleet.lease import held_lease
from leasehold.tenancy.restores import refusals
from leasehold.tenancy.secrets import FoundSecret, OwnedTenant, change_secrets, owned_tenants
from leasehold.workspace.features import WRAPPED
from tests.archives import PASSPHRASE, exported
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, item, new_slug, parts_of
from tests.fleets import ADD_COLUMN, HEAD, add, behind_head, run
from tests.integration.archives.conftest import as_owner
from tests.restores import aside_of, put_back, rows_of

_LEASE = """
INSERT INTO platform.fleet_leases
       (id, name, run_id, host, pid, backend_pid, backend_started_at, started_at, expires_at)
SELECT %s, 'fleet of a test', %s, 'elsewhere', 7, pid, backend_start, now(), now() + interval '1 minute'
  FROM pg_stat_activity WHERE pid = pg_backend_pid()
"""


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    return tmp_path / "acme.archive"


async def test_nobody_is_put_back_while_a_run_is_under_way_not_even_where_it_began_in_the_middle(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    assert settings.owner_url is not None
    url = settings.owner_url.get_secret_value()
    async with held_lease(url, name="fleet of a test"):
        with pytest.raises(refusals.FleetUnderWay, match="A run over the fleet is under way: on "):
            await put_back(process, yesterday, acme.id)

    before = await rows_of(process, owner, acme.id, without_events=False)
    runner = psycopg.connect(driver_url(url), autocommit=True)

    def begin_a_run(what: str, _size: int) -> None:
        if what.startswith("compared items"):
            runner.execute(_LEASE, (uuid4(), uuid4()))

    with ArchiveFile(yesterday) as archive:
        key = archive.key(PASSPHRASE)
        with pytest.raises(refusals.FleetUnderWay, match="on elsewhere, process 7"):
            await process.restorer.put_back(archive, key, acme.id, by=OPERATOR, progress=Progress(on_table=begin_a_run))
    gone = runner.info.backend_pid
    runner.close()  # whose lease is a dead one's, as soon as its backend has heard of it
    async with asyncio.timeout(30):
        while await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", gone):
            pass
    assert await rows_of(process, owner, acme.id, without_events=False) == before
    await put_back(process, yesterday, acme.id)
    await owner.execute("DELETE FROM platform.fleet_leases WHERE name = 'fleet of a test'")


async def test_the_secrets_of_what_is_set_aside_are_those_of_the_tenant_whose_it_was(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    await put_back(process, yesterday, acme.id)
    assert settings.owner_url is not None
    url = settings.owner_url.get_secret_value()
    both = [tenant for tenant in await owned_tenants(url) if tenant.id == acme.id]
    opened: list[str] = []

    def open_all(tenant: OwnedTenant, secrets: list[FoundSecret]) -> list[str]:
        for secret in secrets:
            process.key.unwrap(secret.wrapped, purpose=secret.column.purpose(tenant.id, secret.name))
            opened.append(secret.schema)
        return []

    await change_secrets(url, both, WRAPPED, open_all)
    kept = (await aside_of(owner, acme.id))["schema_name"]
    served = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE id = $1", acme.id)
    assert sorted(opened) == sorted([kept, served])


@pytest.fixture
def made(admin_url: str, tmp_path: Path) -> Generator[Settings]:
    """An installation of its own, with a copy of the migrations that the test may add to."""
    with installed(admin_url, f"leasehold_aside_{new_slug()[2:]}") as own:
        shutil.copytree(PROJECT_ROOT / "migrations", tmp_path / "migrations")
        copied = own.model_copy(update={"migrations_dir": tmp_path / "migrations"})
        migrate(copied)
        yield copied


async def test_what_is_set_aside_is_migrated_with_the_fleet_and_undo_needs_that(made: Settings, tmp_path: Path) -> None:
    owner = await as_owner(made)
    async with parts_of(made) as old:
        tenant = await old.provisioner.provision(slug=new_slug(), name="A tenant", by=OPERATOR)
        await exported(old, tenant.slug, tmp_path / "a.archive")
        await put_back(old, tmp_path / "a.archive", tenant.id)

    add(made, "9002_c", behind_head(ADD_COLUMN))
    async with parts_of(made) as new:
        with pytest.raises(refusals.LeftBehind, match=f"stands at revision {HEAD}, and this release is at 9002"):
            await new.restorer.undo(tenant.id, by=OPERATOR)
        assert (await run(made)).failed == ()
        kept = await aside_of(owner, tenant.id)
        assert kept["revision"] == "9002"
        assert await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{kept['schema_name']}.tags")
        await new.restorer.undo(tenant.id, by=OPERATOR)
    await owner.close()
