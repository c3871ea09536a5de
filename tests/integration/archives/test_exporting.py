"""An export sees one moment of one tenant, whatever goes on meanwhile, and takes no more memory for more rows."""

import asyncio
import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.archive import refusals
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.snapshot import snapshot
from leasehold.tenancy.context import TenantRef
from tests.archives import PASSPHRASE, exported, imported, purged
from tests.audit import events_of
from tests.factories import item, provisioned
from tests.people import user

_MB = 1_000_000


async def test_a_sum_that_transfers_between_two_tables_keep_is_kept_in_every_archive(
    process: Process, settings: Settings, acme: TenantRef, tmp_path: Path
) -> None:
    sam = await user(process, acme)
    assert settings.owner_url is not None
    busy: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    await busy.execute(f'SET search_path = "{acme.schema}"')
    await busy.execute(
        "INSERT INTO items (id, title, version, created_at, updated_at) VALUES ($1, 'x', 1000, now(), now())", new_id()
    )
    wrapped = process.key.wrap(b"x", purpose=f"user {sam.id} totp")
    await busy.execute(
        "INSERT INTO totp (id, user_id, wrapped, last_step, created_at) VALUES ($1, $2, $3, 1000, now())",
        new_id(),
        sam.id,
        wrapped,
    )

    async def transfer() -> None:
        while True:
            async with busy.transaction():
                await busy.execute("UPDATE items SET version = version - 1")
                await busy.execute("UPDATE totp SET last_step = last_step + 1")

    load = asyncio.create_task(transfer())
    amounts: list[tuple[int, int]] = []
    for number in range(4):
        file = tmp_path / f"{number}.archive"
        await exported(process, acme.slug, file)
        amounts.append((_number(file, "items", "version"), _number(file, "totp", "last_step")))
    load.cancel()
    await asyncio.wait([load])
    busy.terminate()
    assert [items + steps for items, steps in amounts] == [2000] * 4
    assert len({items for items, _ in amounts}) > 1


def _number(file: Path, table: str, column: str) -> int:
    """Return the number in a column of the only row of a table."""
    with ArchiveFile(file) as archive:
        (found,) = (found for found in archive.manifest.tables if found.name == table)
        row = b"".join(archive.pieces(found)).decode()
    return int(row.rstrip("\n").split("\t")[found.columns.index(column)])


async def test_a_table_that_is_rewritten_meanwhile_is_waited_for_and_not_found_empty(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await owner.execute(
        f'INSERT INTO "{acme.schema}".items (id, title, created_at, updated_at) VALUES ($1, $2, now(), now())',
        new_id(),
        "Desk",
    )
    async with owner.transaction():
        await owner.execute(f'ALTER TABLE "{acme.schema}".items ALTER COLUMN version TYPE bigint USING version + 0')
        export = asyncio.create_task(exported(process, acme.slug, tmp_path / "acme.archive"))
        await _waiting_for_lock(owner, acme)
    await export
    with zipfile.ZipFile(tmp_path / "acme.archive") as archive:
        assert b"\tDesk\t" in archive.read("tables/items.copy")


async def _waiting_for_lock(owner: Any, tenant: TenantRef, table: str = "items") -> None:
    async with asyncio.timeout(20):
        while not await owner.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass",
            f"{tenant.schema}.{table}",
        ):
            await asyncio.sleep(0.01)


async def test_a_tenant_that_is_purged_while_its_export_waits_is_told_to_be_gone(
    process: Process, settings: Settings, owner: Any, tmp_path: Path
) -> None:
    tenant = await provisioned(process)
    async with owner.transaction():
        await owner.execute(f'LOCK TABLE "{tenant.schema}".alembic_version IN ACCESS EXCLUSIVE MODE')
        export = asyncio.create_task(exported(process, tenant.slug, tmp_path / "acme.archive"))
        await _waiting_for_lock(owner, tenant, "alembic_version")
        await owner.execute(f'DROP SCHEMA "{tenant.schema}" CASCADE; DROP ROLE "{tenant.role}"')
        await owner.execute("UPDATE platform.tenants SET state = 'purged' WHERE id = $1", tenant.id)
    with pytest.raises(refusals.NotExportable, match=r"is purged, and has nothing that could be exported\.$"):
        await export
    assert names_in(tmp_path) == []


