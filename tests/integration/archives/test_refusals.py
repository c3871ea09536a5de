"""An archive that cannot be taken is refused by one sentence, and nothing has changed."""

import asyncio
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from leasehold.core.database import platform_session
from leasehold.process import Process
from leasehold.tenancy.archive import refusals
from leasehold.tenancy.archive.importing import Imported
from leasehold.tenancy.archive.manifest import MANIFEST, SealedManifest
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.provision import SlugTaken
from tests.archives import PASSPHRASE, archives, exported, imported, purged
from tests.factories import OPERATOR, item, lifecycle, new_slug, provisioned

_TRACES = """
SELECT (SELECT count(*) FROM platform.tenants), (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
       (SELECT count(*) FROM platform.audit_events), (SELECT count(*) FROM platform.tenant_domains)
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def _archive_of_purged(process: Process, folder: Path) -> tuple[TenantRef, Path]:
    tenant, file = await provisioned(process), folder / "acme.archive"
    await item(process, tenant, "Desk")
    await exported(process, tenant.slug, file)
    await purged(process, tenant.id)
    return tenant, file


async def _changed_nothing(owner: Any, process: Process, file: Path) -> str:
    """Return the sentence by which a file is refused."""
    before = await owner.fetchrow(_TRACES)
    with pytest.raises(refusals.ArchiveRefused) as refused:
        await imported(process, file)
    assert await owner.fetchrow(_TRACES) == before
    return str(refused.value)


def _with_bit_flipped(file: Path, place: int) -> Path:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    altered = file.with_suffix(".altered")
    altered.write_bytes(data)
    return altered


async def test_one_bit_of_any_member_is_enough_to_be_refused(process: Process, owner: Any, tmp_path: Path) -> None:
    _, file = await _archive_of_purged(process, tmp_path)
    with zipfile.ZipFile(file) as archive:
        members = [info for info in archive.infolist() if info.file_size]
    for info in members:
        header = 30 + len(info.filename.encode()) + 20  # the local header, with its field for 64-bit sizes
        altered = _with_bit_flipped(file, info.header_offset + header + info.compress_size // 2)
        sentence = await _changed_nothing(owner, process, altered)
        assert sentence.startswith("The archive was cut off or altered, or is none: "), info.filename
    assert {"tables/items.copy", "tables/audit_events.copy", "tables/tenant_secrets.copy", MANIFEST} <= {
        info.filename for info in members
    }


async def test_an_archive_that_was_cut_off_anywhere_is_refused(process: Process, owner: Any, tmp_path: Path) -> None:
    _, file = await _archive_of_purged(process, tmp_path)
    data, cut = file.read_bytes(), tmp_path / "cut.archive"
    for size in (0, 10, len(data) // 2, len(data) - 30, len(data) - 1):
        cut.write_bytes(data[:size])
        sentence = await _changed_nothing(owner, process, cut)
        assert sentence.startswith("The archive was cut off or altered, or is none: "), size


async def test_rows_that_somebody_has_put_in_with_right_checksums_are_refused_by_the_seal(
    process: Process, owner: Any, tmp_path: Path
) -> None:
    _, file = await _archive_of_purged(process, tmp_path)

    def richer(manifest: dict[str, Any]) -> None:
        manifest["tenant"]["limits"] = {"items": 1_000_000}

    _rewritten(file, richer, key=None)
    assert await _changed_nothing(owner, process, file) == (
        "The archive was cut off or altered, or is none: its manifest is not as it was sealed."
    )


async def test_another_passphrase_is_told_apart_from_an_altered_archive(
    process: Process, owner: Any, tmp_path: Path
) -> None:
    _, file = await _archive_of_purged(process, tmp_path)
    before = await owner.fetchrow(_TRACES)
    with pytest.raises(refusals.WrongPassphrase, match=r"^This is not the passphrase of the archive\.$"):
        await archives(process).load(file, passphrase="another horse", to=None, by=OPERATOR)  # type: ignore[arg-type]
    assert await owner.fetchrow(_TRACES) == before


async def test_an_archive_of_newer_code_is_refused_with_the_reason(
    process: Process, owner: Any, tmp_path: Path
) -> None:
    _, file = await _archive_of_purged(process, tmp_path)
    with ArchiveFile(file) as archive:
        key = archive.key(PASSPHRASE)

    def of_newer_code(manifest: dict[str, Any]) -> None:
        manifest.update(leasehold="9.1", revision="9999")

    def of_newer_format(manifest: dict[str, Any]) -> None:
        manifest.update(leasehold="10.0", format=2, tables="somewhere else")

    _rewritten(file, of_newer_code, key=key)
    assert await _changed_nothing(owner, process, file) == (
        "The archive was made by Leasehold 9.1, and this is an older one: "
        "its revision 9999 is not among those that this release has."
    )
    _rewritten(file, of_newer_format, key=key)
    assert await _changed_nothing(owner, process, file) == (
        "The archive was made by Leasehold 10.0, and this is an older one: it has the format 2."
    )


def _rewritten(file: Path, change: Callable[[dict[str, Any]], None], *, key: ArchiveKey | None) -> None:
    """Change the manifest in a file, and seal it again with a key; without one the seal stays."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sealed = msgspec.json.decode(members[MANIFEST], type=SealedManifest)
    manifest = msgspec.json.decode(sealed.manifest)
    change(manifest)
    text = msgspec.json.encode(manifest)
    mac = key.seal(text) if key else sealed.mac
    members[MANIFEST] = msgspec.json.encode(SealedManifest(msgspec.Raw(text), mac))
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


