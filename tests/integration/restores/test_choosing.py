"""Which backup is meant by a slug, where the tenants that had it are purged."""

from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from leasehold.core.database import platform_session
from leasehold.platform.backups.names import time_of
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.refusals import NoBackupOfTime, NobodyCalled
from leasehold.platform.restores.service import RestoreService
from leasehold.process import Process
from leasehold.tenancy.archive.refusals import Damaged
from leasehold.tenancy.context import TenantRef
from tests.archives import purged
from tests.factories import new_slug, provisioned
from tests.restores import backed_up


async def chosen(process: Process, store: Path, slug: str, *, at: datetime | None = None) -> UUID:
    """Return whose archive is taken."""
    service = RestoreService(partial(platform_session, process.database), process.importer, process.restorer)
    opened = BackupStore(open_objects(f"file://{store}"))
    async with service.archive(opened, slug, at=at) as (archive, _backup):
        return archive.manifest.tenant.id


async def test_a_damaged_backup_hides_neither_its_own_tenant_nor_another_one(
    process: Process, acme: TenantRef, globex: TenantRef, tmp_path: Path
) -> None:
    await backed_up(process, acme, tmp_path)
    (await backed_up(process, acme, tmp_path)).write_bytes(b"no archive")
    await backed_up(process, globex, tmp_path)
    await purged(process, acme.id)
    await purged(process, globex.id)

    assert await chosen(process, tmp_path, globex.slug) == globex.id
    with pytest.raises(Damaged):
        await chosen(process, tmp_path, acme.slug)
    with pytest.raises(NobodyCalled):
        await chosen(process, tmp_path, new_slug())


async def test_of_two_that_had_a_slug_the_one_that_had_it_at_the_time_is_meant(
    process: Process, acme: TenantRef, tmp_path: Path
) -> None:
    first = await backed_up(process, acme, tmp_path)
    await purged(process, acme.id)
    second = await provisioned(process, acme.slug)
    await backed_up(process, second, tmp_path)
    await purged(process, second.id)
    at = time_of(first.stem)

    assert await chosen(process, tmp_path, acme.slug) == second.id
    assert await chosen(process, tmp_path, acme.slug, at=at) == acme.id
    with pytest.raises(NoBackupOfTime):
        await chosen(process, tmp_path, acme.slug, at=at.replace(year=2000))