async def test_of_two_exports_at_once_each_is_whole_unless_they_want_one_file(
    process: Process, acme: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "Desk")
    await asyncio.gather(*(exported(process, acme.slug, tmp_path / name) for name in ("a", "b")))
    assert _sums(tmp_path / "a") == _sums(tmp_path / "b")
    done = await asyncio.gather(
        *(exported(process, acme.slug, tmp_path / "c") for _ in range(3)), return_exceptions=True
    )
    refused = [one for one in done if isinstance(one, BaseException)]
    assert len(refused) == 2
    # Who asks when the first has ended finds the file.
    assert {type(one) for one in refused} <= {refusals.BeingWritten, refusals.AlreadyThere}
    assert _sums(tmp_path / "c") == _sums(tmp_path / "a")
    assert names_in(tmp_path) == ["a", "b", "c"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _sums(file: Path) -> dict[str, str]:
    """Return the checksums of an archive, after seeing that it is whole, but of what differs each time."""
    with ArchiveFile(file) as archive:
        archive.key(PASSPHRASE)
        archive.verify()
        differ = {"audit_events", "tenant_secrets"}
        return {table.name: table.sha256 for table in archive.manifest.tables if table.name not in differ}


async def test_an_export_can_read_no_other_tenant(
    process: Process, settings: Settings, acme: TenantRef, globex: TenantRef
) -> None:
    async with snapshot(settings.database_url.get_secret_value(), acme.id, tenant_roles=True) as seen:
        assert await seen.connection.fetchval("SELECT count(*) FROM items") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seen.connection.fetchval(f'SELECT count(*) FROM "{globex.schema}".items')


async def test_neither_export_nor_import_takes_memory_for_each_row(
    process: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await owner.execute(
        f'INSERT INTO "{acme.schema}".items (id, title, description, created_at, updated_at)'
        " SELECT gen_random_uuid(), 'x', repeat(md5(n::text), 60), now(), now() FROM generate_series(1, 12000) n"
    )
    key = await asyncio.to_thread(ArchiveKey.new, PASSPHRASE)
    await process.exporter.export(acme.id, io.BytesIO(), key)  # what is loaded once is loaded
    tracemalloc.start()
    try:
        done = await exported(process, acme.slug, tmp_path / "acme.archive")
        exporting = tracemalloc.get_traced_memory()[1]
        await purged(process, acme.id)
        tracemalloc.reset_peak()
        await imported(process, tmp_path / "acme.archive")
        importing = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.bytes > 24 * _MB
    assert exporting < 4 * _MB
    assert importing < 8 * _MB


async def test_both_logs_tell_of_an_export_and_of_an_import(
    process: Process, settings: Settings, acme: TenantRef, tmp_path: Path
) -> None:
    await exported(process, acme.slug, tmp_path / "acme.archive")
    exports = [events_of(settings, tenant, action="tenant.exported")[-1] for tenant in (acme, None)]
    assert [(event["target_id"], event["changes"]["revision"]["to"]) for event in exports] == [
        (acme.id, acme.revision),
        (acme.id, acme.revision),
    ]
    await purged(process, acme.id)
    await imported(process, tmp_path / "acme.archive")
    imports = [events_of(settings, tenant, action="tenant.imported")[-1] for tenant in (acme, None)]
    assert [(event["target_id"], event["changes"]["archived_id"]["to"]) for event in imports] == [
        (acme.id, str(acme.id)),
        (acme.id, str(acme.id)),
    ]
    assert [event["actor_kind"] for event in imports] == ["operator", "operator"]