async def test_what_another_tenant_has_is_refused_by_name(process: Process, owner: Any, tmp_path: Path) -> None:
    tenant, hostname = await provisioned(process), f"{new_slug()}.example"
    await owner.execute(
        "INSERT INTO platform.tenant_domains (id, tenant_id, hostname, created_at) VALUES ($1, $1, $2, now())",
        tenant.id,
        hostname,
    )
    await owner.execute("UPDATE platform.tenants SET limits = '{\"items\": 7}' WHERE id = $1", tenant.id)
    await exported(process, tenant.slug, tmp_path / "a.archive")
    with pytest.raises(SlugTaken):
        await imported(process, tmp_path / "a.archive")
    with pytest.raises(refusals.DomainTaken, match=hostname):
        await imported(process, tmp_path / "a.archive", slug=new_slug())
    with pytest.raises(refusals.UnknownPlanOfArchive, match="no plan gold"):
        await imported(process, tmp_path / "a.archive", slug=new_slug(), plan="gold")
    copy = await imported(process, tmp_path / "a.archive", slug=new_slug(), with_domains=False)
    assert await owner.fetchval("SELECT limits::text FROM platform.tenants WHERE id = $1", copy.id) == '{"items": 7}'
    await purged(process, tenant.id)
    back = await imported(process, tmp_path / "a.archive")
    assert (
        await owner.fetchval("SELECT hostname FROM platform.tenant_domains WHERE tenant_id = $1", back.id) == hostname
    )


async def test_of_two_imports_at_once_of_one_archive_one_makes_the_tenant(process: Process, tmp_path: Path) -> None:
    tenant, file = await _archive_of_purged(process, tmp_path)
    done = await asyncio.gather(imported(process, file), imported(process, file), return_exceptions=True)
    made = [one for one in done if isinstance(one, Imported)]
    assert [one.id for one in made] == [tenant.id]
    (refused,) = (one for one in done if one not in made)
    assert isinstance(refused, refusals.ImportedMeanwhile | SlugTaken)


async def test_only_suspension_comes_back_with_a_tenant(process: Process, owner: Any, tmp_path: Path) -> None:
    suspended, deleted = await provisioned(process), await provisioned(process)
    async with platform_session(process.database) as session:
        await lifecycle(session).suspend(suspended.id, by=OPERATOR)
    async with platform_session(process.database) as session:
        await lifecycle(session).delete(deleted.id, by=OPERATOR)
    states: list[TenantState] = []
    for tenant in (suspended, deleted):
        await exported(process, tenant.slug, tmp_path / tenant.slug)
        states.append((await imported(process, tmp_path / tenant.slug, slug=new_slug())).state)
    assert states == [TenantState.SUSPENDED, TenantState.ACTIVE]
    vacancy = await process.provisioner.make_vacancy()
    with pytest.raises(refusals.NotExportable, match="is vacant, and has nothing"):
        await exported(process, vacancy.slug, tmp_path / "vacant")
    await owner.execute("DELETE FROM platform.tenants WHERE id = $1", vacancy.id)
    await owner.execute(f'DROP SCHEMA "{vacancy.schema}" CASCADE; DROP ROLE "{vacancy.role}"')


async def test_a_file_that_is_there_is_not_written_over(process: Process, acme: TenantRef, tmp_path: Path) -> None:
    file = tmp_path / "acme.archive"
    file.write_text("dear")
    with pytest.raises(refusals.AlreadyThere):
        await exported(process, acme.slug, file)
    assert names_in(tmp_path) == ["acme.archive"]
    assert file.read_text() == "dear"
    with pytest.raises(refusals.NotWritable, match="No such file or directory"):
        await exported(process, acme.slug, tmp_path / "nowhere" / "acme.archive")
    with pytest.raises(refusals.NotReadable, match="No such file or directory"):
        await imported(process, tmp_path / "nothing.archive")
    with pytest.raises(refusals.WeakPassphrase):
        await archives(process).export(acme.slug, tmp_path / "weak", passphrase="short", by=OPERATOR)
    assert names_in(tmp_path) == ["acme.archive"]


async def test_a_tenant_whose_schema_was_changed_by_hand_is_told_before_it_is_too_late(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await owner.execute(f'ALTER TABLE "{acme.schema}".items ADD COLUMN colour text')
    with pytest.raises(refusals.Drifted, match=f"leasehold migrate drift {acme.slug}"):
        await exported(process, acme.slug, tmp_path / "acme.archive")
    assert names_in(tmp_path) == []
