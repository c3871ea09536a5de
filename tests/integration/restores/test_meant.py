"""Who is put back is whom the operator means, under the id that it had, and nobody else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leasehold.core.database import platform_session
from leasehold.core.ids import new_id
from leasehold.platform.restores.drills import DrillService
from leasehold.platform.restores.service import RestoreService
from leasehold.process import Process
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import ArchiveRefused, IdInUse
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.restores.refusals import AnotherTenants
from tests.archives import PASSPHRASE, exported, purged
from tests.factories import OPERATOR, item, new_slug
from tests.restores import aside_of


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    return tmp_path / "acme.archive"


async def in_place(process: Process, file: Path, tenant: str) -> Any:
    """Put whom somebody means back to an archive in a file."""
    service = RestoreService(partial(platform_session, process.database), process.importer, process.restorer)
    with ArchiveFile(file) as archive:
        return await service.in_place(archive, tenant=tenant, passphrase=PASSPHRASE, by=OPERATOR)


@asynccontextmanager
async def untouched(owner: Any, tenant: TenantRef) -> AsyncGenerator[None]:
    """Demand that neither the tenant nor the number of all tenants is another one afterwards."""
    asks = "SELECT count(*), max(updated_at) FILTER (WHERE id = $1) FROM platform.tenants"
    before = await owner.fetchrow(asks, tenant.id)
    yield
    assert await owner.fetchrow(asks, tenant.id) == before
    assert await aside_of(owner, tenant.id) is None


async def test_a_slug_that_nobody_has_is_not_taken_for_the_tenant_of_the_file(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    slug = new_slug()
    async with untouched(owner, acme):
        with pytest.raises(AnotherTenants, match=f"an archive of {acme.slug}, which is not the tenant {slug}"):
            await in_place(process, yesterday, slug)


async def test_the_id_of_nobody_or_of_a_purged_tenant_brings_back_none_that_has_another_one(
    process: Process, owner: Any, acme: TenantRef, globex: TenantRef, yesterday: Path
) -> None:
    await purged(process, acme.id)
    await purged(process, globex.id)
    async with untouched(owner, acme):
        for tenant_id in (new_id(), globex.id):
            with pytest.raises(AnotherTenants):
                await in_place(process, yesterday, str(tenant_id))
    for name in (str(acme.id), acme.slug):
        done = await in_place(process, yesterday, name)
        assert (done.id, done.slug, done.has_kept_id) == (acme.id, acme.slug, True)
        await purged(process, acme.id)


async def test_a_tenant_that_is_being_purged_does_not_come_back_beside_itself_under_another_id(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    renamed = "UPDATE platform.tenants SET slug = $2, state = $3 WHERE id = $1"
    await owner.execute(renamed, acme.id, new_slug(), "purging")
    async with untouched(owner, acme):
        with pytest.raises(IdInUse, match=f"The id of the tenant {acme.slug} is in use here"):
            await in_place(process, yesterday, acme.slug)
    await owner.execute(renamed, acme.id, acme.slug, "active")


async def test_where_no_backup_was_looked_for_none_is_spoken_of(process: Process) -> None:
    service = RestoreService(partial(platform_session, process.database), process.importer, process.restorer)
    drills: Any = DrillService(partial(platform_session, process.database), *[None] * 3, passphrase="")  # type: ignore[arg-type]
    slug, nobody = new_slug(), str(new_id())
    for name, act in (
        (slug, service.undo(slug, by=OPERATOR)),
        (slug, service.redo(slug, by=OPERATOR)),
        (slug, service.waiting_for(slug)),
        (slug, drills.tenants([slug], sample=None)),
        (nobody, service.undo(nobody, by=OPERATOR)),
        (nobody, service.waiting_for(nobody)),
    ):
        with pytest.raises(ArchiveRefused) as refused:
            await act
        assert str(refused.value) == f"There is no tenant {name}."
