"""A store of backups, in a folder and in S3: what is written is there as a whole or not at all."""

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from leasehold.platform.backups.names import archive_path, marker_path
from leasehold.platform.backups.objects import open_objects
from leasehold.platform.backups.refusals import BackupGone, StoreRefuses
from leasehold.platform.backups.schemas import Backup
from leasehold.platform.backups.store import BackupStore
from leasehold.tenancy.archive.refusals import Damaged
from tests.stores import BUCKET, client, guarded, use

ACME = UUID("019ac000-0000-7000-8000-00000000acce")
GLOBEX = UUID("019ac000-0000-7000-8000-0000000913e8")
MONDAY = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 3, 0, 0, 7, tzinfo=UTC)
WEDNESDAY = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def put(store: BackupStore, path: str, content: bytes) -> None:
    with store.objects.writing(path) as sink:
        sink.write(content)


async def test_backups_are_listed_the_newest_first_and_found_by_time(store: BackupStore) -> None:
    put(store, archive_path(ACME, MONDAY), b"monday")
    put(store, archive_path(ACME, WEDNESDAY), b"on wednesday")
    put(store, marker_path(ACME, TUESDAY, same_as=MONDAY), b"{}")
    put(store, archive_path(GLOBEX, TUESDAY), b"globex")
    put(store, archive_path(None, TUESDAY), b"platform")
    put(store, f"tenants/{ACME}/notes.txt", b"by somebody else")

    home = f"tenants/{ACME}"
    monday = f"{home}/20261123T030000.000000Z.zip"
    assert await store.backups(ACME) == [
        Backup(ACME, WEDNESDAY, f"{home}/20261125T030000.000000Z.zip", f"{home}/20261125T030000.000000Z.zip", 12),
        Backup(ACME, TUESDAY, f"{home}/20261124T030000.000007Z.same-as.20261123T030000.000000Z.json", monday, bytes=6),
        Backup(ACME, MONDAY, monday, monday, 6),
    ]
    assert await store.tenants() == sorted([ACME, GLOBEX])
    newest = await store.newest(ACME)
    assert newest is not None
    assert newest.at == WEDNESDAY
    then = await store.newest(ACME, at=TUESDAY)
    assert then is not None
    assert (then.at, then.is_marker) == (TUESDAY, True)
    assert await store.newest(ACME, at=datetime(2026, 11, 23, 2, tzinfo=UTC)) is None
    platform = await store.newest(None)
    assert platform is not None
    assert platform.path == "platform/20261124T030000.000007Z.zip"


async def test_a_marker_whose_archive_is_missing_hides_no_older_backup(store: BackupStore) -> None:
    put(store, archive_path(ACME, MONDAY), b"monday")
    put(store, marker_path(ACME, WEDNESDAY, same_as=TUESDAY), b"{}")

    newest = await store.newest(ACME)
    assert newest is not None
    assert newest.at == MONDAY


async def test_an_empty_store_has_nothing(store: BackupStore) -> None:
    assert await store.tenants() == []
    assert await store.backups(ACME) == []
    assert await store.newest(None) is None


async def test_an_object_comes_back_as_it_was_written(store: BackupStore) -> None:
    content = os.urandom(20_000_000)  # more than one part of an upload
    path = archive_path(ACME, MONDAY)
    with store.objects.writing(path) as sink:
        for place in range(0, len(content), 1_000_000):
            sink.write(content[place : place + 1_000_000])

    assert b"".join([piece async for piece in store.objects.pieces(path)]) == content
    assert [found async for found in store.objects.below("tenants")] == [(path, 20_000_000)]
    with store.objects.open(path) as opened:
        opened.seek(-5, os.SEEK_END)
        assert (opened.read(), opened.tell()) == (content[-5:], 20_000_000)


async def test_what_is_no_archive_is_not_handed_out(store: BackupStore, tmp_path: Path) -> None:
    put(store, archive_path(ACME, MONDAY), b"monday")
    (backup,) = await store.backups(ACME)

    with pytest.raises(Damaged):
        await store.fetch(backup, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


async def test_what_was_not_written_to_its_end_is_not_there(store: BackupStore) -> None:
    with pytest.raises(ZeroDivisionError), store.objects.writing(archive_path(ACME, MONDAY)) as sink:  # noqa: PT012
        for _ in range(20):
            sink.write(b"a" * 1_000_000)
        raise ZeroDivisionError

    assert await store.backups(ACME) == []


async def test_a_fault_of_the_database_is_not_told_as_one_of_the_store(store: BackupStore) -> None:
    with pytest.raises(ConnectionResetError), store.objects.writing(archive_path(ACME, MONDAY)):
        raise ConnectionResetError


async def test_a_cut_off_upload_leaves_no_parts_behind(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, s3)
    store = BackupStore(open_objects(f"s3://{BUCKET}/cut-off"))
    with pytest.raises(ZeroDivisionError), store.objects.writing(archive_path(ACME, MONDAY)) as sink:  # noqa: PT012
        sink.write(b"a" * 40_000_000)
        raise ZeroDivisionError

    assert "Uploads" not in client(s3).list_multipart_uploads(Bucket=BUCKET)


async def test_a_backup_that_was_deleted_meanwhile_is_told_of(store: BackupStore, tmp_path: Path) -> None:
    put(store, archive_path(ACME, MONDAY), b"monday")
    (backup,) = await store.backups(ACME)
    await store.objects.delete([backup.path, backup.path])

    with pytest.raises(BackupGone, match="is not in the store any more"):
        await store.fetch(backup, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_what_is_in_a_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = BackupStore(open_objects(f"file://{tmp_path}/home"))
    put(store, archive_path(ACME, MONDAY), b"monday")

    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / archive_path(ACME, MONDAY)).stat().st_mode & 0o777 == 0o600


async def test_a_folder_that_cannot_be_made_is_told_of_in_a_sentence() -> None:
    with pytest.raises(StoreRefuses, match=r"^The backup store file:///proc/backups cannot be used: No such file"):
        open_objects("file:///proc/backups")


async def test_an_unreachable_store_is_told_of_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "http://127.0.0.1:1")
    store = BackupStore(open_objects("s3://somewhere/else"))

    with pytest.raises(StoreRefuses) as refused:
        await store.backups(None)
    assert str(refused.value).startswith("The backup store s3://somewhere/else cannot be used: Generic S3 error")
    assert "\n" not in str(refused.value)


async def test_a_bucket_that_is_not_there_is_told_of_in_a_sentence(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, s3)
    store = BackupStore(open_objects("s3://nowhere/at-all"))

    with pytest.raises(StoreRefuses, match=r"^The backup store s3://nowhere/at-all cannot be used: NoSuchBucket"):
        await store.backups(None)
    with pytest.raises(StoreRefuses, match="NoSuchBucket"):
        put(store, archive_path(None, MONDAY), b"platform")


async def test_requests_are_signed_by_the_secret_that_belongs_to_the_key(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, s3)
    with guarded(s3, allowed=["s3:ListBucket"]) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert await BackupStore(open_objects(f"s3://{BUCKET}/signed")).backups(None) == []
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", variables["AWS_SECRET_ACCESS_KEY"][::-1])
        with pytest.raises(StoreRefuses, match="SignatureDoesNotMatch"):
            await BackupStore(open_objects(f"s3://{BUCKET}/signed")).backups(None)
