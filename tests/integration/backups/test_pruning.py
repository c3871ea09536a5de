"""Which backups are deleted, over an installation of its own: what is over, and never what somebody still needs."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from leasehold.core.clock import utc_now
from leasehold.core.database import platform_session
from leasehold.platform.backups.names import archive_path, record_path
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.restores.service import RestoreService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE, imported, purged
from tests.factories import OPERATOR
from tests.integration.archives.conftest import as_owner
from tests.integration.backups.conftest import service_of


@pytest.fixture
async def of_purged(parts: Process, acme: TenantRef, tmp_path: Path) -> BackupStore:
    """A store with the one backup of a tenant that was purged since."""
    store = BackupStore(open_objects(f"file://{tmp_path}"))
    await service_of(parts, store).run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    await purged(parts, acme.id)
    return store


async def test_backups_of_a_purged_tenant_go_when_their_time_is_over_and_at_once_if_asked_for(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    await backups.run(PASSPHRASE, by=OPERATOR)
    await purged(parts, acme.id)

    assert (await backups.prune(by=OPERATOR)).deleted == ()
    planned = await backups.prune(all_of_purged=True, dry_run=True, by=OPERATOR)
    (backup,) = await backups.store.backups(acme.id)
    assert planned.deleted == (backup.path,)

    owner = await as_owner(parts.settings)
    await owner.execute(
        "UPDATE platform.tenant_purges SET finished_at = now() - interval '31 days' WHERE tenant_id = $1", acme.id
    )
    await owner.close()
    assert (await backups.prune(by=OPERATOR)).deleted == (backup.path,)
    assert await backups.store.backups(acme.id) == []
    assert len(await backups.store.backups(None)) == 1


async def test_what_a_killed_run_left_half_written_goes_after_a_day_and_with_its_tenant(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    now = utc_now()
    fresh, old = (archive_path(acme.id, now - timedelta(hours=hours)) + ".partial" for hours in (1, 25))
    of_platform = archive_path(None, now - timedelta(hours=25)) + ".partial"
    of_run = record_path(now - timedelta(hours=25)) + ".partial"
    strange = f"tenants/{acme.id}/notes.partial"
    for path in (fresh, old, of_platform, of_run, strange):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"rows of a tenant")

    planned = await backups.prune(dry_run=True, by=OPERATOR)
    assert sorted(planned.deleted) == sorted([of_platform, old])
    assert (await backups.prune(by=OPERATOR)).deleted == planned.deleted
    assert _files_in(tmp_path) == sorted([fresh, strange])
    await purged(parts, acme.id)
    await backups.prune(all_of_purged=True, by=OPERATOR)
    assert _files_in(tmp_path) == [strange]


async def test_a_tenant_that_comes_back_from_its_purge_meanwhile_keeps_its_backups(
    parts: Process, acme: TenantRef, tmp_path: Path, of_purged: BackupStore
) -> None:
    (backup,) = await of_purged.backups(acme.id)

    class ComesBack(BackupStore):
        async def found(self, tenant_id: UUID | None) -> list[tuple[str, int]]:
            """List, and let the tenant come back before anybody decides on what was found."""
            if tenant_id == acme.id:
                await imported(parts, tmp_path / backup.path)
            return await super().found(tenant_id)

    pruned = await service_of(parts, ComesBack(of_purged.objects)).prune(all_of_purged=True, by=OPERATOR)

    assert pruned.deleted == ()
    assert await of_purged.backups(acme.id) == [backup]


async def test_a_tenant_that_is_coming_back_from_its_purge_keeps_its_backups(
    parts: Process, acme: TenantRef, of_purged: BackupStore
) -> None:
    backups = service_of(parts, of_purged)
    owner = await as_owner(parts.settings)

    async with owner.transaction():
        await owner.execute("UPDATE platform.tenants SET slug = slug WHERE id = $1", acme.id)  # as an import does
        pruned = await backups.prune(all_of_purged=True, by=OPERATOR)

    await owner.close()
    assert pruned.deleted == ()


def _files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_is_of_no_tenant_of_the_installation_is_left_alone(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    store = BackupStore(open_objects(f"file://{tmp_path}"))
    strange = "tenants/019ac000-0000-7000-8000-00000000acce/20010101T000000.000000Z.zip"
    with store.objects.writing(strange) as sink:
        sink.write(b"of another installation")

    done = await service_of(parts, store).prune(all_of_purged=True, by=OPERATOR)

    assert (done.unknown, done.deleted) == (1, ())


async def test_a_tenant_whose_backup_is_being_fetched_to_bring_it_back_keeps_all_of_them(
    parts: Process, acme: TenantRef, of_purged: BackupStore
) -> None:
    backups = service_of(parts, of_purged)
    (backup,) = await of_purged.backups(acme.id)
    restores = RestoreService(partial(platform_session, parts.database), parts.importer, parts.restorer)

    async with restores.archive(of_purged, acme.slug, at=None), restores.archive(of_purged, str(acme.id), at=None):
        assert (await backups.prune(all_of_purged=True, by=OPERATOR)).deleted == ()

    assert (await backups.prune(all_of_purged=True, by=OPERATOR)).deleted == (backup.path,)
