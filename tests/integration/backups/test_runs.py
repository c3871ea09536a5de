"""Runs of backups over an installation of their own: what they make, go on with, and leave alone."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from leasehold.core.clock import utc_now
from leasehold.core.database import platform_session
from leasehold.platform.backups.names import begun_path, record_path
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.progress import RunProgress
from leasehold.platform.backups.refusals import BackupExchanged, BackupRunning, UnknownTenants
from leasehold.platform.backups.schemas import Result, RunBegun
from leasehold.platform.backups.service import BackupService
from leasehold.platform.backups.store import BackupStore
from leasehold.platform.figures.repository import FigureRepository
from leasehold.process import Process
from leasehold.tenancy.archive.reading import ArchiveFile, PlatformArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE, purged
from tests.factories import OPERATOR, api_key, item, lifecycle, new_slug
from tests.integration.archives.conftest import as_owner
from tests.integration.backups.conftest import service_of
from tests.stores import BUCKET, guarded, use


@pytest.fixture
def backups(parts: Process, store: BackupStore) -> BackupService:
    """The service over an empty store, of each kind."""
    return service_of(parts, store)


async def last_told(process: Process) -> float:
    """Return what the metric says of the last run."""
    async with platform_session(process.database) as session:
        return await FigureRepository(session).last_backup()


async def test_a_run_backs_up_the_platform_and_every_tenant(
    parts: Process, backups: BackupService, acme: TenantRef, tmp_path: Path
) -> None:
    await item(parts, acme, "Desk")
    before = utc_now()
    seen: list[Result] = []

    done = await backups.run(PASSPHRASE, jobs=2, by=OPERATOR, progress=RunProgress(on_result=seen.append))

    assert (done.made, done.unchanged, done.failed, done.is_whole) == (2, 0, (), True)
    assert sorted(result.name for result in seen) == sorted([acme.slug, "the platform"])
    (backup,) = await backups.store.backups(acme.id)
    assert before < backup.at < utc_now()
    await backups.store.fetch(backup, tmp_path / "acme.zip")
    with ArchiveFile(tmp_path / "acme.zip") as archive:
        archive.key(PASSPHRASE)
        archive.verify()
        assert archive.manifest.tenant.slug == acme.slug
        assert archive.manifest.made_at == backup.at
    platform = await backups.store.newest(None)
    assert platform is not None
    await backups.store.fetch(platform, tmp_path / "platform.zip")
    with PlatformArchiveFile(tmp_path / "platform.zip") as archive:
        archive.key(PASSPHRASE)
        archive.verify()
    owner = await as_owner(parts.settings)
    event = await owner.fetchrow(
        "SELECT action, changes::text AS changes FROM platform.audit_events ORDER BY id DESC LIMIT 1"
    )
    await owner.close()
    assert event["action"] == "backup.made"
    told = await last_told(parts)
    assert before.timestamp() < told < utc_now().timestamp()
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    assert await last_told(parts) == told
    assert '"made": {"to": 2' in event["changes"]
    assert await backups.store.record(done.started_at) == done


async def test_a_tenant_in_which_nothing_changed_gets_a_marker_that_leads_to_its_archive(
    parts: Process, backups: BackupService, acme: TenantRef, tmp_path: Path
) -> None:
    await api_key(parts, acme)  # a secret with a nonce of its own
    await backups.run(PASSPHRASE, by=OPERATOR)
    for _ in range(2):
        again = await backups.run(PASSPHRASE, by=OPERATOR)
        assert (again.made, again.unchanged) == (1, 1)
    newest, between, first = await backups.store.backups(acme.id)
    assert (newest.is_marker, between.is_marker, first.is_marker) == (True, True, False)
    assert newest.archive == between.archive == first.path
    await backups.store.fetch(newest, tmp_path / "acme.zip")
    with ArchiveFile(tmp_path / "acme.zip") as archive:
        archive.key(PASSPHRASE)
        assert archive.manifest.made_at == first.at


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE \"{schema}\".items SET title = 'Chair'",
        'DELETE FROM "{schema}".items',
        "UPDATE platform.tenants SET name = 'Another' WHERE id = '{id}'",
        "UPDATE platform.tenants SET limits = '{{\"items\": 5}}' WHERE id = '{id}'",
    ],
)
async def test_whatever_changed_is_backed_up_as_a_whole(
    parts: Process, acme: TenantRef, tmp_path: Path, change: str
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    await item(parts, acme, "Desk")
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    owner = await as_owner(parts.settings)
    await owner.execute(change.format(schema=acme.schema, id=acme.id))
    await owner.close()

    again = await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)

    assert (again.made, again.unchanged) == (1, 0)


async def test_a_secret_that_is_wrapped_anew_is_no_change_and_another_secret_is_one(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    owner = await as_owner(parts.settings)
    row = await owner.fetchrow(f'SELECT id, name, wrapped FROM "{acme.schema}".tenant_secrets')
    (place,) = [column for column in parts.exporter.secrets if column.table == "tenant_secrets"]
    purpose = place.purpose(acme.id, row["name"])
    for secret, unchanged in ((parts.key.unwrap(row["wrapped"], purpose=purpose), 1), (b"another" * 5, 0)):
        wrapped = parts.key.wrap(secret, purpose=purpose)
        assert wrapped != row["wrapped"]
        await owner.execute(f'UPDATE "{acme.schema}".tenant_secrets SET wrapped = $1', wrapped)
        assert (await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)).unchanged == unchanged
    await owner.close()


async def test_another_passphrase_makes_all_archives_anew(parts: Process, acme: TenantRef, tmp_path: Path) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}/store")))
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)

    again = await backups.run("another passphrase", slugs=[acme.slug], by=OPERATOR)

    assert (again.made, again.unchanged) == (1, 0)
    newest = await backups.store.newest(acme.id)
    assert newest is not None
    await backups.store.fetch(newest, tmp_path / "acme.zip")
    with ArchiveFile(tmp_path / "acme.zip") as archive:
        archive.key("another passphrase")


async def test_an_archive_in_the_place_of_another_is_not_handed_out(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    store = BackupStore(open_objects(f"file://{tmp_path}/store"))
    backups = service_of(parts, store)
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    await item(parts, acme, "Desk")
    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)
    newest, marker, first = await store.backups(acme.id)
    old = (tmp_path / "store" / first.path).read_bytes()

    (tmp_path / "store" / newest.path).write_bytes(old)
    with pytest.raises(BackupExchanged):
        await store.fetch(newest, tmp_path / "fetched")

    again = service_of(parts, store)
    assert (await again.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR)).unchanged == 0
    anew = await store.newest(acme.id)
    assert anew is not None
    (tmp_path / "store" / first.path).write_bytes((tmp_path / "store" / anew.path).read_bytes())
    with pytest.raises(BackupExchanged):
        await store.fetch(marker, tmp_path / "fetched")


async def test_a_run_that_was_cut_off_is_gone_on_with(parts: Process, acme: TenantRef, tmp_path: Path) -> None:
    store = BackupStore(open_objects(f"file://{tmp_path}"))
    backups = service_of(parts, store)
    first = await backups.run(PASSPHRASE, by=OPERATOR)
    await store.objects.delete([record_path(first.started_at), *[one.path for one in await store.backups(None)]])
    await item(parts, acme, "Desk")

    again = await backups.run(PASSPHRASE, by=OPERATOR)

    assert again.started_at == first.started_at
    assert (again.made, again.resumed) == (1, 1)
    assert len(await store.backups(acme.id)) == 1
    new = await backups.run(PASSPHRASE, by=OPERATOR)
    assert new.started_at > first.started_at
    assert (new.made, new.resumed) == (2, 0)


async def test_a_run_that_was_cut_off_yesterday_is_not_gone_on_with(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    store = BackupStore(open_objects(f"file://{tmp_path}"))
    yesterday = utc_now() - timedelta(hours=20)
    key = ArchiveKey.new(PASSPHRASE)
    store.write(begun_path(yesterday), RunBegun(yesterday, "0.1.0", is_whole=True, key=key.derivation))

    done = await service_of(parts, store).run(PASSPHRASE, by=OPERATOR)

    assert done.started_at > yesterday + timedelta(hours=19)
    assert (done.made, done.resumed) == (2, 0)


async def test_one_tenant_that_cannot_be_had_keeps_no_other_from_its_backup(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    drifted = await parts.provisioner.provision(slug=new_slug(), name="Drifted", by=OPERATOR)
    owner = await as_owner(parts.settings)
    await owner.execute(f'ALTER TABLE "{drifted.schema}".items ADD by_hand text')

    done = await backups.run(PASSPHRASE, jobs=2, by=OPERATOR)

    await owner.execute(f'ALTER TABLE "{drifted.schema}".items DROP by_hand')
    await owner.close()
    await purged(parts, drifted.id)
    assert done.made == 2
    (failed,) = done.failed
    assert failed.name == drifted.slug
    assert "is not as the migrations made it" in str(failed.reason)
    assert not done.has_succeeded
    assert await backups.store.backups(drifted.id) == []
    assert len(await backups.store.backups(acme.id)) == 1


async def test_a_second_run_meanwhile_is_refused(parts: Process, acme: TenantRef, tmp_path: Path) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    refused: list[BaseException | None] = []

    def try_another(_result: Result) -> None:
        async def another() -> None:
            await service_of(parts, backups.store).prune(by=OPERATOR)

        try:
            asyncio.run(another())
        except BackupRunning as error:
            refused.append(error)

    await backups.run(PASSPHRASE, slugs=[acme.slug], by=OPERATOR, progress=RunProgress(on_result=try_another))

    assert [str(error) for error in refused] == [
        "Another command is making or deleting backups of this installation now."
    ]
    await backups.prune(by=OPERATOR)


async def test_tenants_that_there_are_not_are_refused_before_anything_is_made(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))

    with pytest.raises(UnknownTenants, match="There is no tenant nobody, none"):
        await backups.run(PASSPHRASE, slugs=[acme.slug, "none", "nobody"], by=OPERATOR)
    assert await backups.store.backups(acme.id) == []


async def test_many_tenants_that_cannot_be_had_end_no_run_and_a_store_that_fails_every_time_does(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    drifted = [await parts.provisioner.provision(slug=new_slug(), name="X", by=OPERATOR) for _ in range(5)]
    last = await parts.provisioner.provision(slug=new_slug(), name="X", by=OPERATOR)
    owner = await as_owner(parts.settings)
    for one in drifted:
        await owner.execute(f'DROP TABLE "{one.schema}".attempts')
    await owner.close()
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}/whole")))
    broken = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}/broken")))
    (tmp_path / "broken" / "tenants").write_text("no folder")
    (tmp_path / "broken" / "platform").write_text("no folder")

    done = await backups.run(PASSPHRASE, by=OPERATOR)
    failed = await broken.run(PASSPHRASE, by=OPERATOR)

    for one in (*drifted, last):
        await purged(parts, one.id)
    assert (len(done.failed), done.skipped, done.made) == (5, 0, 3)
    assert (len(failed.failed), failed.skipped, failed.made) == (5, 3, 0)
    assert "cannot be used" in str(failed.failed[0].reason)


async def test_a_store_in_which_nothing_can_be_deleted_fails_no_run(
    parts: Process, acme: TenantRef, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, s3)
    with guarded(s3, allowed=["s3:PutObject", "s3:GetObject", "s3:ListBucket"]) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        store = BackupStore(open_objects(f"s3://{BUCKET}/{new_slug()}"))
        for path in ("20010101T000000.000000Z.zip", "20020101T000000.000000Z.zip"):
            with store.objects.writing(f"platform/{path}") as sink:
                sink.write(b"old")

        done = await service_of(parts, store).run(PASSPHRASE, by=OPERATOR)

    assert (done.has_succeeded, done.made, done.deleted) == (True, 2, 0)
    assert "AccessDenied" in str(done.undeleted)


async def test_deleted_tenants_are_backed_up_as_long_as_they_can_be_restored(
    parts: Process, acme: TenantRef, tmp_path: Path
) -> None:
    backups = service_of(parts, BackupStore(open_objects(f"file://{tmp_path}")))
    async with platform_session(parts.database) as session:
        await lifecycle(session).delete(acme.id, by=OPERATOR)

    assert (await backups.run(PASSPHRASE, by=OPERATOR)).made == 2
    assert len(await backups.store.backups(acme.id)) == 1
    async with platform_session(parts.database) as session:
        await lifecycle(session).restore(acme.id, by=OPERATOR)
